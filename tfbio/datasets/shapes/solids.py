"""The sixteen solids of the `shapes` data set, as signed distance functions.

Each function takes the coordinates x (right), y (up) and z (towards the viewer) of points as
float32 arrays of one shape and returns a lower bound of the distance to the surface, negative
inside. Every solid fits into the unit ball. Only operations that IEEE 754 rounds correctly are used
(no sine, no power, no matrix product), so that a point's distance never depends on which other
points are evaluated with it.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Distance = Callable[[Array, Array, Array], Array]


def _length(a: Array, b: Array) -> Array:
    return np.sqrt(a * a + b * b)


def _rectangle(x: Array, y: Array, half_width: float, half_height: float) -> Array:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _box(x: Array, y: Array, z: Array, a: float, b: float, c: float) -> Array:
    return np.maximum(_rectangle(x, y, a, b), np.abs(z) - c)


def _sphere(x: Array, y: Array, z: Array) -> Array:
    return np.sqrt(x * x + y * y + z * z) - 0.8


def _cube(x: Array, y: Array, z: Array) -> Array:
    return _box(x, y, z, 0.56, 0.56, 0.56)


def _cylinder(x: Array, y: Array, z: Array) -> Array:
    return np.maximum(_length(x, z) - 0.46, np.abs(y) - 0.82)


def _cone(x: Array, y: Array, z: Array) -> Array:
    # Apex at y = 0.95, base of radius 0.7 at y = -0.65; (0.9162, 0.4008) is the flank's normal.
    flank = 0.9162 * _length(x, z) + 0.4008 * (y - 0.95)
    return np.maximum(flank, -0.65 - y)


def _torus(x: Array, y: Array, z: Array) -> Array:
    return _length(_length(x, y) - 0.68, z) - 0.25


def _star(x: Array, y: Array, z: Array) -> Array:
    # Fold the plane onto one half of one of the five arms, whose edge is then one straight line.
    cos36, sin36 = 0.80901699, 0.58778525
    x = np.abs(x)
    beyond = 2.0 * np.maximum(cos36 * x - sin36 * y, 0.0)
    x, y = x - beyond * cos36, y + beyond * sin36
    beyond = 2.0 * np.maximum(-cos36 * x - sin36 * y, 0.0)
    x, y = np.abs(x + beyond * cos36), y + beyond * sin36
    edge = 0.8857 * x + 0.4642 * (y - 0.97)
    return np.maximum(edge, np.abs(z) - 0.2)


def _cross(x: Array, y: Array, z: Array) -> Array:
    arms = np.minimum(_rectangle(x, y, 0.9, 0.27), _rectangle(x, y, 0.27, 0.9))
    return np.maximum(arms, np.abs(z) - 0.27)


def _arrow(x: Array, y: Array, z: Array) -> Array:
    x = np.abs(x)
    head = np.maximum(0.7526 * x + 0.6585 * (y - 0.95), 0.2 - y)
    shaft = np.maximum(x - 0.2, np.abs(y + 0.35) - 0.6)
    return np.maximum(np.minimum(head, shaft), np.abs(z) - 0.2)


def _crescent(x: Array, y: Array, z: Array) -> Array:
    moon = np.maximum(_length(x - 0.1, y) - 0.88, 0.7 - _length(x - 0.55, y))
    return np.maximum(moon, np.abs(z) - 0.22)


def _heart(x: Array, y: Array, z: Array) -> Array:
    # A square that stands on its corner, with a half disc on each of its two upper sides.
    x, y = np.abs(x), y - 0.02
    lobe = _length(x - 0.35, y - 0.28) - 0.495
    corner = np.maximum(0.7071 * (x - y) - 0.5445, 0.7071 * (x + y) - 0.4455)
    return np.maximum(np.minimum(lobe, corner), np.abs(z) - 0.25)


def _mug(x: Array, y: Array, z: Array) -> Array:
    radius = _length(x + 0.22, z)
    height = np.abs(y)
    cavity = np.maximum(radius - 0.42, -0.5 - y)
    cup = np.maximum(np.maximum(radius - 0.54, height - 0.64), -cavity)
    handle = _length(_length(x - 0.34, y) - 0.36, z) - 0.11
    return np.minimum(cup, np.maximum(handle, 0.48 - radius))


def _key(x: Array, y: Array, z: Array) -> Array:
    bow = np.abs(_length(x, y - 0.5) - 0.32) - 0.14
    shaft = _rectangle(x, y + 0.39, 0.12, 0.56)
    bits = _rectangle(x - 0.25, np.abs(y + 0.6) - 0.17, 0.19, 0.09)
    return np.maximum(np.minimum(np.minimum(bow, shaft), bits), np.abs(z) - 0.16)


def _hammer(x: Array, y: Array, z: Array) -> Array:
    handle = _box(x, y + 0.25, z, 0.13, 0.7, 0.13)
    head = np.maximum(_length(y - 0.45, z) - 0.25, np.abs(x + 0.05) - 0.62)
    return np.minimum(handle, head)


def _table(x: Array, y: Array, z: Array) -> Array:
    top = _box(x, y - 0.4, z, 0.68, 0.11, 0.48)
    legs = _box(np.abs(x) - 0.54, y + 0.12, np.abs(z) - 0.33, 0.11, 0.47, 0.11)
    return np.minimum(top, legs)


def _ladder(x: Array, y: Array, z: Array) -> Array:
    rails = _rectangle(np.abs(x) - 0.4, y, 0.12, 0.84)
    nearest_rung = np.clip(np.rint(y / 0.46), -1.0, 1.0) * 0.46
    rungs = _rectangle(x, y - nearest_rung, 0.4, 0.09)
    return np.maximum(np.minimum(rails, rungs), np.abs(z) - 0.13)


def _dumbbell(x: Array, y: Array, z: Array) -> Array:
    x = np.abs(x)
    radius = _length(y, z)
    return np.minimum(_length(x - 0.6, radius) - 0.37, np.maximum(radius - 0.14, x - 0.6))


@dataclasses.dataclass(frozen=True)
class Solid:
    """One class of the data set: a signed distance function and the views it is seen from.

    Args:
        name: the class name.
        distance: the signed distance function.
        roll: range of the rotation in the picture plane, in degrees.
        pitch: range of the rotation about the horizontal axis, in degrees; positive shows the top.
        yaw: range of the rotation about the solid's own vertical axis, in degrees.
    """

    name: str
    distance: Distance
    roll: tuple[float, float] = (-27.0, 27.0)
    pitch: tuple[float, float] = (-27.0, 27.0)
    yaw: tuple[float, float] = (-35.0, 35.0)


_FULL_TURN = (-180.0, 180.0)

SOLIDS: tuple[Solid, ...] = (
    Solid("sphere", _sphere),
    Solid("cube", _cube, pitch=(20.0, 40.0), yaw=(20.0, 70.0)),
    Solid("cylinder", _cylinder, pitch=(10.0, 40.0), yaw=_FULL_TURN),
    Solid("cone", _cone, pitch=(-20.0, 30.0), yaw=_FULL_TURN),
    Solid("torus", _torus, pitch=(-45.0, 45.0)),
    Solid("star", _star),
    Solid("cross", _cross),
    Solid("arrow", _arrow),
    Solid("crescent", _crescent),
    Solid("heart", _heart),
    Solid("mug", _mug, pitch=(10.0, 40.0), yaw=(-30.0, 30.0)),
    Solid("key", _key),
    Solid("hammer", _hammer),
    Solid("table", _table, pitch=(10.0, 35.0)),
    Solid("ladder", _ladder),
    Solid("dumbbell", _dumbbell),
)
