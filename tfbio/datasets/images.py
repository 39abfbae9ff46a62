"""Image bytes into tensors: the same graph for training, evaluation and serving."""

from __future__ import annotations

import math

import tensorflow as tf


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


def resize_and_crop(image: tf.Tensor, size: tuple[int, int], crop_ratio: float = 1.0) -> tf.Tensor:
    """Scale an image to cover a size divided by the crop ratio, then crop its centre to the size.

    The scaling is bilinear and antialiased; the aspect ratio is kept, the longer side rounded
    down, as torchvision's `Resize` and `CenterCrop` do.

    Args:
        image: (H, W, C), any number type.
        size: (height, width) of the result, pixels.
        crop_ratio: 1 crops as little as possible; 0.875 is ImageNet's 256 to 224.

    Returns:
        float32 tensor (height, width, C), in the units of the input.

    Example:
        >>> import tensorflow as tf
        >>> tuple(resize_and_crop(tf.zeros((40, 80, 3)), (16, 16)).shape)
        (16, 16, 3)
    """
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
        # The op behind tf.image.resize, asked for the crop alone: a very long image scaled as a
        # whole would fill the memory.
        return tf.raw_ops.ScaleAndTranslate(
            images=image[tf.newaxis],
            size=size,
            scale=tf.cast(scaled / source, tf.float32),
            translation=-tf.cast(offset, tf.float32),
            kernel_type="triangle",
            antialias=True,
        )[0]

    # Images of the right size are common, and need no scaling.
    cropped = tf.cond(tf.reduce_all(scaled == source), cut, scale_and_cut)
    return tf.ensure_shape(cropped, (*size, image.shape[-1]))
