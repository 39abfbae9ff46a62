"""The trained model that a command works on: the newest run, a given one, or a weights file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
from absl import flags

from tfbio.cli.command import given
from tfbio.cli.framing import Framing, chosen_framing, define_framing_flags
from tfbio.cli.models import MODEL_FLAGS, model_arguments
from tfbio.cli.noise import apply_noise, define_noise_flags
from tfbio.datasets.catalog import canonical_name
from tfbio.errors import InputError
from tfbio.models.registry import ModelInfo, create_model, model_info
from tfbio.models.time_steps import unrolled_layers, with_timesteps
from tfbio.training.run_directory import RunDirectory, newest_run


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights and what is known about their training.

    Attributes:
        model: the model, all time steps returned.
        info: its registry entry.
        description: where the weights are from.
        folder: where results about it belong.
        framing: how images are brought to its size.
        class_names: empty if not known.
        dataset: what it was trained on, None if not known.
        data_dir: where that lay.
        settings: the flags of the run, by name; empty without one.
    """

    model: keras.Model
    info: ModelInfo
    description: str
    folder: Path
    framing: Framing
    class_names: tuple[str, ...] = ()
    dataset: str | None = None
    data_dir: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


def define_trained_flags(values: flags.FlagValues) -> None:
    """Flags that say which trained model is meant."""
    flags.DEFINE_string(
        "run", None, "Folder of a run. Default: the newest in --runs_dir.", flag_values=values
    )
    flags.DEFINE_string("runs_dir", "runs", "Folder of all runs.", flag_values=values)
    flags.DEFINE_string("weights", None, "Weights file, together with --model.", flag_values=values)
    define_framing_flags(values)
    define_noise_flags(values)


def find_trained(values: flags.FlagValues) -> TrainedModel:
    """The trained model that the flags name, its noise drawn and its time steps as they say.

    Raises:
        InputError: there is none, or the flags contradict each other.
    """
    trained = _find(values)
    apply_noise(values, trained.model)
    if unrolled_layers(trained.model):
        # Every time step, whichever it was trained on, and as many as wanted.
        model = with_timesteps(trained.model, values.timesteps, return_sequences=True)
        trained = replace(trained, model=model)
    return trained


def _find(values: flags.FlagValues) -> TrainedModel:
    if (values.model is None) != (values.weights is None):
        raise InputError(
            "Expected --model and --weights together, or neither to take a run, received "
            f"--{'weights' if values.model is None else 'model'} alone."
        )
    if values.model is not None:
        if values.run is not None:
            raise InputError("Expected --run, or --model with --weights, received both.")
        return _from_weights(values)
    run = newest_run(values.runs_dir) if values.run is None else _run(values.run)
    trained = _from_run(values, run)
    ignored = _shape_flags(values, trained.model)
    if ignored:
        raise InputError(
            f"Expected {ignored} with --model and --weights only: a run has the "
            "model that it trained."
        )
    return trained


def _from_weights(values: flags.FlagValues) -> TrainedModel:
    info = model_info(values.model)
    description = f"{info.name} with {values.weights}"
    folder = Path(values.runs_dir) / info.name
    framing = chosen_framing(values, info)
    if Path(values.weights).suffix != ".keras":
        # A model with noise draws the same samples each time the command runs.
        keras.utils.set_random_seed(0)
        model = create_model(info.name, weights=values.weights, **model_arguments(values))
        return TrainedModel(model, info, description, folder, framing)
    # The file holds the architecture too: nothing is left to be said by flags.
    model = _read_keras(Path(values.weights))
    said = _shape_flags(values, model)
    if said:
        raise InputError(
            f"Expected no {said} with {values.weights}, which holds the whole model: leave it out."
        )
    if model.name != info.name:
        raise InputError(
            f"Expected {values.weights} to hold {info.name}, received {model.name}: pass "
            f"--model={model.name}."
        )
    return TrainedModel(model, info, description, folder, framing)


def _shape_flags(values: flags.FlagValues, model: keras.Model) -> str:
    """The flags given that shape a model in a way that cannot be changed, for a sentence."""
    if values.timesteps is not None and not unrolled_layers(model):
        with_timesteps(model, values.timesteps)  # says which models have another number
    names = [name for name in given(values, MODEL_FLAGS) if name != "timesteps"]
    return ", ".join(f"--{name}" for name in names)


def _read_keras(path: Path) -> keras.Model:
    if not path.is_file():
        raise InputError(f"Expected a weights file at {path}, found nothing: check the path.")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras raises whatever the damaged part raises.
        raise InputError(f"{path} cannot be read as a Keras model: {error}") from error


def _run(path: str) -> RunDirectory:
    run = RunDirectory(Path(path))
    if not run.model.is_file():
        raise InputError(f"Expected the folder of a trained run, found no model.keras in {path}.")
    return run


def _from_run(values: flags.FlagValues, run: RunDirectory) -> TrainedModel:
    try:
        settings = run.settings()
        class_names = tuple(run.class_names())
        info = model_info(settings["model"])
    except (OSError, KeyError) as error:
        raise InputError(
            f"Expected the folder of a trained run, found {run.path} without its "
            f"{Path(getattr(error, 'filename', None) or 'flags').name}."
        ) from error
    description = str(run.path) if run.finished else f"{run.path} (its training is not finished)"
    return TrainedModel(
        _read_keras(run.model), info, description, run.path,
        chosen_framing(values, settings=settings), class_names,
        canonical_name(settings.get("dataset", "shapes")), settings.get("data_dir"), settings,
    )  # fmt: skip
