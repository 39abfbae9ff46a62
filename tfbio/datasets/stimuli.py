"""Diagnostic stimuli: what of an object, its surface or its outline, does a network go by?

Each is made of an image and the mask of the object in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfbio._lazy import lazy_module
from tfbio.datasets.conditions import gaussian_blur
from tfbio.datasets.names import STIMULI, StimulusName
from tfbio.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import tensorflow as tf
else:
    tf = lazy_module("tensorflow")

_WHITE = 255.0
# The published lengths, in pixels of the published size.
_PUBLISHED_SIZE = 224
_BORDER = 10
_GRAIN = 2.0


@dataclass(frozen=True)
class Stimulus:
    """One of the five stimuli, cropped to the object and scaled.

    `"normal"` is the image; `"foreground"` the object on white; `"silhouette"` the object in black
    on white; `"frankenstein"` the silhouette whose lower half is mirrored, see `frankenstein`;
    `"serrated"` the silhouette with a frayed border, see `serrated`. The crop is `object_window`'s,
    whatever its aspect ratio; each pixel of the result is a pixel of the crop, none is a mean.

    Args:
        name: one of `STIMULI`.
        size: (height, width) of the result, pixels; 224 x 224 as published.

    Raises:
        UnknownNameError: there is no such stimulus.
        InputError: the size has a side of less than a pixel.

    Reference:
        Jarvers & Neumann (2023), doi:10.3389/fcomp.2023.1113609; Birkholz (2023). The mirrored
        halves are those of Baker & Elder (2022), doi:10.1016/j.isci.2022.104913

    Example:
        >>> import tensorflow as tf
        >>> image, mask = tf.zeros((9, 9, 3)), tf.scatter_nd([[4, 4, 0]], [1], (9, 9, 1))
        >>> tuple(Stimulus("silhouette", (32, 32))(image, mask, (1, 2)).shape)
        (32, 32, 3)
    """

    name: StimulusName
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.name not in STIMULI:
            raise UnknownNameError("stimulus", self.name, STIMULI)
        if min(self.size) < 1:
            raise InputError(
                f"Expected a stimulus of at least 1 x 1 pixels, received {self.size[0]} x "
                f"{self.size[1]}."
            )

    def __call__(self, image: tf.Tensor, mask: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The stimulus made of one image.

        Args:
            image: (H, W, 3) in [0, 255], any number type.
            mask: (H, W, 1), any type, not zero where the object is.
            seed: two integers; only the serrated silhouette depends on it.

        Returns:
            float32 tensor (height, width, 3) in [0, 255].

        Raises:
            tf.errors.InvalidArgumentError: no pixel of the mask belongs to an object, or the mask
                is not of the image's size.
        """
        inside = tf.cast(mask[..., :1], tf.bool)
        checks = [
            tf.debugging.assert_equal(
                tf.shape(inside)[:2],
                tf.shape(image)[:2],
                "Expected a mask as large as its image.",
            ),
            tf.debugging.assert_greater(
                tf.math.count_nonzero(inside),
                tf.zeros((), tf.int64),
                "Expected a mask with an object, received one of zeros: leave the image out.",
            ),
        ]
        # In a graph these are operations, which what follows has to wait for.
        with tf.control_dependencies([check for check in checks if check is not None]):
            window = object_window(inside)
        # Pillow scaled the published frankensteins, PyTorch the others.
        centred = self.name == "frankenstein"
        image, inside = (_nearest(each, window, self.size, centred) for each in (image, inside))
        made = _MAKERS[self.name](tf.cast(image, tf.float32), inside, seed)
        return tf.ensure_shape(tf.broadcast_to(made, (*self.size, 3)), (*self.size, 3))


def object_window(inside: tf.Tensor) -> tf.Tensor:
    """The bounding box of a mask, 1.4 times as high and as wide, moved into the image.

    The box reaches from the first to the last row and column of the object. A side that would be
    longer than the image is as long as the image. Fractions of a pixel are dropped, as published:
    at the right and the lower border an object can lose its last column or row.

    Args:
        inside: bool (H, W, 1), not false everywhere.

    Returns:
        int32 tensor (4,): top, left, height, width; pixels.

    Example:
        >>> import tensorflow as tf
        >>> mask = tf.pad(tf.ones((11, 11, 1), tf.bool), [[20, 20], [1, 30], [0, 0]])
        >>> object_window(mask).numpy()
        array([18,  0, 14, 14], dtype=int32)
    """
    sides = []
    for axis in (1, 0):
        line = tf.reduce_any(inside, axis=(axis, 2))
        length = tf.size(line)
        places = tf.cast(tf.where(line)[:, 0], tf.int32)
        first, last = places[0], places[-1]
        span = last - first
        # In fifths of a pixel.
        start = tf.maximum(tf.minimum(5 * first - span, 5 * length - 7 * span), 0) // 5
        # The smallest objects have a window of their own size.
        sides.append((start, tf.maximum(tf.minimum(7 * span // 5, length), span + 1)))
    (top, height), (left, width) = sides
    return tf.stack([top, left, height, width])


def silhouette(inside: tf.Tensor) -> tf.Tensor:
    """The object in black on white.

    Args:
        inside: bool (H, W, 1), true where the object is.

    Returns:
        float32 tensor (H, W, 1), 0 or 255.

    Example:
        >>> import tensorflow as tf
        >>> silhouette(tf.constant([[[True], [False]]])).numpy().ravel()
        array([  0., 255.], dtype=float32)
    """
    return tf.where(inside, 0.0, _WHITE)


def frankenstein(inside: tf.Tensor) -> tf.Tensor:
    """The silhouette with its lower half mirrored, left and right exchanged.

    The middle row of an odd number belongs to the lower half.

    Args:
        inside: bool (H, W, 1), true where the object is.

    Returns:
        float32 tensor (H, W, 1), 0 or 255.

    Example:
        >>> import tensorflow as tf
        >>> frankenstein(tf.constant([[[True], [False]]] * 3)).numpy()[..., 0]
        array([[  0., 255.],
               [255.,   0.],
               [255.,   0.]], dtype=float32)
    """
    middle = tf.shape(inside)[0] // 2
    return silhouette(tf.concat([inside[:middle], inside[middle:, ::-1]], axis=0))


def serrated(inside: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """The silhouette with a band of black and white grains around it.

    The band is what dilation adds to the object, see `dilate`: 10 pixels at 224 x 224. In it, the
    sign of Gaussian noise decides, blurred by a Gaussian of 2 pixels that ends at four standard
    deviations. Both lengths are scaled with the shorter side of the picture.

    Args:
        inside: bool (H, W, 1), true where the object is.
        seed: two integers.

    Returns:
        float32 tensor (H, W, 1), 0 or 255.

    Example:
        >>> import tensorflow as tf
        >>> square = tf.pad(tf.ones((40, 40, 1), tf.bool), [[92, 92], [92, 92], [0, 0]])
        >>> frayed = serrated(square, (1, 2))
        >>> float(frayed[92, 92, 0]), float(frayed[0, 0, 0]), len(set(frayed[88, :, 0].numpy()))
        (0.0, 255.0, 2)
    """
    scale = min(inside.shape[:2]) / _PUBLISHED_SIZE
    grain = _GRAIN * scale
    noise = tf.random.stateless_normal(inside.shape, seed)
    grains = gaussian_blur(noise, grain, radius=max(1, round(4 * grain))) <= 0
    band = dilate(inside, max(1, round(_BORDER * scale)))
    return silhouette(inside | (band & grains))


def dilate(inside: tf.Tensor, radius: int) -> tf.Tensor:
    """Every pixel that is at most so many steps, up, down, left or right, from the object.

    SciPy's `binary_dilation` with its own structuring element, a cross, `radius` times over: by a
    diamond.

    Args:
        inside: bool (H, W, 1), true where the object is.
        radius: number of steps.

    Returns:
        bool tensor (H, W, 1).

    Example:
        >>> import tensorflow as tf
        >>> point = tf.scatter_nd([[2, 2, 0]], [1], (5, 5, 1)) > 0
        >>> dilate(point, 2).numpy()[..., 0].sum(axis=1)
        array([1, 3, 5, 3, 1])
    """
    for _ in range(radius):
        up, down = inside[1:], inside[:-1]
        left, right = inside[:, 1:], inside[:, :-1]
        inside |= tf.pad(up, [[0, 1], [0, 0], [0, 0]]) | tf.pad(down, [[1, 0], [0, 0], [0, 0]])
        inside |= tf.pad(left, [[0, 0], [0, 1], [0, 0]]) | tf.pad(right, [[0, 0], [1, 0], [0, 0]])
    return inside


def _nearest(
    picture: tf.Tensor, window: tf.Tensor, size: tuple[int, int], centred: bool
) -> tf.Tensor:
    """A window of a picture, scaled; a pixel of the result is looked up by its corner or centre."""
    indices = []
    for start, source, side in zip(
        tf.unstack(window[:2]), tf.unstack(window[2:]), size, strict=True
    ):
        places = 2 * tf.range(side) + int(centred)
        indices.append(start + places * source // (2 * side))
    return tf.gather(tf.gather(picture, indices[0]), indices[1], axis=1)


_MAKERS: dict[StimulusName, Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "normal": lambda image, inside, seed: image,
    "foreground": lambda image, inside, seed: tf.where(inside, image, _WHITE),
    "silhouette": lambda image, inside, seed: silhouette(inside),
    "frankenstein": lambda image, inside, seed: frankenstein(inside),
    "serrated": lambda image, inside, seed: serrated(inside, seed),
}
