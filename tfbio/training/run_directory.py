"""A run on disk: settings, history, checkpoints, the best model.

History, models, checkpoints and summary appear whole or not at all.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras

from tfbio.errors import InputError
from tfbio.training.random_state import random_state, set_random_state

_CHECKPOINT = re.compile(r"^epoch-(\d+)-step-(\d+)\.weights\.h5$")
_CHECKPOINTS_KEPT = 2
# Groups of a checkpoint file, beside those that Keras makes.
_FIGURES = "figures"
_RANDOM_STATE = "random_state"


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood: `step` steps into epoch `epoch`, both counted from 0."""

    epoch: int
    step: int
    path: Path

    def figures(self) -> dict[str, float]:
        """The epoch's figures up to the step, as `save_checkpoint` was given them."""
        with h5py.File(self.path) as file:
            return {name: float(value) for name, value in file[_FIGURES].attrs.items()}

    def restore(self, trainer: keras.Model) -> None:
        """Bring a compiled model to where it stood: weights, optimizer and random draws.

        Raises:
            OSError, KeyError, ValueError: the file is damaged, or of another model.
        """
        with h5py.File(self.path) as file:
            group = file[_RANDOM_STATE]
            states = [group[str(number)][()] for number in range(len(group))]
        trainer.load_weights(self.path)
        set_random_state(trainer, states)


@dataclass(frozen=True)
class RunDirectory:
    """The folder of one training run.

    Attributes:
        path: the folder.

    Example:
        >>> import tempfile
        >>> runs = tempfile.mkdtemp()
        >>> run, resumed = open_run(runs, "bl_rcnn-shapes", "--epochs=3\\n")
        >>> run.path.name, resumed
        ('bl_rcnn-shapes', False)
        >>> open_run(runs, "bl_rcnn-shapes", "--epochs=3\\n")[1]  # the same settings: go on
        True
    """

    path: Path

    @property
    def flags(self) -> Path:
        """The flag file that repeats the run."""
        return self.path / "flags"

    @property
    def model(self) -> Path:
        """The best model so far."""
        return self.path / "model.keras"

    @property
    def labels(self) -> Path:
        """Class names, one a line."""
        return self.path / "labels.txt"

    @property
    def history(self) -> Path:
        """One row of figures per epoch."""
        return self.path / "history.csv"

    @property
    def summary(self) -> Path:
        """What the finished run reached, with what."""
        return self.path / "summary.json"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.summary.exists()

    def settings(self) -> dict[str, str]:
        """The flags of the run, by name."""
        lines = self.flags.read_text().splitlines()
        pairs = (line.removeprefix("--").partition("=") for line in lines if line.startswith("--"))
        return {name: value for name, _, value in pairs}

    def class_names(self) -> list[str]:
        """The class names, in the order of the labels."""
        return self.labels.read_text(encoding="utf-8").split("\n")[:-1]

    def read_history(self) -> list[dict[str, float]]:
        """The rows of `history.csv`."""
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            return [
                {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
                for row in csv.DictReader(file)
            ]

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace `history.csv` by these rows, one or more."""
        partial = self.path / ".history.partial"
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        partial.replace(self.history)

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write `summary.json`, which marks the run as finished."""
        partial = self.path / ".summary.partial"
        partial.write_text(json.dumps(summary, indent=2) + "\n")
        partial.replace(self.summary)

    def save_model(self, model: keras.Model) -> None:
        """Replace `model.keras`."""
        partial = self.path / ".partial.keras"
        model.save(partial)
        partial.replace(self.model)

    def save_checkpoint(
        self,
        trainer: keras.Model,
        epoch: int,
        step: int,
        figures: Mapping[str, float] | None = None,
    ) -> None:
        """Keep weights, optimizer and random draws, as before step `step` of epoch `epoch`.

        Args:
            trainer: the compiled model.
            epoch: from 0.
            step: from 0.
            figures: of the epoch so far, to go on with.
        """
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        partial = folder / ".partial.weights.h5"
        trainer.save_weights(partial, overwrite=True)
        with h5py.File(partial, "a") as file:
            file.create_group(_FIGURES).attrs.update(figures or {})
            group = file.create_group(_RANDOM_STATE)
            for number, state in enumerate(random_state(trainer)):
                group.create_dataset(str(number), data=state)
        partial.replace(folder / f"epoch-{epoch:04d}-step-{step:07d}.weights.h5")
        for old in self.checkpoints()[:-_CHECKPOINTS_KEPT]:
            old.path.unlink()

    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints, oldest first."""
        found = [
            Checkpoint(int(match[1]), int(match[2]), path)
            for path in (self.path / "checkpoints").glob("*.h5")
            if (match := _CHECKPOINT.match(path.name))
        ]
        return sorted(found, key=lambda checkpoint: (checkpoint.epoch, checkpoint.step))


def open_run(
    root: str | os.PathLike, name: str, flags: str, class_names: Sequence[str] = ()
) -> tuple[RunDirectory, bool]:
    """The unfinished run of the same settings, or a new one.

    Args:
        root: folder of all runs.
        name: name of the run; a number follows where a run of this name has other settings or is
            finished.
        flags: the settings, as a flag file.
        class_names: kept with the run.

    Returns:
        The run, and whether it was there.

    Raises:
        InputError: the folder cannot be written.
    """
    number = 1
    while True:
        run = RunDirectory(Path(root) / _numbered(name, number))
        try:
            run.path.mkdir(parents=True)
            run.labels.write_text("".join(f"{each}\n" for each in class_names), encoding="utf-8")
            run.flags.write_text(flags)
            return run, False
        except FileExistsError:
            if not run.path.is_dir():
                raise InputError(
                    f"Expected a folder for the run at {run.path}, found a file: pass another "
                    "folder of runs."
                ) from None
            same = run.flags.is_file() and run.flags.read_text() == flags
            if same and not run.finished:
                return run, True
            number += 1
        except OSError as error:
            raise InputError(
                f"The run cannot be written to {run.path} ({error.strerror}): pass a folder of "
                "runs that is writable."
            ) from error


def finished_run(root: str | os.PathLike, name: str, flags: str) -> RunDirectory | None:
    """The finished run of the same settings, if there is one.

    Args:
        root: folder of all runs.
        name: as given to `open_run`.
        flags: the settings, as a flag file.

    Returns:
        The run, or None.

    Example:
        >>> import tempfile
        >>> runs = tempfile.mkdtemp()
        >>> run, _ = open_run(runs, "bl_rcnn-shapes", "--epochs=3\\n")
        >>> finished_run(runs, "bl_rcnn-shapes", "--epochs=3\\n") is None
        True
        >>> run.write_summary({"epochs": 3})
        >>> finished_run(runs, "bl_rcnn-shapes", "--epochs=3\\n") == run
        True
    """
    for number in itertools.count(1):
        run = RunDirectory(Path(root) / _numbered(name, number))
        if not run.path.is_dir():
            return None
        if run.finished and run.flags.is_file() and run.flags.read_text() == flags:
            return run
    return None


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def newest_run(root: str | os.PathLike) -> RunDirectory:
    """The run whose model was written last.

    Raises:
        InputError: there is no run with a model.
    """
    models = sorted(Path(root).glob("*/model.keras"), key=lambda path: path.stat().st_mtime)
    if not models:
        raise InputError(
            f"Expected a trained run in {root}, found none: train one with "
            "`python train.py --model bl_rcnn`, or name a run, or a model with weights."
        )
    return RunDirectory(models[-1].parent)
