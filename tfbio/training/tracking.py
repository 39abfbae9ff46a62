"""Weights & Biases follow a training."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras

from tfbio._configuration import values_of
from tfbio.errors import InputError
from tfbio.training.config import TrainingConfig
from tfbio.training.run_directory import RunDirectory

_Tracking = tuple[list[keras.callbacks.Callback], Callable[[Mapping[str, float]], object] | None]
# In the folder of the run; a resumed training goes on with it.
_ID = "wandb_id"
# By wandb's own callback, at an epoch's end.
_LOGGED_BY_KERAS = ("loss", "accuracy", "learning_rate")


def check_tracking(project: str | None) -> None:
    """Refuse a project where wandb is missing, before anything is written.

    Raises:
        InputError: wandb is not installed.
    """
    if project is not None:
        _wandb()


@contextlib.contextmanager
def tracked(project: str | None, run: RunDirectory, config: TrainingConfig) -> Iterator[_Tracking]:
    """Open the run in Weights & Biases, and close it at the end, for better or worse.

    Args:
        project: without one nothing is opened.
        run: its folder keeps the files and the id.
        config: what the run is.

    Yields:
        Callbacks of `fit`, and its `record`.

    Raises:
        InputError: wandb is not installed, or does not start.
    """
    if project is None:
        yield [], None
        return
    wandb = _wandb()
    with _opened(wandb, project, run, config) as opened:
        (run.path / _ID).write_text(opened.id)

        def record(row: Mapping[str, float]) -> None:
            logged = {f"epoch/{name}": row[name] for name in row if name not in _LOGGED_BY_KERAS}
            # wandb's callback counts epochs from 0.
            opened.log({**logged, "epoch/epoch": row["epoch"] - 1})

        yield [wandb.integration.keras.WandbMetricsLogger()], record


def _wandb() -> Any:
    try:
        importlib.import_module("wandb.integration.keras")
        return importlib.import_module("wandb")
    except ImportError:
        raise InputError(
            "Expected wandb with --wandb_project, found none: pip install tfbio[wandb]."
        ) from None


def _opened(wandb: Any, project: str, run: RunDirectory, config: TrainingConfig) -> Any:
    kept = run.path / _ID
    # A sweep has given its own.
    identity = os.environ.get("WANDB_RUN_ID") or (kept.read_text() if kept.exists() else None)
    values = values_of(config)
    settings = {**values, **values.pop("arguments")}
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        return wandb.init(
            project=project,
            name=run.path.name,
            dir=run.path,
            config=given,
            id=identity,
            resume="allow",
        )
    except wandb.Error as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"Weights & Biases did not start ({reason.rstrip('.')}): without an account, set "
            "WANDB_MODE=offline."
        ) from error
