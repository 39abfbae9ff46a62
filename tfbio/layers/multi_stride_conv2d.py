"""MultiStrideConv2D: one kernel, another stride at every call."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.layers._convolution import convolve, count, known_channels, odd, output_sizes, pair


@keras.saving.register_keras_serializable(package="tfbio")
class MultiStrideConv2D(keras.layers.Layer):
    """Convolution whose stride is an argument of the call.

    Equation:

        outputs = inputs * W, at every stride-th place

    A recurrent area halves its map at the first time step and keeps its size from then on, with
    the same synapses.

    Args:
        filters: number of output channels.
        kernel_size: side of the square kernel, pixels, odd; as many zeros as fit half of it go
            around the image.
        kernel_initializer: of the kernel.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C).
        strides: an int or a pair; 1 by default.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, ceil(H / stride), ceil(W / stride), filters)

    Raises:
        InputError: an argument is out of range.

    Reference:
        Kubilius, Schrimpf, Kar, et al. (2019), "Brain-Like Object Recognition with High-Performing
        Shallow Recurrent ANNs", doi:10.48550/arXiv.1909.06161.

    Upstream:
        CORnet, cornet_s.py, where the stride of a module is set between its calls.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.MultiStrideConv2D(4, 3)
        >>> inputs = keras.ops.ones((1, 8, 8, 2))
        >>> tuple(layer(inputs, strides=2).shape), tuple(layer(inputs).shape)
        ((1, 4, 4, 4), (1, 8, 8, 4))
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = count(filters, "filters")
        self.kernel_size = odd(kernel_size, "kernel_size", "kernel")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        self.kernel = self.add_weight(
            name="kernel",
            shape=(self.kernel_size, self.kernel_size, channels, self.filters),
            initializer=self.kernel_initializer,
        )

    def call(self, inputs, strides=1):
        radius = self.kernel_size // 2
        return convolve(inputs, self.kernel, pair(strides, "strides"), (radius, radius))

    def compute_output_shape(self, inputs_shape):
        return self._output_shape(inputs_shape, 1)

    def compute_output_spec(self, inputs, strides=1):
        return keras.KerasTensor(self._output_shape(inputs.shape, strides), self.compute_dtype)

    def _output_shape(self, inputs_shape: Any, strides: Any) -> tuple[int | None, ...]:
        radius, window = self.kernel_size // 2, (self.kernel_size, self.kernel_size)
        sizes = output_sizes(
            inputs_shape, window, pair(strides, "strides"), (radius, radius), self.name
        )
        return (inputs_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
