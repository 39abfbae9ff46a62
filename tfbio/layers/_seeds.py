"""What a seed may be."""

from __future__ import annotations

import numpy as np

from tfbio.errors import InputError


def check_seed(seed: object, name: str) -> int:
    """Refuse what is no seed: None would draw other numbers every time.

    Args:
        seed: what the user gave.
        name: of the argument.

    Raises:
        InputError: it is no int from 0 to 2^32 - 1.
    """
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32:
        raise InputError(f"Expected `{name}` to be an int from 0 to 2^32 - 1, received {seed!r}.")
    return int(seed)
