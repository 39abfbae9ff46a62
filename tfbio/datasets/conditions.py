"""The viewing conditions of SATBench: an image in colour, in gray, under noise, or blurred.

Each is a function of the image, of a level and of a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfbio._lazy import lazy_module
from tfbio.datasets.names import CONDITIONS, ConditionName
from tfbio.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy_module("tensorflow")

# What a level is drawn from in training, each as likely as the others.
TRAINING_LEVELS: dict[str, tuple[float, ...]] = {
    "noise": (0.0, 0.01, 0.02, 0.03, 0.04),
    "blur": tuple(tenth / 10 for tenth in range(31)),
}

# ITU-R BT.601, as JPEG's gray and Pillow's.
_LUMA = (0.299, 0.587, 0.114)
_CONTRAST = 0.2
# The published kernel is 49 pixels wide.
_RADIUS = 24
# A level and what it means: beyond it, noise is no noise of a pixel and the kernel is too narrow.
_LIMITS = {"noise": (1.0, "black to white being 1"), "blur": (float(_RADIUS), "in pixels")}


@dataclass(frozen=True)
class ViewingCondition:
    """One of the four conditions under which SATBench shows its images.

    `"colour"` leaves the image as it is, `"grayscale"` see `grayscale`, `"noise"` see `add_noise`,
    `"blur"`, which keeps the colours, see `gaussian_blur`.

    Args:
        name: one of `CONDITIONS`.
        level: the standard deviation of noise (black to white being 1) or of blur (pixels of the
            image that is given; the published images had 224). None draws one of
            `TRAINING_LEVELS` for every image. Colour and gray have no level.

    Raises:
        UnknownNameError: there is no such condition.
        InputError: the level is not between 0 and 1 for noise or 24 for blur, or the condition
            has none.

    Reference:
        Subramanian et al. (2022), doi:10.48550/arXiv.2206.08427

    Example:
        >>> import tensorflow as tf
        >>> seen = ViewingCondition("blur", 1.5)(tf.fill((32, 32, 3), 100.0), (1, 2))
        >>> tuple(seen.shape), round(float(seen[0, 0, 0]), 3)
        ((32, 32, 3), 100.0)
    """

    name: ConditionName
    level: float | None = None

    def __post_init__(self) -> None:
        if self.name not in CONDITIONS:
            raise UnknownNameError("viewing condition", self.name, CONDITIONS)
        if self.level is None:
            return
        if self.name not in _LIMITS:
            raise InputError(
                f"Expected no level for the viewing condition {self.name}, received {self.level}: "
                "leave it out."
            )
        limit, unit = _LIMITS[self.name]
        # Written so that NaN is refused as well.
        if not 0 <= self.level <= limit:
            raise InputError(
                f"Expected a level of {self.name} from 0 to {limit:g} (its standard deviation, "
                f"{unit}), received {self.level}."
            )

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The image under this condition.

        Args:
            image: (H, W, 3) in [0, 255].
            seed: two integers.

        Returns:
            float32 tensor (H, W, 3) in [0, 255].
        """
        image = tf.cast(image, tf.float32)
        level_seed, draw_seed = tf.unstack(tf.random.split(seed))
        return _CHANGES[self.name](image, self._level(level_seed), draw_seed)

    def _level(self, seed: tf.Tensor) -> tf.Tensor | float:
        if self.level is not None:
            return self.level
        levels = TRAINING_LEVELS.get(self.name, (0.0,))
        drawn = tf.random.stateless_uniform((), seed, maxval=len(levels), dtype=tf.int32)
        return tf.constant(levels)[drawn]


def grayscale(image: tf.Tensor) -> tf.Tensor:
    """Three equal channels: 0.299 red + 0.587 green + 0.114 blue.

    Pillow's `convert("L")`, without its rounding.

    Args:
        image: float32 (H, W, 3).

    Returns:
        float32 tensor (H, W, 3), in the units of the input.

    Example:
        >>> import tensorflow as tf
        >>> grayscale(tf.constant([[[255.0, 0.0, 0.0]]])).numpy().round(2)
        array([[[76.24, 76.24, 76.24]]], dtype=float32)
    """
    return tf.repeat(_luma(image), 3, axis=-1)


def add_noise(image: tf.Tensor, deviation: tf.Tensor | float, seed: tf.Tensor) -> tf.Tensor:
    """A gray image of mean 0.5 and a fifth of the contrast, under truncated Gaussian noise.

    With black 0 and white 1, g the gray image and z standard normal, drawn again where it is more
    than two from zero: 0.5 + 0.2 (g - mean g) + deviation z, the same in all three channels, then
    clipped to [0, 1].

    Args:
        image: float32 (H, W, 3) in [0, 255].
        deviation: standard deviation of the noise before it is truncated, white being 1;
            truncated, it has 0.88 of it.
        seed: two integers.

    Returns:
        float32 tensor (H, W, 3) in [0, 255].

    Example:
        >>> import tensorflow as tf
        >>> noisy = add_noise(tf.zeros((64, 64, 3)), 0.04, (1, 2)).numpy()
        >>> bool(abs(noisy - 127.5).max() <= 2 * 0.04 * 255)
        True
    """
    gray = _luma(image)
    faint = 127.5 + _CONTRAST * (gray - tf.reduce_mean(gray))
    noise = tf.random.stateless_truncated_normal(tf.shape(gray), seed)
    return tf.repeat(
        tf.clip_by_value(faint + 255 * tf.cast(deviation, tf.float32) * noise, 0, 255), 3, axis=-1
    )


def gaussian_blur(
    image: tf.Tensor, deviation: tf.Tensor | float, radius: int = _RADIUS
) -> tf.Tensor:
    """An image under a Gaussian kernel, rows and columns one after the other.

    Beyond its border the image is mirrored about its outermost pixels, which are not repeated, as
    often as an image smaller than the kernel needs: NumPy's and torchvision's "reflect".

    Args:
        image: float32 (H, W, C).
        deviation: standard deviation, pixels; 0 leaves the image as it is.
        radius: the kernel is 2 radius + 1 pixels wide.

    Returns:
        float32 tensor (H, W, C), in the units of the input.

    Example:
        >>> import tensorflow as tf
        >>> point = tf.scatter_nd([[2, 2, 0]], [1.0], (5, 5, 1))
        >>> gaussian_blur(point, 0.5)[2, :, 0].numpy().round(3)
        array([0.   , 0.084, 0.619, 0.084, 0.   ], dtype=float32)
    """
    distance = tf.range(-radius, radius + 1, dtype=tf.float32)
    # No neighbour has any weight at a thousandth of a pixel already.
    kernel = tf.exp(-0.5 * (distance / tf.maximum(tf.cast(deviation, tf.float32), 1e-3)) ** 2)
    kernel /= tf.reduce_sum(kernel)
    height, width = tf.unstack(tf.shape(image)[:2])
    # Two products with matrices are twice as fast as two convolutions on a CPU.
    channels = tf.transpose(image, (2, 0, 1))
    down = tf.matmul(_kernel_matrix(height, kernel), channels)
    blurred = tf.matmul(down, _kernel_matrix(width, kernel), transpose_b=True)
    return tf.ensure_shape(tf.transpose(blurred, (1, 2, 0)), image.shape)


def _luma(image: tf.Tensor) -> tf.Tensor:
    channels = zip(_LUMA, tf.unstack(image, axis=-1), strict=True)
    return tf.add_n([weight * channel for weight, channel in channels])[..., tf.newaxis]


def _kernel_matrix(length: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The matrix (length, length) that convolves a mirrored column of pixels with the kernel."""
    radius = kernel.shape[0] // 2
    rows = tf.range(length)[:, tf.newaxis]
    # Mirrored at both ends, a column repeats itself; one of a single pixel does so at once.
    period = tf.maximum(2 * (length - 1), 1)
    columns = (rows + tf.range(-radius, radius + 1)) % period
    columns = tf.minimum(columns, period - columns)
    places = tf.stack([tf.broadcast_to(rows, tf.shape(columns)), columns], axis=-1)
    return tf.scatter_nd(places, tf.broadcast_to(kernel, tf.shape(columns)), (length, length))


_CHANGES: dict[ConditionName, Callable[[tf.Tensor, tf.Tensor | float, tf.Tensor], tf.Tensor]] = {
    "colour": lambda image, level, seed: image,
    "grayscale": lambda image, level, seed: grayscale(image),
    "noise": add_noise,
    "blur": lambda image, level, seed: gaussian_blur(image, level),
}
