"""The noise in which recurrent cells may begin."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.layers._replica_noise import standard_normal


def xavier_noise(drive: Any, seed_generator: keras.random.SeedGenerator) -> Any:
    """Normal noise of the shape of a drive, with a variance of 2 / ((N + C) H W).

    It is what PyTorch's `xavier_normal_` makes of maps, which it takes for a kernel: a larger
    batch begins in less noise.

    Args:
        drive: (N, H, W, C).
        seed_generator: its state moves on by one draw.
    """
    images, height, width, channels = ops.shape(drive)
    units = ops.cast((images + channels) * height * width, "float32")
    noise = standard_normal((images, height, width, channels), seed_generator)
    return ops.cast(noise * ops.sqrt(2 / units), drive.dtype)
