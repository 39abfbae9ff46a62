"""What stands between the convolutions of a network with divisive normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

import keras

from tfbio.errors import InputError
from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.pooled_div_norm import PooledDivNorm

DivisiveNormalization = Literal["pooled", "exponential"]
WeightInitialization = Literal[
    "default", "kaiming", "normal", "multivariate_gaussian", "kaiming_gaussian"
]
Variant = Literal["cifar", "imagenet"]
DIVISIVE_NORMALIZATIONS: tuple[DivisiveNormalization, ...] = get_args(DivisiveNormalization)
WEIGHT_INITIALIZATIONS: tuple[WeightInitialization, ...] = get_args(WeightInitialization)
VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True)
class DivisiveNormalizationConfig:
    """What follows the convolutions of a network, in this order, and how everything starts.

    After a convolution stand rectification, divisive normalization and batch normalization, each
    of them optional.

    Args:
        relu: rectify after every convolution.
        batchnorm: normalize over the batch, after all else.
        divnorm: kind of divisive normalization, `"pooled"` (`PooledDivNorm`), `"exponential"`
            (`ExponentialDivNorm`), or None.
        divnorm_as_activation: in AlexNet and VGG16, divisive normalization stands for
            rectification. In a ResNet, the sum at the end of a block is divided, not what the last
            convolution gives; rectification follows.
        p: exponent of the pools of channels, 0 to 1: each has 2^floor(p log2(channels)) of them.
            It holds for the pools of initial filters, too.
        power: exponent of the responses in pooled divisive normalization, above 0.
        initial_gamma: logarithm of the gain of pooled divisive normalization at first.
        initial_sigma: semi-saturation of pooled divisive normalization at first.
        epsilon: what is added to the denominator of pooled divisive normalization, 0 or more.
        single_gamma: one gain for all pools.
        single_sigma: one semi-saturation for all pools.
        fix_gamma: do not train the gain of pooled divisive normalization. With `upstream_exact`
            only one that all pools share is fixed, as in the original; `fix_all` fixes any.
        fix_sigma: do not train the semi-saturation of pooled divisive normalization; as `fix_gamma`
            with `upstream_exact`.
        normalize_gamma: normalize the gain over the pools.
        normalize_sigma: normalize the semi-saturation over the pools.
        initial_lambda: length of the exponential pool at first, channels, above 0.
        initial_alpha: strength of exponential divisive normalization at first, 0 or more.
        initial_beta: exponent of exponential divisive normalization at first, 0 or more.
        initial_k: semi-saturation of exponential divisive normalization at first, above 0.
        fix_all: train nothing of the divisive normalization.
        weight_init: initial kernels of the convolutions. `"default"` is PyTorch's; `"kaiming"` is
            normal, by the fan in; `"normal"` has the deviation `init_std`. With
            `"multivariate_gaussian"` the filters of a pool are drawn around one that is drawn with
            the deviation `init_mean_std`, with `"kaiming_gaussian"` around one of Kaiming's.
        init_std: deviation of initial weights with weight_init="normal"; None for 1 / sqrt(fan in).
        init_mean_std: deviation of the mean filters with weight_init="multivariate_gaussian".
        init_variance: variance of filters around their mean with
            weight_init="multivariate_gaussian".
        init_std_ratio: deviation of filters around their mean with weight_init="kaiming_gaussian",
            in units of Kaiming's.
        l1_activity: L1 penalty on the activity before batch normalization, summed over an image.
        l1_weights: L1 penalty on the kernels of the convolutions.
        upstream_exact: compute pooled divisive normalization as the original does, defects
            included, see `PooledDivNorm`.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> DivisiveNormalizationConfig(divnorm="exponential", initial_k=5.0).initial_k
        5.0
        >>> DivisiveNormalizationConfig(p=2)
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected a pool exponent `p` from 0 to 1, received 2.
    """

    relu: bool = True
    batchnorm: bool = True
    divnorm: DivisiveNormalization | None = "pooled"
    divnorm_as_activation: bool = False
    p: float = 0.5
    power: float = 2.0
    initial_gamma: float = 1.0
    initial_sigma: float = 1.0
    epsilon: float = 0.0
    single_gamma: bool = False
    single_sigma: bool = False
    fix_gamma: bool = False
    fix_sigma: bool = False
    normalize_gamma: bool = False
    normalize_sigma: bool = False
    initial_lambda: float = 10.0
    initial_alpha: float = 0.1
    initial_beta: float = 1.0
    initial_k: float = 10.0
    fix_all: bool = False
    weight_init: WeightInitialization = "kaiming"
    init_std: float | None = None
    init_mean_std: float = 0.01
    init_variance: float = 0.01
    init_std_ratio: float = 0.01
    l1_activity: float = 0.0
    l1_weights: float = 0.0
    upstream_exact: bool = True

    def __post_init__(self) -> None:
        if self.divnorm is not None and self.divnorm not in DIVISIVE_NORMALIZATIONS:
            raise InputError(
                f"Expected `divnorm` to be one of {', '.join(DIVISIVE_NORMALIZATIONS)}, or None, "
                f"received {self.divnorm!r}."
            )
        if self.weight_init not in WEIGHT_INITIALIZATIONS:
            raise InputError(
                f"Expected `weight_init` to be one of {', '.join(WEIGHT_INITIALIZATIONS)}, "
                f"received {self.weight_init!r}."
            )
        if self.divnorm_as_activation and self.divnorm is None:
            raise InputError("Expected a `divnorm` with `divnorm_as_activation`, received None.")
        smallest = min(
            self.init_mean_std,
            self.init_variance,
            self.init_std_ratio,
            self.l1_activity,
            self.l1_weights,
        )
        if smallest < 0 or (self.init_std is not None and self.init_std < 0):
            raise InputError(
                "Expected deviations of initial weights and L1 penalties of 0 or more, received a "
                "negative one."
            )
        # The layer knows which values it takes.
        self.layer("check")

    def layer(self, name: str) -> keras.layers.Layer | None:
        """A new layer of the divisive normalization, None if there is none.

        Args:
            name: of the layer.

        Example:
            >>> DivisiveNormalizationConfig().layer("divnorm").name
            'divnorm'
        """
        if self.divnorm == "pooled":
            return PooledDivNorm(
                p=self.p,
                power=self.power,
                initial_gamma=self.initial_gamma,
                initial_sigma=self.initial_sigma,
                epsilon=self.epsilon,
                single_gamma=self.single_gamma,
                single_sigma=self.single_sigma,
                fix_gamma=self.fix_gamma,
                fix_sigma=self.fix_sigma,
                normalize_gamma=self.normalize_gamma,
                normalize_sigma=self.normalize_sigma,
                upstream_exact=self.upstream_exact,
                trainable=not self.fix_all,
                name=name,
            )
        if self.divnorm == "exponential":
            return ExponentialDivNorm(
                initial_lambda=self.initial_lambda,
                initial_alpha=self.initial_alpha,
                initial_beta=self.initial_beta,
                initial_k=self.initial_k,
                fix_all=self.fix_all,
                name=name,
            )
        return None


class DivisiveNormalizationOptions(TypedDict, total=False):
    """The fields of `DivisiveNormalizationConfig` as keywords, for type checkers."""

    relu: bool
    batchnorm: bool
    divnorm: DivisiveNormalization | None
    divnorm_as_activation: bool
    p: float
    power: float
    initial_gamma: float
    initial_sigma: float
    epsilon: float
    single_gamma: bool
    single_sigma: bool
    fix_gamma: bool
    fix_sigma: bool
    normalize_gamma: bool
    normalize_sigma: bool
    initial_lambda: float
    initial_alpha: float
    initial_beta: float
    initial_k: float
    fix_all: bool
    weight_init: WeightInitialization
    init_std: float | None
    init_mean_std: float
    init_variance: float
    init_std_ratio: float
    l1_activity: float
    l1_weights: float
    upstream_exact: bool
