"""PooledDivNorm: divisive normalization by pools of neighbouring channels."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import known_channels
from tfbio.layers._exact import exactly

# Responses up to this count as none: gradients of their shares would leave float32.
_SILENCE = 1e-30


def pool_size(channels: int, p: float) -> int:
    """The number of channels in a pool: 2^floor(p log2(channels)), or all of them if p is 1.

    Args:
        channels: number of channels.
        p: exponent, 0 to 1.

    Raises:
        InputError: pools of this size do not divide the channels.

    Example:
        >>> pool_size(64, 0.5), pool_size(48, 0.5), pool_size(48, 1)
        (8, 4, 48)
    """
    if p == 1:
        return channels
    size = 2 ** int(p * math.log2(channels))
    if channels % size:
        raise InputError(
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
        InputError: an argument is out of range, a fixed gain is to be normalized, or pools do not
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
            raise InputError(f"Expected a pool exponent `p` from 0 to 1, received {p}.")
        if not 0 < power < math.inf:
            raise InputError(f"Expected a `power` above 0, received {power}.")
        if not 0 <= epsilon < math.inf:
            raise InputError(f"Expected an `epsilon` of 0 or more, received {epsilon}.")
        for name, value in {"initial_gamma": initial_gamma, "initial_sigma": initial_sigma}.items():
            if not math.isfinite(value):
                raise InputError(f"Expected `{name}` to be finite, received {value}.")
        for name, normalize, fix in (
            ("gamma", normalize_gamma, fix_gamma),
            ("sigma", normalize_sigma, fix_sigma),
        ):
            if normalize and fix:
                raise InputError(
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
        dtype = keras.backend.result_type(self.variable_dtype, "float32")
        responses = ops.abs(ops.cast(inputs, dtype))
        shape = ops.shape(responses)
        responses = ops.reshape(responses, (*shape[:-1], self._pools, self._pool_size))
        gamma, sigma = (ops.cast(each, dtype) for each in self._gain_and_semisaturation())
        # In units of the largest of a pool, in which no power overflows and no quotient is 0 / 0:
        # the units cancel, and so does their gradient.
        unit = ops.maximum(ops.max(responses, axis=-1), sigma)
        unit = ops.stop_gradient(ops.where(unit > _SILENCE, unit, 1))
        powers = self._raised(responses / unit[..., None])
        denominator = ops.sum(powers, axis=-1) + self._raised(sigma / unit)
        if self.epsilon:
            denominator = denominator + self.epsilon / self._raised(unit)
        # Only of a silent pool without sigma.
        denominator = ops.where(denominator > 0, denominator, 1)
        outputs = ops.reshape(powers * (ops.exp(gamma) / denominator)[..., None], shape)
        return ops.cast(outputs, self.compute_dtype)

    def _gain_and_semisaturation(self) -> tuple[Any, Any]:
        """gamma and |sigma|, normalized over the pools if they are to be."""
        gamma = ops.convert_to_tensor(self.gamma)
        sigma = ops.abs(ops.convert_to_tensor(self.sigma))
        if self.normalize_sigma and sigma.shape[0] > 1:
            sigma = _share(self._raised(sigma), self._raised(sigma))
        if self.normalize_gamma and gamma.shape[0] > 1:
            raised = self._raised(ops.abs(gamma))
            gamma = _share(raised, self._raised(sigma) if self.upstream_exact else raised)
        return gamma, sigma

    def _raised(self, values: Any) -> Any:
        """values^power for values of 0 or more, with a finite gradient at 0."""
        if self.power == 2:
            return values * values
        active = values > 0
        return ops.where(active, ops.power(ops.where(active, values, 1), self.power), 0)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        names = (
            "p",
            "power",
            "initial_gamma",
            "initial_sigma",
            "epsilon",
            "single_gamma",
            "single_sigma",
            "fix_gamma",
            "fix_sigma",
            "normalize_gamma",
            "normalize_sigma",
            "upstream_exact",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _share(powers: Any, of: Any) -> Any:
    """Powers over a sum, 0 where it is 0."""
    total = ops.sum(of)
    return powers / ops.where(total > 0, total, 1)
