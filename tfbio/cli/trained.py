"""The trained model that a command works on: the newest run, a given one, or a weights file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
from absl import flags

from tfbio.cli.models import model_arguments
from tfbio.errors import InputError
from tfbio.models.registry import ModelInfo, create_model, model_info
from tfbio.training.run_directory import RunDirectory, newest_run


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights and what is known about their training.

    Attributes:
        model: the model, all time steps returned.
        info: its registry entry.
        description: where the weights are from.
        folder: where results about it belong.
        class_names: empty if not known.
        dataset: what it was trained on, None if not known.
        data_dir: where that lay.
    """

    model: keras.Model
    info: ModelInfo
    description: str
    folder: Path
    class_names: tuple[str, ...] = ()
    dataset: str | None = None
    data_dir: str | None = None


def define_trained_flags(values: flags.FlagValues) -> None:
    """Flags that say which trained model is meant."""
    flags.DEFINE_string(
        "run", None, "Folder of a run. Default: the newest in --runs_dir.", flag_values=values
    )
    flags.DEFINE_string("runs_dir", "runs", "Folder of all runs.", flag_values=values)
    flags.DEFINE_string("weights", None, "Weights file, together with --model.", flag_values=values)


def find_trained(values: flags.FlagValues) -> TrainedModel:
    """The trained model that the flags name.

    Raises:
        InputError: there is none, or the flags contradict each other.
    """
    if (values.model is None) != (values.weights is None):
        raise InputError(
            "Expected --model and --weights together, or neither to take a run, received "
            f"--{'weights' if values.model is None else 'model'} alone."
        )
    if values.model is not None:
        if values.run is not None:
            raise InputError("Expected --run, or --model with --weights, received both.")
        info = model_info(values.model)
        model = create_model(info.name, weights=values.weights, **model_arguments(values))
        return TrainedModel(
            model, info, f"{info.name} with {values.weights}", Path(values.runs_dir) / info.name
        )
    return _from_run(newest_run(values.runs_dir) if values.run is None else _run(values.run))


def _run(path: str) -> RunDirectory:
    run = RunDirectory(Path(path))
    if not run.model.is_file():
        raise InputError(f"Expected the folder of a trained run, found no model.keras in {path}.")
    return run


def _from_run(run: RunDirectory) -> TrainedModel:
    try:
        settings = run.settings()
        class_names = tuple(run.class_names())
        info = model_info(settings["model"])
    except (OSError, KeyError) as error:
        raise InputError(
            f"Expected the folder of a trained run, found {run.path} without its "
            f"{Path(getattr(error, 'filename', None) or 'flags').name}."
        ) from error
    try:
        model = keras.saving.load_model(run.model, compile=False)
    except Exception as error:
        # Keras raises whatever the damaged part raises.
        raise InputError(f"{run.model} cannot be read as a Keras model: {error}") from error
    return TrainedModel(
        model, info, str(run.path), run.path, class_names, settings.get("dataset"),
        settings.get("data_dir"),
    )  # fmt: skip
