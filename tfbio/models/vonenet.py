"""VOneNet: a model of primary visual cortex in front of a convolutional network."""

from __future__ import annotations

import dataclasses
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.layers.v_one_block import VOneBlock
from tfbio.models import alexnet, cornet, resnet
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    show_arguments,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import load_weights
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.vonenet import front_end_settings

_SMALLEST_INPUT = 32
_PUBLISHED_SIZE = 224
# Channels between the front end and the back end.
_BOTTLENECK = 64
# Arguments that a checkpoint decides where the caller does not, and their published values.
_PUBLISHED = {
    "simple_channels": 256,
    "complex_channels": 256,
    "kernel_size": 25,
    "strides": 4,
    "k_exc": 25.0,
    "noise_mode": "neuronal",
    "noise_scale": 0.35,
    "noise_level": 0.07,
}
# In place of an argument: the weights decide, or the published value holds.
AS_TRAINED = "as trained"

BackEnd = Callable[..., Any]

_logger = logging.getLogger("tfbio")


# === Front end ===


def _front_end(
    image: Any,
    weights: Tensors | None,
    image_size: int | None,
    upstream_exact: bool,
    arguments: Mapping[str, Any],
) -> Any:
    """The responses of a VOneBlock to normalized pixels."""
    trained_with = {} if weights is None else front_end_settings(weights)
    decided = {
        name: {**_PUBLISHED, **trained_with}[name] if _is_open(value) else value
        for name, value in arguments.items()
    }
    if weights is not None:
        assumed = [
            f"{name}={decided[name]}"
            for name, value in arguments.items()
            if _is_open(value) and name not in trained_with
        ]
        if assumed:
            _logger.warning(
                "%s does not say how its front end was trained: %s, as published, is assumed.",
                weights.origin, ", ".join(assumed),
            )  # fmt: skip
    if image_size is None:
        height, width = image.shape[1:3]
        image_size = _PUBLISHED_SIZE if None in (height, width) else min(height, width)
    try:
        block = VOneBlock(
            image_size=image_size, upstream_exact=upstream_exact, name="vone_block", **decided
        )
        return block(image)
    except ValueError as error:
        raise InputError(str(error)) from error


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and value == AS_TRAINED


def _bottleneck(responses: Any, filters: int) -> Any:
    return resnet.convolution(responses, filters, 1, "bottleneck")


def _arguments_of_front_end(
    simple_channels: int | str = AS_TRAINED,
    complex_channels: int | str = AS_TRAINED,
    kernel_size: int | str = AS_TRAINED,
    strides: int | str = AS_TRAINED,
    k_exc: float | str = AS_TRAINED,
    noise_mode: str | None = AS_TRAINED,
    noise_scale: float | str = AS_TRAINED,
    noise_level: float | str = AS_TRAINED,
    noise_sampling: str = "sample",
    noise_draws: int = 10,
    noise_seed: int | None = None,
    visual_degrees: float = 8.0,
    gabor_seed: int = 0,
    gabor_distribution: str = "neuronal",
    sf_corr: float = 0.75,
    sf_max: float = 9.0,
    sf_min: float = 0.0,
    parameters: Any = None,
    channel_seed: int = 0,
    channels: Any = None,
) -> dict[str, Any]:
    """The arguments of `VOneBlock` that a model passes on, as a dict."""
    return dict(locals())


def _check_names(arguments: Mapping[str, Any]) -> None:
    known = inspect.signature(_arguments_of_front_end).parameters
    strange = sorted(set(arguments) - set(known))
    if strange:
        raise InputError(
            f"The front end takes no argument {', '.join(map(repr, strange))}; it takes "
            f"{', '.join(known)}."
        )


# === Back ends ===


def _resnet50(inputs: Any, classes: int, width: float, blocks: Sequence[int] = (3, 4, 6, 3)) -> Any:
    """The four stages of ResNet50, without its stem."""
    if len(blocks) != 4 or min(blocks) < 1:
        raise InputError(
            f"Expected numbers of blocks for four stages, such as (3, 4, 6, 3), received {blocks}."
        )
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


def _alexnet(inputs: Any, classes: int, width: float, dropout: float = 0.5) -> Any:
    """AlexNet after its first convolution."""
    if None in inputs.shape[1:3]:
        raise InputError(
            "Expected an input shape of known height and width, which the classifier of AlexNet is "
            "made for."
        )
    *filters, units = scaled((192, 384, 256, 256, 4096), width)
    maps = alexnet.features(inputs, filters, "model_")
    return alexnet.classifier(maps, units, classes, "model_", dropout)


def _cornet_s(inputs: Any, classes: int, width: float, times: Sequence[int] = cornet.TIMES) -> Any:
    """V2, V4 and IT of CORnet-S."""
    return cornet.back_end(inputs, classes, width, times, "model_")


# === Models ===

_DOCUMENTATION = """{headline}

    A fixed bank of Gabor filters, simple and complex cells and neuronal noise stand in place of the
    first layers; a linear bottleneck of 64 channels joins them to the rest. The front end makes
    networks more robust to noise, corruptions and attacks. Noise is there in inference too; see
    `tfbio.models.set_noise`.

    Args:
        input_shape: (H, W, 3), each side 32 or more{any_size}.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random. The
            file decides every argument below that is `"as trained"`; without one, the published
            value holds: 256 simple and 256 complex cells, kernels of 25, stride 4, k_exc 25,
            neuronal noise of scale 0.35 and level 0.07.
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
        simple_channels, complex_channels, kernel_size, strides, k_exc, noise_mode, noise_scale,
            noise_level, noise_sampling, noise_draws, noise_seed, visual_degrees, gabor_seed,
            gabor_distribution, sf_corr, sf_max, sf_min, parameters, channel_seed, channels: of the
            front end, see `tfbio.layers.VOneBlock`.
        {own}

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
        >>> model = tfbio.create_model("{name}", input_shape=(64, 64, 3), classes=10, width=0.125,
        ...                            simple_channels=8, complex_channels=8)
        >>> model.output_shape
        (None, 10)
    """


def _register(
    name: str, back_end: BackEnd, headline: str, own: str, needs_size: bool = False
) -> Callable[..., keras.Model]:
    """Make the builder of a VOneNet with this back end, and register it."""
    of_back_end = list(inspect.signature(back_end).parameters)[3:]

    def build(
        input_shape: InputShape = (_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3),
        classes: int | None = None,
        weights: Any = None,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = name,
        upstream_exact: bool = True,
        width: float = 1.0,
        pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
        pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
        image_size: int | None = None,
        **others: Any,
    ) -> keras.Model:
        own = {each: others.pop(each) for each in of_back_end if each in others}
        weights, classes = weights_and_classes(weights, classes)
        check_input_shape(input_shape, _SMALLEST_INPUT, needs_size)
        # === Functional model ===
        image = keras.Input(input_shape, name="image")
        pixels = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
        responses = _front_end(
            pixels, weights, image_size, upstream_exact, _arguments_of_front_end(**others)
        )
        (filters,) = scaled((_BOTTLENECK,), width)
        logits = back_end(_bottleneck(responses, filters), classes, width, **own)
        model = keras.Model(image, predictions(logits, classifier_activation), name=name)
        # === Weights ===
        if weights is not None:
            load_weights(model, weights, skip_mismatch=True)
        return model

    show_arguments(build, _arguments_of_front_end, back_end, skipped=3)
    build.__name__ = build.__qualname__ = name
    build.__doc__ = _DOCUMENTATION.format(
        name=name,
        headline=headline,
        own=own,
        any_size="" if needs_size else ", or None for any size",
    )
    return register_model(
        family="VOneNet",
        input_shape=(_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3),
        reference="10.1101/2020.06.16.154542",
        crop_ratio=0.875,
        weight_formats=("PyTorch checkpoint", "PyTorch state dict"),
        # Degrees go with pixels, so that the filters have the published size.
        quick_start={
            "input_shape": (64, 64, 3),
            "visual_degrees": 2.0,
            "simple_channels": 32,
            "complex_channels": 32,
            "width": 0.25,
        },
        recipe="recipes/vonenet_imagenet.flags",
    )(build)


vone_resnet50 = _register(
    "vone_resnet50",
    _resnet50,
    "VOneResNet50: a model of primary visual cortex in front of ResNet50.",
    "blocks: number of blocks of the four stages; (3, 4, 6, 3) is ResNet50.",
)

vone_alexnet = _register(
    "vone_alexnet",
    _alexnet,
    "VOneAlexNet: a model of primary visual cortex in front of AlexNet.",
    "dropout: share of the units that are dropped before the hidden layers in training.",
    needs_size=True,
)

vone_cornet_s = _register(
    "vone_cornet_s",
    _cornet_s,
    "VOneCORnet-S: a model of primary visual cortex in front of V2, V4 and IT of CORnet-S.",
    "times: time steps of V2, V4 and IT.",
)


@register_model(
    family="VOneNet",
    input_shape=(_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3),
    reference="10.1101/2020.06.16.154542",
    crop_ratio=0.875,
    weight_formats=("PyTorch checkpoint", "PyTorch state dict"),
    classifier=False,
)
def vone_block(
    input_shape: InputShape = (_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3),
    weights: Any = None,
    include_preprocessing: bool = True,
    name: str = "vone_block",
    upstream_exact: bool = True,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    **front_end: Any,
) -> keras.Model:
    """The front end of a VOneNet alone: images in, responses of simple and complex cells out.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size.
        weights: of any VOneNet, see `tfbio.load_weights`; only those of the front end are taken.
            They decide every argument below that is `"as trained"`.
        include_preprocessing: normalize pixels from [0, 255] inside the model.
        name: name of the model.
        upstream_exact: the phases of a quadrature pair see different colours, as the original's
            weights demand.
        pixel_mean: mean of each colour, for pixels in [0, 1].
        pixel_std: standard deviation of each colour, for pixels in [0, 1].
        image_size: pixels that span `visual_degrees`; by default the shorter side of the input, or
            224 where it is not known.
        **front_end: as of `vone_resnet50`.

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
    _check_names(front_end)
    tensors = None if weights is None else _of_front_end(read_tensors(weights))
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    pixels = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
    responses = _front_end(
        pixels, tensors, image_size, upstream_exact, _arguments_of_front_end(**front_end)
    )
    model = keras.Model(image, responses, name=name)
    # === Weights ===
    if tensors is not None:
        load_weights(model, tensors)
    return model


show_arguments(vone_block, _arguments_of_front_end)


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


def add_v1_front_end(
    model: keras.Model,
    input_shape: InputShape = (_PUBLISHED_SIZE, _PUBLISHED_SIZE, 3),
    include_preprocessing: bool = True,
    name: str | None = None,
    upstream_exact: bool = False,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    **front_end: Any,
) -> keras.Model:
    """Put a model of primary visual cortex in front of any functional or Sequential Keras model.

    The responses of the `VOneBlock` go through a linear bottleneck to the number of channels that
    the model takes, and into the model, whose layers and weights are shared, not copied.

    Args:
        model: functional or Sequential, with one input (N, H', W', C), where H' and W' are the size
            of the image over the front end's stride, rounded up, or unknown. C is any number;
            published ones take 64. A model of this registry is to be built with
            `include_preprocessing=False`: it sees responses and no pixels.
        input_shape: of the images, (H, W, 3).
        include_preprocessing: normalize pixels from [0, 255] in front of the `VOneBlock`.
        name: of the new model; by default `vone_` and the name of the old one.
        upstream_exact: see `tfbio.layers.VOneBlock`.
        pixel_mean: mean of each colour, for pixels in [0, 1].
        pixel_std: standard deviation of each colour, for pixels in [0, 1].
        image_size: pixels that span `visual_degrees`; by default the shorter side of the input, or
            224 where it is not known.
        **front_end: as of `tfbio.models.vone_resnet50`.

    Returns:
        A functional model of the images, with the outputs of the given model.

    Raises:
        InputError: the model is of another kind, or takes another size.

    Example:
        >>> import keras
        >>> from tfbio.models import add_v1_front_end
        >>> back_end = keras.applications.MobileNetV2(input_shape=(32, 32, 3), alpha=0.35,
        ...                                           weights=None, classes=10)
        >>> model = add_v1_front_end(back_end, (128, 128, 3), simple_channels=8, complex_channels=8)
        >>> model.output_shape
        (None, 10)
    """
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[-1] is None:
        raise InputError(
            "Expected a functional or Sequential model with one input (N, H, W, C), received "
            f"{getattr(model, 'name', model)!r} with "
            f"{[tuple(tensor.shape) for tensor in inputs]}."
        )
    check_input_shape(input_shape, 1)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    pixels = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
    _check_names(front_end)
    responses = _front_end(
        pixels, None, image_size, upstream_exact, _arguments_of_front_end(**front_end)
    )
    wanted = tuple(model.inputs[0].shape[1:])
    strides = "the stride of the front end"
    for received, expected in zip(responses.shape[1:3], wanted[:2], strict=True):
        if expected is not None and received != expected:
            raise InputError(
                f"Expected a model whose input is {responses.shape[1]} x {responses.shape[2]}, "
                f"images of {input_shape[0]} x {input_shape[1]} over {strides}; received "
                f"{model.name!r} for {wanted[0]} x {wanted[1]}: build it for the former, or for "
                "any size."
            )
    # A graph is joined layer by layer, so that `features` and `logits_model` see its layers.
    outputs = model.call(_bottleneck(responses, wanted[-1]))
    try:
        return keras.Model(image, outputs, name=name or f"vone_{model.name}")
    except ValueError as error:
        raise InputError(
            f"Expected {model.name!r} to have no layers named as those of the front end (image, "
            f"normalize_pixels, vone_block, bottleneck): {error} A model of the registry is to be "
            "built with include_preprocessing=False."
        ) from error
