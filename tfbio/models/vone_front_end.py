"""The front end of VOneNets: what can be chosen of it, and how it is put before any model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import keras

from tfbio.errors import InputError
from tfbio.layers.gabor_parameters import Distribution
from tfbio.layers.neuronal_noise import NoiseMode, Sampling
from tfbio.layers.v_one_block import VOneBlock
from tfbio.models import resnet
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    with_options,
)
from tfbio.weights.reading import Tensors
from tfbio.weights.vonenet import front_end_settings

if TYPE_CHECKING:
    # In `typing` from Python 3.11 on.
    from typing_extensions import Unpack

# In place of a value: the weights decide, or the published value holds.
AS_TRAINED: Any = "as trained"
# The size of the published images, pixels.
PUBLISHED_SIZE = 224

# The published values of what a checkpoint may decide.
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

_logger = logging.getLogger("tfbio")


@dataclass(frozen=True)
class FrontEndConfig:
    """The simple and complex cells of a VOneNet, and their noise: the arguments of `VOneBlock`.

    A field that is `"as trained"` has the value that the weights file was trained with; without a
    file, the published one.

    Args:
        simple_channels: number of simple cells at each place; 256 as published.
        complex_channels: number of complex cells at each place; 256 as published.
        kernel_size: side of the Gabor filters, pixels, odd; 25 as published.
        strides: stride of the Gabor filters, pixels; 4 as published.
        k_exc: gain of the cells' responses, above 0; 25 as published.
        noise_mode: noise of the responses, `"neuronal"`, `"gaussian"`, or None; neuronal as
            published.
        noise_scale: spikes per unit of response, or the standard deviation of Gaussian noise; 0.35
            as published.
        noise_level: spontaneous activity in neuronal noise, spikes; 0.07 as published.
        noise_sampling: how noise is drawn, `"sample"`, `"fixed"`, `"mean"` or `"off"`, see
            `tfbio.layers.NeuronalNoise`.
        noise_draws: number of samples that noise_sampling="mean" takes the mean of.
        noise_seed: seed of the samples of noise, an int, or None for a seed that
            `keras.utils.set_random_seed` decides.
        visual_degrees: what the image spans, degrees of visual angle.
        gabor_seed: seed of the Gabor filters' parameters.
        gabor_distribution: distribution of the Gabor filters' parameters, `"neuronal"` or
            `"uniform"`, see `tfbio.layers.sample_gabor_parameters`.
        sf_corr: correlation of the filters' spatial frequency and size, -1 to 1.
        sf_max: highest spatial frequency of the filters, cycles per degree.
        sf_min: lowest spatial frequency of the filters, cycles per degree.
        parameters: `GaborParameters` of all simple, then all complex cells, in place of the draws.
        channel_seed: seed of the colour that each filter sees.
        channels: the colours, in place of the draws: one int per cell, or two rows of them, one for
            each phase.

    Example:
        >>> FrontEndConfig(simple_channels=32).complex_channels
        'as trained'
    """

    simple_channels: int = AS_TRAINED
    complex_channels: int = AS_TRAINED
    kernel_size: int = AS_TRAINED
    strides: int = AS_TRAINED
    k_exc: float = AS_TRAINED
    noise_mode: NoiseMode | None = AS_TRAINED
    noise_scale: float = AS_TRAINED
    noise_level: float = AS_TRAINED
    noise_sampling: Sampling = "sample"
    noise_draws: int = 10
    noise_seed: int | None = None
    visual_degrees: float = 8.0
    gabor_seed: int = 0
    gabor_distribution: Distribution = "neuronal"
    sf_corr: float = 0.75
    sf_max: float = 9.0
    sf_min: float = 0.0
    parameters: Any = None
    channel_seed: int = 0
    channels: Any = None


class FrontEndOptions(TypedDict, total=False):
    """The fields of `FrontEndConfig` as keywords, for type checkers."""

    simple_channels: int
    complex_channels: int
    kernel_size: int
    strides: int
    k_exc: float
    noise_mode: NoiseMode | None
    noise_scale: float
    noise_level: float
    noise_sampling: Sampling
    noise_draws: int
    noise_seed: int | None
    visual_degrees: float
    gabor_seed: int
    gabor_distribution: Distribution
    sf_corr: float
    sf_max: float
    sf_min: float
    parameters: Any
    channel_seed: int
    channels: Any


def v1_responses(
    pixels: Any,
    weights: Tensors | None,
    image_size: int | None,
    upstream_exact: bool,
    config: FrontEndConfig,
) -> Any:
    """The responses of a `VOneBlock` to normalized pixels.

    Args:
        pixels: symbolic (N, H, W, 3).
        weights: what decides the fields that are `"as trained"`, or None.
        image_size: pixels that span `visual_degrees`; None for the shorter side of the input, or
            224 where it is not known.
        upstream_exact: see `VOneBlock`.
        config: of the block.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> config = FrontEndConfig(simple_channels=4, complex_channels=4)
        >>> v1_responses(keras.Input((32, 32, 3)), None, None, True, config).shape
        (None, 8, 8, 8)
    """
    given = {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}
    trained_with = {} if weights is None else front_end_settings(weights)
    decided = {
        name: {**_PUBLISHED, **trained_with}[name] if _is_open(value) else value
        for name, value in given.items()
    }
    if weights is not None:
        assumed = [
            f"{name}={decided[name]}"
            for name, value in given.items()
            if _is_open(value) and name not in trained_with
        ]
        if assumed:
            _logger.warning(
                "%s does not say how its front end was trained: %s, as published, is assumed.",
                weights.origin,
                ", ".join(assumed),
            )
    if image_size is None:
        height, width = pixels.shape[1:3]
        image_size = PUBLISHED_SIZE if None in (height, width) else min(height, width)
    block = VOneBlock(
        image_size=image_size, upstream_exact=upstream_exact, name="vone_block", **decided
    )
    return block(pixels)


def bottleneck(responses: Any, channels: int) -> Any:
    """The linear layer that joins the responses to a network, to its number of channels.

    Example:
        >>> bottleneck(keras.Input((8, 8, 512)), 64).shape
        (None, 8, 8, 64)
    """
    return resnet.convolution(responses, channels, 1, "bottleneck")


def _is_open(value: Any) -> bool:
    return isinstance(value, str) and value == AS_TRAINED


def add_v1_front_end(
    model: keras.Model,
    input_shape: InputShape = (224, 224, 3),
    include_preprocessing: bool = True,
    name: str | None = None,
    upstream_exact: bool = False,
    pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
    pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    image_size: int | None = None,
    front_end: FrontEndConfig | None = None,
    **options: Unpack[FrontEndOptions],
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
        front_end: a `FrontEndConfig`; by default the published one.
        **options: fields of `FrontEndConfig`, in place of those of `front_end`.

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
    config = with_options(FrontEndConfig, front_end, options, "The front end")
    responses = v1_responses(pixels, None, image_size, upstream_exact, config)
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
    outputs = model.call(bottleneck(responses, wanted[-1]))
    try:
        return keras.Model(image, outputs, name=name or f"vone_{model.name}")
    except ValueError as error:
        raise InputError(
            f"Expected {model.name!r} to have no layers named as those of the front end (image, "
            f"normalize_pixels, vone_block, bottleneck): {error} A model of the registry is to be "
            "built with include_preprocessing=False."
        ) from error
