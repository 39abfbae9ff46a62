"""Optimizers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.training.learning_rate import make_learning_rate
from tfbio.training.sgd import SGD

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": SGD,
}
# What each calls the weight decay of `make_optimizer`.
_WEIGHT_DECAY = {"adamw": "weight_decay", "sgd": "l2"}


def make_optimizer(
    name: str = "adam",
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    total_steps: int = 1,
    *,
    weight_decay: float | None = None,
    momentum: float | None = None,
    nesterov: bool = False,
    **course: Any,
) -> keras.optimizers.Optimizer:
    """An optimizer by name, with a learning rate that is constant or falls.

    Args:
        name: `adam`, `adamw`, or `sgd`, which is `tfbio.training.SGD`.
        learning_rate: the largest learning rate.
        schedule: `constant`, `cosine`, `step` or `plateau`, see `make_learning_rate`.
        total_steps: number of steps of the whole training.
        weight_decay: for `sgd` an L2 penalty, in the gradient, 0 by default; for `adamw` decoupled,
            Keras' 0.004 by default. `adam` has none.
        momentum: for `sgd`, 0.9 by default.
        nesterov: for `sgd`, Nesterov's momentum.
        **course: `warmup_fraction`, `milestones`, `decay_factor`, `steps_per_epoch`, `patience` and
            `plateau_threshold` of `make_learning_rate`.

    Returns:
        A Keras optimizer.

    Raises:
        UnknownNameError: there is no such optimizer or schedule.
        InputError: a number is out of range, or given to an optimizer or a schedule that has none.

    Example:
        >>> optimizer = make_optimizer("adam", 0.01, "cosine", total_steps=100)
        >>> round(float(optimizer.learning_rate), 5)  # the first of five steps of warm-up
        0.00167
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    arguments: dict[str, Any] = {}
    if weight_decay is not None:
        if not (weight_decay >= 0 and math.isfinite(weight_decay)):
            raise InputError(f"Expected a weight decay of 0 or more, received {weight_decay}.")
        if name not in _WEIGHT_DECAY:
            raise InputError(
                f"Expected no weight decay with {name}, received {weight_decay}: take adamw for "
                "decoupled weight decay, or sgd for an L2 penalty."
            )
        arguments[_WEIGHT_DECAY[name]] = weight_decay
    if momentum is not None:
        if name != "sgd":
            raise InputError(f"Expected momentum with sgd only, received {momentum} with {name}.")
        arguments["momentum"] = momentum
    if nesterov:
        if name != "sgd":
            raise InputError(f"Expected Nesterov's momentum with sgd only, received {name}.")
        arguments["nesterov"] = True
    rate = make_learning_rate(learning_rate, schedule, total_steps=total_steps, **course)
    return OPTIMIZERS[name](learning_rate=rate, **arguments)
