"""CORnet-S: four areas of the ventral stream, three of them recurrent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.layers.multi_stride_conv2d import MultiStrideConv2D
from tfbio.models import resnet
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights

# Of V1, V2, V4 and IT.
_FILTERS = (64, 128, 256, 512)
# Time steps of V2, V4 and IT.
TIMES = (2, 4, 2)
# Within an area there are four times as many channels as between areas.
_EXPANSION = 4
_SMALLEST_INPUT = 32


def _convolution(inputs: Any, filters: int, kernel_size: int, name: str, strides: int = 1) -> Any:
    return resnet.convolution(
        inputs, filters, kernel_size, name, strides, _initializer(filters, kernel_size)
    )


def _initializer(filters: int, kernel_size: int) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=math.sqrt(2 / (kernel_size**2 * filters)))


def recurrent_area(inputs: Any, filters: int, times: int, name: str) -> list[Any]:
    """One recurrent area: convolutions shared over time, a normalization for each time step.

    Args:
        inputs: symbolic (N, H, W, C).
        filters: number of output channels.
        times: number of time steps.
        name: such as `"V2"`.

    Returns:
        The output at every time step, symbolic (N, H / 2, W / 2, filters); the next area sees the
        last.

    Example:
        >>> [tuple(state.shape) for state in recurrent_area(keras.Input((8, 8, 4)), 6, 2, "V2")]
        [(None, 4, 4, 6), (None, 4, 4, 6)]
    """
    within = _EXPANSION * filters
    state = _convolution(inputs, filters, 1, f"{name}_conv_input")
    conv1, conv2, conv3 = (
        MultiStrideConv2D(number, size, _initializer(number, size), name=f"{name}_conv{i}")
        for i, (number, size) in enumerate([(within, 1), (within, 3), (filters, 1)], start=1)
    )
    outputs: list[Any] = []
    for t in range(times):
        if t == 0:
            skip = _convolution(state, filters, 1, f"{name}_skip", strides=2)
            skip = resnet.batch_normalization(skip, f"{name}_norm_skip")
        else:
            skip = state
        for i, conv in enumerate([conv1, conv2], start=1):
            # The area halves its map once.
            state = conv(state, strides=2) if t == 0 and conv is conv2 else conv(state)
            state = resnet.batch_normalization(state, f"{name}_norm{i}_{t}")
            state = resnet.relu(state, f"{name}_nonlin{i}_{t}")
        state = resnet.batch_normalization(conv3(state), f"{name}_norm3_{t}")
        state = keras.layers.Add(name=f"{name}_add_{t}")([state, skip])
        state = resnet.relu(state, f"{name}_output_{t}")
        outputs.append(state)
    return outputs


def check_times(times: Sequence[int]) -> None:
    """Refuse numbers of time steps that are not those of three areas.

    Raises:
        InputError: they are not.

    Example:
        >>> check_times((2, 4, 2))
    """
    if np.shape(times) != (3,) or min(times) < 1:
        raise InputError(
            f"Expected numbers of time steps for V2, V4 and IT, such as {TIMES}, received "
            f"{times!r}."
        )


def back_end(
    inputs: Any, classes: int, width: float, times: Sequence[int], prefix: str = ""
) -> Any:
    """V2, V4, IT and the decoder.

    Args:
        inputs: symbolic (N, H, W, C), of V1.
        classes: number of classes.
        width: factor on the number of filters.
        times: time steps of V2, V4 and IT.
        prefix: in front of every layer's name.

    Returns:
        Symbolic logits (N, classes).

    Example:
        >>> tuple(back_end(keras.Input((16, 16, 8)), 10, 0.125, (1, 1, 1)).shape)
        (None, 10)
    """
    check_times(times)
    outputs = inputs
    for area, filters, steps in zip(
        ("V2", "V4", "IT"), scaled(_FILTERS[1:], width), times, strict=True
    ):
        outputs = recurrent_area(outputs, filters, steps, f"{prefix}{area}")[-1]
    pooled = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", name=f"{prefix}decoder_avgpool"
    )(outputs)
    return readout(pooled, classes, f"{prefix}decoder_linear")


@register_model(
    family="VOneNet",
    input_shape=(224, 224, 3),
    reference="10.48550/arXiv.1909.06161",
    framing=Framing(crop_ratio=0.875),
    weight_formats=("PyTorch state dict",),
    quick_start={"input_shape": (64, 64, 3), "width": 0.25},
)
def cornet_s(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "cornet_s",
    width: float = 1.0,
    times: Sequence[int] = TIMES,
    pixel_mean: Sequence[float] = (0.485, 0.456, 0.406),
    pixel_std: Sequence[float] = (0.229, 0.224, 0.225),
) -> keras.Model:
    """CORnet-S: V1, V2, V4 and IT, of which the last three are recurrent.

    Areas are named after those of the primate's ventral stream. `V2_output_0`, `V2_output_1` and so
    on are their activities over time.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] with mean and standard deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        width: factor on the number of filters of every layer; 1 is the published network.
        times: time steps of V2, V4 and IT.
        pixel_mean: mean of each colour, for pixels in [0, 1].
        pixel_std: standard deviation of each colour, for pixels in [0, 1].

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Kubilius, Schrimpf, Kar, et al. (2019), "Brain-Like Object Recognition with High-Performing
        Shallow Recurrent ANNs", doi:10.48550/arXiv.1909.06161.

    Upstream:
        CORnet, cornet_s.py, `CORnet_S`. No known difference.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("cornet_s", input_shape=(64, 64, 3), classes=10, width=0.125)
        >>> model.output_shape
        (None, 10)
    """
    weights, classes = weights_and_classes(weights, classes)
    check_input_shape(input_shape, _SMALLEST_INPUT)
    (filters,) = scaled(_FILTERS[:1], width)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    outputs = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
    outputs = _convolution(outputs, filters, 7, "V1_conv1", strides=2)
    outputs = resnet.relu(resnet.batch_normalization(outputs, "V1_norm1"), "V1_nonlin1")
    outputs = resnet.max_pool(outputs, "V1_pool")
    outputs = _convolution(outputs, filters, 3, "V1_conv2")
    outputs = resnet.relu(resnet.batch_normalization(outputs, "V1_norm2"), "V1_output")
    logits = back_end(outputs, classes, width, times)
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model
