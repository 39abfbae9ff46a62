"""Flags that have the activity of layers recorded during a training."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from tfbio.cli.command import given
from tfbio.datasets.pipeline import evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import FileSplit, Split
from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.training.activity_recorder import ActivityRecorder, recorded_outputs
from tfbio.training.run_directory import RunDirectory

_IMAGES = 64
_DEFAULT = "default"


def define_recording_flags(values: flags.FlagValues) -> None:
    """Flags of `ActivityRecorder`."""
    at = {"flag_values": values}
    flags.DEFINE_list(
        "record_activity", None,
        "Layers whose sparsity, mean and correlation are recorded at every epoch's end: patterns "
        "of names, such as 'ReLU_*', or default: convolutions, activations and divisive "
        "normalizations.", **at,
    )  # fmt: skip
    flags.DEFINE_integer(
        "record_images", None,
        f"Validation images that --record_activity takes. Default: {_IMAGES}.", lower_bound=1, **at,
    )  # fmt: skip
    flags.DEFINE_integer(
        "record_steps", None, "With --record_activity, also record every so many steps.",
        lower_bound=1, **at,
    )  # fmt: skip


def recorded_layers(values: flags.FlagValues, model: keras.Model) -> list[str]:
    """The names of the layers that the flags choose; none without --record_activity.

    Raises:
        InputError: a pattern matches no layer, or a flag stands without --record_activity.
    """
    if values.record_activity is None:
        for name in given(values, ("record_images", "record_steps")):
            raise InputError(
                f"Expected --record_activity with --{name}, received the latter alone."
            )
        return []
    chosen = None if values.record_activity == [_DEFAULT] else values.record_activity
    return list(recorded_outputs(model, chosen))


def activity_recorders(
    values: flags.FlagValues,
    model: keras.Model,
    layers: list[str],
    validation: Split,
    image_size: tuple[int, int],
    framing: Framing,
    presentation: Presentation,
    run: RunDirectory,
) -> list[ActivityRecorder]:
    """A callback that records these layers, if there are any."""
    if not layers:
        return []
    count = values.record_images or _IMAGES
    batches = evaluation_batches(_Some(validation, count), count, image_size, framing, presentation)
    images = np.concatenate([images for images, _ in batches.as_numpy_iterator()])
    return [ActivityRecorder(model, images, run.path, layers, values.record_steps)]


class _Some(Split):
    """A few examples of a split, of any class, always the same."""

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
