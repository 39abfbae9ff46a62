"""A trained model and what is known about its training: of a run, of a file, or a model itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from tfbio.datasets.presentation import PLAIN, Presentation
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.models.registry import ModelInfo, create_model, model_info
from tfbio.models.time_steps import unrolled_layers, with_timesteps
from tfbio.training.config import NoiseConfig, TrainingConfig
from tfbio.training.run_directory import RunDirectory


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights, and what is known about their training.

    Attributes:
        model: the model; if it is recurrent, it gives all time steps.
        description: where the weights are from, for sentences.
        class_names: in the order of the outputs; empty if they are not known.
        framing: how images are brought to the size of its input.
        folder: where results about it belong; None for a model that is in no file.
        info: its entry in the registry; None for a model of another kind.
        config: of the training; None if it is not known.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> as_trained(model).info.name
        'b_cnn'
    """

    model: keras.Model
    description: str
    class_names: tuple[str, ...] = ()
    framing: Framing = Framing()
    folder: Path | None = None
    info: ModelInfo | None = None
    config: TrainingConfig | None = None

    @property
    def dataset(self) -> str | None:
        """The data set it was trained on; None if that is not known."""
        if self.config is None or self.config.data.fingerprint:
            return None
        return self.config.data.name

    @property
    def data_dir(self) -> str | None:
        """Where that data set lay."""
        return None if self.config is None else self.config.data.data_dir

    @property
    def presentation(self) -> Presentation:
        """What was made of the images that it was trained on."""
        return PLAIN if self.config is None else self.config.data.presentation

    def adjusted(
        self,
        noise: NoiseConfig | None = None,
        timesteps: int | None = None,
        framing: Framing | None = None,
    ) -> TrainedModel:
        """The same with another noise, another number of time steps or another framing.

        Args:
            noise: how the noise is drawn; it is that of the model itself from here on.
            timesteps: number of time steps.
            framing: how images are brought to the size of the input.

        Returns:
            A trained model that shares all weights.

        Raises:
            InputError: the model has no noise, or its number of time steps cannot change.
        """
        if noise is not None:
            noise.apply(self.model)
        model = self.model
        shape = model.output_shape
        if len(shape) == 3 and shape[1] == timesteps:
            # It has as many, whether or not it could have others.
            timesteps = None
        if timesteps is not None or unrolled_layers(model):
            # Every time step, whichever it was trained on, and as many as wanted.
            model = with_timesteps(model, timesteps, return_sequences=True)
        return replace(self, model=model, framing=framing or self.framing)


def as_trained(source: Any) -> TrainedModel:
    """A trained model, out of whatever stands for one.

    Args:
        source: a `TrainedModel`, a run, its folder, a `.keras` file, or a `keras.Model`.

    Returns:
        A `TrainedModel`.

    Raises:
        InputError: there is no trained model.
    """
    if isinstance(source, TrainedModel):
        return source
    if isinstance(source, RunDirectory):
        return _from_run(source)
    if isinstance(source, keras.Model):
        info = _known(source.name)
        framing = info.framing if info else Framing()
        trained = TrainedModel(source, source.name, framing=framing, info=info)
        return trained.adjusted()
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            "Expected a run, its folder, a .keras file or a keras.Model, received "
            f"{type(source).__name__}."
        )
    path = Path(source)
    if path.suffix != ".keras" or path.is_dir():
        return load_run(path)
    run = run_of(path)
    if run is not None:
        return _from_run(run)
    model = read_keras(path)
    info = _known(model.name)
    framing = info.framing if info else Framing()
    described = f"{model.name} with {path}"
    return TrainedModel(model, described, framing=framing, info=info).adjusted()


def load_run(path: str | os.PathLike | RunDirectory) -> TrainedModel:
    """The best model of a run, with its configuration, class names and framing.

    Args:
        path: the folder of the run, or the run itself.

    Returns:
        A `TrainedModel`.

    Raises:
        InputError: there is no run with a model, or a part of it is missing or damaged.
    """
    run = path if isinstance(path, RunDirectory) else RunDirectory(Path(path))
    if not run.model.is_file():
        raise InputError(
            f"Expected the folder of a trained run, found no model.keras in {run.path}."
        )
    return _from_run(run)


def from_weights(
    name: str,
    weights: str,
    arguments: Mapping[str, Any] | None = None,
    framing: Framing | None = None,
    folder: Path | None = None,
) -> TrainedModel:
    """A model of the registry with the weights of a file.

    Args:
        name: of the registry.
        weights: a file, see `tfbio.load_weights`; a `.keras` file holds the architecture too.
        arguments: of the builder.
        framing: how images are brought to its size; by default as published.
        folder: where results belong.

    Returns:
        A `TrainedModel`.

    Raises:
        InputError: the weights are of another model, or do not fit.
    """
    info = model_info(name)
    description = f"{info.name} with {weights}"
    chosen = framing or info.framing
    if Path(weights).suffix == ".keras":
        model = read_keras(Path(weights))
        if model.name != info.name:
            raise InputError(
                f"Expected {weights} to hold {info.name}, received {model.name}: pass "
                f"--model={model.name}."
            )
    else:
        # A model with noise draws the same samples each time the command runs.
        keras.utils.set_random_seed(0)
        model = create_model(info.name, weights=weights, **(arguments or {}))
    return TrainedModel(model, description, framing=chosen, folder=folder, info=info)


def run_of(path: Path) -> RunDirectory | None:
    """The run that a file is the best model of, or None."""
    run = RunDirectory(path.parent)
    is_run = run.config_file.is_file() or run.flags.is_file()
    return run if is_run and path.name == run.model.name else None


def read_keras(path: Path) -> keras.Model:
    """The model of a `.keras` file.

    Raises:
        InputError: there is no such file, or it cannot be read.
    """
    if not path.is_file():
        raise InputError(f"Expected a weights file at {path}, found nothing: check the path.")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        # Keras raises whatever the damaged part raises.
        raise InputError(f"{path} cannot be read as a Keras model: {error}") from error


def _from_run(run: RunDirectory) -> TrainedModel:
    try:
        config = run.config()
        class_names = tuple(run.class_names())
    except OSError as error:
        raise InputError(
            f"Expected the folder of a trained run, found {run.path} without its "
            f"{Path(error.filename or 'flags').name}."
        ) from error
    description = str(run.path) if run.finished else f"{run.path} (its training is not finished)"
    info = None if config.model.fingerprint else model_info(config.model.name)
    trained = TrainedModel(
        read_keras(run.model), description, class_names, config.data.framing, run.path, info, config
    )
    return trained.adjusted()


def _known(name: str) -> ModelInfo | None:
    try:
        return model_info(name)
    except UnknownNameError:
        return None
