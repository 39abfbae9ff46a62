"""The same model without its last activation, for losses and attacks that want logits."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError

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
    layer, node, _ = outputs[0]._keras_history
    inputs = layer._inbound_nodes[node].input_tensors
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


@keras.saving.register_keras_serializable(package="tfbio")
class DenseLogits(keras.layers.Layer):
    """A Dense layer without its activation, with its weights.

    Equation: outputs = inputs . kernel + bias

    Args:
        dense: a `keras.layers.Dense` that has been built.
        **kwargs: `name` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, ..., C)

    Output shape:
        (N, ..., units)

    Example:
        >>> dense = keras.layers.Dense(3, activation="softmax")
        >>> inputs = keras.ops.ones((1, 2))
        >>> probabilities = dense(inputs)
        >>> logits = DenseLogits(dense)(inputs)
        >>> bool(keras.ops.all(keras.ops.softmax(logits) == probabilities))
        True
    """

    def __init__(self, dense: keras.layers.Dense, **kwargs: Any):
        kwargs.setdefault("dtype", dense.dtype_policy)
        super().__init__(**kwargs)
        self.dense = dense

    def build(self, inputs_shape):
        if not self.dense.built:
            self.dense.build(inputs_shape)

    def call(self, inputs):
        outputs = ops.matmul(inputs, self.dense.kernel)
        return outputs if self.dense.bias is None else ops.add(outputs, self.dense.bias)

    def compute_output_shape(self, inputs_shape):
        return (*inputs_shape[:-1], self.dense.units)

    def get_config(self):
        return {**super().get_config(), "dense": keras.saving.serialize_keras_object(self.dense)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("dense")), **config)
