"""The convolutions of AlexNet, VGG16 and ResNets, with divisive normalization among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.layers.adaptive_average_pooling_2d import AdaptiveAveragePooling2D
from tfbio.layers.filter_initializers import PooledGaussian
from tfbio.layers.padded_max_pooling_2d import PaddedMaxPooling2D
from tfbio.models import resnet
from tfbio.models.alexnet import classifier as alexnet_classifier
from tfbio.models.construction import (
    CommonArguments,
    InputShape,
    check_blocks,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    torch_uniform,
    torch_uniform_bias,
    weights_and_classes,
)
from tfbio.models.divisive_normalization_config import (
    VARIANTS,
    DivisiveNormalizationConfig,
    Variant,
)
from tfbio.weights.loading import load_weights

# What the registry knows of every network with divisive normalization.
FACTS: dict[str, Any] = {
    "family": "divisive normalization",
    "input_shape": (224, 224, 3),
    "reference": "https://openreview.net/forum?id=aOX3a9q3RVV",
    "framing": Framing(crop_ratio=0.875),
    "weight_formats": ("PyTorch state dict",),
    "quick_start": {"input_shape": (32, 32, 3), "width": 0.25},
    "options": DivisiveNormalizationConfig,
}

# Mean and standard deviation of each colour, for pixels in [0, 1].
_PIXELS: dict[Variant, tuple[Sequence[float], Sequence[float]]] = {
    "cifar": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
# Up to this size images are those of CIFAR.
_CIFAR_SIZE = 32
_CLASSIFIER_UNITS = 4096
# Below it the large kernels and strides of AlexNet leave no pixel.
_SMALLEST_IMAGENET_ALEXNET = 63

# Gives symbolic logits for symbolic pixels, a number of classes, a configuration, the width and the
# variant.
Network = Callable[[Any, int, DivisiveNormalizationConfig, float, Variant], Any]


def classifier(
    network: Network,
    common: CommonArguments,
    width: float,
    variant: Variant | None,
    pixel_mean: Sequence[float] | None,
    pixel_std: Sequence[float] | None,
    config: DivisiveNormalizationConfig,
    needs_size: bool = False,
) -> keras.Model:
    """A model of a network and a configuration; the other arguments are those of its builder.

    Args:
        needs_size: whether the network is made for a known height and width.

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Example:
        >>> common = CommonArguments((32, 32, 3), 10, None, "softmax", True, "small")
        >>> config = DivisiveNormalizationConfig(divnorm=None)
        >>> classifier(alexnet, common, 1 / 16, None, None, None, config).name
        'small'
    """
    weights, classes = weights_and_classes(common.weights, common.classes)
    variant = _variant(common.input_shape, variant)
    large_stem = variant == "imagenet" and network is alexnet
    smallest = _SMALLEST_IMAGENET_ALEXNET if large_stem else _CIFAR_SIZE
    check_input_shape(common.input_shape, smallest, needs_size)
    mean, std = _PIXELS[variant]
    # === Functional model ===
    image = keras.Input(common.input_shape, name="image")
    pixels = image
    if common.include_preprocessing:
        pixels = normalized_pixels(image, pixel_mean or mean, pixel_std or std)
    logits = network(pixels, classes, config, width, variant)
    model = keras.Model(image, predictions(logits, common.classifier_activation), name=common.name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _variant(input_shape: InputShape, variant: Variant | None) -> Variant:
    if variant is None:
        sides = [side for side in input_shape[:2] if side is not None]
        return "cifar" if sides and max(sides) <= _CIFAR_SIZE else "imagenet"
    if variant not in VARIANTS:
        raise InputError(
            f"Expected `variant` to be one of {', '.join(VARIANTS)}, received {variant!r}."
        )
    return variant


# === Parts ===


def _convolution(
    inputs: Any,
    config: DivisiveNormalizationConfig,
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
    bias = torch_uniform_bias(fan_in) if config.weight_init == "default" else "zeros"
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        use_bias=use_bias,
        data_format="channels_last",
        kernel_initializer=_initializer(config, fan_in),
        bias_initializer=bias,
        kernel_regularizer=keras.regularizers.L1(config.l1_weights) if config.l1_weights else None,
        name=name,
    )(inputs)


def _initializer(config: DivisiveNormalizationConfig, fan_in: int) -> Any:
    match config.weight_init:
        case "default":
            return torch_uniform()
        case "kaiming":
            return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")
        case "normal":
            std = 1 / math.sqrt(fan_in) if config.init_std is None else config.init_std
            return keras.initializers.RandomNormal(stddev=std)
        case "multivariate_gaussian":
            return PooledGaussian(config.p, math.sqrt(config.init_variance), config.init_mean_std)
    return PooledGaussian(config.p, config.init_std_ratio, relative=True)


def _rectified(inputs: Any, config: DivisiveNormalizationConfig, name: str) -> Any:
    """Rectification, if there is any."""
    return resnet.relu(inputs, name) if config.relu else inputs


def _divided(inputs: Any, config: DivisiveNormalizationConfig, name: str) -> Any:
    """Divisive normalization, if there is any."""
    layer = config.layer(name)
    return inputs if layer is None else layer(inputs)


def _normalized(inputs: Any, config: DivisiveNormalizationConfig, name: str) -> Any:
    """The penalty on activity, and batch normalization, if there are any."""
    if config.l1_activity:
        inputs = keras.layers.ActivityRegularization(l1=config.l1_activity)(inputs)
    return resnet.batch_normalization(inputs, name) if config.batchnorm else inputs


# === AlexNet and VGG16 ===


def alexnet(
    image: Any, classes: int, config: DivisiveNormalizationConfig, width: float, variant: Variant
) -> Any:
    """Symbolic logits of AlexNet, as its implementation for CIFAR or for ImageNet has it."""
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
        outputs = _convolution(
            outputs, config, count, kernel_size, f"features_conv{number}", strides, padding
        )
        outputs = _after_convolution(outputs, config, "features", f"{number}")
        if number in (1, 2, 5):
            outputs = keras.layers.MaxPooling2D(
                3, strides=2, data_format="channels_last", name=f"features_maxpool{min(number, 3)}"
            )(outputs)
    return alexnet_classifier(outputs, units, classes, "", pooled=6)


def _after_convolution(
    inputs: Any, config: DivisiveNormalizationConfig, prefix: str, number: str
) -> Any:
    """What follows a convolution of AlexNet or VGG16."""
    outputs = inputs
    if not config.divnorm_as_activation:
        outputs = _rectified(outputs, config, f"{prefix}_relu{number}")
    outputs = _divided(outputs, config, f"{prefix}_divnorm{number}")
    return _normalized(outputs, config, f"{prefix}_bn{number}")


def vgg16(
    image: Any, classes: int, config: DivisiveNormalizationConfig, width: float, variant: Variant
) -> Any:
    """Symbolic logits of VGG16, which is the same for both variants."""
    *filters, units = scaled((64, 128, 256, 512, 512, _CLASSIFIER_UNITS), width)
    outputs = image
    for stage, (count, convolutions) in enumerate(
        zip(filters, (2, 2, 3, 3, 3), strict=True), start=1
    ):
        for number in range(1, convolutions + 1):
            outputs = _convolution(
                outputs, config, count, 3, f"features_conv{stage}_{number}", padding=1
            )
            outputs = _after_convolution(outputs, config, "features", f"{stage}_{number}")
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


def residual(
    image: Any,
    classes: int,
    config: DivisiveNormalizationConfig,
    width: float,
    variant: Variant,
    blocks: Sequence[int],
    bottleneck: bool,
) -> Any:
    """Symbolic logits of a ResNet, which is the same for both variants."""
    check_blocks(blocks, (2, 2, 2, 2))
    filters = scaled((64, 128, 256, 512), width)
    outputs = _convolution(image, config, filters[0], 7, "head_conv1", 2, 3, use_bias=False)
    outputs = _in_block(outputs, config, "head", 1)
    outputs = PaddedMaxPooling2D(3, 2, 1, name="head_maxpool")(outputs)
    for stage, (count, number_of_blocks) in enumerate(zip(filters, blocks, strict=True), start=1):
        for number in range(number_of_blocks):
            strides = 2 if stage > 1 and number == 0 else 1
            name = f"layer{stage}_{number}"
            outputs = _block(outputs, config, name, count, strides, bottleneck)
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avgpool")
    return readout(pooled(outputs), classes, "fc")


def _in_block(inputs: Any, config: DivisiveNormalizationConfig, prefix: str, number: int) -> Any:
    """What follows a convolution that is not the last of its block."""
    outputs = _rectified(inputs, config, f"{prefix}_relu{number}")
    outputs = _divided(outputs, config, f"{prefix}_dn{number}")
    return _normalized(outputs, config, f"{prefix}_bn{number}")


def _block(
    inputs: Any,
    config: DivisiveNormalizationConfig,
    name: str,
    filters: int,
    strides: int,
    bottleneck: bool,
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
        outputs = _convolution(
            outputs,
            config,
            count,
            kernel_size,
            f"{name}_features_conv{number}",
            stride,
            kernel_size // 2,
            use_bias=False,
        )
        if number < len(plan):
            outputs = _in_block(outputs, config, f"{name}_features", number)
            continue
        if not config.divnorm_as_activation:
            outputs = _divided(outputs, config, f"{name}_features_dn{number}")
        outputs = _normalized(outputs, config, f"{name}_features_bn{number}")
    shortcut = inputs
    if strides > 1 or inputs.shape[-1] != outputs.shape[-1]:
        shortcut_name = f"{name}_{'downsample' if bottleneck else 'shortcut'}_conv1"
        shortcut = _convolution(
            inputs, config, outputs.shape[-1], 1, shortcut_name, strides, use_bias=False
        )
    outputs = keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
    if config.divnorm_as_activation:
        outputs = _divided(outputs, config, f"{name}_dn")
    return _rectified(outputs, config, f"{name}_relu")
