"""ExponentialDivNorm: divisive normalization by neighbours in the channels."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import known_channels
from tfbio.layers._exact import exactly

# The pool reaches so many lengths to either side, as in the original.
_REACH = 4


@keras.saving.register_keras_serializable(package="tfbio")
class ExponentialDivNorm(keras.layers.Layer):
    """Divisive normalization by a pool that falls off exponentially over the channels.

    Equation, for channel c, with r = T // 2 and T the least odd number of at least 8 lambda:

        pool_c    = sum over |j| <= r of exp(-|j| / lambda) x_{c+j}^2       (0 outside the channels)
        outputs_c = x_c^2 / (k (1 + (alpha / lambda) pool_c))^beta

    Neurons of similar tuning, which lie side by side, suppress each other the more the closer they
    are. lambda, alpha, beta and k are trained; the pool's reach follows lambda.

    Args:
        initial_lambda: length of the pool, channels, above 0.
        initial_alpha: strength of the normalization.
        initial_beta: exponent.
        initial_k: semi-saturation, above 0.
        fix_all: train none of the four.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, ..., C)

    Output shape:
        As the input.

    Raises:
        InputError: an argument is out of range.

    Reference:
        Miller, Chung, Miller (2022), "Divisive Feature Normalization Improves Image Recognition
        Performance in AlexNet", ICLR, https://openreview.net/forum?id=aOX3a9q3RVV.

    Upstream:
        Divisive_Normalization, structures/divisive_normalization_miller.py. There the kernel is
        made anew from a Python number at every step, and parameters that have become NaN are
        silently set to 5, 0.1, 1 and 1; here they stay NaN, and training stops with an error.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.ExponentialDivNorm()
        >>> tuple(layer(keras.random.normal((2, 8, 8, 64))).shape), layer.count_params()
        ((2, 8, 8, 64), 4)
    """

    def __init__(
        self,
        initial_lambda: float = 10.0,
        initial_alpha: float = 0.1,
        initial_beta: float = 1.0,
        initial_k: float = 10.0,
        fix_all: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value in {"initial_lambda": initial_lambda, "initial_k": initial_k}.items():
            if not 0 < value < math.inf:
                raise InputError(f"Expected `{name}` above 0, received {value}.")
        for name, value in {"initial_alpha": initial_alpha, "initial_beta": initial_beta}.items():
            if not math.isfinite(value) or value < 0:
                raise InputError(f"Expected `{name}` of 0 or more, received {value}.")
        self.initial_lambda = initial_lambda
        self.initial_alpha = initial_alpha
        self.initial_beta = initial_beta
        self.initial_k = initial_k
        self.fix_all = fix_all
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: channels})
        self._distances = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels)))
        self.lamb = self._parameter("lamb", self.initial_lambda)
        self.alpha = self._parameter("alpha", self.initial_alpha)
        self.beta = self._parameter("beta", self.initial_beta)
        self.k = self._parameter("k", self.initial_k)

    def _parameter(self, name: str, initial: float) -> Any:
        return self.add_weight(
            name=name,
            shape=(1,),
            initializer=exactly(initial),
            trainable=not self.fix_all,
            autocast=False,
        )

    def call(self, inputs):
        # Squares overflow in half precision.
        dtype = keras.backend.result_type(self.variable_dtype, "float32")
        squares = ops.square(ops.cast(inputs, dtype))
        lamb, alpha, beta, k = (
            ops.cast(each, dtype) for each in (self.lamb, self.alpha, self.beta, self.k)
        )
        # A length that is not above 0 has no pool: training has to stop, not to go on without.
        lamb = ops.where(lamb > 0, lamb, math.nan)
        distances = ops.convert_to_tensor(self._distances, dtype)
        # The least odd number of at least 8 lambda has this half.
        reach = ops.floor(ops.ceil(2 * _REACH * lamb) / 2)
        weights = ops.where(distances <= reach, ops.exp(-distances / lamb), 0)
        pool = ops.matmul(squares, weights * (alpha / lamb))
        # As a power, but vectorised on the CPU.
        outputs = squares * ops.exp(-beta * ops.log(k * (1 + pool)))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "initial_lambda": self.initial_lambda,
            "initial_alpha": self.initial_alpha,
            "initial_beta": self.initial_beta,
            "initial_k": self.initial_k,
            "fix_all": self.fix_all,
        }
