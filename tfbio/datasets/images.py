"""Image bytes into tensors: the same graph for training, evaluation and serving."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tfbio._lazy import lazy_module
from tfbio.framing import Framing

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy_module("tensorflow")

# Pixels of a result from which on two passes are faster than one.
_LARGE = 128 * 128


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decode JPEG, PNG, GIF (the first frame) or BMP bytes into RGB.

    Gray images get three equal channels, transparency is dropped, CMYK is converted, 16-bit
    samples keep their upper eight bits. JPEGs are decoded with the accurate cosine
    transform, as by Pillow and so torchvision; TensorFlow's default is a little darker.

    Args:
        contents: scalar string tensor.

    Returns:
        uint8 tensor (H, W, 3).

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image, or damaged.

    Example:
        >>> import tensorflow as tf
        >>> gray = tf.io.encode_png(tf.zeros((4, 5, 1), tf.uint8))
        >>> tuple(decode_image(gray).shape)
        (4, 5, 3)
    """
    image = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(contents, channels=3, expand_animations=False),
    )
    image.set_shape((None, None, 3))
    return image


def resize_and_crop(
    image: tf.Tensor, size: tuple[int, int], framing: Framing = Framing()
) -> tf.Tensor:
    """Scale an image to cover a size divided by the crop ratio, then crop its centre to the size.

    The scaling is bilinear and antialiased; the aspect ratio is kept, the longer side rounded
    down, as torchvision's `Resize` and `CenterCrop` do.

    Args:
        image: (H, W, C), any number type.
        size: (height, width) of the result, pixels.
        framing: the crop ratio, and the size to crop to instead, if there is one; what was cropped
            is then scaled to `size`, as networks for 64 x 64 are trained on ImageNet's 224 x 224.

    Returns:
        float32 tensor (height, width, C), in the units of the input.

    Raises:
        InputError: the size to crop to is smaller than `size`.

    Example:
        >>> import tensorflow as tf
        >>> tuple(resize_and_crop(tf.zeros((40, 80, 3)), (16, 16)).shape)
        (16, 16, 3)
    """
    cropped = _covering_crop(image, framing.cropped_size(size), framing.crop_ratio)
    return cropped if framing.resize_through is None else resize(cropped, size)


def resize(image: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Scale an image to a size, whatever becomes of its aspect ratio; bilinear and antialiased.

    Args:
        image: (H, W, C), any number type.
        size: (height, width) of the result, pixels.

    Returns:
        float32 tensor (height, width, C), in the units of the input.

    Example:
        >>> import tensorflow as tf
        >>> resize(tf.constant([[[0.0], [2.0]], [[4.0], [6.0]]]), (1, 1)).numpy().item()
        3.0
    """
    return _scaled(image, size, tf.constant(size) / tf.shape(image)[:2], tf.zeros(2))


def _covering_crop(image: tf.Tensor, size: tuple[int, int], crop_ratio: float) -> tf.Tensor:
    """The centre of an image, scaled so that it covers the size divided by the crop ratio."""
    source = tf.shape(image)[:2]
    covered = tf.constant([math.floor(side / crop_ratio) for side in size])
    # One side fits exactly; the other follows from the aspect ratio and is no shorter.
    scaled = tf.maximum(covered, covered[::-1] * source // source[::-1])
    # torchvision rounds half an offset to even.
    offset = tf.round((scaled - size) / 2)

    def cut() -> tf.Tensor:
        top, left = tf.unstack(tf.cast(offset, tf.int32))
        return tf.cast(image[top : top + size[0], left : left + size[1]], tf.float32)

    def scale_and_cut() -> tf.Tensor:
        # The crop alone is asked for: a very long image scaled as a whole would fill the memory.
        return _scaled(image, size, scaled / source, -tf.cast(offset, tf.float32))

    # Images of the right size are common, and need no scaling.
    cropped = tf.cond(tf.reduce_all(scaled == source), cut, scale_and_cut)
    return tf.ensure_shape(cropped, (*size, image.shape[-1]))


def _scaled(
    image: tf.Tensor, size: tuple[int, int], scale: tf.Tensor, translation: tf.Tensor
) -> tf.Tensor:
    """The op behind `tf.image.resize`, which can give a part of the scaled image."""
    scale = tf.cast(scale, tf.float32)
    if size[0] * size[1] < _LARGE:
        return _scale_and_translate(image, size, scale, translation)
    # The same to the bit, rows and then columns: for large results, a third faster.
    height, width, channels = tf.unstack(tf.shape(image))
    rows = _scaled_rows(tf.reshape(image, (height, -1)), size[0], scale[0], translation[0])
    columns = tf.transpose(tf.reshape(rows, (size[0], width, channels)), (1, 0, 2))
    columns = _scaled_rows(
        tf.reshape(columns, (width, size[0] * channels)), size[1], scale[1], translation[1]
    )
    return tf.transpose(tf.reshape(columns, (size[1], size[0], channels)), (1, 0, 2))


def _scaled_rows(
    matrix: tf.Tensor, rows: int, scale: tf.Tensor, translation: tf.Tensor
) -> tf.Tensor:
    scales, translations = tf.stack([scale, 1.0]), tf.stack([translation, 0.0])
    return _scale_and_translate(matrix[:, tf.newaxis], (rows, 1), scales, translations)[:, 0]


def _scale_and_translate(
    image: tf.Tensor, size: tuple[int, int], scale: tf.Tensor, translation: tf.Tensor
) -> tf.Tensor:
    return tf.raw_ops.ScaleAndTranslate(
        images=image[tf.newaxis],
        size=size,
        scale=scale,
        translation=translation,
        kernel_type="triangle",
        antialias=True,
    )[0]
