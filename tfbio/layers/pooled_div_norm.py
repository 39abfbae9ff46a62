"""PooledDivNorm: divisive normalization by pools of neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfbio.layers._convolution import known_channels
from tfbio.layers._exact import exactly

# The smallest normal number of float32: a pool without activity and without sigma divides by it.
_SMALLEST_DENOMINATOR = 1.1754944e-38


def pool_size(channels: int, p: float) -> int:
    """The number of channels in a pool: 2^floor(p log2(channels)), or all of them if p is 1.

    Args:
        channels: number of channels.
        p: exponent, 0 to 1.

    Raises:
        ValueError: pools of this size do not divide the channels.

    Example:
        >>> pool_size(64, 0.5), pool_size(48, 0.5), pool_size(48, 1)
        (8, 4, 48)
    """
    if p == 1:
        return channels
    size = 2 ** int(p * math.log2(channels))
    if channels % size:
        raise ValueError(
            f"Expected a number of channels that pools of {size} divide, 2^floor(p log2(channels)) "
            f"with p = {p}; received {channels} channels. Take another `p`; 1 is one pool of all."
        )
    return size


@keras.saving.register_keras_serializable(package="tfbio")
class PooledDivNorm(keras.layers.Layer):
    """Divisive normalization within pools of channels.

    Equation, for channel c of pool g, n being `power`:

        outputs_c = exp(gamma_g) |x_c|^n / (sum over the pool of |x|^n + |sigma_g|^n + epsilon)

    A neuron's response is divided by the summed activity of a pool of neurons. It explains how the
    responses of primary visual cortex saturate with contrast, and how they suppress each other.

    Args:
        p: a pool has 2^floor(p log2(C)) channels that lie side by side; with 0 each channel is its
            own pool, with 1 all are one.
        power: exponent of the responses, above 0.
        initial_gamma: of the logarithm of the gain.
        initial_sigma: of the semi-saturation.
        epsilon: added to the denominator, 0 or more.
        single_gamma: one gain for all pools.
        single_sigma: one semi-saturation for all pools.
        fix_gamma: do not train the gain.
        fix_sigma: do not train the semi-saturation.
        normalize_gamma: use gamma^n over its sum over all pools, if there are several.
        normalize_sigma: use sigma^n over its sum over all pools, if there are several.
        upstream_exact: as the original, divide gamma^n by the sum of sigma^n, and train gamma and
            sigma of several pools whatever `fix_gamma` and `fix_sigma` say.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, ..., C), with C a multiple of the pool's size.

    Output shape:
        As the input.

    Raises:
        ValueError: an argument is out of range, a fixed gain is to be normalized, or pools do not
            divide the channels.

    Reference:
        Heeger (1992), "Normalization of cell responses in cat striate cortex",
        doi:10.1017/S0952523800009640. Carandini, Heeger (2012), doi:10.1038/nrn3136.

    Upstream:
        Divisive_Normalization, structures/divisive_normalization_heeger.py, and for one pool
        divisive_normalization_plain.py. There several pools fail with odd powers and on maps of
        1 x 1, and 0 / 0 is NaN; here neither. See `upstream_exact` for what else differs.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.PooledDivNorm(p=0.5)
        >>> tuple(layer(keras.random.normal((2, 8, 8, 64))).shape)
        (2, 8, 8, 64)
        >>> layer.count_params()  # gain and semi-saturation of 8 pools
        16
    """

    def __init__(
        self,
        p: float = 0.5,
        power: float = 2.0,
        initial_gamma: float = 1.0,
        initial_sigma: float = 1.0,
        epsilon: float = 0.0,
        single_gamma: bool = False,
        single_sigma: bool = False,
        fix_gamma: bool = False,
        fix_sigma: bool = False,
        normalize_gamma: bool = False,
        normalize_sigma: bool = False,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not 0 <= p <= 1:
            raise ValueError(f"Expected a pool exponent `p` from 0 to 1, received {p}.")
        if not 0 < power < math.inf:
            raise ValueError(f"Expected a `power` above 0, received {power}.")
        if not 0 <= epsilon < math.inf:
            raise ValueError(f"Expected an `epsilon` of 0 or more, received {epsilon}.")
        for name, value in {"initial_gamma": initial_gamma, "initial_sigma": initial_sigma}.items():
            if not math.isfinite(value):
                raise ValueError(f"Expected `{name}` to be finite, received {value}.")
        for name, normalize, fix in (
            ("gamma", normalize_gamma, fix_gamma),
            ("sigma", normalize_sigma, fix_sigma),
        ):
            if normalize and fix:
                raise ValueError(
                    f"Expected `normalize_{name}` or `fix_{name}`, received both: a fixed {name} "
                    "is the same for all pools, so leave the first out."
                )
        self.p = p
        self.power = power
        self.initial_gamma = initial_gamma
        self.initial_sigma = initial_sigma
        self.epsilon = epsilon
        self.single_gamma = single_gamma
        self.single_sigma = single_sigma
        self.fix_gamma = fix_gamma
        self.fix_sigma = fix_sigma
        self.normalize_gamma = normalize_gamma
        self.normalize_sigma = normalize_sigma
        self.upstream_exact = upstream_exact
        self.input_spec = keras.layers.InputSpec(min_ndim=2)

    def build(self, inputs_shape):
        channels = known_channels(inputs_shape)
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: channels})
        self._pool_size = pool_size(channels, self.p)
        self._pools = channels // self._pool_size
        self.gamma = self._parameter("gamma", self.single_gamma, self.fix_gamma, self.initial_gamma)
        self.sigma = self._parameter("sigma", self.single_sigma, self.fix_sigma, self.initial_sigma)

    def _parameter(self, name: str, single: bool, fixed: bool, initial: float) -> Any:
        single = single or self._pools == 1
        return self.add_weight(
            name=name,
            shape=(1 if single else self._pools,),
            initializer=exactly(initial),
            # The original fixes single ones only.
            trainable=not fixed or (self.upstream_exact and not single),
            autocast=False,
        )

    def call(self, inputs):
        # Sums of powers overflow in half precision.
        dtype = self.variable_dtype
        powers = self._raised(ops.cast(inputs, dtype))
        gamma, sigma_to_the_power = self._gain_and_semisaturation()
        if self._pools == 1:
            total = ops.sum(powers, axis=-1, keepdims=True)
            outputs = powers * self._factor(total, gamma, sigma_to_the_power)
            return ops.cast(outputs, self.compute_dtype)
        pooled = ops.reshape(powers, (*ops.shape(inputs)[:-1], self._pools, self._pool_size))
        factor = self._factor(ops.sum(pooled, axis=-1), gamma, sigma_to_the_power)
        outputs = ops.reshape(pooled * factor[..., None], ops.shape(inputs))
        return ops.cast(outputs, self.compute_dtype)

    def _factor(self, total: Any, gamma: Any, sigma_to_the_power: Any) -> Any:
        denominator = total + (sigma_to_the_power + self.epsilon)
        return ops.exp(gamma) / ops.maximum(denominator, _SMALLEST_DENOMINATOR)

    def _gain_and_semisaturation(self) -> tuple[Any, Any]:
        """gamma, and |sigma|^power, normalized over the pools if they are to be."""
        gamma, sigma = ops.convert_to_tensor(self.gamma), ops.convert_to_tensor(self.sigma)
        if self.normalize_sigma and sigma.shape[0] > 1:
            raised = self._raised(sigma)
            sigma = raised / ops.sum(raised)
        sigma_to_the_power = self._raised(sigma)
        if self.normalize_gamma and gamma.shape[0] > 1:
            raised = self._raised(gamma)
            gamma = raised / ops.sum(sigma_to_the_power if self.upstream_exact else raised)
        return gamma, sigma_to_the_power

    def _raised(self, values: Any) -> Any:
        """|values|^power, with a finite gradient at 0."""
        if self.power == 2:
            return values * values
        active = values != 0
        magnitude = ops.where(active, ops.abs(values), 1)
        return ops.where(active, ops.power(magnitude, self.power), 0)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        names = (
            "p", "power", "initial_gamma", "initial_sigma", "epsilon", "single_gamma",
            "single_sigma", "fix_gamma", "fix_sigma", "normalize_gamma", "normalize_sigma",
            "upstream_exact",
        )  # fmt: skip
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
