"""Maps that go on beyond their border as in a mirror."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair


def reflected(inputs: Any, window: Pair) -> Any:
    """(N, H, W, C) with the pixels around it that keep a convolution's map as large as it is.

    The pixel at the border is not repeated; of an odd number of pixels the last goes behind.

    Args:
        inputs: (N, H, W, C).
        window: height and width of the kernel.
    """
    if tuple(window) == (1, 1):
        return inputs
    around = [((side - 1) // 2, side // 2) for side in window]
    return ops.pad(inputs, [(0, 0), *around, (0, 0)], mode="reflect")


def check_map(inputs_shape: Sequence[int | None], windows: Sequence[Pair], layer: str) -> None:
    """Refuse maps that have less to reflect than their convolutions look beyond the border.

    Args:
        inputs_shape: (N, H, W, C).
        windows: of all the convolutions.
        layer: its name, for the error.

    Raises:
        InputError: the map is too small.
    """
    smallest = [max(window[axis] // 2 for window in windows) + 1 for axis in (0, 1)]
    sizes = tuple(inputs_shape[1:3])
    if any(size is not None and size < least for size, least in zip(sizes, smallest, strict=True)):
        raise InputError(
            f"Expected maps of {layer!r} of at least {smallest[0]} x {smallest[1]} pixels, which "
            f"its convolutions reflect at the border, received {sizes[0]} x {sizes[1]}. Take "
            "larger inputs or smaller kernels."
        )
