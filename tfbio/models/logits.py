"""The same model without its last activation, for losses and attacks that want logits."""

from __future__ import annotations

from typing import Any

import keras

from tfbio._keras_graph import call_behind
from tfbio.errors import InputError
from tfbio.layers.dense_logits import DenseLogits

# What turns logits into probabilities, or leaves them as they are.
_OF_LOGITS = ("softmax", "log_softmax", "sigmoid", "linear")


def logits_model(model: keras.Model) -> keras.Model:
    """The model up to the input of its last activation, sharing every weight.

    A cross-entropy computed from the logits keeps its gradient where the softmax has saturated.

    Args:
        model: a classifier of the registry, or any functional or Sequential one with one output
            whose last layer is an activation (`Activation` or `Softmax`), a Dense with one, a layer
            without one that gives logits (`activation=None`), or a model that ends so. The
            activation is softmax, log_softmax, sigmoid or linear.

    Returns:
        A functional model that gives logits, of the same output shape.

    Raises:
        InputError: the model is of another kind, or ends otherwise.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> image = np.zeros((1, 32, 32, 3))
        >>> logits = logits_model(model)(image)
        >>> bool(np.allclose(keras.ops.softmax(logits), model(image)))
        True
    """
    # A Sequential model has them once it knows its input.
    outputs = getattr(model, "outputs", None) or []
    if len(outputs) != 1:
        raise InputError(
            "Expected a functional or Sequential model with a known input and one output, received "
            f"{getattr(model, 'name', model)!r} with {len(outputs)} of them."
        )
    # The layer may be shared with another model: its input is the one of this model's output.
    node = call_behind(outputs[0])
    layer, inputs = node.operation, node.input_tensors
    logits = _before_activation(layer, inputs[0], outputs[0]) if len(inputs) == 1 else None
    if logits is None:
        raise InputError(
            f"Expected a model whose last layer gives probabilities or logits, received "
            f"{model.name!r}, which ends in {layer.name!r}, a {type(layer).__name__}: end it in "
            "`keras.layers.Activation('softmax')`, or in `Activation('linear')` after logits."
        )
    # As exact as the activation itself, so that a loss in mixed precision stays exact.
    logits = keras.layers.Activation("linear", dtype=layer.dtype_policy, name="logits")(logits)
    image = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.Model(image, logits, name=f"{model.name}_logits")


def _before_activation(layer: Any, inputs: Any, outputs: Any) -> Any:
    """What a last layer gives without its activation, or None if that is not known."""
    if isinstance(layer, keras.Model):
        return logits_model(layer)(inputs)
    if isinstance(layer, keras.layers.Softmax):
        return inputs
    name = getattr(getattr(layer, "activation", None), "__name__", None)
    if name not in _OF_LOGITS:
        return None
    if isinstance(layer, keras.layers.Activation):
        return inputs
    if name == "linear":
        return outputs
    if isinstance(layer, keras.layers.Dense):
        return DenseLogits(layer, name=f"{layer.name}_logits")(inputs)
    return None
