"""Optimizers: what a configuration says of them, and the optimizer itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from tfbio._configuration import check_options, option
from tfbio.errors import InputError, UnknownNameError
from tfbio.training.learning_rate import (
    Constant,
    Cosine,
    Plateau,
    Schedule,
    Step,
    check_learning_rate,
)

if TYPE_CHECKING:
    import keras

OptimizerName = Literal["adam", "adamw", "sgd", "rmsprop"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)
_WITH_MOMENTUM = ("sgd", "rmsprop")


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimizer and learning rate.

    Args:
        name: what makes steps of gradients.
        learning_rate: the largest learning rate.
        schedule: the course of the learning rate.
        momentum: momentum of sgd and rmsprop. Default: 0.9 and 0.
        nesterov: Nesterov's momentum, with sgd.
        weight_decay: L2 penalty, in the gradient; decoupled with adamw. Default: 0, and Keras'
            0.004 with adamw.
        clip_value: largest size of an element of a gradient. It acts on the gradient of the whole
            batch, over all replicas, before the penalty is added.
        clip_norm: largest norm of all gradients together, in the same way.
        accumulate_steps: batches whose mean gradient makes one update, which then is that of a
            batch so many times as large. A step of the learning rate remains one batch; batches
            that are left at the very end make no update.

    Raises:
        UnknownNameError: there is no such optimizer.
        InputError: a number is out of range, or given to an optimizer that has none.

    Upstream:
        Birkholz' code sums over accumulated batches: its `clip_value` is so many times ours, and
        its rate of `sgd` a fraction of ours.

    Example:
        >>> config = OptimizerConfig("sgd", learning_rate=0.1, schedule=Step(milestones=(20, 40)))
        >>> optimizer = config.make(total_steps=600, steps_per_epoch=10)
        >>> optimizer.momentum, round(float(optimizer.learning_rate), 4)
        (0.9, 0.1)
    """

    name: OptimizerName = option("adam", name="optimizer")
    learning_rate: float = option(3e-3)
    schedule: Constant | Cosine | Step | Plateau = option(Cosine())
    momentum: float | None = option()
    nesterov: bool = option(False)
    weight_decay: float | None = option()
    clip_value: float | None = option()
    clip_norm: float | None = option()
    accumulate_steps: int = option(1, minimum=1)

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.name, OPTIMIZERS)
        check_options(self)
        check_learning_rate(self.learning_rate)
        if not isinstance(self.schedule, Schedule):
            raise InputError(
                "Expected a schedule such as tfbio.Step(milestones=(60, 80)), received "
                f"{self.schedule!r}."
            )
        decay = self.weight_decay
        if decay is not None and not (decay >= 0 and math.isfinite(decay)):
            raise InputError(f"Expected a weight decay of 0 or more, received {decay}.")
        if self.momentum is not None and self.name not in _WITH_MOMENTUM:
            raise InputError(
                f"Expected momentum with {' and '.join(_WITH_MOMENTUM)} only, received "
                f"{self.momentum} with {self.name}."
            )
        if self.momentum is not None and not 0 <= self.momentum < 1:
            raise InputError(f"Expected a momentum from 0 to below 1, received {self.momentum}.")
        if self.nesterov and self.name != "sgd":
            raise InputError(f"Expected Nesterov's momentum with sgd only, received {self.name}.")
        if self.nesterov and self.momentum == 0:
            raise InputError("Expected a momentum above 0 with Nesterov's momentum, received 0.")
        self._check_clipping()

    def _check_clipping(self) -> None:
        if self.clip_value is not None and self.clip_norm is not None:
            raise InputError(
                f"Expected one way to clip gradients, received clip_value={self.clip_value} and "
                f"clip_norm={self.clip_norm}: leave one out."
            )
        for size in (self.clip_value, self.clip_norm):
            if size is not None and not (size > 0 and math.isfinite(size)):
                raise InputError(f"Expected gradients clipped at a size above 0, received {size}.")

    def make(self, total_steps: int = 1, steps_per_epoch: int = 1) -> keras.optimizers.Optimizer:
        """The optimizer, with a learning rate that stays or falls.

        Args:
            total_steps: number of steps of the whole training.
            steps_per_epoch: number of steps of an epoch.

        Returns:
            A Keras optimizer.
        """
        from tfbio.training.adam import Adam, AdamW
        from tfbio.training.rmsprop import RMSprop
        from tfbio.training.sgd import SGD

        kinds = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSprop}
        arguments: dict[str, Any] = {
            "weight_decay" if self.name == "adamw" else "l2": self.weight_decay,
            "momentum": self.momentum,
            "nesterov": self.nesterov or None,
            "clipvalue": self.clip_value,
            "global_clipnorm": self.clip_norm,
            "gradient_accumulation_steps": (
                self.accumulate_steps if self.accumulate_steps > 1 else None
            ),
        }
        given = {name: value for name, value in arguments.items() if value is not None}
        rate = self.schedule.rate(self.learning_rate, total_steps, steps_per_epoch)
        return kinds[self.name](learning_rate=rate, **given)
