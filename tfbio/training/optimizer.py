"""Optimizers and learning rates, as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import keras

from tfbio.errors import InputError, UnknownNameError

OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": lambda learning_rate: keras.optimizers.SGD(learning_rate, momentum=0.9),
}
SCHEDULES = ("constant", "cosine")


def make_optimizer(
    name: str = "adam",
    learning_rate: float = 1e-3,
    schedule: str = "cosine",
    total_steps: int = 1,
    warmup_fraction: float = 0.05,
) -> keras.optimizers.Optimizer:
    """An optimizer by name, with a learning rate that is constant or falls to zero.

    Args:
        name: `adam`, `adamw` or `sgd` (momentum 0.9).
        learning_rate: the largest learning rate.
        schedule: `constant`, or `cosine`: a linear rise, then half a cosine down to zero.
        total_steps: number of steps of the whole training.
        warmup_fraction: part of the steps that rises, for `cosine`.

    Returns:
        A Keras optimizer.

    Raises:
        UnknownNameError: there is no such optimizer or schedule.
        InputError: the learning rate is not a positive number.

    Example:
        >>> optimizer = make_optimizer("adam", 0.01, "cosine", total_steps=100)
        >>> round(float(optimizer.learning_rate), 5)  # the first of five steps of warm-up
        0.00167
    """
    if name not in OPTIMIZERS:
        raise UnknownNameError("optimizer", name, OPTIMIZERS)
    if schedule not in SCHEDULES:
        raise UnknownNameError("schedule", schedule, SCHEDULES)
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise InputError(f"Expected a learning rate above 0, received {learning_rate}.")
    rate: float | keras.optimizers.schedules.LearningRateSchedule = learning_rate
    if schedule == "cosine":
        warmup = max(1, round(warmup_fraction * total_steps))
        rate = keras.optimizers.schedules.CosineDecay(
            # Not zero: the first step is a step too.
            initial_learning_rate=learning_rate / (warmup + 1),
            decay_steps=max(1, total_steps - warmup),
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )
    return OPTIMIZERS[name](learning_rate=rate)
