"""The parts of ResNet v1.5, as torchvision builds it, under torchvision's names with `_` for `.`.

A stage takes what stands in place of the second convolution of a block, and what follows a block,
so that models with biological components are this network and not copies of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

# Of a bottleneck block's output over its inner convolutions.
EXPANSION = 4

# Kaiming normal, fan out: PyTorch's numbers are not truncated.
_HE_FAN_OUT = {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"}

SpatialConvolution = Callable[[Any, int, int, str], Any]
AfterBlock = Callable[[Any, str], Any]


def convolution(
    inputs: Any,
    filters: int,
    kernel_size: int,
    name: str,
    strides: int = 1,
    initializer: Any = None,
) -> Any:
    """A convolution without bias, padded with (kernel_size - 1) / 2 zeros on every side."""
    zeros = (kernel_size - 1) // 2
    if strides > 1 and zeros:
        # "same" with a stride would pad the lower right side alone.
        inputs = keras.layers.ZeroPadding2D(
            zeros, data_format="channels_last", name=f"{name}_padding"
        )(inputs)
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="valid" if strides > 1 else "same",
        use_bias=False,
        data_format="channels_last",
        kernel_initializer=initializer or keras.initializers.VarianceScaling(**_HE_FAN_OUT),
        name=name,
    )(inputs)


def batch_normalization(inputs: Any, name: str) -> Any:
    """With PyTorch's epsilon; its momentum of 0.1 weighs the new batch, Keras' 0.9 the old mean."""
    return keras.layers.BatchNormalization(axis=-1, epsilon=1e-5, momentum=0.9, name=name)(inputs)


def relu(inputs: Any, name: str) -> Any:
    """Rectification."""
    return keras.layers.Activation("relu", name=name)(inputs)


def stem(image: Any, filters: int) -> Any:
    """The first convolution, to half the size: conv1, bn1, relu."""
    return relu(batch_normalization(convolution(image, filters, 7, "conv1", 2), "bn1"), "relu")


def max_pool(inputs: Any, name: str = "maxpool") -> Any:
    """The maximum of 3 x 3 pixels, stride 2. Rates are not negative: zeros around do no harm."""
    padded = keras.layers.ZeroPadding2D(1, data_format="channels_last", name=f"{name}_padding")
    pool = keras.layers.MaxPooling2D(3, strides=2, data_format="channels_last", name=name)
    return pool(padded(inputs))


def plain_convolution(inputs: Any, filters: int, strides: int, block: str) -> Any:
    """The 3 x 3 convolution of a block as published."""
    return convolution(inputs, filters, 3, f"{block}_conv2", strides)


def stage(
    inputs: Any,
    name: str,
    blocks: int,
    filters: int,
    strides: int,
    spatial_convolution: SpatialConvolution = plain_convolution,
    after_block: AfterBlock | None = None,
) -> Any:
    """A stage of bottleneck blocks, the first of which changes size and number of channels.

    Args:
        inputs: symbolic (N, H, W, C).
        name: such as `"layer1"`.
        blocks: number of blocks.
        filters: of the inner convolutions; the output has four times as many.
        strides: of the first block.
        spatial_convolution: takes (inputs, filters, strides, block's name) and gives what the
            second batch normalization gets.
        after_block: takes (output, block's name) and gives the next block's input.

    Returns:
        Symbolic (N, H / strides, W / strides, 4 filters).
    """
    outputs = inputs
    for number in range(blocks):
        outputs = _bottleneck(
            outputs,
            f"{name}_{number}",
            filters,
            strides if number == 0 else 1,
            spatial_convolution,
            downsample=number == 0,
        )
        if after_block is not None:
            outputs = after_block(outputs, f"{name}_{number}")
    return outputs


def _bottleneck(
    inputs: Any,
    name: str,
    filters: int,
    strides: int,
    spatial_convolution: SpatialConvolution,
    downsample: bool,
) -> Any:
    outputs = convolution(inputs, filters, 1, f"{name}_conv1")
    outputs = relu(batch_normalization(outputs, f"{name}_bn1"), f"{name}_relu1")
    outputs = spatial_convolution(outputs, filters, strides, name)
    outputs = relu(batch_normalization(outputs, f"{name}_bn2"), f"{name}_relu2")
    outputs = convolution(outputs, EXPANSION * filters, 1, f"{name}_conv3")
    outputs = batch_normalization(outputs, f"{name}_bn3")
    shortcut = inputs
    if downsample:
        shortcut = convolution(inputs, EXPANSION * filters, 1, f"{name}_downsample_0", strides)
        shortcut = batch_normalization(shortcut, f"{name}_downsample_1")
    total = keras.layers.Add(name=f"{name}_add")([outputs, shortcut])
    return relu(total, f"{name}_relu")
