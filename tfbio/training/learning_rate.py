"""The course of the learning rate: what a configuration says of it, and the function of the step.

The four schedules have one interface: `rate` makes what an optimizer takes as its learning rate.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar

from tfbio._configuration import check_options, option
from tfbio.errors import InputError
from tfbio.training.plateau import PlateauDecay

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Constant:
    """A learning rate that stays as it is.

    Example:
        >>> Constant().rate(0.1)
        0.1
    """

    name: ClassVar[str] = "constant"

    def rate(
        self, learning_rate: float, total_steps: int = 1, steps_per_epoch: int = 1
    ) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """The number itself."""
        return learning_rate


@dataclass(frozen=True)
class Cosine:
    """A learning rate that rises linearly, then falls to zero along half a cosine.

    Args:
        warmup_fraction: part of all steps during which the rate rises, 0 to below 1.

    Raises:
        InputError: the part is out of range.

    Example:
        >>> rate = Cosine().rate(0.01, total_steps=100)
        >>> [round(float(rate(step)), 5) for step in (0, 5, 100)]  # five steps of warm-up
        [0.00167, 0.01, 0.0]
    """

    name: ClassVar[str] = "cosine"

    warmup_fraction: float = option(0.05)

    def __post_init__(self) -> None:
        check_options(self)
        if not 0 <= self.warmup_fraction < 1:
            raise InputError(
                "Expected a warm-up of 0 or more and below 1 of all steps, received "
                f"warmup_fraction={self.warmup_fraction}."
            )

    def rate(
        self, learning_rate: float, total_steps: int = 1, steps_per_epoch: int = 1
    ) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """The rate of each step, as a Keras schedule."""
        import keras

        warmup = max(1, round(self.warmup_fraction * total_steps))
        return keras.optimizers.schedules.CosineDecay(
            # Not zero: the first step is a step too.
            initial_learning_rate=learning_rate / (warmup + 1),
            decay_steps=max(1, total_steps - warmup),
            warmup_target=learning_rate,
            warmup_steps=warmup,
        )


@dataclass(frozen=True)
class Step:
    """A learning rate that falls in steps, as PyTorch's `MultiStepLR` and `StepLR` have it.

    Args:
        milestones: epochs, counted from 0, from whose first step on the rate is lower: 60,80.
        decay_every: in place of milestones, the rate falls after every so many epochs.
        decay_factor: what the rate is multiplied by when it falls, above 0 and at most 1; below 1
            on a plateau.

    Raises:
        InputError: a number is out of range, or there are no milestones, or both kinds.

    Example:
        >>> rate = Step(milestones=(60, 80)).rate(0.1, steps_per_epoch=10)
        >>> [round(float(rate(step)), 4) for step in (0, 599, 600, 799, 800)]
        [0.1, 0.1, 0.01, 0.01, 0.001]
    """

    name: ClassVar[str] = "step"

    milestones: tuple[int, ...] = option((), example="60,80")
    decay_every: int | None = option()
    decay_factor: float = option(0.1)

    def __post_init__(self) -> None:
        check_options(self)
        if not 0 < self.decay_factor <= 1:
            raise InputError(
                f"Expected a decay factor above 0 and at most 1, received {self.decay_factor}."
            )
        if self.decay_every is None:
            self._check_milestones()
        elif self.milestones:
            raise InputError(
                f"Expected milestones or decay_every={self.decay_every}, received both: leave one "
                "out."
            )
        elif self.decay_every < 1:
            raise InputError(
                f"Expected decay_every to be at least 1 epoch, received {self.decay_every}."
            )

    def _check_milestones(self) -> None:
        if not self.milestones:
            raise InputError(
                "Expected milestones with the schedule step, received none: give the epochs at "
                "which the learning rate falls, such as 60,80, or let it fall with decay_every=30."
            )
        received = ", ".join(map(str, self.milestones))
        if not all(isinstance(milestone, Integral) for milestone in self.milestones):
            raise InputError(
                f"Expected milestones that are whole numbers of epochs, received {received}."
            )
        increasing = all(one < other for one, other in itertools.pairwise(self.milestones))
        if self.milestones[0] < 1 or not increasing:
            raise InputError(
                f"Expected milestones above 0, each later than the one before, received {received}."
            )

    def rate(
        self, learning_rate: float, total_steps: int = 1, steps_per_epoch: int = 1
    ) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """The rate of each step, as a Keras schedule."""
        import keras

        if self.decay_every is not None:
            return keras.optimizers.schedules.ExponentialDecay(
                learning_rate, self.decay_every * steps_per_epoch, self.decay_factor, staircase=True
            )
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            # Keras lowers the rate after its boundary; the milestone's first step is to have it.
            [milestone * steps_per_epoch - 1 for milestone in self.milestones],
            [learning_rate * self.decay_factor**n for n in range(len(self.milestones) + 1)],
        )


@dataclass(frozen=True)
class Plateau:
    """A learning rate that falls when the validation loss does not.

    Args:
        patience: epochs without a smaller validation loss that are waited for.
        decay_factor: what the rate is multiplied by when it falls, above 0 and below 1.
        threshold: part by which a loss must fall to be smaller, 0 or more and below 1.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> Plateau(patience=1, decay_factor=0.5).decay(0.1)([2.0, 3.0, 3.0])
        0.05
    """

    name: ClassVar[str] = "plateau"

    patience: int = option(5)
    decay_factor: float = option(0.1)
    threshold: float = option(1e-4, name="plateau_threshold")

    def __post_init__(self) -> None:
        check_options(self)
        self.decay(1.0)

    def rate(
        self, learning_rate: float, total_steps: int = 1, steps_per_epoch: int = 1
    ) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """The rate of the first epoch; `decay` says the next ones."""
        return learning_rate

    def decay(self, learning_rate: float) -> PlateauDecay:
        """The rate of an epoch as a function of the validation losses before it."""
        return PlateauDecay(learning_rate, self.patience, self.decay_factor, self.threshold)


Schedule = Constant | Cosine | Step | Plateau


def check_learning_rate(learning_rate: float) -> None:
    """Refuse a rate that nothing can be trained with.

    Raises:
        InputError: the rate is not a positive number.

    Example:
        >>> check_learning_rate(0.1)
    """
    if not (learning_rate > 0 and math.isfinite(learning_rate)):
        raise InputError(f"Expected a learning rate above 0, received {learning_rate}.")
