"""Random windows: their statistics against the specification, their pixels against Pillow."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfbio.datasets.augmentation import random_resized_crop, random_window

DRAWS = 20_000


def windows(height, width, draws=DRAWS, seed=7):
    def draw(index):
        return random_window(tf.constant([height, width]), tf.random.fold_in([seed, 1], index))

    drawn = tf.data.Dataset.range(draws, output_type=tf.int32).map(draw).batch(draws)
    return next(iter(drawn)).numpy().astype(float)


def by_definition(height, width, rng):
    """torchvision's `RandomResizedCrop.get_params`, as documented."""
    for _ in range(10):
        area = height * width * rng.uniform(0.08, 1.0)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width / (3 / 4)))
    return (height - h) // 2, (width - w) // 2, h, w


def distance(some, others):
    """Of Kolmogorov and Smirnov: the largest difference between two distributions."""
    points = np.sort(np.concatenate([some, others]))
    some, others = (np.searchsorted(np.sort(x), points, "right") / len(x) for x in (some, others))
    return np.abs(some - others).max()


# Exceeded once in a thousand by two samples of one distribution.
LIMIT = 1.95 * math.sqrt(2 / DRAWS)


@pytest.mark.parametrize("shape", [(375, 500), (500, 333), (224, 224), (100, 1000)], ids=str)
def test_windows_are_distributed_as_torchvision_s(shape):
    found = windows(*shape)
    rng = np.random.default_rng(0)
    expected = np.array([by_definition(*shape, rng) for _ in range(DRAWS)], dtype=float)
    for name, measure in {
        "area": lambda top, left, height, width: height * width,
        "aspect": lambda top, left, height, width: width / height,
        "top": lambda top, left, height, width: top,
        "left": lambda top, left, height, width: left,
        "centre": lambda top, left, height, width: (top + height / 2) * (left + width / 2),
    }.items():
        assert distance(measure(*found.T), measure(*expected.T)) < LIMIT, name


def test_area_and_shape_are_as_specified():
    """In a large square image, where few windows are refused and rounding does not count."""
    top, left, height, width = windows(4000, 4000).T
    area, aspect = height * width / 4000**2, width / height
    assert area.min() == pytest.approx(0.08, abs=0.001)
    assert aspect.min() == pytest.approx(3 / 4, abs=0.001)
    assert aspect.max() == pytest.approx(4 / 3, abs=0.001)
    # No window of up to three quarters of the image can stick out: there, area and the logarithm
    # of the aspect ratio are uniform and do not know of each other.
    free = area < 0.75
    middle = (0.08 + 0.75) / 2
    error = (0.75 - 0.08) / math.sqrt(12 * free.sum())
    assert area[free].mean() == pytest.approx(middle, abs=4 * error)
    error = 2 * math.log(4 / 3) / math.sqrt(12 * free.sum())
    assert np.log(aspect[free]).mean() == pytest.approx(0, abs=4 * error)
    deviation = 2 * math.log(4 / 3) / math.sqrt(12)
    assert np.log(aspect[free]).std() == pytest.approx(deviation, rel=0.03)
    assert abs(np.corrcoef(area[free], aspect[free])[0, 1]) < 4 / math.sqrt(free.sum())
    for corner, side in ((top, height), (left, width)):
        place = corner / (4000 - side).clip(1)
        assert place.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * DRAWS))
    assert (top + height).max() <= 4000
    assert (left + width).max() <= 4000


@pytest.mark.parametrize(
    ("shape", "window"),
    [
        # Even a window of 0.08 of the area is wider than the image.
        ((10, 1000), (0, 493, 10, 13)),
        ((1000, 10), (493, 0, 13, 10)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_an_image_that_holds_no_window_gives_its_centre(shape, window):
    assert {tuple(each) for each in windows(*shape, draws=50)} == {window}


def test_small_images_have_windows_of_at_least_a_pixel():
    for shape in ((1, 2), (2, 2), (3, 2), (5, 5)):
        top, left, height, width = windows(*shape, draws=300).T
        assert height.min() >= 1
        assert width.min() >= 1
        assert top.min() >= 0
        assert left.min() >= 0
        assert (top + height).max() <= shape[0]
        assert (left + width).max() <= shape[1]


@pytest.mark.parametrize("size", [(224, 224), (64, 64), (40, 30)])
def test_the_window_is_cropped_and_then_scaled(size):
    image = np.random.default_rng(0).integers(0, 256, (120, 150, 3), dtype=np.uint8)
    for seed in range(8):
        top, left, height, width = random_window(tf.constant([120, 150]), (seed, 3)).numpy()
        window = image[top : top + height, left : left + width].astype(np.float32)
        expected = np.stack(
            [
                Image.fromarray(window[..., c]).resize(size[::-1], Image.Resampling.BILINEAR)
                for c in range(3)
            ],
            axis=-1,
        )
        found = random_resized_crop(tf.constant(image), size, (seed, 3))
        assert found.shape == (*size, 3)
        assert found.dtype == tf.float32
        np.testing.assert_allclose(found, expected, atol=0.02)
