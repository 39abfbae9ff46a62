"""AlexNet, VGG16 and ResNets with learned divisive normalization in their features."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.layers.adaptive_average_pooling_2d import AdaptiveAveragePooling2D
from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.filter_initializers import PooledGaussian
from tfbio.layers.padded_max_pooling_2d import PaddedMaxPooling2D
from tfbio.layers.pooled_div_norm import PooledDivNorm
from tfbio.models import resnet
from tfbio.models.alexnet import classifier as alexnet_classifier
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    show_arguments,
    torch_uniform,
    torch_uniform_bias,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights

DIVISIVE_NORMALIZATIONS = ("pooled", "exponential")
WEIGHT_INITIALIZATIONS = (
    "default", "kaiming", "normal", "multivariate_gaussian", "kaiming_gaussian",
)  # fmt: skip
VARIANTS = ("cifar", "imagenet")

# Mean and standard deviation of each colour, for pixels in [0, 1].
_PIXELS = {
    "cifar": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
# Up to this size images are those of CIFAR.
_CIFAR_SIZE = 32
_CLASSIFIER_UNITS = 4096
# Below it the large kernels and strides of AlexNet leave no pixel.
_SMALLEST_IMAGENET_ALEXNET = 63


@dataclass(frozen=True)
class Choices:
    """What stands between the convolutions of a network, and how they start.

    Attributes:
        relu: rectify after a convolution.
        batchnorm: normalize over the batch, last.
        divnorm: `"pooled"`, `"exponential"` or None.
        as_activation: divisive normalization stands for rectification in AlexNet and VGG16; in a
            ResNet it follows the sum at a block's end, in front of rectification.
        pooled: arguments of `PooledDivNorm`.
        exponential: arguments of `ExponentialDivNorm`.
        initialization: of the convolutions' kernels, see `WEIGHT_INITIALIZATIONS`.
        init_std: of `"normal"`; None for 1 / sqrt(fan in).
        init_mean_std: of the mean filters of `"multivariate_gaussian"`.
        init_variance: of filters around their mean, of `"multivariate_gaussian"`.
        init_std_ratio: of their deviation over Kaiming's, of `"kaiming_gaussian"`.
        l1_activity: L1 penalty on what goes on to batch normalization, mean over images.
        l1_weights: L1 penalty on the convolutions' kernels.
    """

    relu: bool
    batchnorm: bool
    divnorm: str | None
    as_activation: bool
    pooled: dict[str, Any]
    exponential: dict[str, Any]
    initialization: str
    init_std: float | None
    init_mean_std: float
    init_variance: float
    init_std_ratio: float
    l1_activity: float
    l1_weights: float

    def convolution(
        self,
        inputs: Any,
        filters: int,
        kernel_size: int,
        name: str,
        strides: int = 1,
        padding: int = 0,
        use_bias: bool = True,
    ) -> Any:
        """A convolution with zeros on every side."""
        if padding:
            inputs = keras.layers.ZeroPadding2D(
                padding, data_format="channels_last", name=f"{name}_padding"
            )(inputs)
        fan_in = inputs.shape[-1] * kernel_size**2
        bias = torch_uniform_bias(fan_in) if self.initialization == "default" else "zeros"
        return keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            use_bias=use_bias,
            data_format="channels_last",
            kernel_initializer=self._initializer(fan_in),
            bias_initializer=bias,
            kernel_regularizer=keras.regularizers.L1(self.l1_weights) if self.l1_weights else None,
            name=name,
        )(inputs)

    def _initializer(self, fan_in: int) -> Any:
        p = self.pooled["p"]
        match self.initialization:
            case "default":
                return torch_uniform()
            case "kaiming":
                return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
            case "normal":
                std = 1 / math.sqrt(fan_in) if self.init_std is None else self.init_std
                return keras.initializers.RandomNormal(stddev=std)
            case "multivariate_gaussian":
                return PooledGaussian(p, math.sqrt(self.init_variance), self.init_mean_std)
        return PooledGaussian(p, self.init_std_ratio, relative=True)

    def rectified(self, inputs: Any, name: str) -> Any:
        """Rectification, if there is any."""
        return resnet.relu(inputs, name) if self.relu else inputs

    def divided(self, inputs: Any, name: str) -> Any:
        """Divisive normalization, if there is any."""
        if self.divnorm == "pooled":
            return PooledDivNorm(**self.pooled, name=name)(inputs)
        if self.divnorm == "exponential":
            return ExponentialDivNorm(**self.exponential, name=name)(inputs)
        return inputs

    def normalized(self, inputs: Any, name: str) -> Any:
        """The penalty on activity, and batch normalization, if there are any."""
        if self.l1_activity:
            inputs = keras.layers.ActivityRegularization(l1=self.l1_activity)(inputs)
        return resnet.batch_normalization(inputs, name) if self.batchnorm else inputs


# === AlexNet and VGG16 ===


def _alexnet(image: Any, classes: int, choices: Choices, width: float, variant: str) -> Any:
    small = variant == "cifar"
    # Kernel size, stride and padding.
    first = (3, 1, 1) if small else (11, 4, 2)
    second = (3, 1, 1) if small else (5, 1, 2)
    geometry = (first, second, *[(3, 1, 1)] * 3)
    *filters, units = scaled((64, 192, 384, 256, 256, _CLASSIFIER_UNITS), width)
    outputs = image
    for number, ((kernel_size, strides, padding), count) in enumerate(
        zip(geometry, filters, strict=True), start=1
    ):
        outputs = choices.convolution(
            outputs, count, kernel_size, f"features_conv{number}", strides, padding
        )
        outputs = _after_convolution(outputs, choices, "features", f"{number}")
        if number in (1, 2, 5):
            outputs = keras.layers.MaxPooling2D(
                3, strides=2, data_format="channels_last", name=f"features_maxpool{min(number, 3)}"
            )(outputs)
    return alexnet_classifier(outputs, units, classes, "", pooled=6)


def _after_convolution(inputs: Any, choices: Choices, prefix: str, number: str) -> Any:
    """What follows a convolution of AlexNet or VGG16."""
    outputs = inputs
    if not choices.as_activation:
        outputs = choices.rectified(outputs, f"{prefix}_relu{number}")
    outputs = choices.divided(outputs, f"{prefix}_divnorm{number}")
    return choices.normalized(outputs, f"{prefix}_bn{number}")


def _vgg16(image: Any, classes: int, choices: Choices, width: float, variant: str) -> Any:
    *filters, units = scaled((64, 128, 256, 512, 512, _CLASSIFIER_UNITS), width)
    outputs = image
    for stage, (count, convolutions) in enumerate(
        zip(filters, (2, 2, 3, 3, 3), strict=True), start=1
    ):
        for number in range(1, convolutions + 1):
            outputs = choices.convolution(
                outputs, count, 3, f"features_conv{stage}_{number}", padding=1
            )
            outputs = _after_convolution(outputs, choices, "features", f"{stage}_{number}")
        outputs = keras.layers.MaxPooling2D(
            2, data_format="channels_last", name=f"features_maxpool{stage}"
        )(outputs)
    outputs = AdaptiveAveragePooling2D(7, name="avgpool")(outputs)
    # PyTorch flattens channel by channel.
    outputs = keras.layers.Permute((3, 1, 2), name="channels_first")(outputs)
    outputs = keras.layers.Flatten(data_format="channels_last", name="flatten")(outputs)
    for number in (0, 3):
        outputs = keras.layers.Dense(
            units,
            kernel_initializer=torch_uniform(),
            bias_initializer=torch_uniform_bias(outputs.shape[-1]),
            name=f"classifier_{number}",
        )(outputs)
        outputs = resnet.relu(outputs, f"classifier_{number + 1}")
        outputs = keras.layers.Dropout(0.5, name=f"classifier_{number + 2}")(outputs)
    return readout(outputs, classes, "classifier_6")


# === ResNets ===


def _resnet(
    image: Any,
    classes: int,
    choices: Choices,
    width: float,
    blocks: Sequence[int],
    bottleneck: bool,
) -> Any:
    if len(blocks) != 4 or min(blocks) < 1:
        raise InputError(
            f"Expected numbers of blocks for four stages, such as (2, 2, 2, 2), received {blocks}."
        )
    filters = scaled((64, 128, 256, 512), width)
    outputs = choices.convolution(image, filters[0], 7, "head_conv1", 2, 3, use_bias=False)
    outputs = _in_block(outputs, choices, "head", 1)
    outputs = PaddedMaxPooling2D(3, 2, 1, name="head_maxpool")(outputs)
    for stage, (count, number_of_blocks) in enumerate(zip(filters, blocks, strict=True), start=1):
        for number in range(number_of_blocks):
            strides = 2 if stage > 1 and number == 0 else 1
            name = f"layer{stage}_{number}"
            outputs = _block(outputs, choices, name, count, strides, bottleneck)
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avgpool")
    return readout(pooled(outputs), classes, "fc")


def _in_block(inputs: Any, choices: Choices, prefix: str, number: int) -> Any:
    """What follows a convolution that is not the last of its block."""
    outputs = choices.rectified(inputs, f"{prefix}_relu{number}")
    outputs = choices.divided(outputs, f"{prefix}_dn{number}")
    return choices.normalized(outputs, f"{prefix}_bn{number}")


def _block(
    inputs: Any, choices: Choices, name: str, filters: int, strides: int, bottleneck: bool
) -> Any:
    """Convolutions of a block, the bare shortcut, and the activation of their sum."""
    # Kernel size, filters and stride of each.
    plan = (
        [(1, filters, 1), (3, filters, strides), (1, resnet.EXPANSION * filters, 1)]
        if bottleneck
        else [(3, filters, strides), (3, filters, 1)]
    )
    outputs = inputs
    for number, (kernel_size, count, stride) in enumerate(plan, start=1):
        outputs = choices.convolution(
            outputs, count, kernel_size, f"{name}_features_conv{number}", stride,
            kernel_size // 2, use_bias=False,
        )  # fmt: skip
        if number < len(plan):
            outputs = _in_block(outputs, choices, f"{name}_features", number)
            continue
        if not choices.as_activation:
            outputs = choices.divided(outputs, f"{name}_features_dn{number}")
        outputs = choices.normalized(outputs, f"{name}_features_bn{number}")
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != outputs.shape[-1]:
        shortcut_name = f"{name}_{'downsample' if bottleneck else 'shortcut'}_conv1"
        shortcut = choices.convolution(
            inputs, outputs.shape[-1], 1, shortcut_name, strides, use_bias=False
        )
    outputs = keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
    if choices.as_activation:
        outputs = choices.divided(outputs, f"{name}_dn")
    return choices.rectified(outputs, f"{name}_relu")


def _resnet18(
    image: Any, classes: int, choices: Choices, width: float, variant: str,
    blocks: Sequence[int] = (2, 2, 2, 2),
) -> Any:  # fmt: skip
    return _resnet(image, classes, choices, width, blocks, bottleneck=False)


def _resnet50(
    image: Any, classes: int, choices: Choices, width: float, variant: str,
    blocks: Sequence[int] = (3, 4, 6, 3),
) -> Any:  # fmt: skip
    return _resnet(image, classes, choices, width, blocks, bottleneck=True)


# === Models ===


def _choices(
    relu: bool = True,
    batchnorm: bool = True,
    divnorm: str | None = "pooled",
    divnorm_as_activation: bool = False,
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
    initial_lambda: float = 10.0,
    initial_alpha: float = 0.1,
    initial_beta: float = 1.0,
    initial_k: float = 10.0,
    fix_all: bool = False,
    weight_init: str = "kaiming",
    init_std: float | None = None,
    init_mean_std: float = 0.01,
    init_variance: float = 0.01,
    init_std_ratio: float = 0.01,
    l1_activity: float = 0.0,
    l1_weights: float = 0.0,
    upstream_exact: bool = True,
) -> Choices:
    """The arguments that all networks share, checked."""
    if divnorm is not None and divnorm not in DIVISIVE_NORMALIZATIONS:
        raise InputError(
            f"Expected `divnorm` to be one of {', '.join(DIVISIVE_NORMALIZATIONS)}, or None, "
            f"received {divnorm!r}."
        )
    if weight_init not in WEIGHT_INITIALIZATIONS:
        raise InputError(
            f"Expected `weight_init` to be one of {', '.join(WEIGHT_INITIALIZATIONS)}, received "
            f"{weight_init!r}."
        )
    if divnorm_as_activation and divnorm is None:
        raise InputError("Expected a `divnorm` with `divnorm_as_activation`, received None.")
    smallest = min(init_mean_std, init_variance, init_std_ratio, l1_activity, l1_weights)
    if smallest < 0 or (init_std is not None and init_std < 0):
        raise InputError(
            "Expected deviations of initial weights and L1 penalties of 0 or more, received a "
            "negative one."
        )
    return Choices(
        relu=relu,
        batchnorm=batchnorm,
        divnorm=divnorm,
        as_activation=divnorm_as_activation,
        pooled={
            "p": p,
            "power": power,
            "initial_gamma": initial_gamma,
            "initial_sigma": initial_sigma,
            "epsilon": epsilon,
            "single_gamma": single_gamma,
            "single_sigma": single_sigma,
            "fix_gamma": fix_gamma,
            "fix_sigma": fix_sigma,
            "normalize_gamma": normalize_gamma,
            "normalize_sigma": normalize_sigma,
            "upstream_exact": upstream_exact,
            "trainable": not fix_all,
        },
        exponential={
            "initial_lambda": initial_lambda,
            "initial_alpha": initial_alpha,
            "initial_beta": initial_beta,
            "initial_k": initial_k,
            "fix_all": fix_all,
        },
        initialization=weight_init,
        init_std=init_std,
        init_mean_std=init_mean_std,
        init_variance=init_variance,
        init_std_ratio=init_std_ratio,
        l1_activity=l1_activity,
        l1_weights=l1_weights,
    )


_DOCUMENTATION = """{headline}

    After each convolution of the features stand rectification, divisive normalization and batch
    normalization, in this order, each of them optional.

    Args:
        input_shape: (H, W, 3), 32 x 32 for CIFAR, 224 x 224 for ImageNet{any_size}.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] with mean and standard deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        width: factor on the number of filters of every layer; 1 is the published network.
        variant: `"cifar"` or `"imagenet"`, by default after the input's size, the former up to 32
            pixels. It decides the normalization of pixels, and the first two layers of AlexNet.
        pixel_mean: mean of each colour, for pixels in [0, 1]; by default of the variant.
        pixel_std: standard deviation of each colour, for pixels in [0, 1]; as `pixel_mean`.
        relu: rectify.
        batchnorm: normalize over the batch.
        divnorm: `"pooled"` (`PooledDivNorm`), `"exponential"` (`ExponentialDivNorm`), or None.
        divnorm_as_activation: {as_activation}
        p, power, initial_gamma, initial_sigma, epsilon, single_gamma, single_sigma, fix_gamma,
            fix_sigma, normalize_gamma, normalize_sigma: of `PooledDivNorm`. `p` is that of the
            pools of initial filters, too. With `upstream_exact`, `fix_gamma` and `fix_sigma`
            concern parameters that all pools share, as in the original; `fix_all` fixes all.
        initial_lambda, initial_alpha, initial_beta, initial_k: of `ExponentialDivNorm`.
        fix_all: train nothing of the divisive normalization.
        weight_init: of the convolutions. `"default"` is PyTorch's; `"kaiming"` is normal, by the
            fan in; `"normal"` has the deviation `init_std`, or 1 / sqrt(fan in) if that is None.
            With `"multivariate_gaussian"` the filters of a pool are drawn with `init_variance`
            around one that is drawn with the deviation `init_mean_std`; with `"kaiming_gaussian"`
            that one is Kaiming's, and `init_std_ratio` times its deviation that of the others.
        init_std, init_mean_std, init_variance, init_std_ratio: see `weight_init`.
        l1_activity: L1 penalty on activity before batch normalization, summed over an image.
        l1_weights: L1 penalty on the convolutions' kernels.
        upstream_exact: see `PooledDivNorm`.
        {own}

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Miller, Chung, Miller (2022), "Divisive Feature Normalization Improves Image Recognition
        Performance in AlexNet", ICLR, https://openreview.net/forum?id=aOX3a9q3RVV.

    Upstream:
        Divisive_Normalization, modules/network/. {upstream}

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("{name}", input_shape=(32, 32, 3), classes=10, width=0.125)
        >>> model.output_shape
        (None, 10)
    """


def _register(
    name: str,
    network: Callable[..., Any],
    headline: str,
    upstream: str = "For what differs see `PooledDivNorm` and `ExponentialDivNorm`.",
    needs_size: bool = False,
) -> Callable[..., keras.Model]:
    """Make the builder of a network with divisive normalization, and register it."""
    name_of_network = name
    is_resnet = name.startswith("resnet")

    def build(
        input_shape: InputShape = (224, 224, 3),
        classes: int | None = None,
        weights: Any = None,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = name,
        width: float = 1.0,
        variant: str | None = None,
        pixel_mean: Sequence[float] | None = None,
        pixel_std: Sequence[float] | None = None,
        **others: Any,
    ) -> keras.Model:
        own = {"blocks": others.pop("blocks")} if "blocks" in others else {}
        weights, classes = weights_and_classes(weights, classes)
        variant = _variant(input_shape, variant)
        large_stem = variant == "imagenet" and name_of_network.startswith("alexnet")
        smallest = _SMALLEST_IMAGENET_ALEXNET if large_stem else _CIFAR_SIZE
        check_input_shape(input_shape, smallest, needs_size)
        mean, std = _PIXELS[variant]
        choices = _choices(**others)
        # === Functional model ===
        image = keras.Input(input_shape, name="image")
        pixels = (
            normalized_pixels(image, pixel_mean or mean, pixel_std or std)
            if include_preprocessing
            else image
        )
        try:
            logits = network(pixels, classes, choices, width, variant, **own)
        except ValueError as error:
            raise InputError(str(error)) from error
        model = keras.Model(image, predictions(logits, classifier_activation), name=name)
        # === Weights ===
        if weights is not None:
            load_weights(model, weights, skip_mismatch=True)
        return model

    show_arguments(build, _choices, network if is_resnet else None, skipped=5)
    build.__name__ = build.__qualname__ = name
    build.__doc__ = _DOCUMENTATION.format(
        name=name,
        headline=headline,
        upstream=upstream,
        any_size=", or others" if needs_size else ", or others; None for any size",
        as_activation=(
            "the sum at the end of a block is divided, not what the last\n"
            "            convolution gives."
            if is_resnet
            else "divisive normalization stands for rectification."
        ),
        own="blocks: number of blocks of the four stages." if is_resnet else "",
    ).replace("        \n\n    Input", "\n    Input")
    return register_model(
        family="divisive normalization",
        input_shape=(224, 224, 3),
        reference="https://openreview.net/forum?id=aOX3a9q3RVV",
        crop_ratio=0.875,
        weight_formats=("PyTorch state dict",),
        quick_start={"input_shape": (32, 32, 3), "width": 0.25},
        recipe=f"recipes/{name}_imagenet.flags",
    )(build)


def _variant(input_shape: InputShape, variant: str | None) -> str:
    if variant is None:
        sides = [side for side in input_shape[:2] if side is not None]
        return "cifar" if sides and max(sides) <= _CIFAR_SIZE else "imagenet"
    if variant not in VARIANTS:
        raise InputError(
            f"Expected `variant` to be one of {', '.join(VARIANTS)}, received {variant!r}."
        )
    return variant


alexnet_divnorm = _register(
    "alexnet_divnorm",
    _alexnet,
    "AlexNet with learned divisive normalization after every convolution.",
    needs_size=True,
)

vgg16_divnorm = _register(
    "vgg16_divnorm",
    _vgg16,
    "VGG16 with learned divisive normalization after every convolution.",
    "There it always has 1000 classes; see the layers, too.",
    needs_size=True,
)

resnet18_divnorm = _register(
    "resnet18_divnorm",
    _resnet18,
    "ResNet18 with learned divisive normalization, and shortcuts without batch normalization.",
)

resnet50_divnorm = _register(
    "resnet50_divnorm",
    _resnet50,
    "ResNet50 with learned divisive normalization, and shortcuts without batch normalization.",
)
