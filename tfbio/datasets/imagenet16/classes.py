"""Which classes of ImageNet the sixteen are made of."""

import functools
import json
from pathlib import Path


@functools.lru_cache(maxsize=1)
def wordnet_ids() -> dict[str, tuple[str, ...]]:
    """The sixteen classes, sorted, with the WordNet ids that each is made of.

    Returns:
        Class name to WordNet ids; 202 in all.

    Reference:
        Geirhos et al. (2018), arXiv:1808.08750

    Example:
        >>> wordnet_ids()["bicycle"]
        ('n02835271', 'n03792782')
    """
    text = Path(__file__).with_name("wnids.json").read_text()
    return {name: tuple(wnids) for name, wnids in sorted(json.loads(text).items())}
