"""Image bytes into tensors: the same graph for training, evaluation and serving."""

from __future__ import annotations

import tensorflow as tf


def decode_image(contents: tf.Tensor) -> tf.Tensor:
    """Decode JPEG, PNG, GIF (the first frame) or BMP bytes into RGB.

    Gray images get three equal channels, transparency is dropped, CMYK is converted, 16-bit
    samples keep their upper eight bits.

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
    image = tf.io.decode_image(contents, channels=3, expand_animations=False)
    image.set_shape((None, None, 3))
    return image


def resize_and_crop(image: tf.Tensor, size: tuple[int, int], crop_ratio: float = 1.0) -> tf.Tensor:
    """Scale an image to cover a size divided by the crop ratio, then crop its centre to the size.

    The scaling is bilinear and antialiased; the aspect ratio is kept.

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
    height, width = size
    shape = tf.shape(image)
    source = tf.cast(shape[:2], tf.float32)
    scale = tf.reduce_max(tf.constant([height, width], tf.float32) / crop_ratio / source)
    # Rounding must never leave a side shorter than the crop.
    scaled = tf.maximum(tf.cast(tf.round(source * scale), tf.int32), [height, width])
    resized = tf.image.resize(image, scaled, method="bilinear", antialias=True)
    offset = (scaled - [height, width]) // 2
    cropped = resized[offset[0] : offset[0] + height, offset[1] : offset[1] + width]
    return tf.ensure_shape(cropped, (height, width, image.shape[-1]))
