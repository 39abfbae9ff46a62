"""ResNet50, and ResNet50s with one component of primary visual cortex (Pogoncheff et al. 2023).

`v1_composites.py` has those with several; the network of all is in `_v1_network.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfbio.models._v1_network import BLOCKS, FACTS, Components, resnet50_with
from tfbio.models.construction import CommonArguments, InputShape
from tfbio.models.registry import register_model


@register_model(**FACTS)
def resnet50(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 (v1.5), the network that the others put components of visual cortex into.

    Bottleneck blocks with the stride on the 3 x 3 convolution, as torchvision has it. Its weights
    load too, and want its `pixel_mean` and `pixel_std`.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size, but where a component is
            made for one: a polar map, or local receptive fields.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] with mean and standard deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        upstream_exact: components compute and initialise as the original's, as its weights
            demand; False takes the textbook forms. It concerns difference-of-Gaussians filters,
            Gaussian normalization, and the initial values of local receptive fields.
        width: factor on the number of filters of every layer; 1 is the published network.
        blocks: number of blocks of the four stages; (3, 4, 6, 3) is ResNet50.
        pixel_mean: mean of each colour, for pixels in [0, 1]. torchvision's ResNet50 was trained
            with (0.485, 0.456, 0.406).
        pixel_std: standard deviation of each colour, for pixels in [0, 1]. torchvision's:
            (0.229, 0.224, 0.225).

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), "Explaining V1 Properties with a Biologically
        Constrained Deep Learning Architecture", doi:10.48550/arXiv.2305.11275. The network: He,
        Zhang, Ren, Sun (2016), doi:10.1109/CVPR.2016.90.

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; `resnet50` of torchvision. No known
        difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """
    components = Components()
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_center_surround(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_center_surround",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with difference-of-Gaussians filters in all blocks of the first stage.

    A quarter of the channels go through centre-surround receptive fields, as in the lateral
    geniculate nucleus, after each 3 x 3 convolution.

    Arguments, shapes and errors are `resnet50`'s.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; center_surround. No known difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_center_surround", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> type(model.get_layer("layer1_0_conv2_1")).__name__
        'CenterSurround'
    """
    components = Components(center_surround="all")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_local_rf(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_local_rf",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 whose first stage ends in local receptive fields.

    Its last 3 x 3 filters are not shared over the image, as no two places of the cortex share a
    receptive field; half of the channels before them are dropped in training.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; local_rf. No known difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_local_rf", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> type(model.get_layer("layer1_2_conv2_1")).__name__
        'LocallyConnected2D'
    """
    components = Components(local_receptive_fields=True, dropout=0.5)
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_div_norm(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_div_norm",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with Gaussian divisive normalization after every block of the first stage.

    Responses are divided by a pool of neighbours in space and in channels, gain control as in
    primary visual cortex.

    Arguments, shapes and errors are `resnet50`'s.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; div_norm. No known difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_div_norm", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> type(model.get_layer("layer1_0_dn")).__name__
        'GaussianDivNorm'
    """
    components = Components(normalization="gaussian")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_tuned_norm(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_tuned_norm",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 with tuned divisive normalization after every block of the first stage.

    Responses are divided by a pool in which channels on the other side of the circle weigh most.

    Arguments, shapes and errors are `resnet50`'s.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; tuned_norm; the state dict has the polar
        map's masks whether the map is used or not, so its files fit `resnet50_composite_e`, and the
        other way round.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_tuned_norm", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> type(model.get_layer("layer1_0_dn")).__name__
        'TunedDivNorm'
    """
    components = Components(normalization="tuned")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)


@register_model(**FACTS)
def resnet50_cortical_magnification(
    input_shape: InputShape = (64, 64, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "resnet50_cortical_magnification",
    upstream_exact: bool = True,
    width: float = 1.0,
    blocks: Sequence[int] = BLOCKS,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
) -> keras.Model:
    """ResNet50 that sees the image as the cortex does: a polar map follows the stem.

    The centre of gaze takes most of the map, as the fovea takes most of primary visual cortex.
    Rings are scaled with the image; in a small one some hold no pixel, which is refused.

    Arguments, shapes and errors are `resnet50`'s; the height and width of the input have to be
    known.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; cortical_magnification, a plain sequence
        of modules whose state dict numbers them. Fine-tuning it there trains nothing, by a wrong
        name.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model(
        ...     "resnet50_cortical_magnification", classes=10, width=0.125, blocks=(3, 1, 1, 1))
        >>> type(model.get_layer("lpp")).__name__
        'PolarTransform'
    """
    components = Components(cortical_magnification=True)
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    return resnet50_with(components, common, upstream_exact, width, blocks, pixel_mean, pixel_std)
