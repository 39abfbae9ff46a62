"""Whether a classifier gives probabilities or logits."""

from __future__ import annotations

from typing import Any

import keras

from tfbio._keras_graph import call_behind
from tfbio.errors import InputError

# Layers that, in inference, pass on what they receive; of activations, the linear one.
_PASSING_ON = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Identity,
    keras.layers.Reshape,
)
# A softmax of logarithms of probabilities gives the probabilities.
_LOGITS = ("linear", "log_softmax")


def ends_in_softmax(model: keras.Model) -> bool:
    """Whether a classifier gives probabilities, or else logits.

    Args:
        model: a functional or Sequential model with one output. Its last layer may be a model
            itself, may only pass on what it receives, and may have any name.

    Returns:
        True if it ends in a softmax; False if it ends in a linear activation or a log-softmax: the
        softmax of these gives the probabilities.

    Raises:
        InputError: it ends in neither.

    Example:
        >>> layers = [keras.Input((4,)), keras.layers.Dense(3, activation="softmax")]
        >>> ends_in_softmax(keras.Sequential(layers))
        True
    """
    activations: list[str | None] = []
    tensor = model.outputs[0]
    while tensor is not None and activations[-1:] in ([], [None], ["linear"]):
        node = call_behind(tensor)
        layer = node.operation
        inner = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
        activations.append(_activation(inner))
        if getattr(inner, "outputs", None):  # a model within the model
            (index,) = (n for n, each in enumerate(node.output_tensors) if each is tensor)
            tensor = inner.outputs[index]
        elif isinstance(layer, _PASSING_ON):
            # Probabilities that such a layer passes on must not be taken for logits.
            (tensor,) = node.input_tensors
        else:
            tensor = None
    if activations[-1] == "softmax":
        return True
    if any(name in _LOGITS for name in activations):
        return False
    last = call_behind(model.outputs[0]).operation.name
    raise InputError(
        f"Expected a classifier that ends in softmax or logits, received {model.name!r}, which "
        f"ends in {last!r} with {activations[-1] or 'no'} activation: give it a last layer "
        "`keras.layers.Activation('softmax')`, or 'linear' if what it gives are logits."
    )


def _activation(layer: Any) -> str | None:
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    activation = getattr(layer, "activation", None)
    return activation and getattr(activation, "__name__", type(activation).__name__)
