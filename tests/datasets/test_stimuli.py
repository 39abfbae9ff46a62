"""Diagnostic stimuli against the original's pictures, SciPy, and loops over pixels."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import golden_data
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import binary_dilation, gaussian_filter, gaussian_filter1d

from tfbio.datasets.shapes.rendering import render_examples
from tfbio.datasets.stimuli import STIMULI, Stimulus, dilate, object_window
from tfbio.errors import InputError, UnknownNameError

GOLDEN = "shaperec_stimuli_0"


@pytest.fixture(scope="module")
def golden():
    if not (golden_data.GOLDEN / f"{GOLDEN}.npz").exists():
        pytest.skip(f"{GOLDEN}.npz is not among the golden files")
    return golden_data.load_case(GOLDEN)[1]


def blob(height, width, seed=0):
    """A picture of noise, and the mask of an object of irregular outline within it."""
    rng = np.random.default_rng([seed, height, width])
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    grain = gaussian_filter(rng.standard_normal((height, width)), min(height, width) / 8)
    y, x = np.mgrid[:height, :width]
    near = np.hypot((y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5)
    mask = near + 0.15 * grain / np.abs(grain).max() < 0.3
    return image, mask[..., None].astype(np.uint8) * 255


def made(name, size, image, mask, seed=(1, 2)):
    result = Stimulus(name, size)(tf.constant(image), tf.constant(mask), seed)
    assert result.dtype == tf.float32
    assert result.shape == (*size, 3)
    return result.numpy()


# === The original ===


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("normal", "full_normal"),
        ("foreground", "full_foreground"),
        ("silhouette", "full_shilouette"),
        ("frankenstein", "full_frankenstein"),
    ],
)
def test_stimuli_are_the_original_s_to_the_pixel(golden, name, theirs):
    result = made(name, (224, 224), golden["image"], golden["mask_white"][..., :1])
    np.testing.assert_array_equal(result, golden[theirs])


def test_the_original_s_serrated_border_is_our_band(golden):
    """There at the size of the crop, here at that of the result; so by the parts of it."""
    theirs, inside = golden["serrated"][..., 0], golden["enlarged_mask"][..., :1] > 0
    band = dilate(tf.constant(inside), 10).numpy()[..., 0] & ~inside[..., 0]
    assert theirs[inside[..., 0]].max() <= 1
    assert (theirs[~inside[..., 0] & ~band] == 255).all()
    noise = np.random.RandomState(101).randn(*theirs.shape)
    grains = gaussian_filter(noise, 2.0)[band] > 0
    np.testing.assert_array_equal(theirs[band], np.where(grains, 255, 0))


# === The crop ===


def window_by_definition(first, last, length):
    """Start and length of a side: 1.4 times as long about the same centre, moved inside."""
    long = min(Fraction(14, 10) * (last - first), length)
    start = Fraction(first) - (long - (last - first)) / 2
    start = min(max(start, 0), length - long)
    return math.floor(start), math.floor(long)


@pytest.mark.parametrize("seed", range(60))
def test_the_window_is_the_enlarged_box(seed):
    rng = np.random.default_rng(seed)
    shape = rng.integers(10, 120, 2)
    firsts = rng.integers(0, shape - 3)
    lasts = rng.integers(firsts + 3, shape)
    mask = np.zeros((*shape, 1), bool)
    # Two corners are enough of an object.
    mask[firsts[0], lasts[1]] = mask[lasts[0], firsts[1]] = True
    window = object_window(tf.constant(mask)).numpy()
    for axis in (0, 1):
        expected = window_by_definition(firsts[axis], lasts[axis], shape[axis])
        assert (window[axis], window[axis + 2]) == expected


@pytest.mark.parametrize("length", [1, 2, 3, 9, 21])
def test_however_small_the_object_it_is_in_its_window(length):
    for first in range(length):
        for last in range(first, length):
            mask = np.zeros((length, 4, 1), bool)
            mask[[first, last], 1] = True
            top, left, height, width = object_window(tf.constant(mask)).numpy()
            assert 0 <= top <= first
            # At most the last row is cut.
            assert max(last, first + 1) <= top + height <= length
            assert (left, width) == (1, 1)


@pytest.mark.parametrize("size", [(224, 224), (64, 64), (33, 50), (1, 1)], ids=str)
@pytest.mark.parametrize("shape", [(60, 80), (300, 200), (17, 16)], ids=str)
def test_pixels_are_looked_up_in_the_crop(shape, size):
    image, mask = blob(*shape)
    top, left, height, width = object_window(tf.constant(mask != 0)).numpy()
    results = {name: made(name, size, image, mask) for name in STIMULI[:3]}
    for y in range(0, size[0], 3):
        for x in range(0, size[1], 3):
            place = top + math.floor(y * height / size[0]), left + math.floor(x * width / size[1])
            pixel, inside = image[place], mask[place][0] > 0
            assert (results["normal"][y, x] == pixel).all()
            assert (results["foreground"][y, x] == (pixel if inside else 255)).all()
            assert (results["silhouette"][y, x] == (0 if inside else 255)).all()


# === The silhouettes ===


@pytest.mark.parametrize("size", [(224, 224), (64, 64), (7, 6), (8, 5), (1, 3)], ids=str)
def test_the_lower_half_is_mirrored(size):
    """Of a mask that fills its image, so that the crop is all of it; the middle row is below."""
    rng = np.random.default_rng(size)
    mask = rng.integers(0, 2, (*size, 1), dtype=np.uint8)
    mask[0, 0] = mask[-1, -1] = 1
    mask[-1, 0] = mask[0, -1] = 1
    result = made("frankenstein", size, np.zeros((*size, 3), np.uint8), mask)
    for y in range(size[0]):
        for x in range(size[1]):
            source = size[1] - 1 - x if y >= size[0] // 2 else x
            assert (result[y, x] == (0 if mask[y, source, 0] else 255)).all()


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("shape", [(40, 30), (224, 224), (1, 9), (2, 2)], ids=str)
def test_dilation_is_scipy_s(shape, radius):
    mask = np.random.default_rng(shape).random(shape) < 3 / (radius + 1) ** 2 / 10
    mask[0, -1] = True
    expected = binary_dilation(mask, iterations=radius) if radius else mask
    np.testing.assert_array_equal(dilate(tf.constant(mask[..., None]), radius)[..., 0], expected)


# Width of the border and standard deviation of the grains: 10 and 2 pixels at 224.
@pytest.mark.parametrize(
    ("size", "border", "grain"),
    [((224, 224), 10, 2), ((112, 112), 5, 1), ((64, 64), 3, 4 / 7), ((128, 448), 6, 8 / 7)],
    ids=str,
)
def test_the_serrated_border_is_the_sign_of_filtered_noise(size, border, grain):
    image, mask = blob(300, 280)
    result = made("serrated", size, image, mask, seed=(3, 4))
    assert (result == result[..., :1]).all()
    result = result[..., 0]
    assert set(np.unique(result)) == {0, 255}
    inside = made("silhouette", size, image, mask)[..., 0] == 0
    band = binary_dilation(inside, iterations=border) & ~inside
    assert (result[inside] == 0).all()
    assert (result[~inside & ~band] == 255).all()
    noise = tf.random.stateless_normal((*size, 1), (3, 4)).numpy()[..., 0].astype(np.float64)
    radius = round(4 * grain)
    filtered = gaussian_filter(noise, grain, mode="mirror", radius=radius)
    # Rounding can turn the sign of what is next to zero.
    certain = band & (np.abs(filtered) > 1e-5)
    assert certain.sum() > 0.999 * band.sum()
    np.testing.assert_array_equal(result[certain], np.where(filtered[certain] > 0, 255, 0))


def test_grains_are_half_of_the_border_and_differ_by_seed():
    image, mask = blob(250, 250)
    inside = made("silhouette", (224, 224), image, mask)[..., 0] == 0
    band = binary_dilation(inside, iterations=10) & ~inside
    results = [made("serrated", (224, 224), image, mask, (7, k))[..., 0][band] for k in range(20)]
    assert np.mean(results) == pytest.approx(127.5, abs=10)
    # Independent grains agree in half of the pixels.
    agreement = [np.mean(a == b) for a, b in itertools.pairwise(results)]
    assert np.mean(agreement) == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(
        results[3], made("serrated", (224, 224), image, mask, (7, 3))[..., 0][band]
    )


def test_grains_have_the_published_size():
    """Neighbours have the same sign as often as filtered Gaussian noise has by Sheppard's law."""
    # Points so close that their borders fill the picture.
    points = np.zeros((224, 224, 1), np.uint8)
    points[::12, ::12] = 1
    image = np.zeros((224, 224, 3), np.uint8)
    size = (224, 224)
    inside = made("silhouette", size, image, points)[..., 0] == 0
    band = binary_dilation(inside, iterations=10) & ~inside
    assert band.mean() > 0.8
    signs = [made("serrated", size, image, points, (5, k))[..., 0] > 0 for k in range(8)]
    kernel = gaussian_filter1d(np.eye(101)[50], 2.0, radius=8)
    for lag in (1, 3, 10):
        correlation = (kernel[lag:] * kernel[: len(kernel) - lag]).sum() / (kernel**2).sum()
        expected = 0.5 + np.arcsin(correlation) / np.pi
        pairs = band[lag:] & band[:-lag]
        found = np.mean([np.mean((s[lag:] == s[:-lag])[pairs]) for s in signs])
        assert found == pytest.approx(expected, abs=0.02), lag


# === Rendered objects and pipelines ===


@pytest.mark.parametrize("size", [(64, 64), (128, 128)], ids=str)
def test_stimuli_of_rendered_shapes(size):
    images, masks, _ = render_examples("test", range(12))
    masks = masks.reshape(*images.shape[:3], 1)
    for image, mask in zip(images, masks, strict=True):
        stimuli = {name: made(name, size, image, mask) for name in STIMULI}
        black = stimuli["silhouette"] == 0
        np.testing.assert_array_equal(stimuli["foreground"][black], stimuli["normal"][black])
        # The object takes up about 1 / 1.4 of the crop, or more where the image ends.
        for axis in (0, 1):
            extent = np.ptp(np.flatnonzero(black[..., 0].any(axis=axis))) + 1
            assert 0.65 < extent / size[1 - axis] <= 1
        assert (stimuli["serrated"][black] == 0).all()
        assert (stimuli["serrated"] == 0).sum() > black.sum()


@pytest.mark.parametrize("name", STIMULI)
def test_in_a_pipeline_it_is_a_function_of_image_mask_and_seed(name):
    shapes = [(60, 80), (41, 33), (60, 80)]
    pictures = [blob(*shape) for shape in shapes]
    signature = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((None, None, 1), tf.uint8))
    examples = tf.data.Dataset.from_generator(lambda: pictures, output_signature=signature)
    stimulus = Stimulus(name, (48, 56))

    def make(index, example):
        return stimulus(*example, tf.random.fold_in([3, 4], tf.cast(index, tf.int32)))

    results = examples.enumerate().map(make, num_parallel_calls=tf.data.AUTOTUNE)
    assert results.element_spec.shape == (48, 56, 3)
    first, again = (list(results.as_numpy_iterator()) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for index, (image, mask) in enumerate(pictures):
        seed = tf.random.fold_in([3, 4], index)
        np.testing.assert_array_equal(first[index], made(name, (48, 56), image, mask, seed))
    # The first and the third have nothing but the seed that differs.
    assert (first[0] == first[2]).all() == (name != "serrated")


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_any_number_type(dtype):
    image, mask = blob(50, 50)
    for name in STIMULI:
        expected = made(name, (40, 40), image, mask)
        result = made(name, (40, 40), image.astype(dtype), (mask > 0).astype(dtype))
        np.testing.assert_array_equal(result, expected)
        result = made(name, (40, 40), image, mask > 0)
        np.testing.assert_array_equal(result, expected)


# === What does not fit ===


def test_a_mask_without_an_object_is_an_error():
    image, mask = blob(20, 20)
    message = "Expected a mask with an object, received one of zeros: leave the image out"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        made("normal", (8, 8), image, mask * 0)
    masks = tf.data.Dataset.from_tensors(mask * 0)
    stimuli = masks.map(lambda mask: Stimulus("normal", (8, 8))(image, mask, (1, 2)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(stimuli)


def test_a_mask_of_another_size_is_an_error():
    image, mask = blob(20, 20)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expected a mask as large as its im"):
        made("normal", (8, 8), image, mask[:-1])


def test_an_unknown_stimulus_is_refused():
    with pytest.raises(UnknownNameError, match=r"Unknown stimulus 'silouette'. Nearest: silhoue"):
        Stimulus("silouette", (64, 64))


def test_an_empty_size_is_refused():
    with pytest.raises(InputError, match=r"at least 1 x 1 pixels, received 0 x 64\."):
        Stimulus("normal", (0, 64))
