"""A learning rate that falls when the validation loss does not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tfbio.errors import InputError

# PyTorch leaves a rate alone that would fall by no more than this.
_SMALLEST_FALL = 1e-8


@dataclass(frozen=True)
class PlateauDecay:
    """The learning rate of an epoch as a function of the validation losses before it.

    Equation: an epoch is better if its loss is below (1 - threshold) times the smallest loss that
    was better. After more than `patience` epochs in a row that are not, the rate is multiplied by
    `decay_factor`, and the count begins again. This is PyTorch's `ReduceLROnPlateau` in the mode
    `min` with a relative threshold.

    Nothing is kept from epoch to epoch: a resumed training has its losses, and so its rate.

    Args:
        learning_rate: of the first epochs.
        patience: epochs that need not be better.
        decay_factor: above 0 and below 1.
        threshold: part of the smallest loss by which a loss must be below it; 0 or more, below 1.

    Raises:
        InputError: a number is out of range.

    Reference:
        https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html

    Example:
        >>> rate = PlateauDecay(0.1, patience=1, decay_factor=0.5)
        >>> rate([]), rate([2.0, 3.0]), rate([2.0, 3.0, 2.0]), rate([2.0, 3.0, 2.0, 3.0, 3.0])
        (0.1, 0.1, 0.05, 0.025)
    """

    learning_rate: float
    patience: int = 5
    decay_factor: float = 0.1
    threshold: float = 1e-4

    def __post_init__(self):
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"Expected a learning rate above 0, received {self.learning_rate}.")
        if self.patience < 0:
            raise InputError(f"Expected a patience of 0 epochs or more, received {self.patience}.")
        if not 0 < self.decay_factor < 1:
            raise InputError(
                "Expected a decay factor above 0 and below 1 with the schedule plateau, received "
                f"{self.decay_factor}."
            )
        if not 0 <= self.threshold < 1:
            raise InputError(
                f"Expected a plateau threshold of 0 or more and below 1, received {self.threshold}."
            )

    def __call__(self, losses: Iterable[float]) -> float:
        """The rate of the next epoch.

        Args:
            losses: validation losses of all epochs so far, in their order.
        """
        rate, smallest, waited = self.learning_rate, math.inf, 0
        for loss in losses:
            if loss < smallest * (1 - self.threshold):
                smallest, waited = loss, 0
                continue
            waited += 1
            if waited > self.patience:
                lower = rate * self.decay_factor
                rate = lower if rate - lower > _SMALLEST_FALL else rate
                waited = 0
        return rate
