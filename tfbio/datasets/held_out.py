"""Which files are held out of training: decided by their names, one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable


def held_out(names: Iterable[str], count: int) -> set[str]:
    """Some of the names, as random as a hash is.

    A file more or less moves one other file at most, so that what was held out of a training is
    not trained on, nor the other way round, when files come or go.

    Args:
        names: of files, each once.
        count: how many to hold out.

    Returns:
        The names with the smallest hashes.

    Example:
        >>> sorted(held_out(["1.png", "2.png", "3.png", "4.png", "5.png"], 2))
        ['1.png', '2.png']
    """
    ranked = sorted(names, key=lambda name: (hashlib.sha256(os.fsencode(name)).digest(), name))
    return set(ranked[:count])
