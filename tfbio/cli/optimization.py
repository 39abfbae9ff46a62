"""Flags that choose the optimizer and the course of its learning rate."""

from __future__ import annotations

import keras
from absl import flags

from tfbio.cli.command import given
from tfbio.errors import InputError
from tfbio.training.best_epoch import METRICS
from tfbio.training.learning_rate import SCHEDULES, make_plateau
from tfbio.training.optimizer import OPTIMIZERS, make_optimizer
from tfbio.training.plateau import PlateauDecay

# What a plateau is, as `make_plateau` and the flags call it.
_PLATEAU = ("decay_factor", "patience", "plateau_threshold")

# What else `make_optimizer` takes under the name of its flag.
_OPTIONAL = (
    "weight_decay", "momentum", "clip_value", "clip_norm", "accumulate_steps", "decay_every",
)  # fmt: skip


def define_optimizer_flags(values: flags.FlagValues) -> None:
    """Flags of the optimizer and the learning rate."""
    at = {"flag_values": values}
    flags.DEFINE_enum("optimizer", "adam", list(OPTIMIZERS), "Optimizer.", **at)
    flags.DEFINE_float("momentum", None, "Of sgd and rmsprop. Default: 0.9 and 0.", **at)
    flags.DEFINE_boolean("nesterov", None, "Nesterov's momentum, with sgd. Default: no.", **at)
    flags.DEFINE_float(
        "weight_decay", None,
        "L2 penalty, but decoupled with adamw. Default: 0, and 0.004 with adamw.", **at,
    )  # fmt: skip
    flags.DEFINE_float("clip_value", None, "Largest size of an element of a gradient.", **at)
    flags.DEFINE_float("clip_norm", None, "Largest norm of all gradients together.", **at)
    flags.DEFINE_integer(
        "accumulate_steps", None, "Batches whose mean gradient makes one update. Default: 1.",
        lower_bound=1, **at,
    )  # fmt: skip
    flags.DEFINE_float("learning_rate", 3e-3, "The largest learning rate.", **at)
    flags.DEFINE_enum("schedule", "cosine", list(SCHEDULES), "Course of the learning rate.", **at)
    flags.DEFINE_list(
        "milestones", None, "Epochs after which --schedule=step lowers the rate: 60,80.", **at
    )
    flags.DEFINE_integer(
        "decay_every", None, "In place of milestones: the rate falls every so many epochs.", **at
    )
    flags.DEFINE_float(
        "decay_factor", None,
        "What the rate is multiplied by when it falls. Default: 0.1.", **at,
    )  # fmt: skip
    flags.DEFINE_integer(
        "patience", None,
        "Epochs without a smaller validation loss that --schedule=plateau waits. Default: 5.", **at,
    )  # fmt: skip
    flags.DEFINE_float(
        "plateau_threshold", None,
        "Part by which a loss must fall to be smaller, with --schedule=plateau. Default: 0.0001.",
        **at,
    )  # fmt: skip
    flags.DEFINE_integer(
        "early_stopping", None,
        "Stop after so many epochs without a better --early_stopping_metric.", lower_bound=1, **at,
    )  # fmt: skip
    flags.DEFINE_enum(
        "early_stopping_metric", None, list(METRICS),
        "Of the validation images. Default: accuracy.", **at,
    )  # fmt: skip


def chosen_optimizer(values: flags.FlagValues, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """The optimizer that the flags describe.

    Raises:
        InputError: a value is out of range, or does not go with another.
    """
    return make_optimizer(
        values.optimizer,
        values.learning_rate,
        values.schedule,
        values.epochs * steps_per_epoch,
        steps_per_epoch=steps_per_epoch,
        milestones=_milestones(values),
        nesterov=bool(values.nesterov),
        **given(values, _OPTIONAL + _PLATEAU),
    )


def chosen_plateau(values: flags.FlagValues) -> PlateauDecay | None:
    """What lowers the rate of `chosen_optimizer` as the training goes, if something does.

    Raises:
        InputError: a value is out of range.
    """
    if values.schedule != "plateau":
        return None
    return make_plateau(values.learning_rate, **given(values, _PLATEAU))


def stopping_metric(values: flags.FlagValues) -> str:
    """What must not stay the same for --early_stopping.

    Raises:
        InputError: --early_stopping_metric stands without --early_stopping.
    """
    if values.early_stopping is None and values.early_stopping_metric is not None:
        raise InputError(
            "Expected --early_stopping with --early_stopping_metric, received the latter alone."
        )
    return values.early_stopping_metric or "accuracy"


def _milestones(values: flags.FlagValues) -> list[int]:
    try:
        return [int(epoch) for epoch in values.milestones or ()]
    except ValueError:
        raise InputError(
            "Expected milestones that are whole numbers of epochs, such as 60,80, received "
            f"{','.join(values.milestones)}."
        ) from None
