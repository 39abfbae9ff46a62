"""BilinearResizing: maps of another size, whose corners stay in the corners."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair, pair


@keras.saving.register_keras_serializable(package="tfbio")
class BilinearResizing(keras.layers.Layer):
    """Bilinear interpolation of maps, in which the centres of corner pixels stay where they are.

    Equation, with R and C the matrices that interpolate along a column and along a row:

        outputs = R inputs C^T

    Feedback from a higher visual area, which has larger receptive fields and fewer of them, comes
    to the lower one at its resolution.

    Args:
        size: an int or a pair, height and width of the outputs, pixels.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C), H and W known.

    Output shape:
        (N, H', W', C)

    Raises:
        InputError: the size is out of range, or that of the inputs is not known.

    Upstream:
        PyTorch, `interpolate(mode="bilinear", align_corners=True)`. No known difference;
        `keras.layers.Resizing` aligns the borders of corner pixels.

    Example:
        >>> import keras, tfbio
        >>> row = keras.ops.reshape(keras.ops.arange(3, dtype="float32"), (1, 1, 3, 1))
        >>> tfbio.layers.BilinearResizing((1, 5))(row)[0, 0, :, 0].numpy().tolist()
        [0.0, 0.5, 1.0, 1.5, 2.0]
    """

    def __init__(self, size: int | Pair, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = pair(size, "size")

    def build(self, inputs_shape):
        if None in inputs_shape[1:]:
            raise InputError(
                f"Expected maps of {self.name!r} of known height, width and channels, received "
                f"{tuple(inputs_shape)}: give them in the shape of the input."
            )

    def call(self, inputs):
        return resized(inputs, self.size)

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], *self.size, inputs_shape[-1])

    def get_config(self):
        return {**super().get_config(), "size": self.size}


def resized(inputs: Any, size: Pair) -> Any:
    """Maps (N, H, W, C) interpolated to another size, see `BilinearResizing`.

    Their size has to be known.

    Example:
        >>> tuple(resized(keras.random.uniform((2, 3, 3, 4)), (6, 5)).shape)
        (2, 6, 5, 4)
    """
    height, width, channels = inputs.shape[1:]
    if height != size[0]:
        rows = ops.convert_to_tensor(_weights(height, size[0]), dtype=inputs.dtype)
        inputs = ops.matmul(rows, ops.reshape(inputs, (-1, height, width * channels)))
    if width != size[1]:
        columns = ops.convert_to_tensor(_weights(width, size[1]), dtype=inputs.dtype)
        inputs = ops.matmul(columns, ops.reshape(inputs, (-1, width, channels)))
    return ops.reshape(inputs, (-1, *size, channels))


@lru_cache(maxsize=64)
def _weights(source: int, target: int) -> np.ndarray:
    """(target, source): how much each pixel has of each."""
    positions = np.arange(target) * ((source - 1) / max(target - 1, 1))
    return np.maximum(0.0, 1.0 - np.abs(positions[:, None] - np.arange(source)))
