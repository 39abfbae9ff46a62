"""What every builder does the same way: sizes, classes, pixels in and predictions out."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import keras
import numpy as np

from tfbio.errors import InputError
from tfbio.weights.reading import read_tensors

DEFAULT_CLASSES = 1000
InputShape = tuple[int | None, int | None, int]
# Any dataclass.
Config = TypeVar("Config", bound=Any)


@dataclass(frozen=True)
class CommonArguments:
    """The arguments that every classifier of the registry has, in their order."""

    input_shape: InputShape
    classes: int | None
    weights: Any
    classifier_activation: str | None
    include_preprocessing: bool
    name: str


def weights_and_classes(
    weights: Any, classes: int | None, default: int = DEFAULT_CLASSES
) -> tuple[Any, int]:
    """The weights read, if any, and the number of classes that they or the caller decide.

    Args:
        weights: as the user gave them.
        classes: as the user gave it.
        default: number of classes if neither says one.

    Raises:
        InputError: there would be no class.
        WeightsError: the weights cannot be read.

    Example:
        >>> weights_and_classes(None, None)
        (None, 1000)
    """
    if weights is not None:
        weights = read_tensors(weights)
    if classes is None:
        classes = (weights and weights.classes) or default
    if classes < 1:
        raise InputError(f"Expected at least 1 class, received classes={classes}.")
    return weights, classes


def check_input_shape(
    input_shape: InputShape,
    smallest: int,
    fixed: bool = False,
    channels: Sequence[int] = (3,),
) -> None:
    """Refuse what is no image, or too small a one.

    Args:
        input_shape: (H, W, 3), None for any size.
        smallest: the least height and width, pixels.
        fixed: whether the model needs to know height and width.
        channels: numbers of channels that the model takes: 3 for RGB, 1 for grey images.

    Raises:
        InputError: the model cannot be built for this shape.

    Example:
        >>> check_input_shape((64, 64, 3), smallest=32)
    """
    if len(input_shape) != 3 or input_shape[2] not in channels:
        allowed = " or ".join(f"(height, width, {number})" for number in channels)
        raise InputError(f"Expected an input shape {allowed}, received {tuple(input_shape)}.")
    if fixed and None in input_shape:
        raise InputError(
            "Expected an input shape of known height and width, which parts of this model are "
            f"made for, received {tuple(input_shape)}."
        )
    if any(side is not None and side < smallest for side in input_shape[:2]):
        raise InputError(
            f"Expected an input of at least {smallest} x {smallest} pixels, "
            f"received {input_shape[0]} x {input_shape[1]}: give a larger image size."
        )


def check_blocks(blocks: Sequence[int], published: Sequence[int]) -> None:
    """Refuse what is no number of blocks for each of the four stages of a ResNet.

    Args:
        blocks: as the user gave them.
        published: for the error.

    Raises:
        InputError: there are not four, or one is below 1.

    Example:
        >>> check_blocks((2, 2, 2, 2), published=(3, 4, 6, 3))
    """
    if np.shape(blocks) != (4,) or min(blocks) < 1:
        raise InputError(
            f"Expected numbers of blocks for four stages, such as {tuple(published)}, received "
            f"{blocks!r}."
        )


def scaled(filters: Sequence[int], width: float) -> list[int]:
    """Numbers of filters times the width, each at least 1.

    Raises:
        InputError: the width is not a positive number.

    Example:
        >>> scaled((64, 128), 0.125)
        [8, 16]
    """
    if not (width > 0 and math.isfinite(width)):
        raise InputError(f"Expected a width above 0, received {width}; 1 is the published network.")
    return [max(1, round(count * width)) for count in filters]


def with_options(
    kind: type[Config], given: Config | None, options: Mapping[str, Any], taker: str
) -> Config:
    """A configuration, with those of its fields that are given as keywords.

    Args:
        kind: the dataclass.
        given: one of its kind, or None for the published one.
        options: some of its fields by name, which come before those of `given`.
        taker: what takes them, for the error.

    Raises:
        InputError: `given` is something else, or there is no such field.

    Example:
        >>> @dataclass(frozen=True)
        ... class Size:
        ...     width: float = 1.0
        ...     depth: int = 3
        >>> with_options(Size, Size(depth=2), {"width": 0.5}, "The network")
        Size(width=0.5, depth=2)
    """
    if given is not None and not isinstance(given, kind):
        raise InputError(f"Expected a {kind.__name__}, received {given!r}.")
    known = [each.name for each in dataclasses.fields(kind)]
    strange = sorted(set(options) - set(known))
    if strange:
        raise InputError(
            f"{taker} takes no argument {', '.join(map(repr, strange))}; it takes "
            f"{', '.join(known)}."
        )
    return kind(**options) if given is None else dataclasses.replace(given, **options)


def normalized_pixels(image: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """[0, 255] to units of the standard deviation from the mean, both given for [0, 1].

    Args:
        image: symbolic (N, H, W, 3).
        mean: of each colour.
        std: of each colour.

    Raises:
        InputError: there are not three of each, or a deviation is not above 0.

    Example:
        >>> normalized_pixels(keras.Input((8, 8, 3)), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)).shape
        (None, 8, 8, 3)
    """
    if np.shape(mean) != (3,) or np.shape(std) != (3,) or min(std) <= 0:
        raise InputError(
            "Expected `pixel_mean` and `pixel_std` of three colours, the second above 0, received "
            f"{mean!r} and {std!r}."
        )
    scale = [1 / (255 * each) for each in std]
    offset = [-a / b for a, b in zip(mean, std, strict=True)]
    if len(set(scale)) == len(set(offset)) == 1:
        # One number for all: with three, Keras asks its global image_data_format for their axis.
        return keras.layers.Rescaling(scale[0], offset[0], name="normalize_pixels")(image)
    return keras.layers.Rescaling(scale, offset, name="normalize_pixels")(image)


def unit_pixels(image: Any) -> Any:
    """[0, 255] to [0, 1].

    Example:
        >>> unit_pixels(keras.Input((8, 8, 3))).shape
        (None, 8, 8, 3)
    """
    return keras.layers.Rescaling(1 / 255, name="scale_pixels")(image)


def torch_uniform() -> keras.initializers.Initializer:
    """PyTorch's default for convolutions and linear layers: uniform within 1 / sqrt(fan in).

    Example:
        >>> float(keras.ops.max(torch_uniform()((100, 4)))) <= 0.1
        True
    """
    return keras.initializers.VarianceScaling(1 / 3, mode="fan_in", distribution="uniform")


def torch_uniform_bias(fan_in: int) -> keras.initializers.Initializer:
    """PyTorch's default for the biases of a layer of this fan in: uniform within 1 / sqrt(fan in).

    Example:
        >>> float(keras.ops.max(torch_uniform_bias(100)((8,)))) <= 0.1
        True
    """
    return keras.initializers.RandomUniform(-(fan_in**-0.5), fan_in**-0.5)


def readout(inputs: Any, classes: int, name: str) -> Any:
    """The logits: a linear layer, in at least float32, initialised as PyTorch does.

    Args:
        inputs: symbolic (N, features).
        classes: number of classes.
        name: of the layer.

    Example:
        >>> readout(keras.Input((20,)), 10, "fc").shape
        (None, 10)
    """
    return keras.layers.Dense(
        classes,
        kernel_initializer=torch_uniform(),
        bias_initializer=torch_uniform_bias(inputs.shape[-1]),
        dtype=readout_dtype(),
        name=name,
    )(inputs)


def readout_dtype() -> str:
    """At least float32 whatever the policy: in half precision many logits would be equal.

    Example:
        >>> readout_dtype()
        'float32'
    """
    return keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")


def predictions(logits: Any, activation: str | None) -> Any:
    """The layer every registered model ends in, on symbolic logits.

    Example:
        >>> predictions(keras.Input((10,)), "softmax").shape
        (None, 10)
    """
    return keras.layers.Activation(
        activation or "linear", dtype=readout_dtype(), name="predictions"
    )(logits)
