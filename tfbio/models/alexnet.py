"""The parts of AlexNet, as torchvision builds it, under torchvision's names with `_` for `.`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfbio.layers.adaptive_average_pooling_2d import AdaptiveAveragePooling2D
from tfbio.models import resnet
from tfbio.models.construction import readout, torch_uniform, torch_uniform_bias


def convolution(
    inputs: Any, filters: int, kernel_size: int, name: str, strides: int = 1, padding: int = 0
) -> Any:
    """A convolution with bias, zeros on every side, initialised as PyTorch does."""
    if padding:
        inputs = keras.layers.ZeroPadding2D(
            padding, data_format="channels_last", name=f"{name}_padding"
        )(inputs)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        data_format="channels_last",
        kernel_initializer=torch_uniform(),
        bias_initializer=torch_uniform_bias(inputs.shape[-1] * kernel_size**2),
        name=name,
    )(inputs)


def features(inputs: Any, filters: Sequence[int], prefix: str) -> Any:
    """Four convolutions after the first, with rectification and two poolings.

    Args:
        inputs: symbolic (N, H, W, C).
        filters: of the four convolutions.
        prefix: in front of every layer's name.

    Returns:
        Symbolic (N, ceil(H / 8), ceil(W / 8), filters).

    Example:
        >>> tuple(features(keras.Input((56, 56, 4)), (8, 16, 8, 8), "").shape)
        (None, 7, 7, 8)
    """
    outputs = convolution(inputs, filters[0], 5, f"{prefix}features_0", strides=2, padding=2)
    outputs = resnet.relu(outputs, f"{prefix}features_1")
    outputs = resnet.max_pool(outputs, f"{prefix}features_2")
    for number, count in zip((3, 5, 7), filters[1:], strict=True):
        outputs = convolution(outputs, count, 3, f"{prefix}features_{number}", padding=1)
        outputs = resnet.relu(outputs, f"{prefix}features_{number + 1}")
    return resnet.max_pool(outputs, f"{prefix}features_9")


def classifier(
    inputs: Any, units: int, classes: int, prefix: str, dropout: float = 0.5, pooled: int = 7
) -> Any:
    """Three linear layers, of a map pooled to a fixed size.

    Args:
        inputs: symbolic (N, H, W, C), H and W known.
        units: of the two hidden layers.
        classes: number of classes.
        prefix: in front of every layer's name.
        dropout: share of the units that are dropped before either hidden layer in training.
        pooled: side of the map that the first layer sees, pixels.

    Returns:
        Symbolic logits (N, classes).

    Example:
        >>> tuple(classifier(keras.Input((7, 7, 4)), 16, 10, "").shape)
        (None, 10)
    """
    outputs = AdaptiveAveragePooling2D(pooled, name=f"{prefix}avgpool")(inputs)
    # PyTorch flattens channel by channel.
    outputs = keras.layers.Permute((3, 1, 2), name=f"{prefix}channels_first")(outputs)
    outputs = keras.layers.Flatten(data_format="channels_last", name=f"{prefix}flatten")(outputs)
    for number in (1, 4):
        outputs = keras.layers.Dropout(dropout, name=f"{prefix}classifier_{number - 1}")(outputs)
        outputs = keras.layers.Dense(
            units,
            kernel_initializer=torch_uniform(),
            bias_initializer=torch_uniform_bias(outputs.shape[-1]),
            name=f"{prefix}classifier_{number}",
        )(outputs)
        outputs = resnet.relu(outputs, f"{prefix}classifier_{number + 1}")
    return readout(outputs, classes, f"{prefix}classifier_6")
