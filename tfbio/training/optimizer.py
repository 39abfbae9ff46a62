"""Optimizers by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.training.adam import Adam, AdamW
from tfbio.training.learning_rate import make_learning_rate
from tfbio.training.rmsprop import RMSprop
from tfbio.training.sgd import SGD

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": Adam,
    "adamw": AdamW,
    "sgd": SGD,
    "rmsprop": RMSprop,
}
_WITH_MOMENTUM = ("sgd", "rmsprop")


def make_optimizer(
    name: str = "adam",
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    total_steps: int = 1,
    *,
    weight_decay: float | None = None,
    momentum: float | None = None,
    nesterov: bool = False,
    clip_value: float | None = None,
    clip_norm: float | None = None,
    accumulate_steps: int = 1,
    **course: Any,
) -> keras.optimizers.Optimizer:
    """An optimizer by name, with a learning rate that is constant or falls.

    Args:
        name: `adam`, `adamw`, `sgd` or `rmsprop`: `Adam`, `AdamW`, `SGD` and `RMSprop` of
            `tfbio.training`.
        learning_rate: the largest learning rate.
        schedule: `constant`, `cosine`, `step` or `plateau`, see `make_learning_rate`.
        total_steps: number of steps of the whole training.
        weight_decay: an L2 penalty, in the gradient, 0 by default; for `adamw` decoupled, Keras'
            0.004 by default.
        momentum: for `sgd`, 0.9 by default, and `rmsprop`, 0 by default.
        nesterov: for `sgd`, Nesterov's momentum.
        clip_value: bring every element of a gradient to this size at most. It acts on the gradient
            of the whole batch, over all replicas, before the penalty is added.
        clip_norm: bring all gradients together to this norm at most, in the same way.
        accumulate_steps: batches whose mean gradient makes one update, which then is that of a
            batch so many times as large. (Birkholz' code sums: its `clip_value` is so many times
            ours, and its rate of `sgd` a fraction of ours.) A step of the learning rate remains one
            batch. Batches that are left at the very end make no update.
        **course: `warmup_fraction`, `milestones`, `decay_every`, `decay_factor`, `steps_per_epoch`,
            `patience` and `plateau_threshold` of `make_learning_rate`.

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
        arguments["weight_decay" if name == "adamw" else "l2"] = weight_decay
    if momentum is not None:
        if name not in _WITH_MOMENTUM:
            raise InputError(
                f"Expected momentum with {' and '.join(_WITH_MOMENTUM)} only, received {momentum} "
                f"with {name}."
            )
        arguments["momentum"] = momentum
    if nesterov:
        if name != "sgd":
            raise InputError(f"Expected Nesterov's momentum with sgd only, received {name}.")
        arguments["nesterov"] = True
    arguments |= _clipping(clip_value, clip_norm)
    if accumulate_steps < 1:
        raise InputError(f"Expected to accumulate 1 step or more, received {accumulate_steps}.")
    if accumulate_steps > 1:
        arguments["gradient_accumulation_steps"] = accumulate_steps
    rate = make_learning_rate(learning_rate, schedule, total_steps=total_steps, **course)
    return OPTIMIZERS[name](learning_rate=rate, **arguments)


def _clipping(value: float | None, norm: float | None) -> dict[str, float]:
    """What Keras calls them."""
    if value is not None and norm is not None:
        raise InputError(
            f"Expected one way to clip gradients, received clip_value={value} and "
            f"clip_norm={norm}: leave one out."
        )
    given = {"clipvalue": value, "global_clipnorm": norm}
    sizes = {name: size for name, size in given.items() if size is not None}
    for size in sizes.values():
        if not (size > 0 and math.isfinite(size)):
            raise InputError(f"Expected gradients clipped at a size above 0, received {size}.")
    return sizes
