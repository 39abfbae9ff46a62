"""Recurrent cells by loops in NumPy float64: what they share, and how they are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from golden_data import relative_error
from layers.naive import cross_correlate

from tfbio.layers.unroll import Unroll

Weights = dict[str, np.ndarray]


def convolution(maps, kernel, strides=(1, 1)):
    """As cells have it: the size kept with stride 1, the odd zero last; else no padding."""
    height, width = kernel.shape[:2]
    zeros = ((0, 0), (0, 0))
    if tuple(strides) == (1, 1):
        zeros = (((height - 1) // 2, height // 2), ((width - 1) // 2, width // 2))
    return cross_correlate(maps, kernel, strides, zeros)


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def layer_norm(maps, gamma, beta):
    """Over the map and the channels of each image."""
    mean = maps.mean(axis=(1, 2, 3), keepdims=True)
    variance = maps.var(axis=(1, 2, 3), keepdims=True)
    return (maps - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def draw_weights(layer: keras.layers.Layer, scale: float = 0.4) -> Weights:
    """Give every weight of an unrolled cell random numbers: `kernel`, or `norm.gamma`, to them."""
    rng = np.random.default_rng(3)
    drawn = {}
    for variable in layer.weights:
        parent, name = variable.path.split("/")[-2:]
        name = name if parent == layer.cell.name else f"{parent}.{name}"
        drawn[name] = scale * rng.standard_normal(variable.shape)
        variable.assign(drawn[name])
    assert len(drawn) == len(layer.weights)
    return drawn


def check_against_loop(
    make: Callable[[], Any],
    naive: Callable[[Weights, np.ndarray], np.ndarray],
    channels: int = 2,
    sizes: tuple[int, int] = (5, 7),
) -> None:
    """An unrolled cell in float64 against a loop: every step, and the slope along one direction.

    Args:
        make: gives the cell.
        naive: of the weights and a sequence (N, T, H, W, C), the outputs (N, T, ...).
        channels: of the inputs.
        sizes: height and width of the inputs.
    """
    rng = np.random.default_rng(4)
    sequence = rng.standard_normal((2, 3, *sizes, channels))
    keras.config.set_dtype_policy("float64")
    layer = Unroll(make())
    layer.build(sequence.shape)
    weights = draw_weights(layer)
    inputs = tf.constant(sequence)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(inputs)
        cotangent = rng.standard_normal(output.shape)
        loss = tf.reduce_sum(output * cotangent)
    assert relative_error(output, naive(weights, sequence)) < 1e-10
    batch, *sizes = layer.cell.map_shape((2, *sizes, channels))[:3]
    assert tuple(output.shape[:4]) == (batch, 3, *sizes)

    gradients = tape.gradient(loss, [inputs, *(each.value for each in layer.weights)])
    ours = {"inputs": gradients[0], **dict(zip(weights, gradients[1:], strict=True))}
    for name, gradient in ours.items():
        direction = rng.standard_normal(gradient.shape)

        def moved(by, name=name, direction=direction):
            if name == "inputs":
                output = naive(weights, sequence + by * direction)
            else:
                output = naive({**weights, name: weights[name] + by * direction}, sequence)
            return np.sum(output * cotangent)

        slope = (moved(1e-5) - moved(-1e-5)) / 2e-5
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(np.sum(gradient * direction) - slope) < 1e-7 * scale, name
