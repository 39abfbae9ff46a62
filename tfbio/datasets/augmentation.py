"""Random changes of an image, each a function of the image and a seed."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfbio.datasets.images import resize
from tfbio.datasets.names import AugmentationName

_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10


def random_crop(image: tf.Tensor, size: tuple[int, int], seed: tf.Tensor) -> tf.Tensor:
    """A window of the size, anywhere in the image."""
    return tf.image.stateless_random_crop(image, (*size, image.shape[-1]), seed)


def random_flip(image: tf.Tensor, size: tuple[int, int], seed: tf.Tensor) -> tf.Tensor:
    """The image, or its mirror image, left and right exchanged."""
    return tf.image.stateless_random_flip_left_right(image, seed)


def random_resized_crop(image: tf.Tensor, size: tuple[int, int], seed: tf.Tensor) -> tf.Tensor:
    """A random window of the image, see `random_window`, scaled to the size.

    Cropped first and scaled after, so that no pixel outside the window is seen.

    Args:
        image: (H, W, C), any number type.
        size: (height, width) of the result, pixels.
        seed: two integers.

    Returns:
        float32 tensor (height, width, C), in the units of the input.

    Example:
        >>> import tensorflow as tf
        >>> tuple(random_resized_crop(tf.zeros((40, 80, 3)), (16, 16), (1, 2)).shape)
        (16, 16, 3)
    """
    top, left, height, width = tf.unstack(random_window(tf.shape(image)[:2], seed))
    window = resize(image[top : top + height, left : left + width], size)
    return tf.ensure_shape(window, (*size, image.shape[-1]))


def random_window(source: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A window of random area, shape and place, as torchvision's `RandomResizedCrop` draws it.

    Its area is uniform between 0.08 and 1 of the image, its aspect ratio log-uniform between 3/4
    and 4/3, its place uniform. A window that the image does not hold is drawn again; after ten,
    it is the largest one in the centre whose aspect ratio is allowed.

    Args:
        source: (height, width) of the image, int32.
        seed: two integers.

    Returns:
        int32 tensor (4,): top, left, height, width; pixels.

    Reference:
        Szegedy et al. (2015), doi:10.1109/CVPR.2015.7298594

    Example:
        >>> import tensorflow as tf
        >>> top, left, height, width = random_window(tf.constant([40, 80]), (1, 2)).numpy()
        >>> bool(0 < height <= 40 - top and 0 < width <= 80 - left)
        True
    """
    shape_seed, place_seed = tf.unstack(tf.random.split(seed))
    size = tf.cast(source, tf.float32)
    draws = tf.random.stateless_uniform(
        (_TRIES, 2),
        shape_seed,
        minval=(_AREA[0], math.log(_ASPECT[0])),
        maxval=(_AREA[1], math.log(_ASPECT[1])),
    )
    area, aspect = draws[:, 0] * size[0] * size[1], tf.exp(draws[:, 1])
    tried = tf.round(tf.sqrt(tf.stack([area / aspect, area * aspect], axis=-1)))
    fits = tf.reduce_all((tried > 0) & (tried <= size), axis=-1)
    # The first that fits.
    drawn = tried[tf.argmax(tf.cast(fits, tf.int32))]
    room = size - drawn
    corner = tf.floor(tf.random.stateless_uniform((2,), place_seed) * (room + 1))
    # A product just below a whole number may be rounded up to it.
    random = tf.concat([tf.minimum(corner, room), drawn], axis=0)

    height, width = tf.unstack(size)
    central = tf.round(
        tf.stack([tf.minimum(height, width / _ASPECT[0]), tf.minimum(width, height * _ASPECT[1])])
    )
    fallback = tf.concat([tf.floor((size - central) / 2), central], axis=0)
    return tf.cast(tf.where(tf.reduce_any(fits), random, fallback), tf.int32)


AUGMENTATIONS: dict[
    AugmentationName, Callable[[tf.Tensor, tuple[int, int], tf.Tensor], tf.Tensor]
] = {
    "crop": random_crop,
    "flip": random_flip,
    "random_resized_crop": random_resized_crop,
}
