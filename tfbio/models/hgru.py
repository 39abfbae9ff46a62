"""Networks around the horizontal gated recurrent unit: one layer for Pathfinder, and a VGG16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio.errors import InputError
from tfbio.layers.batch_statistics import BatchStatistics
from tfbio.layers.filter_initializers import ContourFilters
from tfbio.layers.hgru_cell import Activation, HGRUCell, HiddenInit
from tfbio.layers.over_time import OverTime
from tfbio.layers.unroll import Unroll
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout_dtype,
    torch_uniform,
    torch_uniform_bias,
    unit_pixels,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.models.vgg import vgg_blocks
from tfbio.weights.loading import load_weights

_PATHFINDER_CLASSES = 2
_SMALLEST_INPUT = 16
_SMALLEST_VGG_INPUT = 32
_IMAGENET_PIXELS = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_FACTS: dict[str, Any] = {
    "family": "shape-selective RNNs",
    "reference": "10.48550/arXiv.1805.08315",
    "recurrent": True,
}


@register_model(
    **_FACTS,
    input_shape=(150, 150, 3),
    quick_start={"input_shape": (64, 64, 3), "strides": 2},
)
def hgru(
    input_shape: InputShape = (150, 150, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "hgru",
    filters: int = 25,
    kernel_size: int = 15,
    timesteps: int = 8,
    return_sequences: bool = False,
    activation: Activation = "tanh",
    shared_kernel: bool = True,
    strides: int = 1,
    hidden_init: HiddenInit = "zeros",
) -> keras.Model:
    """One layer of horizontal gated recurrent units, as it learned the Pathfinder challenge.

    Equation: X = (G * pixels + b)^2 with 7 x 7 filters G that begin as Gabor filters, which is the
    energy of contours; h = hGRU over X for the time steps; and the readout

        logits = Dense( BN( max over space of P * BN(h(T)) ) ),    P is 1 x 1, one map a class

    Horizontal connections, which in V1 join cells of like orientation in a line, carry activity
    along a path step by step: what belongs together is marked in the end.

    Args:
        input_shape: (H, W, 3), each side 16 or more, or None for any size.
        classes: number of classes; by default the number of readouts in the weights file, or 2.
        weights: a `.keras` file of this model, or a dict of arrays, see `tfbio.load_weights`.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [0, 1] inside the model. Without it
            the model expects [0, 1].
        name: name of the model.
        filters: number of channels.
        kernel_size: an odd int, extent of the horizontal connections, pixels.
        timesteps: number of time steps, 1 or more; see `tfbio.with_timesteps` for others
            afterwards.
        return_sequences: return all time steps, or the last one.
        activation: activation of both stages, `"tanh"`, or `"relu"` for suppression that is
            rectified, see `HGRUCell`.
        shared_kernel: one kernel for suppression and facilitation, or one for each.
        strides: stride of the filters G, pixels; 1 is the published network. With 2 the time of a
            step falls to a quarter, and horizontal connections extend over twice as many pixels.
        hidden_init: first state of the cells, `"zeros"`, or `"noise"`, see `HGRUCell`.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes).

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Linsley, Kim, Veerabadran, Windolf, Serre (2018), "Learning long-range spatial dependencies
        with horizontal gated recurrent units", https://arxiv.org/abs/1805.08315

    Upstream:
        hgru_share, hgru_bn.py (TensorFlow 1). There images are grey; here the filters begin alike
        for the three colours. The Gabor filters come from a file there; here they are computed:
        two phases at evenly spaced orientations, and for an odd number of filters a difference of
        Gaussians. Momentum and epsilon of batch normalization are PyTorch's.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("hgru", input_shape=(32, 32, 3), kernel_size=9)
        >>> model.output_shape
        (None, 2)
    """
    _check_counts(timesteps=timesteps, filters=filters, strides=strides)
    weights, classes = weights_and_classes(weights, classes, _PATHFINDER_CLASSES)
    check_input_shape(input_shape, _SMALLEST_INPUT)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    pixels = unit_pixels(image) if include_preprocessing else image
    drive = keras.layers.Conv2D(
        filters,
        7,
        strides,
        padding="same",
        data_format="channels_last",
        kernel_initializer=ContourFilters(),
        name="contours",
    )(pixels)
    drive = keras.ops.square(drive)
    cell = HGRUCell(
        filters,
        kernel_size,
        activation=activation,
        shared_kernel=shared_kernel,
        hidden_init=hidden_init,
        max_timesteps=timesteps,
        name="hgru_cell",
    )
    outputs = Unroll(cell, timesteps=timesteps, return_sequences=return_sequences, name="hgru")(
        drive
    )
    outputs = _normalized(outputs, "hgru_norm")
    for layer in (
        keras.layers.Conv2D(
            classes, 1, use_bias=False, data_format="channels_last", name="readout_maps"
        ),
        keras.layers.GlobalMaxPooling2D(data_format="channels_last", name="readout_pool"),
    ):
        outputs = OverTime(layer, name=layer.name)(outputs)
    outputs = _normalized(outputs, "readout_norm", ndim=2)
    dense = keras.layers.Dense(classes, dtype=readout_dtype(), name="readout")
    logits = OverTime(dense, ndim=2, name=dense.name)(outputs)
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


@register_model(
    **_FACTS,
    input_shape=(150, 150, 3),
    weight_formats=("PyTorch state dict",),
    quick_start={"input_shape": (32, 32, 3), "filters": 12, "kernel_size": 9, "timesteps": 4},
)
def hconvgru(
    input_shape: InputShape = (150, 150, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "hconvgru",
    filters: int = 48,
    kernel_size: int = 15,
    timesteps: int = 8,
    return_sequences: bool = False,
    hidden_init: HiddenInit = "zeros",
    upstream_exact: bool | None = None,
) -> keras.Model:
    """One layer of horizontal gated recurrent units, as its authors wrote it again in PyTorch.

    Equation: X = softplus(W * pixels + b) with 5 x 5 filters W; h = hGRU over X, of the rectified
    form with two kernels; logits = Dense(mean over space of leaky_relu(P * BN(h(T)))).

    Args:
        input_shape: (H, W, 3), or (H, W, 1) for grey images; each side 16 or more, or None.
        classes: number of classes; by default the number of readouts in the weights file, or 2.
        weights: a file or dict of arrays, see `tfbio.load_weights`.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [0, 1] inside the model.
        name: name of the model.
        filters: number of channels.
        kernel_size: an odd int, extent of the horizontal connections, pixels.
        timesteps: number of time steps, 1 or more.
        return_sequences: return all time steps, or the last one.
        hidden_init: first state of the cells, `"zeros"`, or `"noise"`, see `HGRUCell`.
        upstream_exact: the batch normalization of the readout takes the statistics of the batch in
            inference, too, so that an image's result depends on the others; and see `HGRUCell`.
            None computes so if `weights` are a state dict of the original.

    Input shape:
        (N, H, W, 3) or (N, H, W, 1), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes).

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Linsley, Kim, Veerabadran, Windolf, Serre (2018), "Learning long-range spatial dependencies
        with horizontal gated recurrent units", https://arxiv.org/abs/1805.08315

    Upstream:
        serre-lab, hgru.py, `hConvGRU`, which needs a GPU, and takes grey images. Its second batch
        normalization is in the state dict and not used.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("hconvgru", input_shape=(32, 32, 1), filters=8,
        ...                            kernel_size=5)
        >>> model.output_shape
        (None, 2)
    """
    _check_counts(timesteps=timesteps, filters=filters)
    weights, classes = weights_and_classes(weights, classes, _PATHFINDER_CLASSES)
    if upstream_exact is None:
        # One that `to_torch_state_dict` wrote of the right form has averages.
        exact = weights is not None and weights.is_state_dict
        upstream_exact = exact and "bn.running_mean" not in weights.arrays
    check_input_shape(input_shape, _SMALLEST_INPUT, channels=(1, 3))
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    pixels = unit_pixels(image) if include_preprocessing else image
    drive = keras.layers.Conv2D(
        filters,
        5,
        padding="same",
        activation="softplus",
        data_format="channels_last",
        name="conv0",
    )(pixels)
    cell = HGRUCell(
        filters,
        kernel_size,
        hidden_init=hidden_init,
        max_timesteps=timesteps,
        upstream_exact=upstream_exact,
        name="unit1_cell",
    )
    outputs = Unroll(cell, timesteps=timesteps, return_sequences=return_sequences, name="unit1")(
        drive
    )
    norm = (
        BatchStatistics(epsilon=1e-3, name="bn")
        if upstream_exact
        else keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.9, name="bn")
    )
    outputs = OverTime(norm, separately=True, name="bn")(outputs)
    for layer in (
        keras.layers.Conv2D(
            _PATHFINDER_CLASSES,
            1,
            data_format="channels_last",
            activation=keras.layers.LeakyReLU(0.01),
            kernel_initializer=torch_uniform(),
            name="conv6",
        ),
        keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avgpool"),
    ):
        outputs = OverTime(layer, name=layer.name)(outputs)
    dense = keras.layers.Dense(
        classes,
        kernel_initializer=torch_uniform(),
        bias_initializer=torch_uniform_bias(_PATHFINDER_CLASSES),
        dtype=readout_dtype(),
        name="dense1",
    )
    logits = OverTime(dense, ndim=2, name="dense1")(outputs)
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


@register_model(
    **_FACTS,
    input_shape=(224, 224, 3),
    weight_formats=("PyTorch state dict",),
    quick_start={"input_shape": (32, 32, 3), "width": 0.125, "timesteps": 3},
)
def vgg16_hgru(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "vgg16_hgru",
    width: float = 1.0,
    hgru_layers: Sequence[tuple[str, int]] = (("conv1_2", 5), ("conv2_2", 3)),
    timesteps: int = 8,
    return_sequences: bool = False,
    relu: bool = True,
    include_top: bool = True,
    hidden_init: HiddenInit = "zeros",
    upstream_exact: bool | None = None,
) -> keras.Model:
    """VGG16 with horizontal gated recurrent units behind some of its convolutions.

    The layers in front of the first hGRU are computed once. Each hGRU goes through its time steps;
    what follows sees its state at every one of them. A linear readout of the spatial mean ends it.

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] by ImageNet's mean and deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        width: factor on the number of filters of every layer; 1 is VGG16.
        hgru_layers: names of the convolutions that an hGRU follows, `conv1_1` to `conv5_3` in this
            order, each with the kernel size of its hGRU, odd.
        timesteps: number of time steps, 1 or more.
        return_sequences: return all time steps, or the last one.
        relu: rectify what the convolutions give. The original did not, by mistake.
        include_top: read out classes; otherwise the model ends in the maps of `conv5_3`, which is
            where the original ends.
        hidden_init: first state of the cells, `"zeros"`, or `"noise"`, see `HGRUCell`.
        upstream_exact: compute the hGRUs as the original does, defects included, see `HGRUCell`.
            None does so if `weights` are a state dict of the original.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes). Without the top, maps
        (N, H / 16, W / 16, filters) in place of classes.

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Linsley, Kim, Veerabadran, Windolf, Serre (2018), "Learning long-range spatial dependencies
        with horizontal gated recurrent units", https://arxiv.org/abs/1805.08315; Simonyan,
        Zisserman (2015), https://arxiv.org/abs/1409.1556.

    Upstream:
        serre-lab and shape-processing-rnns, `VGG_16_hGRU`, which does not run as published
        (undefined names, an inverted condition, no first state). It has no readout.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vgg16_hgru", input_shape=(32, 32, 3), classes=16,
        ...                            width=0.125, timesteps=2)
        >>> model.output_shape
        (None, 16)
    """
    _check_counts(timesteps=timesteps)
    weights, classes = weights_and_classes(weights, classes)
    if upstream_exact is None:
        upstream_exact = weights is not None and weights.is_state_dict
    check_input_shape(input_shape, _SMALLEST_VGG_INPUT)
    if not hgru_layers:
        raise InputError("Expected at least one layer with an hGRU behind it, received none.")
    if any(np.shape(each) != (2,) for each in hgru_layers):
        raise InputError(
            "Expected `hgru_layers` of pairs, the name of a convolution and the kernel size of "
            f"its hGRU, received {hgru_layers!r}."
        )
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    outputs = normalized_pixels(image, *_IMAGENET_PIXELS) if include_preprocessing else image
    cuts = [cut for cut, _ in hgru_layers]
    blocks = vgg_blocks("normal", cuts, width, relu)
    for number, block in enumerate(blocks):
        for layer in block:
            outputs = OverTime(layer, name=layer.name)(outputs) if number else layer(outputs)
        if number == len(hgru_layers):
            break
        cell = HGRUCell(
            outputs.shape[-1],
            hgru_layers[number][1],
            hidden_init=hidden_init,
            max_timesteps=timesteps,
            upstream_exact=upstream_exact,
            name=f"hgru_units_{number}_cell",
        )
        last = number == len(hgru_layers) - 1
        outputs = Unroll(
            cell,
            timesteps=timesteps,
            return_sequences=return_sequences or not last,
            name=f"hgru_units_{number}",
        )(outputs)
    if include_top:
        mean = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avgpool")
        outputs = OverTime(mean, name="avgpool")(outputs)
        dense = keras.layers.Dense(classes, dtype=readout_dtype(), name="readout")
        logits = OverTime(dense, ndim=2, name="readout")(outputs)
        outputs = predictions(logits, classifier_activation)
    model = keras.Model(image, outputs, name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _check_counts(**arguments: int) -> None:
    """Refuse what is no number of 1 or more."""
    for name, value in arguments.items():
        if value < 1:
            raise InputError(f"Expected `{name}` of 1 or more, received {value}.")


def _normalized(inputs: Any, name: str, ndim: int = 4) -> Any:
    """Batch normalization of each time step by itself, with the same averages for inference."""
    norm = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name)
    return OverTime(norm, ndim, separately=True, name=name)(inputs)
