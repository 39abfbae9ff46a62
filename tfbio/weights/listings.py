"""What layers of Keras have in a PyTorch state dict: suffixes, layouts, and what is no weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfbio.weights.targets import Target


@dataclass(frozen=True)
class Constant:
    """A tensor of the state dict that our layer derives itself."""

    value: np.ndarray


@dataclass(frozen=True)
class Counter:
    """A tensor of the state dict that may hold any number, and which nothing depends on."""


Tensor = Target | Constant | Counter
Listing = Iterator[tuple[str, Tensor]]


def transposed(variable: keras.Variable, *axes: int) -> Target:
    """The file's array with its axes in another order, given as for `numpy.transpose`.

    Example:
        >>> kernel = keras.Variable(np.zeros((5, 5, 2, 8)))
        >>> transposed(kernel, 2, 3, 1, 0).file_shape
        (8, 2, 5, 5)
    """
    back = tuple(np.argsort(axes))
    return Target(
        variable, lambda array: array.transpose(axes), lambda array: array.transpose(back)
    )


def convolution(layer: Any) -> Listing:
    yield "weight", transposed(layer.kernel, 2, 3, 1, 0)
    if layer.use_bias:
        yield "bias", Target(layer.bias)


def dense(layer: Any) -> Listing:
    yield "weight", transposed(layer.kernel, 1, 0)
    if layer.use_bias:
        yield "bias", Target(layer.bias)


def batch_normalization(layer: Any) -> Listing:
    yield "weight", Target(layer.gamma)
    yield "bias", Target(layer.beta)
    yield "running_mean", Target(layer.moving_mean)
    yield "running_var", Target(layer.moving_variance)
    yield "num_batches_tracked", Counter()


def group_normalization(layer: Any) -> Listing:
    """`torch.nn.GroupNorm`, or `InstanceNorm2d` with weights."""
    yield "weight", Target(layer.gamma)
    yield "bias", Target(layer.beta)
