"""BatchStatistics: batch normalization that keeps no averages."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfbio")
class BatchStatistics(keras.layers.Layer):
    """Normalization of each channel over the batch at hand, in training and in inference.

    Equation, with mean and variance of a channel over images and places:

        outputs = gamma (inputs - mean) / sqrt(variance + epsilon) + beta

    An image's result depends on the images beside it: it is there to reproduce networks that were
    trained so. `keras.layers.BatchNormalization` keeps averages for inference.

    Args:
        epsilon: added to the variance.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, ..., C)

    Output shape:
        As the input.

    Reference:
        Ioffe, Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
        internal covariate shift", https://arxiv.org/abs/1502.03167

    Upstream:
        `torch.nn.BatchNorm2d` without running statistics. No known difference.

    Example:
        >>> import numpy as np, tfbio
        >>> layer = tfbio.layers.BatchStatistics(epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]])).numpy().ravel()
        array([-1.,  1.], dtype=float32)
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, inputs_shape):
        self.gamma = self.add_weight((inputs_shape[-1],), "ones", name="gamma")
        self.beta = self.add_weight((inputs_shape[-1],), "zeros", name="beta")

    def call(self, inputs):
        axes = tuple(range(len(inputs.shape) - 1))
        # At least float32: sums over a batch of maps leave half precision.
        values = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
        mean, variance = ops.moments(values, axes, keepdims=True)
        scale = ops.cast(self.gamma, values.dtype) * ops.rsqrt(variance + self.epsilon)
        outputs = (values - mean) * scale + ops.cast(self.beta, values.dtype)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}
