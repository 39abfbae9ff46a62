"""The flag that has Weights & Biases follow a training."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
from absl import flags

from tfbio.errors import InputError
from tfbio.training.run_directory import RunDirectory

_Tracking = tuple[list[keras.callbacks.Callback], Callable[[Mapping[str, float]], object] | None]
# In the folder of the run; a resumed training goes on with it.
_ID = "wandb_id"
# By wandb's own callback, at an epoch's end.
_LOGGED_BY_KERAS = ("loss", "accuracy", "learning_rate")


def define_tracking_flags(values: flags.FlagValues) -> None:
    """The flag of Weights & Biases."""
    flags.DEFINE_string(
        "wandb_project", None,
        "Project of Weights & Biases that the training is recorded in. WANDB_MODE=offline in the "
        "environment keeps it on disk.", flag_values=values,
    )  # fmt: skip


def check_tracking(values: flags.FlagValues) -> None:
    """Refuse --wandb_project where wandb is missing, before anything is written.

    Raises:
        InputError: wandb is not installed.
    """
    if values.wandb_project is not None:
        _wandb()


@contextlib.contextmanager
def tracked(values: flags.FlagValues, run: RunDirectory) -> Iterator[_Tracking]:
    """Open the run in Weights & Biases, and close it at the end, for better or worse.

    Args:
        values: the flags; without --wandb_project nothing is opened.
        run: its flags are the configuration, and its folder keeps the files and the id.

    Yields:
        Callbacks of `train`, and its `record`.

    Raises:
        InputError: wandb is not installed, or does not start.
    """
    if values.wandb_project is None:
        yield [], None
        return
    wandb = _wandb()
    with _opened(wandb, values.wandb_project, run) as opened:
        (run.path / _ID).write_text(opened.id)

        def record(row: Mapping[str, float]) -> None:
            opened.log({f"epoch/{name}": row[name] for name in row if name not in _LOGGED_BY_KERAS})

        yield [wandb.integration.keras.WandbMetricsLogger()], record


def _wandb() -> Any:
    try:
        importlib.import_module("wandb.integration.keras")
        return importlib.import_module("wandb")
    except ImportError:
        raise InputError(
            "Expected wandb with --wandb_project, found none: pip install tfbio[wandb]."
        ) from None


def _opened(wandb: Any, project: str, run: RunDirectory) -> Any:
    kept = run.path / _ID
    # A sweep has given its own.
    identity = os.environ.get("WANDB_RUN_ID") or (kept.read_text() if kept.exists() else None)
    config = {name: _number(value) for name, value in run.settings().items()}
    try:
        return wandb.init(
            project=project, name=run.path.name, dir=run.path, config=config, id=identity,
            resume="allow",
        )  # fmt: skip
    except wandb.Error as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"Weights & Biases did not start ({reason.rstrip('.')}): without an account, set "
            "WANDB_MODE=offline."
        ) from error


def _number(text: str) -> int | float | str:
    """The text itself if it is none."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
