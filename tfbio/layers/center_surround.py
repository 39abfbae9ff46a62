"""CenterSurround: difference-of-Gaussians filters on some of the channels."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import count, known_channels
from tfbio.layers.dog_conv2d import DoGConv2D


@keras.saving.register_keras_serializable(package="tfbio")
class CenterSurround(keras.layers.Layer):
    """Difference-of-Gaussians convolution of the first channels; the others pass on as they are.

    Equation, for n = `channels`:

        outputs = concatenate(DoGConv2D(inputs[..., :n]), inputs[..., n:])

    Part of a visual area inherits the centre-surround organisation of retina and thalamus, the
    rest has receptive fields of its own; here the share is fixed and the widths are learned.

    Args:
        channels: number of channels that are filtered, all to all.
        kernel_size: side of the square kernel, pixels, odd.
        strides: of the filters; has to keep the size of the image.
        padding: as of `DoGConv2D`; has to keep the size of the image.
        use_bias: whether to add a bias to the filtered channels.
        upstream_exact: compute and initialise as the original does, see `DoGConv2D`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C), C no less than `channels`.

    Output shape:
        (N, H, W, C)

    Raises:
        InputError: the input has fewer channels, or the filters change the size of the image.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/DoG.py, `DoGConv2DLayer`. Differences are
        those of `DoGConv2D`.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.CenterSurround(channels=16, kernel_size=5)
        >>> image = keras.random.uniform((2, 8, 8, 64))
        >>> output = layer(image)
        >>> tuple(output.shape), bool(keras.ops.all(output[..., 16:] == image[..., 16:]))
        ((2, 8, 8, 64), True)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        strides: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = "same",
        use_bias: bool = True,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.channels = count(channels, "channels")
        self.dog_conv = DoGConv2D(
            channels,
            kernel_size,
            strides,
            padding,
            use_bias=use_bias,
            upstream_exact=upstream_exact,
            name="dog_conv",
            dtype=self.dtype_policy,
        )
        # What keeps one size keeps all.
        side = self.dog_conv.kernel_size + 1
        filtered = self.dog_conv.compute_output_shape((None, side, side, channels))[1:3]
        if filtered != (side, side):
            raise InputError(
                "Expected filters that keep the image's size, so that their output can be put "
                f"beside the other channels, received strides={strides!r} and "
                f"padding={padding!r}: use strides 1 and padding 'same'."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        if channels < self.channels:
            raise InputError(
                f"Expected inputs of at least {self.channels} channels, as many as {self.name!r} "
                f"filters, received shape {tuple(inputs_shape)}: lower `channels`."
            )
        self.dog_conv.build((*inputs_shape[:-1], self.channels))

    def call(self, inputs):
        if inputs.shape[-1] == self.channels:
            return self.dog_conv(inputs)
        # One split and not two slices, the gradients of which are each as large as the input.
        filtered, passed_on = ops.split(inputs, [self.channels], axis=-1)
        return ops.concatenate([self.dog_conv(filtered), passed_on], axis=-1)

    def compute_output_shape(self, inputs_shape):
        return tuple(inputs_shape)

    def get_config(self):
        dog_conv = self.dog_conv.get_config()
        names = ("kernel_size", "strides", "padding", "use_bias", "upstream_exact")
        return {
            **super().get_config(),
            "channels": self.channels,
            **{name: dog_conv[name] for name in names},
        }
