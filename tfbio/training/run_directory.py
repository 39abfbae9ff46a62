"""A run on disk: configuration, history, checkpoints, the best model.

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

from tfbio._configuration import absolute, as_text, build, from_text, options_of, values_of
from tfbio.errors import InputError
from tfbio.models.registry import model_info
from tfbio.training.config import TrainingConfig
from tfbio.training.random_state import random_state, set_random_state

_CHECKPOINT = re.compile(r"^epoch-(\d+)-step-(\d+)\.weights\.h5$")
_CHECKPOINTS_KEPT = 2
# Groups of a checkpoint file, beside those that Keras makes.
_METRICS = "figures"
_RANDOM_STATE = "random_state"


@dataclass(frozen=True)
class Checkpoint:
    """Where a training stood: `step` steps into epoch `epoch`, both counted from 0."""

    epoch: int
    step: int
    path: Path

    def metrics(self) -> dict[str, float]:
        """The epoch's metrics up to the step, as `save_checkpoint` was given them."""
        with h5py.File(self.path) as file:
            return {name: float(value) for name, value in file[_METRICS].attrs.items()}

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
        >>> run, resumed = open_run(runs, "bl_rcnn-shapes", TrainingConfig(epochs=3))
        >>> run.path.name, resumed
        ('bl_rcnn-shapes', False)
        >>> open_run(runs, "bl_rcnn-shapes", TrainingConfig(epochs=3))[1]  # the same: go on
        True
    """

    path: Path

    @property
    def flags(self) -> Path:
        """The flag file that repeats the run."""
        return self.path / "flags"

    @property
    def config_file(self) -> Path:
        """What the run is: two runs are the same if their configurations are."""
        return self.path / "config.json"

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
        """One row of metrics per epoch, counted from 1."""
        return self.path / "history.csv"

    @property
    def summary(self) -> Path:
        """What the finished run reached, with what."""
        return self.path / "summary.json"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.summary.exists()

    def config(self) -> TrainingConfig:
        """The configuration of the run.

        Runs of tfbio before 0.2 have a flag file only, which is read then.

        Raises:
            OSError: there is neither file.
            InputError: the file is damaged, or of another version.
        """
        try:
            content = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return self._config_of_flags()
        except ValueError as error:
            raise InputError(
                f"Expected the configuration of a run, received {self.config_file}, which is no "
                f"JSON ({error}): restore it, or train anew."
            ) from error
        try:
            return TrainingConfig.from_json(content)
        except InputError as error:
            modules = (content.get("model") or {}).get("imports")
            advice = f" Import {', '.join(modules)} first." if modules else ""
            raise InputError(f"{self.config_file} cannot be read. {error}{advice}") from error

    def _config_of_flags(self) -> TrainingConfig:
        settings = self.settings()
        options = options_of(TrainingConfig)
        parameters = model_info(settings.get("model", "bl_rcnn")).parameters
        values: dict[str, Any] = {}
        arguments: dict[str, Any] = {}
        for name, text in settings.items():
            known = options.get(name) or parameters.get(name)
            if known is None:
                raise InputError(
                    f"Expected flags of train.py in {self.flags}, received --{name}: it was "
                    "written by another version of tfbio."
                )
            try:
                value = from_text(known.annotation, text)
            except ValueError as error:
                raise InputError(
                    f"Expected a value of --{name} in {self.flags}, received {text!r}: {error}."
                ) from error
            (values if name in options else arguments)[name] = value
        return build(TrainingConfig, {**values, "arguments": arguments})

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
            rows = [
                {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}
                for row in csv.DictReader(file)
            ]
        if rows and rows[0]["epoch"] == 0:
            # Runs of tfbio before 0.2 counted from 0.
            rows = [{**row, "epoch": row["epoch"] + 1} for row in rows]
        return rows

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
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Keep weights, optimizer and random draws, as before step `step` of epoch `epoch`.

        Args:
            trainer: the compiled model.
            epoch: from 0.
            step: from 0.
            metrics: of the epoch so far, to go on with.
        """
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        partial = folder / ".partial.weights.h5"
        trainer.save_weights(partial, overwrite=True)
        with h5py.File(partial, "a") as file:
            file.create_group(_METRICS).attrs.update(metrics or {})
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


def flag_lines(config: TrainingConfig) -> str:
    """The flag file that repeats a run.

    Example:
        >>> flag_lines(TrainingConfig(epochs=3)).splitlines()[:2]
        ['--accumulate_steps=1', '--batch_size=32']
    """
    options = options_of(TrainingConfig)
    values = values_of(config)
    arguments = values.pop("arguments")
    texts = {
        name: as_text(absolute(value) if options[name].facts.get("path") else value)
        for name, value in values.items()
        if value is not None and options[name].is_setting and not options[name].facts.get("hidden")
    }
    for name in ("import", "milestones"):
        if not values.get(name):
            texts.pop(name, None)
    through = values["resize_through"]
    if through is not None and through[0] == through[1]:
        texts["resize_through"] = str(through[0])
    texts |= {name: as_text(value) for name, value in arguments.items()}
    return "".join(f"--{name}={text}\n" for name, text in sorted(texts.items()))


def open_run(
    root: str | os.PathLike,
    name: str,
    config: TrainingConfig | None = None,
    class_names: Sequence[str] = (),
) -> tuple[RunDirectory, bool]:
    """The unfinished run of the same settings, or a new one.

    Args:
        root: folder of all runs.
        name: name of the run; a number follows where a run of this name has other settings or is
            finished.
        config: what the run is.
        class_names: kept with the run.

    Returns:
        The run, and whether it was there.

    Raises:
        InputError: the folder cannot be written.
    """
    config = config or TrainingConfig()
    number = 1
    while True:
        run = RunDirectory(Path(root) / _numbered(name, number))
        try:
            run.path.mkdir(parents=True)
            run.labels.write_text("".join(f"{each}\n" for each in class_names), encoding="utf-8")
            run.flags.write_text(flag_lines(config), encoding="utf-8")
            text = json.dumps(config.as_json(), indent=2)
            run.config_file.write_text(f"{text}\n", encoding="utf-8")
            return run, False
        except FileExistsError:
            if not run.path.is_dir():
                raise InputError(
                    f"Expected a folder for the run at {run.path}, found a file: pass another "
                    "folder of runs."
                ) from None
            if not run.finished and _is_of(run, config):
                return run, True
            number += 1
        except OSError as error:
            raise InputError(
                f"The run cannot be written to {run.path} ({error.strerror}): pass a folder of "
                "runs that is writable."
            ) from error


def finished_run(root: str | os.PathLike, name: str, config: TrainingConfig) -> RunDirectory | None:
    """The finished run of the same settings, if there is one.

    Args:
        root: folder of all runs.
        name: as given to `open_run`.
        config: what the run is.

    Returns:
        The run, or None.

    Example:
        >>> import tempfile
        >>> runs, config = tempfile.mkdtemp(), TrainingConfig(epochs=3)
        >>> run, _ = open_run(runs, "bl_rcnn-shapes", config)
        >>> finished_run(runs, "bl_rcnn-shapes", config) is None
        True
        >>> run.write_summary({"epochs": 3})
        >>> finished_run(runs, "bl_rcnn-shapes", config) == run
        True
    """
    for number in itertools.count(1):
        run = RunDirectory(Path(root) / _numbered(name, number))
        if not run.path.is_dir():
            return None
        if run.finished and _is_of(run, config):
            return run
    return None


def _is_of(run: RunDirectory, config: TrainingConfig) -> bool:
    """Whether a run has these settings; what cannot be read has others."""
    try:
        return run.config().same_settings(config)
    except (OSError, ValueError, TypeError, KeyError):
        return False


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
