"""Gradients of a layer, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np


def forward_and_backward(
    layer: keras.layers.Layer,
    variables: list[Any],
    inputs: np.ndarray,
    cotangent: np.ndarray,
    **arguments: Any,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The output, and the gradients of sum(output x cotangent): of the input, of every variable."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        image = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = layer(image, **arguments)
            loss = tf.reduce_sum(output * cotangent)
        gradients = tape.gradient(loss, [image, *(variable.value for variable in variables)])
    elif keras.backend.backend() == "jax":
        import jax

        order = [
            next(i for i, w in enumerate(layer.trainable_variables) if w is v) for v in variables
        ]

        def loss(image, values):
            output, _ = layer.stateless_call(values, non_trainable, image, **arguments)
            return keras.ops.sum(output * cotangent), output

        values = [variable.value for variable in layer.trainable_variables]
        non_trainable = [variable.value for variable in layer.non_trainable_variables]
        (_, output), (image, of_values) = jax.value_and_grad(loss, (0, 1), has_aux=True)(
            keras.ops.convert_to_tensor(inputs), values
        )
        gradients = [image, *(of_values[i] for i in order)]
    else:
        import torch

        image = torch.tensor(inputs, requires_grad=True)
        output = layer(image, **arguments)
        values = [variable.value for variable in variables]
        gradients = torch.autograd.grad((output * torch.tensor(cotangent)).sum(), [image, *values])
    return (
        keras.ops.convert_to_numpy(output),
        [keras.ops.convert_to_numpy(gradient) for gradient in gradients],
    )
