"""BL-RCNN, the recurrent network of Spoerer et al. 2020, and its four feed-forward controls.

Layer names are the original's, so that its weight files fit by name and by position.
"""

from __future__ import annotations

from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.layers.bl_conv2d import BLConv2D
from tfbio.models.construction import (
    check_input_shape,
    predictions,
    readout_dtype,
    scaled,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights

BL_FILTERS = (96, 128, 192, 256, 512, 1024, 2048)
BL_KERNEL_SIZES = (7, 5, 3, 3, 3, 3, 1)

# Below this size the six poolings of the original (2 x 2, valid) leave no pixel.
_SMALLEST_VALID_POOLING = 64
_SMALLEST_INPUT = 32
_L2 = 1e-6

_FACTS: dict[str, Any] = {
    "family": "BL-RCNN",
    "input_shape": (128, 128, 3),
    "reference": "10.1371/journal.pcbi.1008215",
    "weight_formats": ("legacy Keras h5",),
}
_QUICK_SIZE = {"input_shape": (32, 32, 3), "width": 0.125}


@register_model(
    **_FACTS,
    recurrent=True,
    trained_over_time=True,
    quick_start={**_QUICK_SIZE, "timesteps": 4},
)
def bl_rcnn(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "bl_rcnn",
    timesteps: int = 8,
    cumulative_readout: bool = False,
    return_sequences: bool = False,
    width: float = 1.0,
) -> keras.Model:
    """BL-net: seven convolutional layers with bottom-up and lateral connections, over time.

    Equation, for layer n and time step t:

        a_n(t) = relu(BN_{n,t}(B_n * pool(a_{n-1}(t)) + L_n * a_n(t-1)))
        logits(t) = Dense(mean over space of a_6(t))
        output(t) = softmax(logits(t)), or softmax(sum over k <= t of logits(k)) if cumulative

    The image stays on; evidence accumulates through the lateral connections within each area.
    One Dense reads out every time step, so the network can be stopped at any of them: accuracy
    rises, and the entropy of the output falls, with time.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size (64 or more at run time).
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [-1, 1] inside the model. Without it
            the model expects [-1, 1].
        name: name of the model.
        timesteps: number of time steps, 1 or more; the published network has 8.
        cumulative_readout: read out the sum of the logits up to each time step.
        return_sequences: return all time steps, or the last one.
        width: factor on the number of filters of every layer; 1 is the published network.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes).

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Spoerer, Kietzmann, Mehrer, Charest, Kriegeskorte (2020), "Recurrent neural networks can
        explain flexible trading of speed and accuracy in biological vision",
        doi:10.1371/journal.pcbi.1008215. Used on 16 classes by Subramanian et al. (2022), SATBench.

    Upstream:
        rcnn-sat, `bl_net`. There the outputs are a list and each has a softmax layer of its own;
        here the logits are stacked over time and one activation, `predictions`, follows. Pooling
        is `same` instead of `valid` below 64 pixels, where the original cannot be built. In
        training, legacy Keras averaged the unbiased variance of a batch, n / (n - 1) times the
        biased one that Keras 3 averages.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=16, timesteps=3,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 3, 16)
    """
    if timesteps < 1:
        raise InputError(f"Expected at least 1 time step, received timesteps={timesteps}.")
    weights, classes = weights_and_classes(weights, classes)
    check_input_shape(input_shape, _SMALLEST_INPUT)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    static_input = _scale_pixels(image) if include_preprocessing else image
    areas = [
        BLConv2D(
            filters, kernel_size, kernel_regularizer=keras.regularizers.L2(_L2), name=f"RCL_{n}"
        )
        for n, (filters, kernel_size) in enumerate(
            zip(scaled(BL_FILTERS, width), BL_KERNEL_SIZES, strict=True)
        )
    ]
    readout = _readout(classes)
    last_activity: list[Any] = [None] * len(areas)
    image_drive = None
    evidence: list[Any] = []
    logits: list[Any] = []
    for t in range(timesteps):
        below = static_input
        for n, area in enumerate(areas):
            if n == 0:
                # The image does not change: its bottom-up drive is computed once.
                drive = image_drive = area.bottom_up(below) if t == 0 else image_drive
            else:
                drive = area.bottom_up(_pool(below, input_shape, f"MaxPool_Layer_{n}_Time_{t}"))
            terms = [drive] if t == 0 else [drive, area.recurrent(last_activity[n])]
            # Called at t = 0 too, with one term: legacy files load by position only if every
            # layer of the original is there.
            drive = area.total(terms)
            drive = _batch_normalization(f"BatchNorm_Layer_{n}_Time_{t}")(drive)
            below = keras.layers.Activation("relu", name=f"ReLU_Layer_{n}_Time_{t}")(drive)
            last_activity[n] = below
        pooled = keras.layers.GlobalAveragePooling2D(name=f"GlobalAvgPool_Time_{t}")(below)
        evidence.append(readout(pooled))
        if cumulative_readout and t > 0:
            total = keras.layers.Add(dtype=readout_dtype(), name=f"CumulativeReadout_Time_{t}")
            logits.append(total(list(evidence)))
        else:
            logits.append(evidence[-1])
    # All time steps are read out even if the last alone is returned: one graph, hence one order of
    # layers, whatever is returned. The earlier readouts are under 0.1 % of the work.
    output = keras.ops.stack(logits, axis=1)
    if not return_sequences:
        output = keras.ops.take(output, timesteps - 1, axis=1)
    model = keras.Model(image, predictions(output, classifier_activation), name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _b_network(
    input_shape: tuple[int | None, int | None, int],
    classes: int | None,
    weights: Any,
    classifier_activation: str | None,
    include_preprocessing: bool,
    name: str,
    width: float,
    kernel_sizes: tuple[int, ...] = BL_KERNEL_SIZES,
    filters: tuple[int, ...] = BL_FILTERS,
    convolutions_per_area: int = 1,
) -> keras.Model:
    """A feed-forward control: per layer, convolution, batch normalization, rectification."""
    weights, classes = weights_and_classes(weights, classes)
    check_input_shape(input_shape, _SMALLEST_INPUT)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    activity = _scale_pixels(image) if include_preprocessing else image
    layer = 0
    for area, (area_filters, kernel_size) in enumerate(
        zip(scaled(filters, width), kernel_sizes, strict=True)
    ):
        if area > 0:
            activity = _pool(activity, input_shape, f"MaxPool_Layer_{layer}")
        for _ in range(convolutions_per_area):
            activity = keras.layers.Conv2D(
                area_filters,
                kernel_size,
                padding="same",
                use_bias=False,
                data_format="channels_last",
                kernel_initializer="glorot_uniform",
                kernel_regularizer=keras.regularizers.L2(_L2),
                name=f"Conv_Layer_{layer}",
            )(activity)
            activity = _batch_normalization(f"BatchNorm_Layer_{layer}")(activity)
            activity = keras.layers.Activation("relu", name=f"ReLU_Layer_{layer}")(activity)
            layer += 1
    pooled = keras.layers.GlobalAveragePooling2D(name="GlobalAvgPool")(activity)
    output = predictions(_readout(classes)(pooled), classifier_activation)
    model = keras.Model(image, output, name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


@register_model(**_FACTS, quick_start=_QUICK_SIZE)
def b_cnn(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "b_cnn",
    width: float = 1.0,
) -> keras.Model:
    """B: the bottom-up part of BL-net alone, 11 million parameters against its 29.

    Equation, for layer n: a_n = relu(BN_n(B_n * pool(a_{n-1}))), then a linear readout of the
    spatial mean. It has BL-net's layers and no recurrence: what it lacks, recurrence gives.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size (64 or more at run time).
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [-1, 1] inside the model.
        name: name of the model.
        width: factor on the number of filters of every layer; 1 is the published network.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Spoerer et al. (2020), doi:10.1371/journal.pcbi.1008215

    Upstream:
        rcnn-sat, `b_net`. No known difference from 64 pixels on.

    Example:
        >>> import tfbio
        >>> tfbio.create_model("b_cnn", input_shape=(64, 64, 3)).count_params()
        11046280
    """
    return _b_network(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name, width
    )


@register_model(**_FACTS, quick_start=_QUICK_SIZE)
def b_k_cnn(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "b_k_cnn",
    width: float = 1.0,
) -> keras.Model:
    """B-K: B with larger kernels, which match the receptive fields and parameters of BL-net.

    Kernel sizes are 11, 7, 5, 5, 5, 5, 3; equation, arguments, shapes and errors are `b_cnn`'s.

    Reference:
        Spoerer et al. (2020), doi:10.1371/journal.pcbi.1008215

    Upstream:
        rcnn-sat, `b_k_net`. No known difference from 64 pixels on.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_k_cnn", input_shape=(32, 32, 3), classes=9, width=0.125)
        >>> model.get_layer("Conv_Layer_0").kernel_size
        (11, 11)
    """
    return _b_network(
        input_shape,
        classes,
        weights,
        classifier_activation,
        include_preprocessing,
        name,
        width,
        kernel_sizes=(11, 7, 5, 5, 5, 5, 3),
    )


@register_model(**_FACTS, quick_start=_QUICK_SIZE)
def b_f_cnn(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "b_f_cnn",
    width: float = 1.0,
) -> keras.Model:
    """B-F: B with twice the feature maps, which match the parameters of BL-net.

    Equation, arguments, shapes and errors are `b_cnn`'s.

    Reference:
        Spoerer et al. (2020), doi:10.1371/journal.pcbi.1008215

    Upstream:
        rcnn-sat, `b_f_net` (which its package does not export). No known difference from 64
        pixels on.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_f_cnn", input_shape=(32, 32, 3), classes=9, width=0.125)
        >>> model.get_layer("Conv_Layer_0").filters
        24
    """
    return _b_network(
        input_shape,
        classes,
        weights,
        classifier_activation,
        include_preprocessing,
        name,
        width,
        filters=tuple(2 * filters for filters in BL_FILTERS),
    )


@register_model(**_FACTS, quick_start=_QUICK_SIZE)
def b_d_cnn(
    input_shape: tuple[int | None, int | None, int] = (128, 128, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "b_d_cnn",
    width: float = 1.0,
) -> keras.Model:
    """B-D: B with every layer twice, which matches the parameters of BL-net by depth.

    Fourteen layers, pooling before each pair; equation, arguments, shapes and errors are `b_cnn`'s.

    Reference:
        Spoerer et al. (2020), doi:10.1371/journal.pcbi.1008215

    Upstream:
        rcnn-sat, `b_d_net`. No known difference from 64 pixels on.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_d_cnn", input_shape=(32, 32, 3), classes=9, width=0.125)
        >>> model.get_layer("ReLU_Layer_13").output.shape
        (None, 1, 1, 256)
    """
    return _b_network(
        input_shape,
        classes,
        weights,
        classifier_activation,
        include_preprocessing,
        name,
        width,
        convolutions_per_area=2,
    )


# === Parts that both kinds of network share ===


def _scale_pixels(image: Any) -> Any:
    """[0, 255] to [-1, 1], as the networks were trained."""
    return keras.layers.Rescaling(1 / 127.5, offset=-1.0, name="scale_pixels")(image)


def _pool(activity: Any, input_shape: tuple[int | None, int | None, int], name: str) -> Any:
    small = any(side is not None and side < _SMALLEST_VALID_POOLING for side in input_shape[:2])
    return keras.layers.MaxPooling2D(
        2, strides=2, padding="same" if small else "valid", data_format="channels_last", name=name
    )(activity)


def _batch_normalization(name: str) -> keras.layers.BatchNormalization:
    return keras.layers.BatchNormalization(axis=-1, epsilon=1e-3, momentum=0.99, name=name)


def _readout(classes: int) -> keras.layers.Dense:
    return keras.layers.Dense(
        classes,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=keras.regularizers.L2(_L2),
        dtype=readout_dtype(),
        name="ReadoutDense",
    )
