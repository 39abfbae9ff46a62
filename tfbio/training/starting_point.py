"""What a training starts from: a registered model, and the run whose weights it takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from tfbio._configuration import values_of
from tfbio.errors import InputError
from tfbio.models.registry import create_model
from tfbio.training.config import ModelConfig, TrainingConfig
from tfbio.training.run_directory import RunDirectory
from tfbio.training.trained import run_of
from tfbio.weights.errors import WeightsError


def with_those_of_the_run(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options beside those of the run whose weights are given: its model, arguments and framing.

    Args:
        values: the options that are given, by name; they come first.

    Raises:
        InputError: the run has no model, or is one of another model than is given.
    """
    values = dict(values)
    weights = values.get("weights")
    if isinstance(weights, RunDirectory):
        weights = values["weights"] = weights.path
    if not isinstance(weights, (str, os.PathLike)):
        return values
    path = Path(weights)
    run = RunDirectory(path) if path.is_dir() else run_of(path)
    if run is None:
        return values
    if not run.model.is_file():
        raise InputError(f"Expected the folder of a trained run, found no model.keras in {path}.")
    values["weights"] = str(run.model)
    if isinstance(values.get("model"), ModelConfig):
        return values
    config = run.config()
    if config.model.fingerprint is not None:
        return values
    before = _architecture(config.model)
    if values.get("model", before["model"]) != before["model"]:
        raise InputError(
            f"Expected model={before['model']}, as in the run {run.path} whose weights are taken, "
            f"received model={values['model']}: leave it out."
        )
    framing = values_of(config.data.framing)
    if any(name in values for name in (*framing, "framing", "data")):
        # It is one thing: what is given of it is all of it.
        framing = {}
    return {**before, **framing, **values}


def registered_model(config: TrainingConfig) -> Callable[[int], keras.Model]:
    """What builds the registered model of a configuration for a number of classes.

    Args:
        config: of the training.

    Returns:
        A function of the number of classes. It raises an `InputError` that says which argument
        differs from the run's whose weights do not fit, or else the `WeightsError`.
    """
    weights = config.model.weights

    def build(classes: int) -> keras.Model:
        file = weights
        if weights is not None and os.path.isdir(weights):
            file = str(RunDirectory(Path(weights)).model)
        try:
            return create_model(
                config.model.name,
                classes=classes,
                weights=file,
                **config.model.builder_arguments(),
            )
        except WeightsError as error:
            difference = _difference(config.model, file)
            if difference is None:
                raise
            raise InputError(
                f"{difference} leave it out. tfbio.load_weights names every tensor that does not "
                "fit."
            ) from error

    return build


def _difference(model: ModelConfig, weights: str | None) -> str | None:
    """Which argument differs from that of the run whose weights are taken, if one does."""
    run = None if weights is None else run_of(Path(weights))
    if run is None:
        return None
    before, now = _architecture(run.config().model), _architecture(model)
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            return (
                f"Expected {name}={before.get(name)}, as in the run {run.path} whose weights are "
                f"taken, received {name}={now.get(name)}:"
            )
    return None


def _architecture(model: ModelConfig) -> dict[str, Any]:
    size = {} if model.image_size is None else {"image_size": model.image_size}
    return {"model": model.name, **model.arguments, **size}
