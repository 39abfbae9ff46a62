"""The corruptions of ImageNet-C: against closed forms, Pillow, and the libraries' own loops."""

from __future__ import annotations

import contextlib
import io
import itertools
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import tensorflow as tf
from PIL import Image

from tfbio.datasets import corruptions
from tfbio.datasets.corruptions import (
    CORRUPTION_GROUPS,
    CORRUPTIONS,
    SEVERITIES,
    Corruption,
    corrupt,
)
from tfbio.errors import InputError, UnknownNameError

WITHOUT_DRAWS = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "pixelate",
    "jpeg_compression",
)


def textured(height, width):
    """Coloured noise whose amplitude falls with frequency, as that of natural images does."""
    rng = np.random.default_rng(5)
    fields = [
        scipy.ndimage.gaussian_filter(rng.normal(size=(height, width, 3)), (s, s, 0)) * s
        for s in (0.5, 2, 6)
    ]
    return np.clip(128 + 60 * sum(fields), 0, 255).astype(np.uint8)


def flat(level, height=64, width=64):
    return np.full((height, width, 3), level, np.uint8)


def difference(image, other):
    return np.mean((image.astype(float) - other) ** 2)


@pytest.fixture(scope="module")
def image():
    return textured(64, 64)


@pytest.fixture(scope="module")
def alone(image):
    """Every corruption at the third severity, one after the other."""
    return {name: corrupt(image, name, 3, (1, 2)) for name in CORRUPTIONS}


@contextlib.contextmanager
def global_generator(*seed):
    """NumPy's global generator in the state in which `corrupt` begins to draw."""
    before = np.random.get_state()  # noqa: NPY002
    state = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed))).get_state()
    np.random.set_state(state)  # noqa: NPY002
    yield
    np.random.set_state(before)  # noqa: NPY002


@contextlib.contextmanager
def libraries_loaded_anew():
    corruptions._loaded_libraries.cache_clear()
    yield
    corruptions._loaded_libraries.cache_clear()


def test_there_are_fifteen_in_the_order_of_imagenet_c():
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 15
    assert [len(group) for group in CORRUPTION_GROUPS.values()] == [3, 4, 4, 4]
    assert CORRUPTIONS[:5] == (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
    )
    assert CORRUPTIONS[-1] == "jpeg_compression"


# === Draws ===


def test_draws_are_a_function_of_the_seed(image, alone):
    random.seed(3)
    for name in reversed(CORRUPTIONS):
        np.random.seed(len(name))  # noqa: NPY002
        before = random.getstate(), np.random.get_state()  # noqa: NPY002
        np.testing.assert_array_equal(corrupt(image, name, 3, (1, 2)), alone[name], name)
        after = random.getstate(), np.random.get_state()  # noqa: NPY002
        assert before[0] == after[0], name
        np.testing.assert_equal(before[1], after[1], name)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_another_seed_gives_another_image_where_there_are_draws(name, image, alone):
    for seed in (7, (2, 1), (1, -2), (1, 2, 3)):
        same = np.array_equal(corrupt(image, name, 3, seed), alone[name])
        assert same == (name in WITHOUT_DRAWS)


def test_threads_do_not_disturb_each_other(image, alone):
    with ThreadPoolExecutor(4) as pool:
        running = [(name, pool.submit(corrupt, image, name, 3, (1, 2))) for name in CORRUPTIONS * 4]
        for name, future in running:
            np.random.random(100)  # noqa: NPY002
            np.testing.assert_array_equal(future.result(), alone[name], name)


def test_the_image_is_left_as_it_was(image):
    given = image.copy()
    given.flags.writeable = False
    for name in CORRUPTIONS:
        assert corrupt(given, name, 3, 0).flags.writeable
    np.testing.assert_array_equal(given, image)


# === Severity ===

# The steps of severity at which ImageNet-C itself does not go on: a smaller reach in more rounds
# (glass), larger but fewer flakes (snow), a darker image under the same frost, the same fog with
# finer clouds, and a gentler affine map with sharper displacements (elastic).
NOT_STRONGER = {
    "glass_blur": {1, 3},
    "snow": {2},
    "frost": {3},
    "fog": {3},
    "elastic_transform": {2, 3},
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_severity_moves_the_image_away(name):
    image = textured(96, 96)
    draws = 1 if name in WITHOUT_DRAWS else 12
    distance = [
        np.mean(
            [difference(image, corrupt(image, name, severity, (draw,))) for draw in range(draws)]
        )
        for severity in SEVERITIES
    ]
    weaker = {s for s, (a, b) in enumerate(itertools.pairwise(distance), 1) if b <= a}
    assert weaker <= NOT_STRONGER.get(name, set()), distance
    if name != "elastic_transform":
        assert distance[4] > 1.1 * distance[0] > 0, distance


# === Known values, from the constants of Hendrycks & Dietterich (2019) ===


@pytest.mark.parametrize(("severity", "deviation"), enumerate((0.08, 0.12, 0.18, 0.26, 0.38), 1))
def test_gaussian_noise_is_normal(severity, deviation):
    """Within one standard deviation of its mean, where nothing is cut off."""
    levels = corrupt(flat(128, 128, 128), "gaussian_noise", severity, 0).astype(float)
    error = 4 * np.sqrt(0.16 * 0.84 / levels.size)
    # A level stands for all that is rounded to it.
    for bound in (-1, -0.5, 0.5, 1):
        level = np.floor(128 + 255 * deviation * bound)
        expected = scipy.stats.norm.cdf((level + 0.5 - 128) / (255 * deviation))
        assert np.mean(levels <= level) == pytest.approx(expected, abs=error * 1.5)
    assert np.abs(np.corrcoef(levels.reshape(-1, 3).T) - np.eye(3)).max() < 0.04


@pytest.mark.parametrize(("severity", "photons"), enumerate((60, 25, 12, 5, 3), 1))
def test_shot_noise_is_poisson(severity, photons):
    levels = corrupt(flat(64, 128, 128), "shot_noise", severity, 0).astype(float)
    counts = levels * photons / 255
    assert np.abs(counts - np.rint(counts)).max() <= 0.5 * photons / 255 + 1e-9
    rate = 64 / 255 * photons
    for count in range(int(rate) + 2):
        expected = scipy.stats.poisson.cdf(count, rate)
        assert np.mean(np.rint(counts) <= count) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("severity", "amount"), enumerate((0.03, 0.06, 0.09, 0.17, 0.27), 1))
def test_impulse_noise_is_half_salt_half_pepper(severity, amount):
    levels = corrupt(flat(100, 128, 128), "impulse_noise", severity, 0)
    assert set(np.unique(levels)) == {0, 100, 255}
    error = 4 * np.sqrt(amount / 2 / levels.size)
    assert np.mean(levels == 0) == pytest.approx(amount / 2, abs=error)
    assert np.mean(levels == 255) == pytest.approx(amount / 2, abs=error)


def test_defocus_blur_averages_a_disc(image):
    """At the first severity the edge of the disc of radius 3 is not softened."""
    y, x = np.mgrid[-3:4, -3:4]
    disc = (x**2 + y**2 <= 9) / np.sum(x**2 + y**2 <= 9)
    expected = scipy.ndimage.convolve(image.astype(float), disc[..., np.newaxis], mode="mirror")
    found = corrupt(image, "defocus_blur", 1, 0)
    np.testing.assert_allclose(found, expected, atol=0.51)


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_glass_displaces_as_the_loop_over_pixels_does(reach):
    """The published exchange of two views: the first is overwritten before it is read."""
    pixels = textured(40, 53)
    looped = pixels.copy()
    rng = np.random.RandomState(9)
    for row in range(40 - reach, reach, -1):
        for column in range(53 - reach, reach, -1):
            right, down = rng.randint(-reach, reach, size=2)
            looped[row, column] = looped[row + down, column + right]
    found = corruptions._displaced(pixels, reach, np.random.RandomState(9))
    np.testing.assert_array_equal(found, looped)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_motion_blur_keeps_the_light_of_a_small_image(severity):
    """Its streak is up to 41 px long, half a Gaussian; here it would leave the image."""
    image = flat(0, 33, 32)
    image[:, :] = (250, 100, 10)
    np.testing.assert_allclose(corrupt(image, "motion_blur", severity, 5), image, atol=1)


def test_motion_blur_of_a_small_image_is_that_of_its_middle():
    """Where an image ends makes no difference, if all around it is as its edge."""
    small = np.pad(textured(8, 8), ((16, 16), (16, 16), (0, 0)), mode="edge")
    large = np.pad(small, ((8, 8), (8, 8), (0, 0)), mode="edge")
    found = corrupt(small, "motion_blur", 4, 1)
    expected = corrupt(large, "motion_blur", 4, 1)[8:-8, 8:-8]
    np.testing.assert_allclose(found, expected, atol=1)


@pytest.mark.parametrize(
    ("severity", "opacity", "keep"), [(1, 0.3, 0.8), (2, 0.3, 0.7), (5, 0.85, 0.55)]
)
def test_snow_whitens_and_falls_on_it(severity, opacity, keep):
    level = 60 / 255
    whitened = keep * level + (1 - keep) * max(level, 1.5 * level + 0.5)
    found = corrupt(flat(60), "snow", severity, 3)
    assert found.min() >= 255 * whitened - 1
    if severity < 3:
        # Much of the image is free of flakes.
        assert np.median(found) <= 255 * whitened + 0.1 * 255
        assert found.min() <= 255 * whitened + 1
    # Flakes are white.
    assert np.ptp(found, axis=-1).max() == 0
    assert found.max() > 255 * whitened + 50 * opacity


@pytest.mark.parametrize("severity", SEVERITIES)
def test_frost_is_a_weighted_sum(severity):
    keep, add = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    over_black, over_gray = (
        corrupt(flat(level), "frost", severity, 1).astype(float) for level in (0, 90)
    )
    assert 20 < over_black.max() <= 255 * add + 1
    expected = np.minimum(over_black + 90 * keep, 255)
    np.testing.assert_allclose(over_gray, expected, atol=1)


def test_frost_covers_images_larger_than_its_pictures():
    image = flat(0, 700, 1100)
    assert corrupt(image, "frost", 2, 0).std() > 5


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("level", [80, 200])
def test_fog_reaches_from_none_to_the_brightest_level(severity, level):
    """The cloud fills a square whose side is a power of two; it is scaled to [0, 1]."""
    thickness = (1.5, 2, 2.5, 2.5, 3)[severity - 1]
    found = corrupt(flat(level), "fog", severity, 4)
    m = level / 255
    assert found.min() == pytest.approx(255 * m * m / (m + thickness), abs=1)
    assert found.max() == pytest.approx(level, abs=1)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_brightness_raises_the_value_of_hsv(severity, image):
    """Hue and saturation stay, so that a colour is scaled by the ratio of its values."""
    value = image.max(axis=-1, keepdims=True) / 255
    raised = np.minimum(value + severity / 10, 1)
    expected = np.where(value > 0, image * raised / np.maximum(value, 1e-9), 255 * raised)
    found = corrupt(image, "brightness", severity, 0)
    np.testing.assert_allclose(found, expected, atol=0.501)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_contrast_shrinks_towards_the_mean_of_a_channel(severity, image):
    ratio = (0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]
    mean = image.astype(float).mean(axis=(0, 1))
    found = corrupt(image, "contrast", severity, 0)
    np.testing.assert_allclose(found, ratio * image + (1 - ratio) * mean, atol=0.501)


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("shape", [(64, 64), (51, 33)])
def test_pixelate_is_pillow_s_box_down_and_up(severity, shape):
    image = textured(*shape)
    ratio = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    small = Image.fromarray(image).resize(
        (int(shape[1] * ratio), int(shape[0] * ratio)), Image.Resampling.BOX
    )
    expected = np.asarray(small.resize(shape[::-1], Image.Resampling.BOX))
    np.testing.assert_array_equal(corrupt(image, "pixelate", severity, 0), expected)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_jpeg_is_pillow_s(severity, image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=(25, 18, 15, 10, 7)[severity - 1])
    found = corrupt(image, "jpeg_compression", severity, 0)
    np.testing.assert_array_equal(found, np.asarray(Image.open(file)))


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("gaussian_noise", 0),
        ("shot_noise", 0),
        ("defocus_blur", 0),
        ("glass_blur", 0),
        ("zoom_blur", 0),
        ("brightness", 0),
        ("contrast", 0),
        ("jpeg_compression", 0),
        # The library displaces in single precision.
        ("elastic_transform", 1),
    ],
)
@pytest.mark.parametrize("severity", [1, 4])
def test_an_image_of_imagenet_s_size_is_as_in_tfds(name, tolerance, severity):
    """With the same draws, from the global generator that TFDS uses."""
    from tensorflow_datasets.image_classification import corruptions as tfds_corruptions

    image = textured(224, 224)
    with global_generator(3, 4):
        expected = getattr(tfds_corruptions, name)(image, severity)
    found = corrupt(image, name, severity, (3, 4))
    np.testing.assert_allclose(found.astype(int), expected, atol=tolerance)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_elastic_transform_moves_by_parts_of_the_image(severity):
    """A ramp shows by how much of the width each pixel is moved, on average over 16 draws."""
    moved = []
    for side in (64, 144):
        ramp = np.tile(np.linspace(0, 255, side)[:, np.newaxis], (side, 1, 3))
        ramp = np.rint(ramp).astype(np.uint8)
        middle = slice(side // 4, -side // 4)
        shifts = [
            corrupt(ramp, "elastic_transform", severity, draw)[middle, middle]
            - ramp[middle, middle].astype(float)
            for draw in range(16)
        ]
        moved.append(np.abs(shifts).mean())
    assert moved[1] > 2
    assert moved[0] == pytest.approx(moved[1], rel=0.2)


# === Sizes and levels ===


@pytest.mark.parametrize("shape", [(32, 32), (51, 33), (96, 64), (64, 101), (224, 224)], ids=str)
def test_every_corruption_at_every_severity_keeps_the_size(shape):
    image = textured(*shape)
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            found = corrupt(image, name, severity, (0, severity))
            assert found.shape == image.shape, (name, severity)
            assert found.dtype == np.uint8, (name, severity)
            assert 10 < difference(image, found) < 20_000, (name, severity)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_black_and_white_do_not_wrap_around(severity):
    black, white = flat(0), flat(255)
    for name in CORRUPTIONS:
        below, above = (corrupt(image, name, severity, 2) for image in (black, white))
        assert below.mean() < above.mean(), name
        # JPEG rounds the mean of a block, to steps of up to 15 levels.
        tolerance = 8 if name == "jpeg_compression" else 1
        if name not in ("gaussian_noise", "impulse_noise", "snow", "frost", "brightness"):
            np.testing.assert_allclose(below, black, atol=tolerance, err_msg=name)
        if name not in ("gaussian_noise", "shot_noise", "impulse_noise", "frost", "fog"):
            np.testing.assert_allclose(above.astype(int), white, atol=tolerance, err_msg=name)
    for image in (black, white):
        # Half of the noise is cut off.
        noisy = corrupt(image, "gaussian_noise", severity, 2)
        assert np.mean(noisy == image) == pytest.approx(0.5, abs=0.03)


# === What the user gets wrong ===


def test_an_unknown_name_is_answered_with_the_nearest(image):
    with pytest.raises(UnknownNameError, match="Nearest: gaussian_noise"):
        Corruption("gausian_noise", 1)
    with pytest.raises(UnknownNameError, match="Unknown corruption 'rain'"):
        corrupt(image, "rain", 1, 0)


@pytest.mark.parametrize("severity", [0, 6, 2.5, -1])
def test_there_are_five_severities(severity, image):
    with pytest.raises(InputError, match=f"severity of 1, 2, 3, 4 or 5, received {severity}"):
        Corruption("fog", severity)
    with pytest.raises(InputError, match="severity"):
        corrupt(image, "fog", severity, 0)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_may_be_too_small(name):
    with pytest.raises(InputError, match="at least 32 x 32 pixels to corrupt, received 31 x 64"):
        corrupt(flat(0, 31, 64), name, 1, 0)
    with pytest.raises(InputError, match="received 64 x 31"):
        Corruption(name, 1)(tf.zeros((64, 31, 3)), (0, 0))


@pytest.mark.parametrize(
    "image", [np.zeros((64, 64, 3)), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 1), np.uint8)]
)
def test_an_image_is_rgb_of_bytes(image):
    with pytest.raises(InputError, match=r"Expected an RGB image \(H, W, 3\) of type uint8"):
        corrupt(image, "contrast", 1, 0)


def test_a_missing_library_is_named(image, monkeypatch):
    with libraries_loaded_anew(), monkeypatch.context() as patch:
        patch.setitem(sys.modules, "cv2", None)
        with pytest.raises(InputError, match=r"cv2.*pip install 'tfbio\[corruptions\]'"):
            corrupt(image, "contrast", 1, 0)
    with libraries_loaded_anew(), monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(InputError, match=r"'imagecorruptions'.*tfbio\[corruptions\]"):
            Corruption("fog", 1)


def test_an_opencv_that_does_not_load_is_told_from_a_missing_one(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    with libraries_loaded_anew(), monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        patch.delitem(sys.modules, "cv2", raising=False)
        with pytest.raises(InputError, match=r"libGL.*opencv-python-headless"):
            Corruption("fog", 1)


def test_the_libraries_neither_warn_nor_need_pkg_resources(image, alone, monkeypatch):
    with libraries_loaded_anew(), monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for name in CORRUPTIONS:
                np.testing.assert_array_equal(corrupt(image, name, 3, (1, 2)), alone[name], name)


# === tf.data ===


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_parallel_map_gives_what_corrupt_gives(name):
    images = np.stack([textured(48, 40), *(flat(level, 48, 40) for level in (50, 90, 200))])
    corruption = Corruption(name, 2)

    def prepare(index, image):
        return corruption(image, tf.random.fold_in([3, 4], index))

    dataset = tf.data.Dataset.from_tensor_slices((tf.range(4), images))
    dataset = dataset.map(prepare, num_parallel_calls=4, deterministic=True)
    assert dataset.element_spec == tf.TensorSpec((48, 40, 3), tf.float32)
    found, again = (np.stack(list(dataset.as_numpy_iterator())) for _ in range(2))
    np.testing.assert_array_equal(found, again)
    expected = [
        corrupt(image, name, 2, tf.random.fold_in([3, 4], index).numpy().tolist())
        for index, image in enumerate(images)
    ]
    np.testing.assert_array_equal(found, expected)


def test_levels_between_two_are_rounded():
    image = np.tile(np.float32([-3.0, 99.6, 300.0]), (32, 32, 1))
    found = Corruption("pixelate", 1)(tf.constant(image), tf.constant([1, 2], tf.int64))
    np.testing.assert_array_equal(found, np.tile([0.0, 100.0, 255.0], (32, 32, 1)))


def test_sizes_may_be_unknown_until_the_image_is_there():
    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])
    def blurred(image):
        return Corruption("glass_blur", 1)(image, (1, 2))

    assert blurred(textured(35, 41)).shape == (35, 41, 3)
    with pytest.raises(tf.errors.OpError, match="at least 32 x 32 pixels"):
        blurred(textured(35, 31))
