"""GaussianDivNorm: divisive normalization by a learned Gaussian pool."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.layers._convolution import convolve, known_channels, odd

# The original's limit on the denominators of the Gaussian.
_SMALLEST = 0.1


@keras.saving.register_keras_serializable(package="tfbio")
class GaussianDivNorm(keras.layers.Layer):
    """Divisive normalization by a pool that is a Gaussian of position, of its own for each pair.

    Equation, for the pool of output channel o in input channel i; X and Y are the column and row
    of a pixel of the pool, from its centre:

        xr = X cos(theta) + Y sin(theta),    yr = -X sin(theta) + Y cos(theta)
        D = (xr - v)^2 / max(rho^2, 0.1) + (yr - w)^2 / max(sigma^2, 0.1)
        G = |amplitude / max(2 pi rho sigma, 0.1)| exp(-D / 2)
        outputs = inputs / (|inputs| * G + |bias|)

    and with `upstream_exact`, where weights of the original demand it, X and Y are counted from 1,
    about the corner of the pool, and inputs are pooled with their sign.

    A neuron's response is divided by the responses of its neighbours in space and in tuning: gain
    control, which keeps rates in range and makes tuning independent of contrast.

    Args:
        kernel_size: side of the square pool, pixels, odd.
        upstream_exact: compute and initialise as the original does. Signed inputs can then make
            the denominator zero or negative; rates, zero or more, cannot.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H, W, C)

    Raises:
        InputError: `kernel_size` is not odd, or the number of channels is not known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275; the equation: Cirincione
        et al. (2022), "Implementing Divisive Normalization in CNNs Improves Robustness to Common
        Image Corruptions".

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/DivisiveNormalization.py,
        `DivisiveNormalizationCirincione`. There `amplitude` is A, and an even pool fails.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.GaussianDivNorm(kernel_size=3)
        >>> rates = keras.random.uniform((2, 8, 8, 4))
        >>> tuple(layer(rates).shape), layer.count_params()  # 6 x 4 x 4, and the bias
        ((2, 8, 8, 4), 97)
    """

    def __init__(self, kernel_size: int = 3, upstream_exact: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.kernel_size = odd(kernel_size, "kernel_size", "pool")
        self.upstream_exact = upstream_exact
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        # The original's normal draws lie about the pool's centre only as far as X, Y from 1 do.
        offset = keras.initializers.RandomNormal(
            mean=self.kernel_size // 2 if self.upstream_exact else 0.0, stddev=1.0
        )
        uniform = keras.initializers.RandomUniform

        def pairwise(name, initializer):
            # Not cast in mixed precision: pools are made in full precision, then cast.
            return self.add_weight(
                name=name, shape=(channels, channels), initializer=initializer, autocast=False
            )

        self.amplitude = pairwise("amplitude", uniform(0, 1))
        self.rho = pairwise("rho", uniform(1, 2))
        self.sigma = pairwise("sigma", uniform(1, 2))
        self.theta = pairwise("theta", uniform(0, 2 * math.pi))
        self.v = pairwise("v", offset)
        self.w = pairwise("w", offset)
        self.bias = self.add_weight(name="bias", shape=(1,), initializer=uniform(1, 2))

    @property
    def pool(self):
        """The pools G, (kernel_size, kernel_size, C in, C out)."""
        first = 1 if self.upstream_exact else -(self.kernel_size // 2)
        steps = np.arange(first, first + self.kernel_size)[:, None, None]
        column = ops.convert_to_tensor(steps[None], self.variable_dtype)
        row = ops.convert_to_tensor(steps[:, None], self.variable_dtype)
        cosine, sine = ops.cos(self.theta), ops.sin(self.theta)
        along = column * cosine + row * sine - self.v
        across = row * cosine - column * sine - self.w
        distance = ops.square(along) / ops.maximum(ops.square(self.rho), _SMALLEST) + ops.square(
            across
        ) / ops.maximum(ops.square(self.sigma), _SMALLEST)
        area = ops.maximum(2 * math.pi * self.rho * self.sigma, _SMALLEST)
        return ops.absolute(self.amplitude / area) * ops.exp(-distance / 2)

    def call(self, inputs):
        pooled = convolve(
            inputs if self.upstream_exact else ops.absolute(inputs),
            ops.cast(self.pool, self.compute_dtype),
            padding="same",
        )
        return inputs / (pooled + ops.absolute(self.bias))

    def compute_output_shape(self, inputs_shape):
        return tuple(inputs_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "upstream_exact": self.upstream_exact,
        }
