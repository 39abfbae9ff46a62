"""AdaptiveAveragePooling2D: means over windows that give an output of a chosen size."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import pair


@keras.saving.register_keras_serializable(package="tfbio")
class AdaptiveAveragePooling2D(keras.layers.Layer):
    """Means over windows that cover an input of any size, as PyTorch's layer takes them.

    Equation, for output i of n along an axis of H pixels:

        outputs[i] = mean of inputs[floor(i H / n)] to inputs[ceil((i + 1) H / n) - 1]

    Windows overlap where n does not divide H, and repeat pixels where n is larger.

    Args:
        output_size: an int or a pair, pixels.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C), H and W known.

    Output shape:
        (N, output_size[0], output_size[1], C)

    Raises:
        InputError: the size is out of range, or that of the input is not known.

    Upstream:
        torch.nn.AdaptiveAvgPool2d. Keras 3.12 has no such layer, later versions have.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.AdaptiveAveragePooling2D(7)
        >>> tuple(layer(keras.ops.ones((2, 10, 13, 8))).shape)
        (2, 7, 7, 8)
    """

    def __init__(self, output_size: int | tuple[int, int], **kwargs: Any):
        super().__init__(**kwargs)
        self.output_size = pair(output_size, "output_size")
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def call(self, inputs):
        size = inputs.shape[1:3]
        if None in size:
            raise InputError(
                f"Expected inputs of known size for {self.name!r}, received {tuple(inputs.shape)}."
            )
        down, across = (
            ops.convert_to_tensor(_windows(*axis), self.compute_dtype)
            for axis in zip(size, self.output_size, strict=True)
        )
        if size[0] != self.output_size[0]:
            inputs = ops.einsum("ih,nhwc->niwc", down, inputs)
        if size[1] != self.output_size[1]:
            inputs = ops.einsum("jw,nhwc->nhjc", across, inputs)
        return inputs

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], *self.output_size, inputs_shape[3])

    def get_config(self):
        return {**super().get_config(), "output_size": self.output_size}


def _windows(size: int, outputs: int) -> np.ndarray:
    """The weight of each pixel in each output, (outputs, size)."""
    weights = np.zeros((outputs, size))
    for i in range(outputs):
        start, stop = i * size // outputs, -(-(i + 1) * size // outputs)
        weights[i, start:stop] = 1 / (stop - start)
    return weights
