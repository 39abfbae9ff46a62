"""Configurations of the original projects, and of runs, as options of `tfbio.train`."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tfbio._configuration import options_of, values_of
from tfbio.errors import InputError
from tfbio.models.registry import model_info
from tfbio.training import _divisive_normalization_config as divisive_normalization
from tfbio.training import _shape_selective_config as shape_selective
from tfbio.training._foreign_keys import Key
from tfbio.training.config import TrainingConfig

ConfigKind = Literal["tfbio", "shape_selective", "divisive_normalization"]

# Options that not every optimizer has.
_OPTIMIZERS_WITH = {"momentum": ("sgd", "rmsprop"), "nesterov": ("sgd",)}
# What becomes of each key of the projects: the tables of docs/configurations.md.
SHAPE_SELECTIVE_KEYS: tuple[Key, ...] = shape_selective.KEYS
DIVISIVE_NORMALIZATION_KEYS: tuple[Key, ...] = divisive_normalization.KEYS


@dataclass(frozen=True)
class ReadConfig:
    """A configuration as options, and what of it has no counterpart.

    Attributes:
        values: names of options to values, as flags of `train.py` and keywords of `tfbio.train`.
        notes: a sentence for each key that nothing corresponds to, or that is read in another
            sense.
        kind: whose configuration it was.
    """

    values: dict[str, Any]
    notes: tuple[str, ...]
    kind: ConfigKind

    def beside(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The values that still hold where others are given, which come first.

        A given model, optimizer or schedule takes the file's options away that it does not have.

        Args:
            given: names of options to values.

        Returns:
            The values of the file that are left, and the given ones.

        Example:
            >>> of_file = {"schedule": "step", "decay_every": 30, "epochs": 9}
            >>> ReadConfig(of_file, (), "tfbio").beside({"schedule": "cosine"})
            {'epochs': 9, 'schedule': 'cosine'}
        """
        options = options_of(TrainingConfig)

        def holds(name: str) -> bool:
            if name not in options:
                return "model" not in given or name in model_info(given["model"]).arguments
            if options[name].variants and "schedule" in given:
                return given["schedule"] in options[name].variants
            takers = _OPTIMIZERS_WITH.get(name)
            return takers is None or given.get("optimizer", takers[0]) in takers

        left = {name: value for name, value in self.values.items() if name not in given}
        return {**{name: value for name, value in left.items() if holds(name)}, **given}


def read_config(path: str | os.PathLike, overrides: Sequence[str] = ()) -> ReadConfig:
    """Read the configuration of a run, or of one of two original projects.

    The JSON of the shape-selective project (Birkholz 2023), that of the divisive-normalization
    project ("Modeling Divisive Normalization in Visual Cortex"), and `config.json` of a run of
    tfbio are told apart by what they contain. What a key becomes is in docs/configurations.md.

    Args:
        path: the file.
        overrides: changes of an original's configuration, as its command takes them:
            `optimizer-lr=0.01`. In front may stand the words of the divisive-normalization
            project's command: name of the experiment, data set, model.

    Returns:
        The values of options, and notes.

    Raises:
        UnknownNameError: the project has no such key; the message offers the nearest.
        InputError: the file is none of the three, or a value is refused.

    Example:
        >>> import json, pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "config.json"
        >>> _ = file.write_text(json.dumps({"model_base": "ff_tower", "cell_type": "gru",
        ...     "time_steps": 4, "dataset": "imagenet_small", "dataset_path": "images",
        ...     "batch_size": 64, "epochs": 20, "learning_rate": 0.001, "optimizer": "adam"}))
        >>> read = read_config(file, ["epochs=30"])
        >>> read.kind, read.values["model"], read.values["timesteps"], read.values["epochs"]
        ('shape_selective', 'gru_tower', 4, 30)
        >>> print(read.notes[1])
        cell_type=gru: the original's update gate stands on both sides; --upstream_exact computes
        so.
    """
    content = _content(Path(path))
    kind = _kind(content, path)
    if kind == "tfbio":
        if overrides:
            raise InputError(
                f"Expected no changes with a run's own configuration, received "
                f"{' '.join(overrides)}: give flags or keywords."
            )
        return ReadConfig(_values_of_run(content, path), (), kind)
    if kind == "divisive_normalization":
        # What its recorder writes has the configuration in it.
        content = content.get("configs", content)
    words = _words(overrides)
    if kind == "divisive_normalization":
        divisive_normalization.check_command(content, words)
        content = {**content, **({"exp_name": words[0]} if words else {})}
    elif words:
        raise InputError(f"Expected changes such as epochs=30, received {' '.join(words)}.")
    content = _changed(content, overrides[len(words) :])
    project = shape_selective if kind == "shape_selective" else divisive_normalization
    values, notes = project.read(content)
    return ReadConfig(values, notes, kind)


# === Files ===


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"Expected a file with a configuration, found none at {path}.") from error
    except ValueError as error:
        raise InputError(f"Expected JSON, received {path}, which is none ({error}).") from error
    if not isinstance(content, dict):
        raise InputError(
            f"Expected one configuration in {path}, received a {type(content).__name__}."
        )
    return content


def _kind(content: Mapping[str, Any], path: str | os.PathLike) -> ConfigKind:
    if "version" in content and isinstance(content.get("model"), Mapping):
        return "tfbio"
    sections = content.get("configs", content)
    if isinstance(sections, Mapping) and any(
        isinstance(sections.get(name), Mapping) for name in divisive_normalization.SECTIONS
    ):
        return "divisive_normalization"
    if any(key.name in content for key in SHAPE_SELECTIVE_KEYS if key.name != "seed"):
        return "shape_selective"
    raise InputError(
        f"Expected the config.json of a run, or a configuration of {shape_selective.PROJECT} "
        f"(with model_base) or of {divisive_normalization.PROJECT} (with model, data, ...), "
        f"received {path} with {', '.join(map(str, content)) or 'nothing'}."
    )


def _values_of_run(content: Mapping[str, Any], path: str | os.PathLike) -> dict[str, Any]:
    """What decides a training, but for what is left to defaults that are none."""
    try:
        config = TrainingConfig.from_json(content)
    except InputError as error:
        modules = content["model"].get("imports")
        advice = f" Import {', '.join(modules)} first." if modules else ""
        raise InputError(f"{path} cannot be read. {error}{advice}") from error
    if config.model.fingerprint is not None or config.data.fingerprint is not None:
        raise InputError(
            "Expected the configuration of a run whose model and data have names, received one of "
            "a model or data of your own: call tfbio.train with them."
        )
    values = values_of(config)
    arguments = values.pop("arguments") or {}
    options = options_of(TrainingConfig)
    decided = {
        name: value
        for name, value in values.items()
        if value is not None and options[name].is_setting
    }
    return {**decided, **arguments}


# === Changes ===


def _words(overrides: Sequence[str]) -> tuple[str, ...]:
    """What stands in front of the changes."""
    first = next((i for i, each in enumerate(overrides) if "=" in each), len(overrides))
    return tuple(overrides[:first])


def _changed(content: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy with other values of some keys."""
    changed = copy.deepcopy(dict(content))
    for override in overrides:
        path, equals, value = override.partition("=")
        *sections, name = path.split("-")
        if not equals or not name:
            raise InputError(f"Expected key=value or key1-key2=value, received {override!r}.")
        place = changed
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(
                    f"Expected a section in front of each hyphen, received {override!r}, where "
                    f"{section} is a value."
                )
        place[name] = _value(value)
    return changed


def _value(written: str) -> Any:
    """A value as JSON has it, or as the original reads it; else a text."""
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    try:
        return json.loads(written)
    except ValueError:
        pass
    try:
        return float(written)
    except ValueError:
        return written
