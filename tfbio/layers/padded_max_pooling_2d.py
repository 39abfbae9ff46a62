"""PaddedMaxPooling2D: maxima over windows that reach over the border."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import check_padding, output_sizes, pair


@keras.saving.register_keras_serializable(package="tfbio")
class PaddedMaxPooling2D(keras.layers.Layer):
    """Max-pooling with as many pixels around the image on each side, which are never the maximum.

    Equation:

        outputs[i, j] = max of inputs in the window at (i stride - padding, j stride - padding)

    Keras pads the lower right side alone where a stride leaves an odd number; PyTorch pads all
    sides, and its weights depend on where windows lie.

    Args:
        pool_size: an int or a pair, pixels.
        strides: an int or a pair; by default the pool's size.
        padding: pixels on each side, an int or a pair.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H', W', C), H' = floor((H + 2 padding - pool_size) / stride) + 1

    Raises:
        InputError: an argument is out of range, or the input smaller than the window.

    Upstream:
        torch.nn.MaxPool2d.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.PaddedMaxPooling2D(3, strides=2, padding=1)
        >>> tuple(layer(keras.ops.ones((2, 8, 9, 4))).shape)
        (2, 4, 5, 4)
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int],
        strides: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.pool_size = pair(pool_size, "pool_size")
        self.strides = self.pool_size if strides is None else pair(strides, "strides")
        self.padding = check_padding(padding)
        if isinstance(self.padding, str) or any(
            2 * zeros > window for zeros, window in zip(self.padding, self.pool_size, strict=True)
        ):
            raise InputError(
                "Expected `padding` to be at most half of `pool_size`, received "
                f"{padding!r} and {pool_size!r}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        around = [(pixels, pixels) for pixels in self.padding]
        padded = ops.pad(inputs, [(0, 0), *around, (0, 0)], constant_values=-math.inf)
        return ops.max_pool(
            padded, self.pool_size, self.strides, padding="valid", data_format="channels_last"
        )

    def compute_output_shape(self, inputs_shape):
        sizes = output_sizes(inputs_shape, self.pool_size, self.strides, self.padding, self.name)
        return (inputs_shape[0], *sizes, inputs_shape[3])

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }
