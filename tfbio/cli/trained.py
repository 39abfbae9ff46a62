"""The trained model that a command works on: the newest run, a given one, or a weights file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import keras
from absl import flags

from tfbio._configuration import option, options_of
from tfbio.cli.flags import given, given_arguments
from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.models.registry import model_info
from tfbio.models.time_steps import unrolled_layers, with_timesteps
from tfbio.training.config import NoiseConfig
from tfbio.training.run_directory import newest_run
from tfbio.training.trained import TrainedModel, from_weights, load_run


@dataclass(frozen=True)
class TrainedFlags:
    """Trained model.

    Args:
        run: folder of a run. Default: the newest in --runs_dir.
        runs_dir: folder of all runs.
        model: of the registry, together with --weights, in place of a run.
        weights: weights file, together with --model.
        image_size: height and width of the input of --model, pixels. Default: as published.
        imports: modules of your own that register models, data sets or protocols: my_models.
        framing: how images are brought to the size of the input.
        noise: how the noise of the model is drawn.
    """

    run: str | None = option(path=True)
    runs_dir: str = option("runs", path=True)
    model: str | None = option()
    weights: str | None = option(path=True)
    image_size: int | None = option(minimum=1)
    imports: tuple[str, ...] = option((), name="import", example="my_models")
    framing: Framing = option(Framing())
    noise: NoiseConfig = option(NoiseConfig())


def find_trained(values: flags.FlagValues) -> TrainedModel:
    """The trained model that the flags name, framed as they say.

    Noise and time steps are left to the command.

    Raises:
        InputError: there is none, or the flags contradict each other.
    """
    trained = _find(values)
    return replace(trained, framing=replace(trained.framing, **given(values, options_of(Framing))))


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
    run = newest_run(values.runs_dir or "runs").path if values.run is None else values.run
    trained = load_run(run)
    ignored = _shape_flags(values, trained.model)
    if ignored:
        raise InputError(
            f"Expected {ignored} with --model and --weights only: a run has the "
            "model that it trained."
        )
    return trained


def _from_weights(values: flags.FlagValues) -> TrainedModel:
    info = model_info(values.model)
    folder = Path(values.runs_dir or "runs") / info.name
    arguments = given_arguments(values, TrainedFlags)
    if values.image_size is not None:
        arguments["input_shape"] = (values.image_size, values.image_size, 3)
    trained = from_weights(info.name, values.weights, arguments, folder=folder)
    if Path(values.weights).suffix == ".keras":
        # The file holds the architecture too: nothing is left to be said by flags.
        said = _shape_flags(values, trained.model)
        if said:
            raise InputError(
                f"Expected no {said} with {values.weights}, which holds the whole model: leave it "
                "out."
            )
    return trained.adjusted()


def _shape_flags(values: flags.FlagValues, model: keras.Model) -> str:
    """The flags given that shape a model in a way that cannot be changed, for a sentence."""
    said = given_arguments(values, TrainedFlags)
    timesteps = said.pop("timesteps", None)
    if timesteps is not None and not unrolled_layers(model):
        with_timesteps(model, timesteps)  # Its sentence says which models have another number.
    if values.image_size is not None:
        said["image_size"] = values.image_size
    return ", ".join(f"--{name}" for name in said)
