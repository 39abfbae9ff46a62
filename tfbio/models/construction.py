"""What every builder does the same way: sizes, classes, pixels in and predictions out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.weights.reading import read_tensors

DEFAULT_CLASSES = 1000
InputShape = tuple[int | None, int | None, int]


def weights_and_classes(weights: Any, classes: int | None) -> tuple[Any, int]:
    """The weights read, if any, and the number of classes that they or the caller decide.

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
        classes = (weights and weights.classes) or DEFAULT_CLASSES
    if classes < 1:
        raise InputError(f"Expected at least 1 class, received classes={classes}.")
    return weights, classes


def check_input_shape(input_shape: InputShape, smallest: int, fixed: bool = False) -> None:
    """Refuse what is no RGB image, or too small a one.

    Args:
        input_shape: (H, W, 3), None for any size.
        smallest: the least height and width, pixels.
        fixed: whether the model needs to know height and width.

    Raises:
        InputError: the model cannot be built for this shape.

    Example:
        >>> check_input_shape((64, 64, 3), smallest=32)
    """
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise InputError(
            f"Expected an input shape (height, width, 3), received {tuple(input_shape)}."
        )
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
