"""A layer: one file and its export line."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="worked_example")
class GainControl(keras.layers.Layer):
    """One gain for each channel: y = exp(g) x.

    Input shape:
        (N, H, W, C)

    Output shape:
        (N, H, W, C)
    """

    def build(self, input_shape):
        self.log_gain = self.add_weight((input_shape[-1],), "zeros", name="log_gain")

    def call(self, inputs):
        return ops.exp(self.log_gain) * inputs
