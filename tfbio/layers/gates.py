"""Kernels of several gates in one variable, each drawn as if it were alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

# What activations do to the variance, as PyTorch has it (elu, which it lacks, as relu; leaky_relu
# with Keras' slope); others are taken for linear.
_GAINS = {"relu": 2**0.5, "elu": 2**0.5, "leaky_relu": (2 / (1 + 0.2**2)) ** 0.5, "tanh": 5 / 3}


def kaiming_fan_out(activation: Any) -> keras.initializers.Initializer:
    """He's normal initializer by the fan out, with the gain of an activation.

    Args:
        activation: a function or its name.
    """
    name = getattr(keras.activations.get(activation), "__name__", "")
    gain = _GAINS.get(name, 1.0)
    return keras.initializers.VarianceScaling(gain**2, "fan_out", "untruncated_normal")


def drawn_apart(initializer: Any, gates: int = 1, first: int = 0) -> Callable[..., Any]:
    """An initializer for kernels of several gates, one after the other on the last axis.

    A Keras initializer gives the same numbers at every call, and its fan out would count all gates.

    Args:
        initializer: of one gate's kernel; a Keras initializer or another function of (shape,
            dtype), which is called for each.
        gates: number of gates.
        first: number of kernels of this initializer before these, so that the kernels of two
            variables are not drawn alike from one seed.
    """

    def initialize(shape: Any, dtype: Any = None) -> Any:
        one = (*shape[:-1], shape[-1] // gates)
        parts = [_drawn_anew(initializer, first + gate)(one, dtype) for gate in range(gates)]
        return ops.concatenate(parts, axis=-1)

    return initialize


def _drawn_anew(initializer: Any, place: int) -> Any:
    """The initializer that draws other numbers at every place, if it draws any."""
    seed = getattr(initializer, "seed", None)
    if seed is None or isinstance(seed, keras.random.SeedGenerator):
        return initializer
    config = initializer.get_config()
    # Without a seed of the user's, a new object has a new one.
    if config["seed"] is not None:
        config["seed"] += place
    return type(initializer).from_config(config)
