"""GaborConv2D: a fixed bank of Gabor filters, each of which sees one colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import (
    check_padding,
    known_channels,
    odd,
    output_length,
    output_sizes,
    pair,
    per_axis,
)
from tfbio.layers._exact import exactly
from tfbio.layers.single_channel import (
    channels_of,
    check_channels,
    responses_by_filter,
    to_image,
)


def gabor_filters(
    kernel_size: int,
    sf: np.ndarray,
    theta: np.ndarray,
    sigma_x: np.ndarray,
    sigma_y: np.ndarray,
    phase: np.ndarray,
) -> np.ndarray:
    """Gabor functions on the pixels of a square window.

    Args:
        kernel_size: side of the window, pixels.
        sf: (n,) spatial frequency, cycles per pixel.
        theta: (n,) orientation, radians.
        sigma_x: (n,) standard deviation along the carrier, pixels.
        sigma_y: (n,) standard deviation across the carrier, pixels.
        phase: (n,) radians.

    Returns:
        float64 (kernel_size, kernel_size, n).

    Example:
        >>> one = np.ones(1)
        >>> gabor_filters(3, sf=0 * one, theta=0 * one, sigma_x=one, sigma_y=one, phase=0 * one)[
        ...     1, 1] * 2 * np.pi
        array([1.])
    """
    offsets = np.arange(kernel_size, dtype=np.float64) - kernel_size // 2
    x, y = offsets[:, np.newaxis, np.newaxis], offsets[:, np.newaxis]
    u = x * np.cos(theta) + y * np.sin(theta)
    v = -x * np.sin(theta) + y * np.cos(theta)
    envelope = np.exp(-((u / sigma_x) ** 2 + (v / sigma_y) ** 2) / 2)
    return envelope / (2 * np.pi * sigma_x * sigma_y) * np.cos(2 * np.pi * sf * u + phase)


@keras.saving.register_keras_serializable(package="tfbio")
class GaborConv2D(keras.layers.Layer):
    """Convolution with Gabor filters, which are not trained.

    Equation, for the filter of one channel at row x and column y from its centre:

        u =  x cos(theta) + y sin(theta)
        v = -x sin(theta) + y cos(theta)
        W = exp(-(u^2 / sigma_x^2 + v^2 / sigma_y^2) / 2) / (2 pi sigma_x sigma_y)
            cos(2 pi sf u + phase)
        outputs = inputs[channel] * W

    Simple cells of primary visual cortex answer to bars and gratings of one orientation, spatial
    frequency and phase, within a small receptive field.

    Only the channel that a filter sees is convolved, a third of the arithmetic of a dense
    convolution of RGB.

    Args:
        sf: spatial frequency of each filter, cycles per pixel.
        theta: orientation, radians; 0 varies from row to row.
        sigma_x: standard deviation of the envelope along the carrier, pixels.
        sigma_y: the same across the carrier, pixels.
        phase: of the carrier in the centre, radians.
        channels: number of the input channel that each filter sees.
        kernel_size: side of the square kernel, pixels, odd.
        strides: an int or a pair.
        padding: `"valid"`, `"same"`, or the number of zeros on each side; by default
            `kernel_size // 2`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H', W', filters); with the default padding H' is ceil(H / stride).

    Raises:
        InputError: an argument is out of range, or the input has too few channels.

    Reference:
        Gabor functions as receptive fields: Jones, Palmer (1987), doi:10.1152/jn.1987.58.6.1233.
        The bank: Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020),
        doi:10.1101/2020.06.16.154542.

    Upstream:
        vonenet, modules.py, `GFB`, and utils.py, `gabor_kernel`. No known difference.

    Example:
        >>> import keras, tfbio
        >>> parameters = tfbio.layers.sample_gabor_parameters(8).in_pixels(64 / 8)
        >>> layer = tfbio.layers.GaborConv2D(**parameters, channels=[0, 1, 2, 0, 1, 2, 0, 1])
        >>> tuple(layer(keras.random.uniform((2, 64, 64, 3))).shape)
        (2, 16, 16, 8)
    """

    def __init__(
        self,
        sf: Sequence[float],
        theta: Sequence[float],
        sigma_x: Sequence[float],
        sigma_y: Sequence[float],
        phase: Sequence[float],
        channels: Sequence[int],
        kernel_size: int = 25,
        strides: int | tuple[int, int] = 4,
        padding: str | int | tuple[int, int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel_size = odd(kernel_size, "kernel_size", "kernel")
        self.strides = pair(strides, "strides")
        self.padding = check_padding(self.kernel_size // 2 if padding is None else padding)
        given = {"sf": sf, "theta": theta, "sigma_x": sigma_x, "sigma_y": sigma_y, "phase": phase}
        arrays = {name: np.asarray(values, np.float64) for name, values in given.items()}
        self.sf, self.theta, self.sigma_x, self.sigma_y, self.phase = arrays.values()
        self.channels = check_channels(channels, len(np.atleast_1d(self.sf)))
        for name, array in arrays.items():
            if array.shape != (len(self.channels),) or not np.isfinite(array).all():
                raise InputError(
                    f"Expected `{name}` to be one finite number for each of "
                    f"{len(self.channels)} filters, received an array of shape {array.shape}."
                )
        if not self.channels:
            raise InputError("Expected parameters of at least one filter, received none.")
        if min(self.sigma_x.min(), self.sigma_y.min()) <= 0:
            raise InputError(
                "Expected `sigma_x` and `sigma_y` above 0 pixels, received at least "
                f"{self.sigma_x.min()} and {self.sigma_y.min()}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        colors = known_channels(inputs_shape)
        if max(self.channels) >= colors:
            raise InputError(
                f"Expected inputs with the channels 0 to {max(self.channels)} that the filters of "
                f"{self.name!r} see, received inputs of shape {tuple(inputs_shape)}."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: colors})
        filters = gabor_filters(
            self.kernel_size, self.sf, self.theta, self.sigma_x, self.sigma_y, self.phase
        )
        dense = np.zeros((self.kernel_size, self.kernel_size, colors, len(self.channels)))
        dense[:, :, self.channels, np.arange(len(self.channels))] = filters
        self.kernel = self.add_weight(
            name="kernel",
            shape=dense.shape,
            initializer=exactly(dense),
            trainable=False,
        )

    def call(self, inputs):
        rows = responses_by_filter(inputs, self.kernel, self.channels, self.strides, self.padding)
        return to_image(rows, self.sizes(ops.shape(inputs)))

    def sizes(self, inputs_shape: Any) -> tuple[Any, Any]:
        """H' and W' for inputs of some shape, ints or scalar tensors."""
        height, width = (
            output_length(size, self.kernel_size, stride, padding)
            for size, stride, padding in zip(
                inputs_shape[1:3], self.strides, per_axis(self.padding), strict=True
            )
        )
        return height, width

    def find_channels(self) -> None:
        """Take the channel of each filter from the kernel, after a kernel has been assigned.

        Loading weights does this by itself, but not for a function that was compiled before, nor
        do `set_weights` and `tf.train.Checkpoint`. Until it is done and the function is compiled
        anew, filters of other channels give NaN. `tfbio.load_weights` does both.

        Raises:
            InputError: a filter sees more than one channel.
        """
        self.channels = channels_of(keras.ops.convert_to_numpy(self.kernel.value))

    def load_own_variables(self, store):
        super().load_own_variables(store)
        self.find_channels()

    def compute_output_shape(self, inputs_shape):
        sizes = output_sizes(
            inputs_shape,
            (self.kernel_size, self.kernel_size),
            self.strides,
            self.padding,
            self.name,
        )
        return (inputs_shape[0], *sizes, len(self.channels))

    def get_config(self):
        return {
            **super().get_config(),
            **{
                name: getattr(self, name).tolist()
                for name in ("sf", "theta", "sigma_x", "sigma_y", "phase")
            },
            "channels": list(self.channels),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }
