"""A Dense layer before its activation."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
