"""Which files are set aside for validation: their names decide, one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable


def chosen_by_hash(names: Iterable[str], count: int) -> set[str]:
    """Some of the names, as random as a hash is.

    A file more or less moves one other file at most, so that what was set aside in one training
    is not trained on in the next, nor the other way round, when files come or go.

    Args:
        names: of files, each once.
        count: how many to choose.

    Returns:
        The names with the smallest hashes.

    Example:
        >>> sorted(chosen_by_hash(["1.png", "2.png", "3.png", "4.png", "5.png"], 2))
        ['1.png', '2.png']
    """
    ranked = sorted(names, key=lambda name: (hashlib.sha256(os.fsencode(name)).digest(), name))
    return set(ranked[:count])
