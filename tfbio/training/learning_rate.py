"""The course of the learning rate, as a function of the step."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.training.plateau import PlateauDecay

SCHEDULES = ("constant", "cosine", "step", "plateau")
_DECAY_FACTOR = 0.1


def make_learning_rate(
    learning_rate: float,
    schedule: str = "constant",
    *,
    total_steps: int = 1,
    warmup_fraction: float = 0.05,
    milestones: Sequence[int] = (),
    decay_every: int | None = None,
    decay_factor: float | None = None,
    steps_per_epoch: int = 1,
    patience: int | None = None,
    plateau_threshold: float | None = None,
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that stays, falls to zero, falls in steps, or is to fall on a plateau.

    Args:
        learning_rate: the largest learning rate.
        schedule: `constant`; `cosine`, a linear rise, then half a cosine down to zero; `step`,
            multiplied by `decay_factor` at every milestone or every so many epochs, as PyTorch's
            `MultiStepLR` and `StepLR` do; or `plateau`, the number that `train` lowers if it is
            given a `PlateauDecay`.
        total_steps: number of steps of the whole training, for `cosine`.
        warmup_fraction: part of the steps that rises, for `cosine`.
        milestones: epochs, counted from 0, from whose first step on the rate is lower, for `step`.
        decay_every: epochs after which, again and again, the rate falls, for `step`.
        decay_factor: above 0 and at most 1, for `step` and `plateau`; 0.1 by default.
        steps_per_epoch: for `step`.
        patience: of `PlateauDecay`, for `plateau`.
        plateau_threshold: of `PlateauDecay`, for `plateau`.

    Returns:
        The number itself, or a Keras schedule.

    Raises:
        UnknownNameError: there is no such schedule.
        InputError: a number is out of range, or given to a schedule that has none.

    Example:
        >>> rate = make_learning_rate(0.1, "step", milestones=(60, 80), steps_per_epoch=10)
        >>> [round(float(rate(step)), 4) for step in (0, 599, 600, 799, 800)]
        [0.1, 0.1, 0.01, 0.01, 0.001]
    """
    if schedule not in SCHEDULES:
        raise UnknownNameError("schedule", schedule, SCHEDULES)
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise InputError(f"Expected a learning rate above 0, received {learning_rate}.")
    _check_schedule_of(
        schedule,
        {
            "milestones": (milestones or None, ("step",)),
            "decay_every": (decay_every, ("step",)),
            "a decay factor": (decay_factor, ("step", "plateau")),
            "a patience": (patience, ("plateau",)),
            "a plateau threshold": (plateau_threshold, ("plateau",)),
        },
    )
    if schedule == "step":
        factor = _DECAY_FACTOR if decay_factor is None else decay_factor
        _check_steps(milestones, decay_every, factor)
        if steps_per_epoch < 1:
            raise InputError(
                f"Expected at least 1 step an epoch, received steps_per_epoch={steps_per_epoch}."
            )
        if decay_every is not None:
            return keras.optimizers.schedules.ExponentialDecay(
                learning_rate, decay_every * steps_per_epoch, factor, staircase=True
            )
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            # Keras lowers the rate after its boundary; the milestone's first step is to have it.
            [milestone * steps_per_epoch - 1 for milestone in milestones],
            [learning_rate * factor**count for count in range(len(milestones) + 1)],
        )
    if schedule == "plateau":
        return make_plateau(learning_rate, decay_factor, patience, plateau_threshold)([])
    if schedule == "cosine":
        warmup = max(1, round(warmup_fraction * total_steps))
        return keras.optimizers.schedules.CosineDecay(
            # Not zero: the first step is a step too.
            initial_learning_rate=learning_rate / (warmup + 1),
            decay_steps=max(1, total_steps - warmup),
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )
    return learning_rate


def make_plateau(
    learning_rate: float,
    decay_factor: float | None = None,
    patience: int | None = None,
    plateau_threshold: float | None = None,
) -> PlateauDecay:
    """A `PlateauDecay`, with its own defaults where an argument is None.

    Args:
        learning_rate: of the first epochs.
        decay_factor: see `PlateauDecay`.
        patience: see `PlateauDecay`.
        plateau_threshold: its `threshold`.

    Returns:
        What `train` takes.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> make_plateau(0.1, patience=3)
        PlateauDecay(learning_rate=0.1, patience=3, decay_factor=0.1, threshold=0.0001)
    """
    chosen = {
        "decay_factor": decay_factor, "patience": patience, "threshold": plateau_threshold,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    return PlateauDecay(learning_rate, **given)


def _check_schedule_of(schedule: str, arguments: Mapping[str, tuple[Any, Sequence[str]]]) -> None:
    """Refuse arguments that belong to other schedules.

    Args:
        schedule: the one chosen.
        arguments: by description, the value, None if not given, and the schedules that take it.
    """
    for description, (value, takers) in arguments.items():
        if value is not None and schedule not in takers:
            raise InputError(
                f"Expected {description} with the schedule {' or '.join(takers)} only, received "
                f"the schedule {schedule}."
            )


def _check_steps(milestones: Sequence[int], decay_every: int | None, factor: float) -> None:
    if not 0 < factor <= 1:
        raise InputError(f"Expected a decay factor above 0 and at most 1, received {factor}.")
    if decay_every is not None:
        if milestones:
            raise InputError(
                f"Expected milestones or decay_every={decay_every}, received both: leave one out."
            )
        if decay_every < 1:
            raise InputError(
                f"Expected decay_every to be at least 1 epoch, received {decay_every}."
            )
        return
    if not milestones:
        raise InputError(
            "Expected milestones with the schedule step, received none: give the epochs at which "
            "the learning rate falls, such as 60,80, or let it fall with decay_every=30."
        )
    if not all(isinstance(milestone, Integral) for milestone in milestones):
        raise InputError(
            "Expected milestones that are whole numbers of epochs, received "
            f"{', '.join(map(str, milestones))}."
        )
    increasing = all(one < other for one, other in itertools.pairwise(milestones))
    if milestones[0] < 1 or not increasing:
        raise InputError(
            "Expected milestones above 0, each later than the one before, received "
            f"{', '.join(map(str, milestones))}."
        )
