"""Initial values to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops


def exactly(value: Any) -> Callable[..., Any]:
    """An initializer that gives a number or an array; Keras' `Constant` rounds it to float32.

    Args:
        value: of the variable's shape, or one that broadcasts to it.
    """

    def initialize(shape: Any, dtype: Any = None) -> Any:
        return ops.convert_to_tensor(np.broadcast_to(np.float64(value), shape).copy(), dtype)

    return initialize
