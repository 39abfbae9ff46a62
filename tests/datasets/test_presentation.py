"""Conditions, corruptions and stimuli in the input pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfbio.datasets.conditions import ViewingCondition, grayscale
from tfbio.datasets.corruptions import Corruption, corrupt
from tfbio.datasets.pipeline import TrainingBatches, evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import Split
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing

SIZE = 40
COUNT = 8


class Discs(Split):
    """Noise; the object is a disc."""

    name, size = "train", COUNT

    def __init__(self, masks=True):
        self.has_masks = masks
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
        rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE // 2
        self.mask = np.where(rows**2 + columns**2 < 100, 255, 0).astype(np.uint8)[..., None]

    def examples(self, order_seed=None, skip=0):
        order = np.arange(COUNT)
        if order_seed is not None:
            order = np.random.default_rng(order_seed).permutation(COUNT)
        order = order[skip:]
        columns = {"image": self.images[order], "label": order % 2, "index": order}
        if self.has_masks:
            columns["mask"] = np.stack([self.mask] * len(order))
        return tf.data.Dataset.from_tensor_slices(columns)


def _shown(presentation, split=None, **arguments):
    batches = evaluation_batches(
        split or Discs(), COUNT, (SIZE, SIZE), presentation=presentation, **arguments
    )
    ((images, _),) = batches.as_numpy_iterator()
    return images


def test_a_condition_is_applied_to_every_image():
    shown = _shown(Presentation(condition=ViewingCondition("grayscale")))
    expected = [grayscale(tf.cast(image, tf.float32)).numpy() for image in Discs().images]
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize(
    "presentation",
    [
        Presentation(condition=ViewingCondition("noise")),
        Presentation(corruption=Corruption("gaussian_noise", 3)),
        Presentation(stimulus="serrated"),
    ],
    ids=["condition", "corruption", "stimulus"],
)
def test_an_evaluation_draws_the_same_every_time_and_another_for_every_image(presentation):
    first = _shown(presentation)
    np.testing.assert_array_equal(_shown(presentation), first)
    same = Discs()
    same.images[:] = same.images[0]
    shown = _shown(presentation, same)
    assert len({image.tobytes() for image in shown}) == COUNT


def test_a_corruption_takes_the_pixels_of_the_crop_and_comes_after_the_condition():
    presentation = Presentation(
        condition=ViewingCondition("grayscale"), corruption=Corruption("contrast", 2)
    )
    shown = _shown(presentation)
    gray = np.rint(_shown(Presentation(condition=ViewingCondition("grayscale")))).astype(np.uint8)
    expected = [corrupt(image, "contrast", 2, seed=0) for image in gray]
    np.testing.assert_array_equal(shown, expected)


def test_what_comes_after_the_crop_is_scaled_with_it():
    bright = Presentation(corruption=Corruption("brightness", 1))
    batches = evaluation_batches(
        Discs(), COUNT, (8, 8), Framing(resize_through=SIZE), presentation=bright
    )
    ((images, _),) = batches.as_numpy_iterator()
    whole = [corrupt(image, "brightness", 1, seed=0) for image in Discs().images]
    # Of 40 to 8 pixels, every pixel is a weighted mean; the mean of all is nearly kept.
    assert images.shape == (COUNT, 8, 8, 3)
    np.testing.assert_allclose(images.mean(axis=(1, 2)), np.mean(whole, axis=(1, 2)), atol=3)


def test_a_stimulus_is_made_of_the_mask_and_fills_the_image():
    shown = _shown(Presentation(stimulus="silhouette"))
    assert set(np.unique(shown)) == {0, 255}
    # From its first to its last row the disc has 18 pixels, and the window 1.4 times as many.
    np.testing.assert_allclose((shown == 0).mean(), (Discs().mask > 0).sum() / 25**2, atol=0.01)


@pytest.mark.parametrize("augment", [(), ("crop",), ("random_resized_crop", "flip")], ids=str)
def test_in_training_draws_follow_epoch_and_index(augment):
    presentation = Presentation("foreground", ViewingCondition("noise"))
    batches = TrainingBatches(
        Discs(), 4, (SIZE, SIZE), seed=3, augment=augment, presentation=presentation
    )
    whole = np.concatenate([images for images, _ in batches.epoch(1).as_numpy_iterator()])
    resumed = np.concatenate([images for images, _ in batches.epoch(1, 1).as_numpy_iterator()])
    other = np.concatenate([images for images, _ in batches.epoch(2).as_numpy_iterator()])
    np.testing.assert_array_equal(whole[4:], resumed)
    assert whole.shape == (COUNT, SIZE, SIZE, 3)
    assert not {image.tobytes() for image in whole} & {image.tobytes() for image in other}


def test_class_weights_come_with_the_examples():
    batches = TrainingBatches(Discs(), 4, (SIZE, SIZE), class_weights=(0.5, 2.0))
    for _, labels, weights in batches.epoch(0).as_numpy_iterator():
        np.testing.assert_array_equal(weights, np.where(labels == 1, 2.0, 0.5))


def test_examples_are_counted_by_class():
    np.testing.assert_array_equal(Discs().class_counts(3), [4, 4, 0])


def test_a_stimulus_needs_masks():
    for make in (
        lambda shown: evaluation_batches(Discs(masks=False), 4, (8, 8), presentation=shown),
        lambda shown: TrainingBatches(Discs(masks=False), 4, (8, 8), presentation=shown),
    ):
        with pytest.raises(InputError, match="Expected a data set with masks for the stimulus 'no"):
            make(Presentation("normal"))


def test_an_unknown_stimulus():
    with pytest.raises(UnknownNameError, match=r"Unknown stimulus 'silhouete'\. Nearest: silhou"):
        Presentation("silhouete")
