"""The renderer of the `pathfinder` data set: dashes and discs, antialiased, in NumPy.

A picture is a function of (seed, split, index) and the geometry only. Its paths do not depend on
its class; that decides on which of their ends the discs lie, and nothing else.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfbio.datasets.pathfinder.paths import Array, Geometry, Layouts, draw_layouts
from tfbio.errors import UnknownNameError

Picture = NDArray[np.uint8]

CLASS_NAMES: tuple[str, ...] = ("two paths", "one path")
SPLITS: tuple[str, ...] = ("train", "validation", "test")
# What `paths` marks pixels with.
BACKGROUND, FIRST_PATH, SECOND_PATH, DISTRACTOR = range(4)


class Examples(NamedTuple):
    """Examples of the data set.

    Args:
        images: uint8, N x size x size x 3, three equal channels.
        paths: which path a pixel belongs to, uint8, N x size x size x 1: 0 the background, 1 the
            path with both discs or with one, 2 the other main path, 3 a distractor.
        discs: the middles of the two discs, float32, N x 2 x 2, in pixels (x right, y down) from
            the upper left corner.
        labels: int64, N, indices into `CLASS_NAMES`.
    """

    images: Picture
    paths: Picture
    discs: NDArray[np.float32]
    labels: NDArray[np.int64]


def _split_number(split: str) -> int:
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return SPLITS.index(split)


def example_label(split: str, index: int, seed: int = 0) -> int:
    """Returns the class of one example of the data set.

    Each pair of examples holds both classes, in a random order.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        index: number of the example in its split.
        seed: seed of the data set.

    Returns:
        The label, an index into `CLASS_NAMES`.

    Raises:
        UnknownNameError: if there is no such split.

    Example:
        >>> sorted(example_label("test", index) for index in range(2))
        [0, 1]
    """
    pair, position = divmod(index, 2)
    rng = np.random.default_rng([seed, _split_number(split), pair, 1])
    return int(rng.integers(2)) ^ position


def disc_places(layouts: Layouts, labels: NDArray[np.int64]) -> Array:
    """Returns where the discs lie: on one end of the first path, and on its other or the second's.

    Args:
        layouts: the paths of N pictures.
        labels: their classes, indices into `CLASS_NAMES`.

    Returns:
        The middles of the discs, N x 2 x 2, in pixels.

    Example:
        >>> layouts = draw_layouts(Geometry(6), [np.random.default_rng(0)] * 2)
        >>> disc_places(layouts, np.array([0, 1])).shape
        (2, 2, 2)
    """
    other = np.where((labels == 1)[:, None], layouts.first[:, -1, 1], layouts.second[:, 0, 0])
    return np.stack([layouts.first[:, 0, 0], other], axis=1)


def _stamp(
    canvas: NDArray[np.int16], start: Array, end: Array, radius: float, path: NDArray[np.int16]
) -> None:
    """Draws lines with round ends, N x lines x 2, into canvases (N, size, size).

    A canvas holds four times the level, 0 to 255, plus the path; the brighter wins.
    """
    size = canvas.shape[-1]
    longest = math.sqrt(((end - start) ** 2).sum(axis=-1).max(initial=0.0))
    reach = math.ceil(longest / 2 + radius + 1)
    window = np.arange(-reach, reach + 1)
    corner = np.floor((start + end) / 2).astype(np.int64)
    columns = corner[..., 0, None, None] + window[None, :]
    rows = corner[..., 1, None, None] + window[:, None]
    x, y = columns + 0.5 - start[..., 0, None, None], rows + 0.5 - start[..., 1, None, None]
    along_x, along_y = ((end - start)[..., axis, None, None] for axis in range(2))
    squared = np.maximum(along_x**2 + along_y**2, 1e-12)
    share = np.clip((x * along_x + y * along_y) / squared, 0.0, 1.0)
    distance = np.sqrt((x - share * along_x) ** 2 + (y - share * along_y) ** 2)
    level = np.rint(255 * np.clip(radius + 0.5 - distance, 0.0, 1.0)).astype(np.int16)
    lit = np.nonzero(level)
    picture = lit[0]
    row, column = rows[lit[0], lit[1], lit[2], 0], columns[lit[0], lit[1], 0, lit[3]]
    pixels = (picture * size + row) * size + column
    np.maximum.at(canvas.reshape(-1), pixels, 4 * level[lit] + path[lit[0], lit[1]])


def draw(geometry: Geometry, layouts: Layouts, discs: Array) -> tuple[Picture, Picture]:
    """Draws pictures, white on black.

    Args:
        geometry: sizes and numbers.
        layouts: the paths of N pictures.
        discs: the middles of their discs, N x 2 x 2, in pixels.

    Returns:
        The images and the paths, see `Examples`.

    Example:
        >>> geometry = Geometry(6)
        >>> layouts = draw_layouts(geometry, [np.random.default_rng(0)])
        >>> images, paths = draw(geometry, layouts, disc_places(layouts, np.array([1])))
        >>> images.shape, paths.shape
        ((1, 64, 64, 3), (1, 64, 64, 1))
    """
    number, size = len(discs), geometry.image_size
    canvas = np.zeros((number, size, size), dtype=np.int16)
    distractors = layouts.distractors
    distractors = distractors.reshape(number, math.prod(distractors.shape[1:3]), 2, 2)
    dashes = np.concatenate([layouts.first, layouts.second, distractors], axis=1)
    lengths = (layouts.first.shape[1], layouts.second.shape[1], distractors.shape[1])
    path = np.repeat(np.array([FIRST_PATH, SECOND_PATH, DISTRACTOR], np.int16), lengths)
    path = np.broadcast_to(path, dashes.shape[:2])
    # The round ends are part of a dash's length.
    radius = geometry.thickness / 2
    inset = (dashes[..., 1, :] - dashes[..., 0, :]) * (radius / geometry.dash)
    _stamp(canvas, dashes[..., 0, :] + inset, dashes[..., 1, :] - inset, radius, path)
    on_first = (discs[:, 1] == layouts.first[:, -1, 1]).all(axis=-1)
    holder = np.full((number, 2), FIRST_PATH, np.int16)
    holder[~on_first, 1] = SECOND_PATH
    _stamp(canvas, discs, discs, geometry.disc_radius, holder)
    image = (canvas // 4).astype(np.uint8)[..., None]
    return np.repeat(image, 3, axis=-1), (canvas % 4).astype(np.uint8)[..., None]


def render_examples(
    geometry: Geometry, split: str, indices: Sequence[int], seed: int = 0
) -> Examples:
    """Renders examples; each is a function of (seed, split, index) and the geometry only.

    A hundred or more at a time take the least time per picture.

    Args:
        geometry: sizes and numbers.
        split: `"train"`, `"validation"` or `"test"`.
        indices: numbers of the examples in their split.
        seed: seed of the data set.

    Returns:
        The examples, in the order of the indices.

    Raises:
        InputError: if no paths of this geometry fit into a picture.
        UnknownNameError: if there is no such split.

    Reference:
        Linsley et al. (2018), doi:10.48550/arXiv.1805.08315

    Example:
        >>> examples = render_examples(Geometry(contour_length=6), "test", range(3))
        >>> examples.images.shape, examples.labels.shape
        ((3, 64, 64, 3), (3,))
    """
    number = _split_number(split)
    labels = np.array([example_label(split, index, seed) for index in indices], dtype=np.int64)
    rngs = [np.random.default_rng([seed, number, index, 0]) for index in indices]
    layouts = draw_layouts(geometry, rngs)
    discs = disc_places(layouts, labels)
    images, paths = draw(geometry, layouts, discs)
    return Examples(images, paths, discs.astype(np.float32), labels)
