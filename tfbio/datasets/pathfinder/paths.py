"""Where the dashed paths of a `pathfinder` picture run, and where its two discs can lie.

A layout does not know the picture's class. Its two main paths are laid so that an end of the
second is where an end of the first would be if the first were mirrored at its other end. Discs on
both ends of the first path, or on its other end and this end of the second, are equally far apart
then, and at both of them a path leaves at the same angles to the line between them.
"""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfbio.errors import InputError

Array = NDArray[np.float64]

# Lengths in dashes.
_GAP = 0.5
_THICKNESS = 0.3
_DISC_RADIUS = 0.75
_CLEARANCE = 1.6
_CLEARANCE_OF_ENDS = 2.25

_LARGEST_TURN = math.radians(40.0)
_TRIES_FIRST, _TRIES_SECOND, _TRIES_DISTRACTOR = 16, 32, 24
_MOST_LAYOUTS = 100


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Sizes and numbers of what is drawn.

    Gaps are half as long as dashes, and the discs' radius is three quarters of a dash. Distractors
    are a third as long as the two main paths.

    Args:
        contour_length: number of dashes of each of the two main paths, 3 or more.
        image_size: width and height of the picture in pixels.
        distractors: number of short paths; by default those that have 35 dashes together.
        dash_length: in pixels; by default a twenty-eighth of the picture's width.

    Raises:
        InputError: if a number is out of range, or a path does not fit into the picture.

    Reference:
        Houtkamp & Roelfsema (2010), doi:10.1037/a0020248

    Example:
        >>> geometry = Geometry(contour_length=14)
        >>> geometry.distractor_length, geometry.distractor_count
        (4, 8)
    """

    contour_length: int
    image_size: int = 64
    distractors: int | None = None
    dash_length: float | None = None

    def __post_init__(self) -> None:
        _at_least("contour_length", self.contour_length, 3, "dashes")
        _at_least("image_size", self.image_size, 16, "pixels")
        if self.distractors is not None:
            _at_least("distractors", self.distractors, 0, "paths")
        if not (math.isfinite(self.dash) and self.dash >= 1.0):
            raise InputError(
                f"Expected dash_length of at least 1 pixel, received {self.dash:g}: shorter dashes "
                "cannot be seen; make image_size larger."
            )
        longest = self.image_size / ((1 + _GAP) * self.dash)
        if self.contour_length > 2 * longest:
            raise InputError(
                f"Expected contour_length of at most {int(2 * longest)} dashes of {self.dash:.3g} "
                f"pixels in a picture of {self.image_size}, received {self.contour_length}: make "
                "image_size larger or dash_length smaller."
            )

    @property
    def dash(self) -> float:
        """Length of a dash, pixels."""
        return self.image_size / 28 if self.dash_length is None else self.dash_length

    @property
    def thickness(self) -> float:
        """Thickness of a dash, pixels; never less than one."""
        return max(_THICKNESS * self.dash, 1.0)

    @property
    def disc_radius(self) -> float:
        """Radius of a disc, pixels."""
        return _DISC_RADIUS * self.dash

    @property
    def distractor_length(self) -> int:
        """Number of dashes of a distractor."""
        return self.contour_length // 3

    @property
    def distractor_count(self) -> int:
        """Number of distractors."""
        return 35 // self.distractor_length if self.distractors is None else self.distractors


def _at_least(name: str, value: object, least: int, unit: str) -> None:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < least:
        raise InputError(
            f"Expected {name} as a whole number of {unit}, {least} or more, received {value!r}."
        )


class Layouts(NamedTuple):
    """Paths of N pictures, in pixels (x right, y down) from the upper left corner.

    Args:
        first: tips of the dashes of the first main path, N x dashes x 2 x 2.
        second: those of the second; its first tip is as far from the first tip of `first` as the
            last tip of `first` is.
        distractors: those of the distractors, N x distractors x dashes x 2 x 2.
    """

    first: Array
    second: Array
    distractors: Array


def draw_layouts(geometry: Geometry, rngs: Sequence[np.random.Generator]) -> Layouts:
    """Lays out paths that neither touch nor cross each other or themselves.

    Args:
        geometry: sizes and numbers.
        rngs: one generator for each picture, that everything about its layout is drawn from; a
            layout does not depend on the others.

    Returns:
        The layouts, in the order of the generators.

    Raises:
        InputError: if no layout of this geometry is found.

    Example:
        >>> layouts = draw_layouts(Geometry(9), [np.random.default_rng(0)])
        >>> layouts.first.shape, layouts.distractors.shape
        ((1, 9, 2, 2), (1, 11, 3, 2, 2))
    """
    draws = _Draws(geometry)
    short, count = geometry.distractor_length, geometry.distractor_count
    first = np.empty((len(rngs), geometry.contour_length, 2, 2))
    second = np.empty_like(first)
    distractors = np.empty((len(rngs), count, short, 2, 2))
    pending: NDArray[np.intp] = np.arange(len(rngs))
    for _ in range(_MOST_LAYOUTS):
        if not pending.size:
            return Layouts(first, second, distractors)
        drawn = np.stack([rngs[picture].random(draws.total) for picture in pending])
        layouts, complete = _try_layouts(geometry, draws, drawn)
        for kept, found in zip((first, second, distractors), layouts, strict=True):
            kept[pending[complete]] = found
        pending = np.delete(pending, complete)
    if not pending.size:
        return Layouts(first, second, distractors)
    raise InputError(
        f"Expected paths that fit into the picture, received two of {geometry.contour_length} "
        f"dashes and {count} of {short}, of {geometry.dash:.3g} pixels each, in "
        f"{geometry.image_size} x {geometry.image_size}: give fewer distractors, shorter paths or "
        "a smaller dash_length."
    )


class _Draws:
    """How the uniform numbers of one layout are shared out among the candidates for its paths."""

    def __init__(self, geometry: Geometry):
        # The turns are one less than the dashes; a place and a heading take three, a side one.
        long, short = geometry.contour_length, geometry.distractor_length
        self.shapes = (
            (_TRIES_FIRST, long + 2),
            (_TRIES_SECOND, long),
            (geometry.distractor_count, _TRIES_DISTRACTOR, short + 2),
        )
        self._ends = np.cumsum([math.prod(shape) for shape in self.shapes])
        self.total = int(self._ends[-1])

    def share(self, drawn: Array) -> list[Array]:
        parts = np.split(drawn, self._ends[:-1], axis=1)
        return [
            part.reshape(len(drawn), *shape) for part, shape in zip(parts, self.shapes, strict=True)
        ]


def _try_layouts(
    geometry: Geometry, draws: _Draws, drawn: Array
) -> tuple[Layouts, NDArray[np.intp]]:
    """The complete ones of the layouts that rows of numbers give, and which rows those are."""
    for_first, for_second, for_distractors = draws.share(drawn)
    nothing = np.empty((len(drawn), 0, 2)), np.empty(0)
    long = _clearances(geometry.contour_length, _CLEARANCE_OF_ENDS)
    first, complete = _choose(_anywhere(for_first, geometry), long, *nothing, geometry)
    candidates = _like(first, for_second, geometry)
    second, found = _choose(candidates, long, _points(first), long, geometry)

    rows = np.flatnonzero(complete & found)
    first, second, for_distractors = first[rows], second[rows], for_distractors[rows]
    complete = np.ones(len(rows), dtype=bool)
    points = np.concatenate([_points(first), _points(second)], axis=1)
    clearances = np.concatenate([long, long])
    own = _clearances(geometry.distractor_length, _CLEARANCE)
    short = np.empty((len(rows), geometry.distractor_count, geometry.distractor_length, 2, 2))
    for number in range(geometry.distractor_count):
        candidates = _anywhere(for_distractors[:, number], geometry)
        short[:, number], found = _choose(candidates, own, points, clearances, geometry)
        complete &= found
        points = np.concatenate([points, _points(short[:, number])], axis=1)
        clearances = np.concatenate([clearances, own])
    return Layouts(first[complete], second[complete], short[complete]), rows[complete]


def _anywhere(drawn: Array, geometry: Geometry) -> Array:
    """Paths that start anywhere and run anywhere, from numbers (..., dashes + 2) in [0, 1)."""
    margin = _margin(geometry)
    start = margin + (geometry.image_size - 2 * margin) * drawn[..., :2]
    return _tips(start, 2 * math.pi * drawn[..., 2], drawn[..., 3:], geometry)


def _like(first: Array, drawn: Array, geometry: Geometry) -> Array:
    """Paths from where the first one's end would lie, were it mirrored at its first dash.

    Towards the first path's start, they leave this place at the angle at which that path leaves its
    end, to either side. Numbers (N, tries, dashes) give paths (N, tries, dashes, 2, 2).
    """
    start, end = first[:, 0, 0], first[:, -1, 1]
    leaving = _direction(first[:, 0, 1] - start)
    chord = _direction(end - start)
    arriving = _direction(end - first[:, -1, 0]) - chord
    mirrored = 2 * leaving - chord
    place = start + _length(end - start)[:, None] * _unit(mirrored)
    side = np.where(drawn[..., 0] < 0.5, 1.0, -1.0)
    heading = (mirrored + math.pi)[:, None] + side * arriving[:, None]
    return _tips(place[:, None], heading, drawn[..., 1:], geometry)


def _tips(start: Array, heading: Array, drawn: Array, geometry: Geometry) -> Array:
    """Paths (..., dashes, 2, 2) from a place (..., 2), a heading (...) and numbers in [0, 1)."""
    turns = _LARGEST_TURN * (2 * drawn - 1)
    heading = heading[..., None]
    headings = np.concatenate([heading, heading + np.cumsum(turns, axis=-1)], axis=-1)
    dashes = geometry.dash * _unit(headings)
    gaps = _GAP * geometry.dash * _unit(headings[..., 1:] - turns / 2)
    steps = np.zeros((*headings.shape, 2, 2))
    steps[..., 1:, 0, :] = gaps
    steps[..., 1, :] = dashes
    flat = steps.reshape(*headings.shape[:-1], 2 * headings.shape[-1], 2)
    return (start[..., None, :] + np.cumsum(flat, axis=-2)).reshape(steps.shape)


def _direction(vector: Array) -> Array:
    return np.arctan2(vector[..., 1], vector[..., 0])


def _unit(angle: Array) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _length(vector: Array) -> Array:
    return np.sqrt(vector[..., 0] ** 2 + vector[..., 1] ** 2)


def _points(tips: Array) -> Array:
    """Points half a dash apart all along the paths: each dash's tips and its middle."""
    middles = (tips[..., :1, :] + tips[..., 1:, :]) / 2
    dashes = np.concatenate([tips[..., :1, :], middles, tips[..., 1:, :]], axis=-2)
    return dashes.reshape(*tips.shape[:-3], 3 * tips.shape[-3], 2)


def _squared_distances(points: Array, others: Array) -> Array:
    """Between points (N, P, 2) and others (N, Q, 2): (N, P, Q)."""
    squared = points[:, :, None, 0] - others[:, None, :, 0]
    squared *= squared
    y = points[:, :, None, 1] - others[:, None, :, 1]
    y *= y
    squared += y
    return squared


def _margin(geometry: Geometry) -> float:
    """What the paths leave free along the border, so that a disc on an end is whole."""
    return geometry.disc_radius + 1.0


def _clearances(dashes: int, of_ends: float) -> Array:
    """How far a path's points are to be from others, in dashes; discs need more room."""
    clearances = np.full(3 * dashes, _CLEARANCE)
    clearances[[0, -1]] = of_ends
    return clearances


def _choose(
    candidates: Array, own: Array, points: Array, clearances: Array, geometry: Geometry
) -> tuple[Array, NDArray[np.bool_]]:
    """The first good candidate (N, tries, ...) of each picture, and whether there is one.

    A good one is in the picture, clear of its points (N, P, 2), and clear of itself. `own` and
    `clearances` are those of the candidates' points and of the picture's.
    """
    margin = _margin(geometry)
    inside = (candidates >= margin) & (candidates <= geometry.image_size - margin)
    remaining: NDArray[np.bool_] = np.asarray(inside.all(axis=(-3, -2, -1)))
    chosen: NDArray[np.intp] = np.zeros(len(candidates), dtype=np.intp)
    found: NDArray[np.bool_] = np.zeros(len(candidates), dtype=bool)
    least = (geometry.dash * np.maximum(own[:, None], clearances)) ** 2
    # Five points on, a path has gone two and a half dashes.
    i, j = np.triu_indices(len(own), k=5)
    least_within = geometry.dash * np.maximum(own[i], own[j])
    # Distances take the most time, so that a candidate's are found when those before it failed.
    while (searching := np.flatnonzero(~found & remaining.any(axis=1))).size:
        number = remaining[searching].argmax(axis=1)
        remaining[searching, number] = False
        path = _points(candidates[searching, number])
        clear = (_squared_distances(path, points[searching]) > least).all(axis=(-2, -1))
        clear &= (_length(path[:, i] - path[:, j]) > least_within).all(axis=-1)
        found[searching] = clear
        chosen[searching[clear]] = number[clear]
    return candidates[np.arange(len(candidates)), chosen], found
