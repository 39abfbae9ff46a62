"""The activity of layers during a training, as its configuration asks for it."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from tfbio.datasets.pipeline import evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import FileSplit, Split
from tfbio.framing import Framing
from tfbio.training.activity_recorder import ActivityRecorder, recorded_outputs
from tfbio.training.config import RecordingConfig
from tfbio.training.run_directory import RunDirectory

_IMAGES = 64


def recorded_layers(config: RecordingConfig, model: keras.Model) -> list[str]:
    """The names of the layers that are recorded; none if nothing is.

    Raises:
        InputError: a pattern matches no layer.
    """
    if config.layers is None:
        return []
    return list(recorded_outputs(model, config.patterns))


def activity_recorders(
    config: RecordingConfig,
    model: keras.Model,
    layers: list[str],
    validation: Split,
    image_size: tuple[int, int],
    framing: Framing,
    presentation: Presentation,
    run: RunDirectory,
) -> list[ActivityRecorder]:
    """A callback that records these layers, if there are any.

    Args:
        config: on how many images, and how often.
        model: that is trained.
        layers: as `recorded_layers` gives them.
        validation: where the images come from.
        image_size: (height, width), pixels.
        framing: how images are brought to it.
        presentation: what else is made of them.
        run: keeps the files.
    """
    if not layers:
        return []
    count = config.images or _IMAGES
    some = SomeExamples(validation, count)
    batches = evaluation_batches(some, count, image_size, framing, presentation)
    images = np.concatenate([images for images, _ in batches.as_numpy_iterator()])
    return [ActivityRecorder(model, images, run.path, layers, config.steps)]


class SomeExamples(Split):
    """A few examples of a split, of any class, always the same.

    Args:
        split: where they come from.
        count: how many, at most.
    """

    def __init__(self, split: Split, count: int):
        self.name = split.name
        self.size = min(count, split.size)
        self.has_masks = split.has_masks
        self._split = split

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        # Files come class by class. TFDS has shuffled what it stores, and shuffles by reading all.
        if isinstance(self._split, FileSplit):
            order_seed = 0
        return self._split.examples(order_seed).take(self.size).skip(skip)
