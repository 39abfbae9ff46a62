"""Gamma-net: a VGG with feedback gated recurrent units in its areas and between them."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.layers.bilinear_resizing import BilinearResizing
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.layers.instance_norm import instance_norm
from tfbio.layers.over_time import OverTime
from tfbio.layers.unroll import Unroll
from tfbio.models.construction import (
    check_input_shape,
    predictions,
    readout,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.models.vgg import VGGType, vgg_blocks
from tfbio.weights.loading import load_weights

# Where the areas end.
_AREAS: dict[VGGType, tuple[str, ...]] = {
    "normal": ("conv2_2", "conv3_3", "conv4_3", "conv5_3"),
    "small": ("conv2", "conv3", "conv4", "conv5"),
}
# Below it the highest area has less than the three pixels that attention reflects.
_SMALLEST: dict[VGGType, int] = {"normal": 48, "small": 101}

_FACTS: dict[str, Any] = {
    "family": "shape-selective RNNs",
    "input_shape": (224, 224, 3),
    "reference": "https://openreview.net/forum?id=H1gB4RVKvB",
    "weight_formats": ("PyTorch state dict",),
    "recurrent": True,
    "quick_start": {"input_shape": (48, 48, 3), "width": 0.125, "timesteps": 3},
}


@register_model(**_FACTS)
def gammanet(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "gammanet",
    tower_type: VGGType = "normal",
    timesteps: int = 8,
    return_sequences: bool = False,
    width: float = 1.0,
) -> keras.Model:
    """Gamma-net, with a linear classifier of the map that it reads out.

    Equation, for time step t:

        h(t) = cell(image, h(t - 1))                    (see `tfbio.layers.GammaNetCell`)
        map(t) = V * resize(norm(h_0(t))) + b           (1 x 1, one channel)
        logits(t) = W map(t) + c

    A ventral stream of four areas, each with lateral connections, and with feedback from the one
    above. What the image shows is settled between all of them, and read out from the lowest.

    Args:
        input_shape: (H, W, 3), each side 48 or more, for `"small"` 101 or more.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [0, 1] inside the model. Without it
            the model expects [0, 1].
        name: name of the model.
        tower_type: convolutions of the network, `"normal"` for the 13 of VGG16, `"small"` for five.
        timesteps: number of time steps, 1 or more. It changes no weight.
        return_sequences: return all time steps, or the last one.
        width: factor on the number of filters of every layer; 1 is the published network.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes).

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit. The classifier has a weight for every pixel: they fit
            images of one size.

    Reference:
        Linsley, Kim, Ashok, Serre (2020), "Recurrent neural circuits for contour detection",
        https://openreview.net/forum?id=H1gB4RVKvB

    Upstream:
        shape-processing-rnns, `GammaNetWrapper`, for images of 224 pixels alone, at the last of a
        number of time steps that is decided when it is built. Its convolutions begin at PyTorch's
        defaults or at weights of ImageNet, ours as He's. The 1 x 1 convolution of the readout
        comes before interpolation here, which gives the same and takes less time.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("gammanet", input_shape=(48, 48, 3), classes=16, timesteps=2,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 2, 16)
    """
    weights, classes = weights_and_classes(weights, classes)
    # === Functional model ===
    image, outputs = _readout_map(
        input_shape, include_preprocessing, tower_type, timesteps, return_sequences, width
    )
    # One channel: the order is the original's, row by row.
    flat = keras.layers.Reshape((input_shape[0] * input_shape[1],), name="pixels")
    outputs = OverTime(flat, name="pixels")(outputs)
    logits = readout(outputs, classes, "cls")
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


@register_model(**_FACTS, classifier=False)
def gammanet_map(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    weights: Any = None,
    include_preprocessing: bool = True,
    name: str = "gammanet_map",
    tower_type: VGGType = "normal",
    timesteps: int = 8,
    return_sequences: bool = False,
    width: float = 1.0,
) -> keras.Model:
    """Gamma-net without a classifier: the map that it reads out, such as one of contours.

    Equation and arguments are `gammanet`'s.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, timesteps, H, W, 1) with `return_sequences`, else (N, H, W, 1).

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Linsley, Kim, Ashok, Serre (2020), https://openreview.net/forum?id=H1gB4RVKvB

    Upstream:
        shape-processing-rnns, gamanet.py, `BaseGN`. No known difference but those of `gammanet`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("gammanet_map", input_shape=(48, 64, 3), width=0.125)
        >>> model.output_shape
        (None, 48, 64, 1)
    """
    # === Functional model ===
    image, outputs = _readout_map(
        input_shape, include_preprocessing, tower_type, timesteps, return_sequences, width
    )
    model = keras.Model(image, outputs, name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights)
    return model


def _readout_map(
    input_shape: tuple[int, int, int],
    include_preprocessing: bool,
    tower_type: VGGType,
    timesteps: int,
    return_sequences: bool,
    width: float,
) -> tuple[Any, Any]:
    """Symbolic image, and the map (N, H, W, 1), or (N, T, H, W, 1)."""
    if tower_type not in _AREAS:
        raise UnknownNameError("tower type", tower_type, _AREAS)
    if timesteps < 1:
        raise InputError(f"Expected at least 1 time step, received timesteps={timesteps}.")
    check_input_shape(input_shape, _SMALLEST[tower_type], fixed=True)
    image = keras.Input(input_shape, name="image")
    pixels = image
    if include_preprocessing:
        pixels = keras.layers.Rescaling(1 / 255, name="scale_pixels")(image)
    # Nothing follows the highest area.
    *blocks, _ = vgg_blocks(tower_type, _AREAS[tower_type], width)
    cell = GammaNetCell(blocks, name="gammanet_cell")
    outputs = Unroll(cell, timesteps, return_sequences=return_sequences, name="network")(pixels)
    layers = {
        "network_readout_norm": instance_norm("norm", cell.dtype_policy),
        "network_readout_conv": keras.layers.Conv2D(
            1,
            1,
            data_format="channels_last",
            name="conv",
            kernel_initializer=keras.initializers.VarianceScaling(
                2.0, "fan_in", "untruncated_normal"
            ),
        ),
        "network_readout_resize": BilinearResizing(input_shape[:2], name="resize"),
    }
    for name, layer in layers.items():
        outputs = OverTime(layer, name=name)(outputs)
    return image, outputs
