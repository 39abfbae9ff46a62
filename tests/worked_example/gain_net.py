"""A family of models: this file, the one of its weights, and an import line."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.models.construction import predictions, readout, unit_pixels, weights_and_classes
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights
from worked_example.gain_control import GainControl


@register_model(
    family="worked example",
    input_shape=(32, 32, 3),
    reference="none",
    quick_start={"channels": 4},
)
def gain_net(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "gain_net",
    channels: int = 16,
) -> keras.Model:
    """A convolution, gain control, and a readout of the mean.

    Args:
        input_shape: (H, W, 3).
        classes: number of classes.
        weights: a file or dict of arrays.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels inside the model.
        name: name of the model.
        channels: number of filters of a gain network.
    """
    if channels < 1:
        raise InputError(f"Expected at least 1 channel, received channels={channels}.")
    weights, classes = weights_and_classes(weights, classes)
    image = keras.Input(input_shape, name="image")
    outputs = unit_pixels(image) if include_preprocessing else image
    outputs = keras.layers.Conv2D(channels, 3, activation="relu", name="features_conv")(outputs)
    outputs = GainControl(name="features_gain")(outputs)
    outputs = keras.layers.GlobalMaxPooling2D(name="pool")(outputs)
    logits = readout(outputs, classes, "fc")
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model
