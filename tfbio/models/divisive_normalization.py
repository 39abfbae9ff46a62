"""AlexNet, VGG16 and ResNets with learned divisive normalization in their features.

`divisive_normalization_config.py` says what can be chosen; the networks are in
`_divnorm_network.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras

from tfbio.models._divnorm_network import FACTS, alexnet, classifier, residual, vgg16
from tfbio.models.construction import CommonArguments, InputShape, with_options
from tfbio.models.divisive_normalization_config import (
    DivisiveNormalizationConfig,
    DivisiveNormalizationOptions,
    Variant,
)
from tfbio.models.registry import register_model

if TYPE_CHECKING:
    # In `typing` from Python 3.11 on.
    from typing_extensions import Unpack


@register_model(**FACTS, recipe="recipes/alexnet_divnorm_imagenet.flags")
def alexnet_divnorm(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "alexnet_divnorm",
    width: float = 1.0,
    variant: Variant | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    normalization: DivisiveNormalizationConfig | None = None,
    **options: Unpack[DivisiveNormalizationOptions],
) -> keras.Model:
    """AlexNet with learned divisive normalization after every convolution.

    After each convolution of the features stand rectification, divisive normalization and batch
    normalization, in this order, each of them optional: see `DivisiveNormalizationConfig`, whose
    fields are arguments of this function, too.

    Args:
        input_shape: (H, W, 3), 32 x 32 for CIFAR, 224 x 224 for ImageNet, or others.
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
        normalization: a `DivisiveNormalizationConfig`; by default the published one.
        **options: fields of `DivisiveNormalizationConfig`, such as `divnorm="exponential"`, in
            place of those of `normalization`.

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
        Divisive_Normalization, modules/network/. For what differs see `PooledDivNorm` and
        `ExponentialDivNorm`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("alexnet_divnorm", input_shape=(32, 32, 3), classes=10,
        ...                            width=0.125)
        >>> model.output_shape
        (None, 10)
    """
    config = with_options(DivisiveNormalizationConfig, normalization, options, "alexnet_divnorm")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return classifier(
        alexnet, common, width, variant, pixel_mean, pixel_std, config, needs_size=True
    )


@register_model(**FACTS, recipe="recipes/vgg16_divnorm_imagenet.flags")
def vgg16_divnorm(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "vgg16_divnorm",
    width: float = 1.0,
    variant: Variant | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    normalization: DivisiveNormalizationConfig | None = None,
    **options: Unpack[DivisiveNormalizationOptions],
) -> keras.Model:
    """VGG16 with learned divisive normalization after every convolution.

    Arguments, shapes and errors are `alexnet_divnorm`'s.

    Reference:
        Miller, Chung, Miller (2022), https://openreview.net/forum?id=aOX3a9q3RVV

    Upstream:
        Divisive_Normalization, modules/network/. There it always has 1000 classes. For what differs
        see `PooledDivNorm` and `ExponentialDivNorm`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vgg16_divnorm", input_shape=(32, 32, 3), classes=10,
        ...                            width=0.125, divnorm="exponential")
        >>> type(model.get_layer("features_divnorm1_1")).__name__
        'ExponentialDivNorm'
    """
    config = with_options(DivisiveNormalizationConfig, normalization, options, "vgg16_divnorm")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return classifier(vgg16, common, width, variant, pixel_mean, pixel_std, config, needs_size=True)


@register_model(**FACTS, recipe="recipes/resnet18_divnorm_imagenet.flags")
def resnet18_divnorm(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet18_divnorm",
    width: float = 1.0,
    variant: Variant | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    blocks: Sequence[int] = (2, 2, 2, 2),
    normalization: DivisiveNormalizationConfig | None = None,
    **options: Unpack[DivisiveNormalizationOptions],
) -> keras.Model:
    """ResNet18 with learned divisive normalization, and shortcuts without batch normalization.

    Rectification, divisive normalization and batch normalization, in this order, follow every
    convolution within a block; after the last, divisive and batch normalization alone.
    Arguments, shapes and errors are `alexnet_divnorm`'s, but for `blocks`; height and width of the
    input may be None, for any size of 32 or more.

    Args:
        blocks: number of blocks of the four stages; (2, 2, 2, 2) is ResNet18.

    Reference:
        Miller, Chung, Miller (2022), https://openreview.net/forum?id=aOX3a9q3RVV

    Upstream:
        Divisive_Normalization, modules/network/. For what differs see `PooledDivNorm` and
        `ExponentialDivNorm`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet18_divnorm", input_shape=(32, 32, 3), classes=10,
        ...                            width=0.125, divnorm_as_activation=True)
        >>> model.get_layer("layer1_0_dn").name
        'layer1_0_dn'
    """
    config = with_options(DivisiveNormalizationConfig, normalization, options, "resnet18_divnorm")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return classifier(
        partial(residual, blocks=blocks, bottleneck=False),
        common,
        width,
        variant,
        pixel_mean,
        pixel_std,
        config,
    )


@register_model(**FACTS, recipe="recipes/resnet50_divnorm_imagenet.flags")
def resnet50_divnorm(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_divnorm",
    width: float = 1.0,
    variant: Variant | None = None,
    pixel_mean: Sequence[float] | None = None,
    pixel_std: Sequence[float] | None = None,
    blocks: Sequence[int] = (3, 4, 6, 3),
    normalization: DivisiveNormalizationConfig | None = None,
    **options: Unpack[DivisiveNormalizationOptions],
) -> keras.Model:
    """ResNet50 with learned divisive normalization, and shortcuts without batch normalization.

    Rectification, divisive normalization and batch normalization, in this order, follow every
    convolution within a block; after the last, divisive and batch normalization alone.
    Arguments, shapes and errors are `alexnet_divnorm`'s, but for `blocks`; height and width of the
    input may be None, for any size of 32 or more.

    Args:
        blocks: number of blocks of the four stages; (3, 4, 6, 3) is ResNet50.

    Reference:
        Miller, Chung, Miller (2022), https://openreview.net/forum?id=aOX3a9q3RVV

    Upstream:
        Divisive_Normalization, modules/network/. For what differs see `PooledDivNorm` and
        `ExponentialDivNorm`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50_divnorm", input_shape=(32, 32, 3), classes=10,
        ...                            width=0.125, divnorm_as_activation=True)
        >>> model.get_layer("layer1_0_dn").name
        'layer1_0_dn'
    """
    config = with_options(DivisiveNormalizationConfig, normalization, options, "resnet50_divnorm")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return classifier(
        partial(residual, blocks=blocks, bottleneck=True),
        common,
        width,
        variant,
        pixel_mean,
        pixel_std,
        config,
    )
