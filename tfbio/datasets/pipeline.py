"""The one input pipeline: from a split to batches.

The order of examples and every random draw are functions of (seed, epoch, index), so an epoch can
be begun at any step and gives the same batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfbio.datasets.augmentation import AUGMENTATIONS
from tfbio.datasets.images import resize, resize_and_crop
from tfbio.datasets.names import AugmentationName
from tfbio.datasets.presentation import PLAIN, Presentation
from tfbio.datasets.source import Split
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing

# A random crop is taken from an image scaled to this much more than the crop.
_CROP_MARGIN = 1.125
# Numbers of the draws of an image beside those of its augmentations.
_STIMULUS, _DEGRADED = 100, 101
# Conditions and stimuli of an evaluation are the same every time.
_EVALUATION_SEED = (0, 0)


@dataclass(frozen=True)
class TrainingBatches:
    """Shuffled, augmented, whole batches of a split, epoch by epoch.

    Args:
        split: where the examples come from.
        batch_size: examples a step over all devices; the remainder of an epoch is left out, and
            other examples fall into it every epoch.
        image_size: (height, width), pixels.
        seed: decides order and draws, with the epoch.
        augment: `"crop"` (a random window, an eighth of leeway) or `"random_resized_crop"` (a
            window of random area and shape, of the whole image), and `"flip"` (left and right).
        framing: of the model, see `resize_and_crop`; `"random_resized_crop"` has no use for its
            crop ratio.
        presentation: what else is made of the images.
        class_weights: weight of every class in the loss; None weighs all examples the same.

    Raises:
        InputError: the split has fewer examples than a batch or no masks for a stimulus, both
            kinds of crop are asked for, or the framing goes through less than `image_size`.
        UnknownNameError: there is no such augmentation.
    """

    split: Split
    batch_size: int
    image_size: tuple[int, int]
    seed: int = 0
    augment: Sequence[AugmentationName] = ()
    framing: Framing = Framing()
    presentation: Presentation = PLAIN
    class_weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self.presentation.check(self.split)
        for name in self.augment:
            if name not in AUGMENTATIONS:
                raise UnknownNameError("augmentation", name, AUGMENTATIONS)
        if {"crop", "random_resized_crop"} <= set(self.augment):
            raise InputError(
                "Expected the augmentation crop or random_resized_crop, received both: leave one "
                "out."
            )
        self.framing.cropped_size(self.image_size)
        if self.split.size < self.batch_size:
            raise InputError(
                f"Expected at least one batch of {self.batch_size} images in the split "
                f"{self.split.name!r}, found {self.split.size} images: lower batch_size."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Number of whole batches."""
        return self.split.size // self.batch_size

    def epoch(self, epoch: int, start: int = 0) -> tf.data.Dataset:
        """The batches of one epoch, from a step on.

        Args:
            epoch: number of the epoch, from 0.
            start: number of the first step, from 0.

        Returns:
            (images, labels): float32 (batch, height, width, 3) in [0, 255], int64 (batch,); with
            class weights, (images, labels, weights), float32 (batch,).
        """
        state = np.random.SeedSequence(self.seed, spawn_key=(epoch,)).generate_state(3) >> 1
        order_seed, *draw_seed = state.tolist()
        examples = self.split.examples(order_seed, skip=start * self.batch_size)

        def prepare(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            image, label = self._augmented(example, draw_seed), example["label"]
            if self.class_weights is None:
                return image, label
            return image, label, tf.gather(tf.constant(self.class_weights, tf.float32), label)

        batches = (
            examples.take((self.steps_per_epoch - start) * self.batch_size)
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
            .batch(self.batch_size, drop_remainder=True)
            .prefetch(tf.data.AUTOTUNE)
        )
        return _with_options(batches)

    def _augmented(self, example: dict[str, tf.Tensor], draw_seed: list[int]) -> tf.Tensor:
        cropped = self.framing.cropped_size(self.image_size)
        margin = _CROP_MARGIN if "crop" in self.augment else 1.0
        covered = (round(cropped[0] * margin), round(cropped[1] * margin))
        seed = tf.random.fold_in(draw_seed, tf.cast(example["index"], tf.int32))
        image = self.presentation.as_stimulus(example, covered, tf.random.fold_in(seed, _STIMULUS))
        if "random_resized_crop" not in self.augment:
            image = resize_and_crop(image, covered, Framing(self.framing.crop_ratio))
        for draw, name in enumerate(self.augment):
            image = AUGMENTATIONS[name](image, cropped, tf.random.fold_in(seed, draw))
        image = self.presentation.degraded(image, tf.random.fold_in(seed, _DEGRADED))
        return image if self.framing.resize_through is None else resize(image, self.image_size)


def evaluation_batches(
    split: Split,
    batch_size: int,
    image_size: tuple[int, int],
    framing: Framing = Framing(),
    presentation: Presentation = PLAIN,
) -> tf.data.Dataset:
    """Every example of a split once, in stored order, unaugmented.

    Args:
        split: where the examples come from.
        batch_size: examples a batch; the last one may be smaller.
        image_size: (height, width), pixels.
        framing: of the model, see `resize_and_crop`.
        presentation: what else is made of the images; its draws are functions of their index.

    Returns:
        (images, labels): float32 (batch, height, width, 3) in [0, 255], int64 (batch,).

    Raises:
        InputError: the framing goes through less than `image_size`, or there are no masks for a
            stimulus.
    """
    cropped = framing.cropped_size(image_size)
    presentation.check(split)

    def prepare(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        seed = tf.random.fold_in(_EVALUATION_SEED, tf.cast(example["index"], tf.int32))
        image = presentation.as_stimulus(example, cropped, tf.random.fold_in(seed, _STIMULUS))
        image = resize_and_crop(image, cropped, Framing(framing.crop_ratio))
        image = presentation.degraded(image, tf.random.fold_in(seed, _DEGRADED))
        if framing.resize_through is not None:
            image = resize(image, image_size)
        return image, example["label"]

    batches = (
        split.examples()
        .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )
    return _with_options(batches)


def _with_options(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # A batch is divided over replicas; files are not.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.with_options(options)
