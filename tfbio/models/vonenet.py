"""VOneNet: a model of primary visual cortex in front of a convolutional network.

`vone_front_end.py` has the front end.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import keras

from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.models import alexnet, cornet, resnet
from tfbio.models.construction import (
    CommonArguments,
    InputShape,
    check_blocks,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    weights_and_classes,
    with_options,
)
from tfbio.models.registry import register_model
from tfbio.models.vone_front_end import FrontEndConfig, FrontEndOptions, bottleneck, v1_responses
from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import load_weights
from tfbio.weights.reading import Tensors, read_tensors

if TYPE_CHECKING:
    # In `typing` from Python 3.11 on.
    from typing_extensions import Unpack

_SMALLEST_INPUT = 32
# Channels between the front end and the back end.
_BOTTLENECK = 64

_FACTS: dict[str, Any] = {
    "family": "VOneNet",
    "input_shape": (224, 224, 3),
    "reference": "10.1101/2020.06.16.154542",
    "framing": Framing(crop_ratio=0.875),
    "weight_formats": ("PyTorch checkpoint", "PyTorch state dict"),
    "options": FrontEndConfig,
}
# Degrees go with pixels, so that the filters have the published size.
_QUICK_START = {
    "input_shape": (64, 64, 3),
    "visual_degrees": 2.0,
    "simple_channels": 32,
    "complex_channels": 32,
    "width": 0.25,
}
_RECIPE = "recipes/vonenet_imagenet.flags"


# === Back ends ===


def _resnet50(inputs: Any, classes: int, width: float, blocks: Sequence[int]) -> Any:
    """The four stages of ResNet50, without its stem."""
    check_blocks(blocks, (3, 4, 6, 3))
    outputs = inputs
    for number, filters in enumerate(scaled((64, 128, 256, 512), width)):
        outputs = resnet.stage(
            outputs,
            f"model_layer{number + 1}",
            blocks[number],
            filters,
            strides=1 if number == 0 else 2,
        )
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="model_avgpool")
    return readout(pooled(outputs), classes, "model_fc")


def _alexnet(inputs: Any, classes: int, width: float, dropout: float) -> Any:
    """AlexNet after its first convolution."""
    if None in inputs.shape[1:3]:
        raise InputError(
            "Expected an input shape of known height and width, which the classifier of AlexNet is "
            "made for."
        )
    *filters, units = scaled((192, 384, 256, 256, 4096), width)
    maps = alexnet.features(inputs, filters, "model_")
    return alexnet.classifier(maps, units, classes, "model_", dropout)


def _cornet_s(inputs: Any, classes: int, width: float, times: Sequence[int]) -> Any:
    """V2, V4 and IT of CORnet-S."""
    return cornet.back_end(inputs, classes, width, times, "model_")


# === Network ===


def _vonenet(
    back_end: Callable[[Any, int, float], Any],
    common: CommonArguments,
    upstream_exact: bool,
    width: float,
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
    image_size: int | None,
    config: FrontEndConfig,
    needs_size: bool = False,
) -> keras.Model:
    """Front end, bottleneck and back end; the other arguments are those of the builders."""
    weights, classes = weights_and_classes(common.weights, common.classes)
    check_input_shape(common.input_shape, _SMALLEST_INPUT, needs_size)
    # === Functional model ===
    image = keras.Input(common.input_shape, name="image")
    pixels = image
    if common.include_preprocessing:
        pixels = normalized_pixels(image, pixel_mean, pixel_std)
    responses = v1_responses(pixels, weights, image_size, upstream_exact, config)
    (filters,) = scaled((_BOTTLENECK,), width)
    logits = back_end(bottleneck(responses, filters), classes, width)
    model = keras.Model(image, predictions(logits, common.classifier_activation), name=common.name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


# === Models ===


@register_model(**_FACTS, quick_start=_QUICK_START, recipe=_RECIPE)
def vone_resnet50(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "vone_resnet50",
    upstream_exact: bool = True,
    width: float = 1.0,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    blocks: Sequence[int] = (3, 4, 6, 3),
    front_end: FrontEndConfig | None = None,
    **options: Unpack[FrontEndOptions],
) -> keras.Model:
    """VOneResNet50: a model of primary visual cortex in front of ResNet50.

    A fixed bank of Gabor filters, simple and complex cells and neuronal noise stand in place of the
    first layers; a linear bottleneck of 64 channels joins them to the rest. The front end makes
    networks more robust to noise, corruptions and attacks. Noise is there in inference too; see
    `tfbio.models.set_noise`. The fields of `FrontEndConfig` are arguments of this function, too.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random. The
            file decides every field of the front end that is `"as trained"`; without one, the
            published value holds.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] with mean and standard deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        upstream_exact: the phases of a quadrature pair see different colours, as the original's
            weights demand.
        width: factor on the number of filters of every layer behind the front end; 1 is the
            published network.
        pixel_mean: mean of each colour, for pixels in [0, 1].
        pixel_std: standard deviation of each colour, for pixels in [0, 1].
        image_size: pixels that span `visual_degrees`; by default the shorter side of the input, or
            224 where it is not known.
        blocks: number of blocks of the four stages; (3, 4, 6, 3) is ResNet50.
        front_end: a `FrontEndConfig`; by default the published one.
        **options: fields of `FrontEndConfig`, such as `simple_channels=32`, in place of those of
            `front_end`.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), "Simulating a Primary Visual
        Cortex at the Front of CNNs Improves Robustness to Image Perturbations",
        doi:10.1101/2020.06.16.154542.

    Upstream:
        vonenet, vonenet.py, `VOneNet`; for what differs see `tfbio.layers.VOneBlock`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_resnet50", input_shape=(64, 64, 3), classes=10,
        ...                            width=0.125, simple_channels=8, complex_channels=8)
        >>> model.output_shape
        (None, 10)
    """
    config = with_options(FrontEndConfig, front_end, options, "The front end")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    back_end = partial(_resnet50, blocks=blocks)
    return _vonenet(
        back_end, common, upstream_exact, width, pixel_mean, pixel_std, image_size, config
    )


@register_model(**_FACTS, quick_start=_QUICK_START, recipe=_RECIPE)
def vone_alexnet(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "vone_alexnet",
    upstream_exact: bool = True,
    width: float = 1.0,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    dropout: float = 0.5,
    front_end: FrontEndConfig | None = None,
    **options: Unpack[FrontEndOptions],
) -> keras.Model:
    """VOneAlexNet: a model of primary visual cortex in front of AlexNet.

    Arguments, shapes and errors are `vone_resnet50`'s, but for `dropout` in place of `blocks`; the
    height and width of the input have to be known.

    Args:
        dropout: fraction of the units that are dropped before the hidden layers in training.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), doi:10.1101/2020.06.16.154542

    Upstream:
        vonenet, vonenet.py, `VOneNet`; for what differs see `tfbio.layers.VOneBlock`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_alexnet", input_shape=(64, 64, 3), classes=10,
        ...                            width=0.125, simple_channels=8, complex_channels=8)
        >>> model.output_shape
        (None, 10)
    """
    config = with_options(FrontEndConfig, front_end, options, "The front end")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    back_end = partial(_alexnet, dropout=dropout)
    return _vonenet(
        back_end,
        common,
        upstream_exact,
        width,
        pixel_mean,
        pixel_std,
        image_size,
        config,
        needs_size=True,
    )


@register_model(**_FACTS, quick_start=_QUICK_START, recipe=_RECIPE)
def vone_cornet_s(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "vone_cornet_s",
    upstream_exact: bool = True,
    width: float = 1.0,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    times: Sequence[int] = cornet.TIMES,
    front_end: FrontEndConfig | None = None,
    **options: Unpack[FrontEndOptions],
) -> keras.Model:
    """VOneCORnet-S: a model of primary visual cortex in front of V2, V4 and IT of CORnet-S.

    Arguments, shapes and errors are `vone_resnet50`'s, but for `times` in place of `blocks`.

    Args:
        times: time steps of V2, V4 and IT.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), doi:10.1101/2020.06.16.154542

    Upstream:
        vonenet, vonenet.py, `VOneNet`; for what differs see `tfbio.layers.VOneBlock`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_cornet_s", input_shape=(64, 64, 3), classes=10,
        ...                            width=0.125, simple_channels=8, complex_channels=8)
        >>> model.get_layer("model_V2_output_1").output.shape
        (None, 8, 8, 16)
    """
    config = with_options(FrontEndConfig, front_end, options, "The front end")
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    back_end = partial(_cornet_s, times=times)
    return _vonenet(
        back_end, common, upstream_exact, width, pixel_mean, pixel_std, image_size, config
    )


@register_model(**_FACTS, classifier=False)
def vone_block(
    input_shape: InputShape = (224, 224, 3),
    weights: Any = None,
    include_preprocessing: bool = True,
    name: str = "vone_block",
    upstream_exact: bool = True,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    front_end: FrontEndConfig | None = None,
    **options: Unpack[FrontEndOptions],
) -> keras.Model:
    """The front end of a VOneNet alone: images in, responses of simple and complex cells out.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size.
        weights: of any VOneNet, see `tfbio.load_weights`; only those of the front end are taken.
            They decide every field of the front end that is `"as trained"`.
        include_preprocessing: normalize pixels from [0, 255] inside the model.
        name: name of the model.
        upstream_exact: the phases of a quadrature pair see different colours, as the original's
            weights demand.
        pixel_mean: mean of each colour, for pixels in [0, 1].
        pixel_std: standard deviation of each colour, for pixels in [0, 1].
        image_size: pixels that span `visual_degrees`; by default the shorter side of the input, or
            224 where it is not known.
        front_end: a `FrontEndConfig`; by default the published one.
        **options: fields of `FrontEndConfig`, in place of those of `front_end`.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, ceil(H / strides), ceil(W / strides), simple_channels + complex_channels)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), "Simulating a Primary Visual
        Cortex at the Front of CNNs Improves Robustness to Image Perturbations",
        doi:10.1101/2020.06.16.154542.

    Upstream:
        vonenet, vonenet.py, `VOneNet(model_arch=None)`; see `tfbio.layers.VOneBlock`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_block", input_shape=(64, 64, 3), simple_channels=8,
        ...                            complex_channels=8)
        >>> model.output_shape
        (None, 16, 16, 16)
    """
    check_input_shape(input_shape, _SMALLEST_INPUT)
    config = with_options(FrontEndConfig, front_end, options, "The front end")
    tensors = None if weights is None else _of_front_end(read_tensors(weights))
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    pixels = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
    responses = v1_responses(pixels, tensors, image_size, upstream_exact, config)
    model = keras.Model(image, responses, name=name)
    # === Weights ===
    if tensors is not None:
        load_weights(model, tensors)
    return model


def _of_front_end(tensors: Tensors) -> Tensors:
    """The tensors of the front end, under the names that they have in a whole network."""
    of_block = {
        name if name.startswith("vone_block") else f"vone_block.{name}": array
        for name, array in tensors.arrays.items()
        if name.startswith(("vone_block", "simple_conv_q"))
    }
    if not of_block:
        raise WeightsError(
            f"Expected weights of a VOneNet, received {tensors.description}, which has none of a "
            "VOneBlock: check the path."
        )
    return dataclasses.replace(tensors, arrays=of_block)
