"""A trained model and what is known of its training: what evaluation and export work on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tfbio.datasets.presentation import PLAIN, Presentation
from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.models.time_steps import unrolled_layers, with_timesteps

if TYPE_CHECKING:
    from tfbio.models.registry import ModelInfo


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights and what is known about their training.

    Attributes:
        model: the model, all time steps returned.
        description: where the weights are from.
        class_names: empty if not known.
        framing: how images are brought to its size.
        folder: where results about it belong, None if nowhere.
        info: its registry entry, None for a model of the user's own.
        dataset: what it was trained on, None if not known.
        data_dir: where that lay.
        presentation: what was made of the images of the training.
    """

    model: keras.Model
    description: str
    class_names: tuple[str, ...] = ()
    framing: Framing = field(default_factory=Framing)
    folder: Path | None = None
    info: ModelInfo | None = None
    dataset: str | None = None
    data_dir: str | None = None
    presentation: Presentation = PLAIN


def as_trained(trained: Any) -> TrainedModel:
    """What is given as a trained model.

    Args:
        trained: a `TrainedModel`, or any `keras.Model`.

    Raises:
        InputError: it is neither.
    """
    if isinstance(trained, TrainedModel):
        return trained
    if not isinstance(trained, keras.Model):
        raise InputError(f"Expected a trained model, received {trained!r}.")
    model = trained
    if unrolled_layers(model):
        model = with_timesteps(model, return_sequences=True)
    return TrainedModel(model, model.name)
