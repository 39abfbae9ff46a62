"""Where the random draws of a model's layers stand, which no weights file of Keras holds."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np


def random_state(model: keras.Model) -> list[np.ndarray]:
    """The state of every seed generator of a model's layers, in the layers' order.

    Args:
        model: any model.

    Returns:
        For each generator a pair of numbers: its seed, and how many draws were made.

    Example:
        >>> inputs = keras.Input((4,))
        >>> model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=7)(inputs))
        >>> _ = model(np.ones((1, 4)), training=True)
        >>> random_state(model)
        [array([7, 1])]
    """
    return [keras.ops.convert_to_numpy(state) for state in _generator_states(model)]


def set_random_state(model: keras.Model, states: Sequence[np.ndarray]) -> None:
    """Put every seed generator where `random_state` found it.

    Args:
        model: a model of the same layers.
        states: what `random_state` gave.

    Raises:
        ValueError: the model has another number of generators.

    Example:
        >>> inputs = keras.Input((4,))
        >>> model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=7)(inputs))
        >>> before = random_state(model)
        >>> first = model(np.ones((1, 4)), training=True)
        >>> set_random_state(model, before)
        >>> bool(keras.ops.all(first == model(np.ones((1, 4)), training=True)))
        True
    """
    variables = _generator_states(model)
    if len(variables) != len(states):
        raise ValueError(
            f"Expected the states of {len(variables)} random generators, received {len(states)}."
        )
    for variable, state in zip(variables, states, strict=True):
        variable.assign(state)


def _generator_states(model: keras.Model) -> list[keras.Variable]:
    """What a model holds beside its weights; metrics are not among a model's variables.

    By position: their names count up over the whole process, and are others in the next.
    """
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]
