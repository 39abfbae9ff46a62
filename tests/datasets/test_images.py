"""Decoding and resizing against Pillow, pixel by pixel."""

import io
import math
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfbio.datasets.images import decode_image, resize, resize_and_crop
from tfbio.framing import Framing

HEIGHT, WIDTH = 37, 53


@pytest.fixture(scope="module")
def picture():
    """A smooth colour picture with sides that nothing divides."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def opacity():
    rng = np.random.default_rng(1)
    return Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8))


def encoded(image, image_format, **options):
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def decoded(contents):
    image = decode_image(tf.constant(contents))
    assert image.dtype == tf.uint8
    return image.numpy().astype(int)


def by_pillow(contents):
    return np.asarray(Image.open(io.BytesIO(contents)).convert("RGB")).astype(int)


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 90},
        {"quality": 75, "subsampling": 2},
        {"quality": 75, "subsampling": 0},
        {"quality": 90, "progressive": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_what_pillow_decodes(picture, mode, options):
    contents = encoded(picture.convert(mode), "JPEG", **options)
    difference = decoded(contents) - by_pillow(contents)
    # With one libjpeg-turbo they are equal; another version may round a level differently.
    # TensorFlow's fast cosine transform would be 5 levels off at most and 0.8 on average.
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.05


def test_cmyk_jpeg_is_converted_as_by_pillow(picture, opacity):
    bands = [*picture.split(), opacity.resize((5, 4)).resize((WIDTH, HEIGHT))]
    contents = encoded(Image.merge("CMYK", bands), "JPEG", quality=95, subsampling=0)
    # Both multiply by the black channel; one truncates, the other rounds.
    np.testing.assert_allclose(decoded(contents), by_pillow(contents), atol=2)


def test_png_is_exact(picture, opacity):
    transparent = picture.copy()
    transparent.putalpha(opacity)
    palette = picture.quantize(200)
    exact = np.asarray(picture).astype(int)
    np.testing.assert_array_equal(decoded(encoded(picture, "PNG")), exact)
    # Transparency is dropped, not blended.
    np.testing.assert_array_equal(decoded(encoded(transparent, "PNG")), exact)
    for image, options in [
        (picture.convert("L"), {}),
        (transparent.convert("LA"), {}),
        (picture.convert("1"), {}),
        (palette, {}),
        (palette, {"transparency": 3}),
        (picture.quantize(4), {"bits": 2}),
    ]:
        contents = encoded(image, "PNG", **options)
        expected = np.asarray(image.convert("RGB")).astype(int)
        np.testing.assert_array_equal(decoded(contents), expected, err_msg=f"{image} {options}")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bit_png_keeps_the_upper_eight_bits(channels):
    samples = np.random.default_rng(2).integers(0, 2**16, (9, 7, channels), dtype=np.uint16)
    contents = tf.io.encode_png(samples).numpy()
    colours = samples[..., :3] if channels > 2 else samples[..., :1].repeat(3, axis=-1)
    np.testing.assert_array_equal(decoded(contents), colours >> 8)


def test_sixteen_bit_png_written_by_pillow():
    samples = np.random.default_rng(3).integers(0, 2**16, (9, 7), dtype=np.uint16)
    contents = encoded(Image.fromarray(samples), "PNG")
    np.testing.assert_array_equal(decoded(contents), (samples >> 8)[..., None].repeat(3, axis=-1))


def test_bmp_is_exact(picture, opacity):
    transparent = picture.copy()
    transparent.putalpha(opacity)
    exact = np.asarray(picture).astype(int)
    np.testing.assert_array_equal(decoded(encoded(picture, "BMP")), exact)
    np.testing.assert_array_equal(decoded(encoded(transparent, "BMP")), exact)
    gray = encoded(picture.convert("L"), "BMP")
    np.testing.assert_array_equal(decoded(gray), by_pillow(gray))
    # A negative height says that the rows are stored from the top.
    upside_down = bytearray(encoded(picture, "BMP"))
    upside_down[22:26] = struct.pack("<i", -HEIGHT)
    np.testing.assert_array_equal(decoded(bytes(upside_down)), exact[::-1])


def test_gif_gives_its_first_frame(picture):
    frames = [
        Image.fromarray(np.roll(np.asarray(picture), 9 * step, axis=0)).quantize(256)
        for step in range(3)
    ]
    first = np.asarray(frames[0].convert("RGB")).astype(int)
    np.testing.assert_array_equal(decoded(encoded(frames[0], "GIF")), first)
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(animated)).n_frames == 3
    np.testing.assert_array_equal(decoded(animated), first)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_truncated_bytes_are_an_error(picture, image_format, share):
    contents = encoded(picture, image_format)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(contents[: int(share * len(contents))])


@pytest.mark.parametrize("contents", [b"", b"no image", b"\xff\xd8\xff"], ids=repr)
def test_what_is_no_image_is_an_error(contents):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(contents)


def test_decoding_in_a_graph(picture):
    contents = [encoded(picture, each) for each in ("JPEG", "PNG", "BMP")]
    images = tf.data.Dataset.from_tensor_slices(contents).map(decode_image)
    assert images.element_spec.shape.as_list() == [None, None, 3]
    for image, each in zip(images, contents, strict=True):
        np.testing.assert_array_equal(image, decoded(each))


def scaled_by_pillow(image, height, width):
    """Antialiased bilinear scaling in floating point, channel by channel."""
    channels = [
        Image.fromarray(image[..., c].astype(np.float32)).resize(
            (width, height), Image.Resampling.BILINEAR
        )
        for c in range(image.shape[-1])
    ]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def as_torchvision_does(image, size, shorter):
    """`Resize(shorter)`, then `CenterCrop(size)`, as torchvision computes them."""
    height, width = image.shape[:2]
    if height <= width:
        scaled = (shorter, int(shorter * width / height))
    else:
        scaled = (int(shorter * height / width), shorter)
    image = scaled_by_pillow(image, *scaled)
    top, left = (round((have - want) / 2.0) for have, want in zip(scaled, size, strict=True))
    return image[top : top + size[0], left : left + size[1]]


# Pillow computes in double precision, the op in single; levels of 255.
TOLERANCE = 0.02


def noise(height, width, channels=3):
    rng = np.random.default_rng([height, width])
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize(
    "shape",
    [(256, 256), (300, 400), (375, 500), (500, 333), (427, 640), (100, 101), (31, 32), (64, 48)],
    ids=str,
)
def test_imagenet_s_resize_and_crop_is_torchvision_s(shape):
    image = noise(*shape)
    found = resize_and_crop(tf.constant(image), (224, 224), Framing(0.875))
    assert found.dtype == tf.float32
    expected = as_torchvision_does(image, (224, 224), shorter=256)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("size", [16, 63, 64, 160])
@pytest.mark.parametrize("shape", [(64, 64), (63, 200), (200, 63), (40, 41), (129, 127)], ids=str)
def test_up_and_down_without_leeway(shape, size):
    image = noise(*shape)
    found = resize_and_crop(tf.constant(image), (size, size))
    expected = as_torchvision_does(image, (size, size), shorter=size)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("ratio", [1.0, 0.875, 0.6])
@pytest.mark.parametrize("shape", [(50, 80), (80, 50), (33, 47), (96, 144), (7, 300)], ids=str)
def test_a_crop_that_is_no_square_is_covered(shape, ratio):
    size = (32, 48)
    image = noise(*shape)
    covered = [math.floor(side / ratio) for side in size]
    if covered[0] * shape[1] >= covered[1] * shape[0]:
        scaled = (covered[0], covered[0] * shape[1] // shape[0])
    else:
        scaled = (covered[1] * shape[0] // shape[1], covered[1])
    top, left = (round((have - want) / 2) for have, want in zip(scaled, size, strict=True))
    expected = scaled_by_pillow(image, *scaled)[top : top + size[0], left : left + size[1]]
    found = resize_and_crop(tf.constant(image), size, Framing(ratio))
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


IMAGENET_SHAPES = [(256, 256), (300, 400), (375, 500), (500, 333), (100, 101)]


@pytest.mark.parametrize("shape", IMAGENET_SHAPES, ids=str)
def test_the_chain_256_224_64_is_torchvision_s(shape):
    """`Resize(256)`, `CenterCrop(224)`, `Resize(64)`, antialiased, as the V1 components had it."""
    image = noise(*shape)
    found = resize_and_crop(tf.constant(image), (64, 64), Framing(0.875, 224))
    cropped = as_torchvision_does(image, (224, 224), shorter=256)
    np.testing.assert_allclose(found, scaled_by_pillow(cropped, 64, 64), atol=TOLERANCE)


@pytest.mark.parametrize("shape", IMAGENET_SHAPES, ids=str)
def test_the_chain_on_pillow_images_rounds_to_levels_between(shape):
    """What the original computed: three bytes a pixel after each step. We keep the fractions."""
    image = noise(*shape)
    found = resize_and_crop(tf.constant(image), (64, 64), Framing(0.875, 224))
    height, width = shape[:2]
    short = min(shape)
    size = (int(256 * width / short), int(256 * height / short))
    picture = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    left, top = (round((side - 224) / 2) for side in size)
    picture = picture.crop((left, top, left + 224, top + 224))
    picture = picture.resize((64, 64), Image.Resampling.BILINEAR)
    difference = found.numpy() - np.asarray(picture)
    assert np.abs(difference).max() < 1.5
    assert np.abs(difference).mean() < 0.4
    assert abs(difference.mean()) < 0.1


def naively_scaled(image, height, width):
    """Every output pixel as a mean of input pixels under a triangle as wide as a pixel of its."""
    for axis, length in ((0, height), (1, width)):
        scale = max(image.shape[axis] / length, 1.0)
        centres = (np.arange(length) + 0.5) * image.shape[axis] / length
        distances = np.abs(np.arange(image.shape[axis]) + 0.5 - centres[:, None]) / scale
        weights = np.maximum(1 - distances, 0)
        weights /= weights.sum(axis=1, keepdims=True)
        image = np.moveaxis(np.tensordot(weights, image, axes=(1, axis)), 0, axis)
    return image


@pytest.mark.parametrize("size", [(64, 64), (9, 200), (224, 224), (33, 47)], ids=str)
def test_resize_is_a_triangle_filter(size):
    image = noise(120, 90)
    found = resize(tf.constant(image), size)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, naively_scaled(image, *size), atol=TOLERANCE)


def test_the_right_size_is_left_alone():
    image = noise(40, 56)
    np.testing.assert_array_equal(resize_and_crop(tf.constant(image), (40, 56)), image)
    larger = resize_and_crop(tf.constant(image), (35, 49), Framing(0.875))
    np.testing.assert_array_equal(larger, image[2:37, 4:53])


def test_the_aspect_ratio_is_kept():
    y, x = np.mgrid[:120, :260]
    disc = ((y - 60) ** 2 + (x - 130) ** 2 < 40**2)[..., None] * np.uint8(255)
    found = resize_and_crop(tf.constant(disc), (60, 60)).numpy()[..., 0] > 127
    assert np.ptp(np.nonzero(found.any(axis=0))) == np.ptp(np.nonzero(found.any(axis=1)))
    assert found.sum() == pytest.approx(np.pi * 20**2, rel=0.03)


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (1, 1), (2, 100_000)], ids=str)
def test_extreme_aspect_ratios_need_no_more_than_the_crop(shape):
    """Scaled as a whole, the last of them would take 2.4 GB."""
    image = noise(*shape)
    found = resize_and_crop(tf.constant(image), (56, 56), Framing(0.875)).numpy()
    assert found.shape == (56, 56, 3)
    if max(shape) <= 500:
        expected = as_torchvision_does(image, (56, 56), shorter=64)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_number_types_and_channels(dtype):
    image = noise(20, 30, channels=1)
    found = resize_and_crop(tf.constant(image.astype(dtype)), (8, 8))
    assert found.dtype == tf.float32
    assert found.shape == (8, 8, 1)
    np.testing.assert_allclose(found, as_torchvision_does(image, (8, 8), shorter=8), atol=TOLERANCE)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("source", [(300, 70), (90, 333), (1, 200), (500, 500)], ids=str)
def test_large_results_are_those_of_one_pass(source, channels, dtype, monkeypatch):
    """Large results are made in two passes, rows and then columns."""
    size = (160, 130)
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (*source, channels)), dtype)
    two_passes = resize(image, size), resize_and_crop(image, size, Framing(0.875))
    monkeypatch.setattr("tfbio.datasets.images._LARGE", 10**9)
    np.testing.assert_array_equal(two_passes[0], resize(image, size))
    np.testing.assert_array_equal(two_passes[1], resize_and_crop(image, size, Framing(0.875)))
