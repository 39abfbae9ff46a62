"""Viewing conditions against Pillow, SciPy and the truncated normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import stats
from scipy.ndimage import gaussian_filter

from tfbio.datasets.conditions import (
    CONDITIONS,
    TRAINING_LEVELS,
    ViewingCondition,
    add_noise,
    gaussian_blur,
    grayscale,
)
from tfbio.errors import InputError, UnknownNameError

# Of 255 levels; TensorFlow and the reference sum in another order.
TOLERANCE = 255 * 1e-5


def picture(height, width, channels=3):
    rng = np.random.default_rng([height, width])
    return rng.integers(0, 256, (height, width, channels)).astype(np.float32)


def seen(condition, image, seed=(1, 2)):
    result = condition(tf.constant(image), seed)
    assert result.dtype == tf.float32
    assert result.shape == image.shape
    return result.numpy()


def test_colour_is_the_image():
    image = picture(20, 30)
    np.testing.assert_array_equal(seen(ViewingCondition("colour"), image), image)
    np.testing.assert_array_equal(seen(ViewingCondition("colour"), image.astype(np.uint8)), image)


def test_gray_is_pillow_s_but_for_its_rounding():
    image = picture(40, 50)
    gray = seen(ViewingCondition("grayscale"), image)
    pillow = np.asarray(Image.fromarray(image.astype(np.uint8)).convert("L"), np.float32)
    for channel in range(3):
        np.testing.assert_allclose(gray[..., channel], pillow, atol=0.51)
    by_hand = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    np.testing.assert_allclose(gray[..., 0], by_hand, atol=TOLERANCE)
    np.testing.assert_allclose(grayscale(gray), gray, atol=TOLERANCE)


def faint(image):
    """A gray image in [0, 1], shifted to a mean of a half, then of a fifth of the contrast."""
    gray = (image.astype(np.float64) @ [0.299, 0.587, 0.114]) / 255
    shifted = gray + (0.5 - gray.mean())
    return shifted.mean() + 0.2 * (shifted - shifted.mean())


@pytest.mark.parametrize("shape", [(64, 48), (1, 1), (3, 200)], ids=str)
def test_without_noise_the_contrast_is_a_fifth_about_the_middle(shape):
    # Dark on the whole, so that the mean has to move.
    image = picture(*shape) * np.float32(0.3)
    result = seen(ViewingCondition("noise", 0.0), image)
    expected = np.repeat(255 * faint(image)[..., None], 3, axis=-1)
    np.testing.assert_allclose(result, expected, atol=TOLERANCE)
    assert result.mean() == pytest.approx(127.5, abs=0.01)


@pytest.mark.parametrize("level", [0.01, 0.04, 0.16])
def test_noise_is_a_truncated_gaussian(level):
    image = picture(224, 224)
    result = seen(ViewingCondition("noise", level), image)
    np.testing.assert_array_equal(result[..., 0], result[..., 1])
    np.testing.assert_array_equal(result[..., 0], result[..., 2])
    # Where neither black nor white, which even two deviations of 0.04 do not reach, was met.
    free = (result[..., 0] > 0) & (result[..., 0] < 255)
    assert free.mean() > (0.99 if level == 0.16 else 0.999999)
    noise = (result[..., 0] / 255 - faint(image)) / level
    assert np.abs(noise).max() <= 2 + 1e-3
    # One in a thousand draws of this size is further from its distribution.
    assert stats.kstest(noise[free], stats.truncnorm(-2, 2).cdf).pvalue > 1e-3
    # No pixel knows of its neighbours: 224 x 224 independent pairs would exceed this in one of
    # 10,000 cases.
    for a, b in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 4 / 224


def test_what_is_beyond_black_and_white_is_clipped():
    result = seen(ViewingCondition("noise", 1.0), np.full((300, 300, 3), 99.0, np.float32))
    assert result.min() == 0
    assert result.max() == 255
    distribution = stats.truncnorm(-2, 2)
    for found, expected in (
        ((result == 0).mean(), distribution.cdf(-0.5)),
        ((result == 255).mean(), distribution.sf(0.5)),
    ):
        # Four standard errors of 90,000 draws.
        assert found == pytest.approx(expected, abs=4 * 0.46 / 300)


@pytest.mark.parametrize("level", [0.3, 1.0, 3.0, 9.0, 24.0])
@pytest.mark.parametrize("shape", [(224, 224), (64, 97), (25, 24), (7, 5), (2, 3), (1, 9)], ids=str)
def test_blur_is_scipy_s(shape, level):
    image = picture(*shape)
    expected = np.stack(
        [
            gaussian_filter(image[..., c].astype(np.float64), level, mode="mirror", radius=24)
            for c in range(3)
        ],
        axis=-1,
    )
    result = seen(ViewingCondition("blur", level), image)
    np.testing.assert_allclose(result, expected, atol=TOLERANCE)


def naively_blurred(image, deviation, radius):
    """A sum over all pixels of the kernel, in two dimensions, over an image padded by NumPy."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    kernel = np.exp(-(y**2 + x**2) / (2 * deviation**2))
    kernel /= kernel.sum()
    padded = np.pad(image, [(radius, radius), (radius, radius), (0, 0)], mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape, axis=(0, 1))
    return np.einsum("hwcyx,yx->hwc", windows, kernel)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (5, 3), (30, 1), (33, 26)], ids=str)
@pytest.mark.parametrize(("deviation", "radius"), [(0.5, 1), (2.0, 24), (2.0, 3), (30.0, 24)])
def test_images_smaller_than_the_kernel_are_mirrored_over_and_over(shape, deviation, radius):
    image = picture(*shape, channels=2)
    result = gaussian_blur(tf.constant(image), deviation, radius)
    np.testing.assert_allclose(result, naively_blurred(image, deviation, radius), atol=TOLERANCE)


@pytest.mark.parametrize("level", [0, 0.0, 0.05])
def test_no_blur_is_the_image_to_the_bit(level):
    image = picture(50, 70)
    np.testing.assert_array_equal(seen(ViewingCondition("blur", level), image), image)


def drawn(condition, image, draws):
    """The image as seen with each of many seeds, as a pipeline draws them."""

    def see(index):
        return condition(tf.constant(image), tf.random.fold_in([5, 7], index))

    images = tf.data.Dataset.range(draws, output_type=tf.int32).map(see, tf.data.AUTOTUNE)
    return next(iter(images.batch(draws))).numpy()


def assert_uniform(levels, kinds):
    counts = np.array([np.sum(levels == kind) for kind in range(kinds)])
    assert counts.sum() == len(levels)
    # One in a thousand fair draws is more uneven.
    assert stats.chisquare(counts).pvalue > 1e-3


def test_every_image_has_a_level_of_noise_of_its_own():
    results = drawn(ViewingCondition("noise"), np.full((40, 40, 3), 7.0, np.float32), 2000)
    # 1600 pixels tell the deviation, which truncation makes 0.88 of itself, to 2 %.
    deviations = (results[..., 0] / 255 - 0.5).std(axis=(1, 2)) / stats.truncnorm(-2, 2).std()
    levels = np.abs(deviations[:, None] - np.array([0, 0.01, 0.02, 0.03, 0.04])).argmin(axis=1)
    np.testing.assert_allclose(deviations, levels / 100, atol=0.004)
    assert_uniform(levels, 5)


def test_every_image_has_a_blur_of_its_own():
    point = np.zeros((9, 9, 3), np.float32)
    point[4, 4] = 255
    results = drawn(ViewingCondition("blur"), point, 3100)
    expected = np.stack(
        [
            gaussian_filter(point.astype(np.float64), (s, s, 0), mode="mirror", radius=24)
            for s in np.arange(31) / 10
        ]
    )
    distances = np.abs(results[:, None, 4, 4, 0] - expected[None, :, 4, 4, 0])
    levels = distances.argmin(axis=1)
    np.testing.assert_allclose(results, expected[levels], atol=TOLERANCE)
    # A tenth of a pixel cannot be told from none.
    zeros = np.flatnonzero(levels <= 1)
    assert len(zeros) == pytest.approx(200, abs=4 * np.sqrt(200))
    assert_uniform(np.delete(levels, zeros) - 2, 29)


def test_the_training_levels_are_the_published_ones():
    np.testing.assert_allclose(TRAINING_LEVELS["noise"], np.linspace(0, 0.04, 5))
    np.testing.assert_allclose(TRAINING_LEVELS["blur"], np.linspace(0, 3, 31))


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("shape", [(32, 48), (5, 4)], ids=str)
def test_in_a_pipeline_it_is_a_function_of_image_and_seed(name, shape):
    condition = ViewingCondition(name)
    image = picture(*shape)
    spec = tf.TensorSpec((None, None, 3), tf.uint8)
    images = tf.data.Dataset.from_generator(
        lambda: [image.astype(np.uint8)] * 6, output_signature=spec
    ).enumerate()

    def see(index, image):
        return condition(image, tf.random.fold_in([3, 4], tf.cast(index, tf.int32)))

    results = images.map(see, num_parallel_calls=tf.data.AUTOTUNE)
    assert results.element_spec.shape.as_list() == [None, None, 3]
    assert results.element_spec.dtype == tf.float32
    first, again = (list(results.as_numpy_iterator()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for index, result in enumerate(first):
        eager = condition(tf.constant(image), tf.random.fold_in([3, 4], index))
        np.testing.assert_allclose(result, eager, atol=TOLERANCE)
    different = len({result.tobytes() for result in first})
    assert different == 1 if name in ("colour", "grayscale") else different > 1


def test_noise_of_another_seed_is_other_noise():
    image = tf.constant(picture(20, 20))
    some, same, other = (add_noise(image, 0.04, seed).numpy() for seed in ((1, 2), (1, 2), (1, 3)))
    np.testing.assert_array_equal(some, same)
    assert np.mean(some == other) < 0.01


def test_an_unknown_condition_is_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown viewing condition 'color'. Nearest: col"):
        ViewingCondition("color")


@pytest.mark.parametrize("name", ["colour", "grayscale"])
def test_colour_and_gray_have_no_level(name):
    with pytest.raises(InputError, match=rf"Expected no level for the .*{name}, received 0.1: "):
        ViewingCondition(name, 0.1)


@pytest.mark.parametrize(
    ("name", "level", "limit"),
    [
        ("noise", -0.01, 1),
        ("noise", 10, 1),
        ("noise", float("nan"), 1),
        ("blur", -1, 24),
        ("blur", 25, 24),
        ("blur", float("inf"), 24),
        ("blur", float("nan"), 24),
    ],
)
def test_a_level_out_of_range_is_refused(name, level, limit):
    message = rf"Expected a level of {name} from 0 to {limit} \(.*\), received {level}\."
    with pytest.raises(InputError, match=message):
        ViewingCondition(name, level)
