"""DoGConv2D: a convolution whose kernels are differences of two Gaussians."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import (
    check_padding,
    convolve,
    count,
    known_channels,
    odd,
    output_sizes,
    pair,
)

# The originals' limits: neither Gaussian vanishes, and the surround is wider than the centre.
_SMALLEST_SIGMA = 0.1
_SMALLEST_RATIO = 1.0001
_SMALLEST_NORM = 1e-12


@keras.saving.register_keras_serializable(package="tfbio")
class DoGConv2D(keras.layers.Layer):
    """Convolution with difference-of-Gaussians kernels, three numbers each.

    Equation, for the kernel from input channel i to filter o, at the squared distance d2 from
    the kernel's centre, with s1 = max(sigma1, 0.1) and s2 = s1 max(sigma2_scale, 1.0001):

        G = exp(-d2 / (2 s1^2)) / (2 pi s1^2) - exp(-d2 / (2 s2^2)) / (2 pi s2^2)
        W = total_scale G / |G|                  (|G|: over the pixels of this kernel)
        outputs = inputs * W + bias

    and with `upstream_exact`, where weights of the original demand it:

        G = total_scale [(s1 / pi) exp(-d2 / s1) - (s2 / pi) exp(-d2 / s2)]
        W = G / |G|                              (|G|: over all kernels, at each pixel)

    Retinal ganglion cells and cells of the lateral geniculate nucleus answer to the difference
    between light in the centre of their receptive field and light in its surround.

    Args:
        filters: number of output channels.
        kernel_size: side of the square kernel, pixels, odd.
        strides: an int or a pair.
        padding: `"valid"`, `"same"`, or the number of zeros on each side, an int or a pair.
        dilation_rate: an int or a pair, distance of neighbouring kernel elements, pixels.
        groups: number of groups of channels that do not mix.
        use_bias: whether to add a bias.
        upstream_exact: compute and initialise as the original does.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H', W', filters), H' and W' as of `keras.layers.Conv2D`.

    Raises:
        InputError: an argument is out of range, or the channels cannot be divided into groups.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), "Explaining V1 Properties with a Biologically
        Constrained Deep Learning Architecture", doi:10.48550/arXiv.2305.11275. The difference of
        Gaussians: Rodieck (1965), doi:10.1016/0042-6989(65)90033-7.

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/DoG.py, `DoGConv2D`. There the amplitude is
        s / pi where 1 / (pi s) is meant, sigma is neither squared nor doubled, and kernels are
        normalised together; `upstream_exact=True` does the same. Otherwise `total_scale` is the
        norm of a kernel; there it weighs kernels against each other.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.DoGConv2D(filters=8, kernel_size=5, padding="same")
        >>> tuple(layer(keras.random.uniform((2, 16, 16, 3))).shape)
        (2, 16, 16, 8)
        >>> layer.count_params()  # 24 kernels and 8 biases
        80
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = "valid",
        dilation_rate: int | tuple[int, int] = 1,
        groups: int = 1,
        use_bias: bool = True,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        kernel_size = odd(kernel_size, "kernel_size", "kernel")
        if count(filters, "filters") % count(groups, "groups"):
            raise InputError(
                f"Expected `filters` to be a multiple of `groups`, received {filters} filters in "
                f"{groups} groups."
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = pair(strides, "strides")
        self.padding = check_padding(padding)
        self.dilation_rate = pair(dilation_rate, "dilation_rate")
        self.groups = groups
        self.use_bias = use_bias
        self.upstream_exact = upstream_exact
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        if channels % self.groups:
            raise InputError(
                f"Expected a number of channels that {self.groups} groups can share, received "
                f"inputs of shape {tuple(inputs_shape)}."
            )
        radius = self.kernel_size // 2
        shape = (channels // self.groups, self.filters)
        normal, uniform = keras.initializers.RandomNormal, keras.initializers.RandomUniform
        if self.upstream_exact:
            sigma = ratio = uniform(radius / 2, radius / 2 + 1)
            scale, bias = normal(stddev=2.0), normal(stddev=1.0)
        else:
            sigma, ratio = uniform(radius / 4, radius / 2), uniform(1.5, 2.5)
            # Kernels of norm 1 from each channel: He's rule for a rectifier that follows.
            scale, bias = normal(stddev=math.sqrt(2 / shape[0])), keras.initializers.Zeros()
        # Not cast in mixed precision: kernels are made in full precision, then cast.
        self.sigma1 = self.add_weight(name="sigma1", shape=shape, initializer=sigma, autocast=False)
        self.sigma2_scale = self.add_weight(
            name="sigma2_scale", shape=shape, initializer=ratio, autocast=False
        )
        self.total_scale = self.add_weight(
            name="total_scale", shape=shape, initializer=scale, autocast=False
        )
        self.bias = (
            self.add_weight(name="bias", shape=(self.filters,), initializer=bias)
            if self.use_bias
            else None
        )

    @property
    def kernel(self):
        """The kernels, (kernel_size, kernel_size, C / groups, filters)."""
        distances = ops.convert_to_tensor(
            squared_distances(self.kernel_size)[:, :, None, None], self.variable_dtype
        )
        center = ops.maximum(self.sigma1, _SMALLEST_SIGMA)
        surround = center * ops.maximum(self.sigma2_scale, _SMALLEST_RATIO)
        if self.upstream_exact:
            difference = center * ops.exp(-distances / center) - surround * ops.exp(
                -distances / surround
            )
            kernel = self.total_scale * difference / math.pi
            return kernel / _norm(kernel, axis=(2, 3))
        difference = _gaussian(distances, center) - _gaussian(distances, surround)
        return self.total_scale * difference / _norm(difference, axis=(0, 1))

    def call(self, inputs):
        self._output_size(inputs.shape)
        outputs = convolve(
            inputs,
            ops.cast(self.kernel, self.compute_dtype),
            self.strides,
            self.padding,
            self.dilation_rate,
            self.groups,
        )
        return outputs if self.bias is None else outputs + self.bias

    def compute_output_shape(self, inputs_shape):
        return (inputs_shape[0], *self._output_size(inputs_shape), self.filters)

    def _output_size(self, inputs_shape):
        down, across = (rate * (self.kernel_size - 1) + 1 for rate in self.dilation_rate)
        return output_sizes(inputs_shape, (down, across), self.strides, self.padding, self.name)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "use_bias": self.use_bias,
            "upstream_exact": self.upstream_exact,
        }


def squared_distances(kernel_size: int) -> np.ndarray:
    """Squared distance of every pixel of a kernel from its centre, pixels squared.

    Example:
        >>> squared_distances(3)
        array([[2., 1., 2.],
               [1., 0., 1.],
               [2., 1., 2.]])
    """
    offsets = np.arange(kernel_size, dtype=np.float64) - kernel_size // 2
    return offsets[:, None] ** 2 + offsets**2


def _gaussian(squared: Any, sigma: Any) -> Any:
    """The two-dimensional Gaussian of unit volume."""
    variance = ops.square(sigma)
    return ops.exp(-squared / (2 * variance)) / (2 * math.pi * variance)


def _norm(kernel: Any, axis: tuple[int, int]) -> Any:
    """Euclidean norm, at least 1e-12; its gradient is zero, not NaN, where the kernel is zero."""
    squares = ops.sum(ops.square(kernel), axis=axis, keepdims=True)
    return ops.sqrt(ops.maximum(squares, _SMALLEST_NORM**2))
