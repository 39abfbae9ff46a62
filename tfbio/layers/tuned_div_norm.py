"""TunedDivNorm: divisive normalization by channels of the opposite tuning."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.layers._convolution import known_channels

# The original's limit on the width of the pool, channels.
_SMALLEST_SIGMA = 0.5


@keras.saving.register_keras_serializable(package="tfbio")
class TunedDivNorm(keras.layers.Layer):
    """Divisive normalization that channels half the circle of channels away weigh in most.

    Equation, for channel i at each pixel, with C channels in a circle:

        D_ij = | ((j - i) mod C) - floor(C / 2) |             (0 for the opposite channel)
        W_ij = exp(-D_ij^2 / (2 s_j^2)) / sum over k of exp(-D_kj^2 / (2 s_j^2))
        outputs_i = inputs_i / (1 + sum over j of W_ij inputs_j),    s_j = max(sigmas_j, 0.5)

    In primary visual cortex a neuron is suppressed by others, and how much depends on their
    tuning; here a learned width per channel says how far its suppression spreads.

    Each channel hands out a total weight of 1. Inputs are meant to be rates, zero or more: the
    denominator of signed inputs can come near zero.

    Args:
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C), zero or more.

    Output shape:
        (N, H, W, C)

    Raises:
        InputError: the number of channels is not known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275. Tuned normalization:
        Burg et al. (2021), doi:10.1371/journal.pcbi.1009028.

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/DivisiveNormalization.py,
        `OpponentChannelInhibition`. There the weights have a factor 1 / (2.5066 s_j), which their
        normalization cancels; no other difference.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.TunedDivNorm()
        >>> rates = keras.ops.ones((2, 4, 4, 32))
        >>> tuple(layer(rates).shape), layer.count_params()
        ((2, 4, 4, 32), 32)
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: channels})
        self.sigmas = self.add_weight(
            name="sigmas",
            shape=(channels,),
            initializer=keras.initializers.RandomUniform(channels / 8, channels / 8 + 1),
            autocast=False,
        )

    @property
    def pool_weights(self):
        """W transposed, (C, C): row j holds what channel j contributes to every other."""
        distances = ops.convert_to_tensor(
            channel_distances(self.sigmas.shape[0]).T,
            self.variable_dtype,
        )
        width = ops.maximum(self.sigmas, _SMALLEST_SIGMA)[:, None]
        # At distance 0 it is 1: the sum cannot vanish, however narrow the pool.
        gaussian = ops.exp(-ops.square(distances / width) / 2)
        return gaussian / ops.sum(gaussian, axis=-1, keepdims=True)

    def call(self, inputs):
        weights = ops.cast(self.pool_weights, self.compute_dtype)
        return inputs / (1 + ops.matmul(inputs, weights))

    def compute_output_shape(self, inputs_shape):
        return tuple(inputs_shape)


def channel_distances(channels: int) -> np.ndarray:
    """Distance of input channel j (column) from the opposite of output channel i (row).

    Example:
        >>> channel_distances(4)
        array([[2., 1., 0., 1.],
               [1., 2., 1., 0.],
               [0., 1., 2., 1.],
               [1., 0., 1., 2.]])
    """
    index = np.arange(channels)
    return np.abs((index - index[:, None]) % channels - channels // 2).astype(np.float64)
