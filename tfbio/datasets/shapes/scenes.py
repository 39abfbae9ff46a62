"""What is drawn at random for one picture: pose, light, colours, textures, background and clutter.

Nothing here but the ranges of the pose knows the class of the object, so that colour, texture and
background carry no information about it.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tfbio.datasets.shapes.solids import Solid

Array = NDArray[np.float32]

TEXTURES = ("plain", "stripes", "checks", "noise")
OUTLINES = ("bar", "blob", "fragment")
BACKGROUNDS = ("gradient", "noise", "grating", "checks")

# The radius of the object's enclosing ball, as a fraction of half the picture's width.
SIZE_RANGE = (0.68, 0.95)


class ClutterPiece(NamedTuple):
    """One flat piece of clutter: the pixels (rows, columns) it covers and their colours."""

    pixels: tuple[NDArray[np.intp], ...]
    colours: Array


@dataclasses.dataclass
class Scene:
    """All that determines one picture apart from the solid itself.

    Args:
        rotation: rotation matrix from the solid's coordinates to the viewer's, 3 x 3.
        size: radius of the solid's enclosing ball; the picture spans [-1, 1].
        centre: position (x, y) of that ball.
        light: unit vector towards the light, in the viewer's coordinates.
        ambient: share of the light that comes from everywhere.
        gloss: strength of the specular highlight.
        texture: index into `TEXTURES`.
        texture_axes: two directions in the solid's coordinates, scaled by spatial frequency, 2 x 3.
        texture_phase: phases along these directions, in cycles.
        texture_noise: noise texture in [0, 1], size x size.
        colours: the two reflectances of the texture, 2 x 3.
        background: picture without the object, clutter behind it included, size x size x 3.
        occluders: the pieces of clutter in front.
        contrast: contrast of the finished picture.
        brightness: mean level of the finished picture.
        noise: sensor noise, size x size x 3.
    """

    rotation: Array
    size: float
    centre: tuple[float, float]
    light: Array
    ambient: float
    gloss: float
    texture: int
    texture_axes: Array
    texture_phase: Array
    texture_noise: Array
    colours: Array
    background: Array
    occluders: list[ClutterPiece]
    contrast: float
    brightness: float
    noise: Array


@functools.lru_cache(maxsize=4)
def pixel_grid(size: int) -> tuple[Array, Array]:
    """Returns the coordinates x (right) and y (up) of the pixels' centres, in [-1, 1]."""
    centres = (np.arange(size, dtype=np.float32) * 2 + 1 - size) / np.float32(size)
    x, y = np.meshgrid(centres, -centres)
    x.setflags(write=False)
    y.setflags(write=False)
    return x, y


@functools.lru_cache(maxsize=4)
def _pink_filter(size: int) -> Array:
    frequency = np.fft.fftfreq(size) * size
    radius = np.hypot(frequency[:, None], frequency[None, :])
    radius[0, 0] = np.inf
    return (1.0 / radius).astype(np.float32)


def _pink_noise(rng: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Draws two independent fields with a 1/f amplitude spectrum, each spread over [0, 1]."""
    white = rng.standard_normal((2, size, size), dtype=np.float32)
    fields = np.fft.ifft2((white[0] + 1j * white[1]) * _pink_filter(size))
    pair = np.stack([fields.real, fields.imag])
    low = pair.min(axis=(1, 2), keepdims=True)
    high = pair.max(axis=(1, 2), keepdims=True)
    pair = ((pair - low) / (high - low)).astype(np.float32)
    return pair[0], pair[1]


def _rotation(solid: Solid, rng: np.random.Generator) -> Array:
    ranges = np.deg2rad([solid.roll, solid.pitch, solid.yaw])
    angles = rng.uniform(ranges[:, 0], ranges[:, 1])
    (cr, cp, cy), (sr, sp, sy) = np.cos(angles).tolist(), np.sin(angles).tolist()
    # roll @ pitch @ yaw, multiplied out.
    rows = [
        [cr * cy - sr * sp * sy, -sr * cp, cr * sy + sr * sp * cy],
        [sr * cy + cr * sp * sy, cr * cp, sr * sy - cr * sp * cy],
        [-cp * sy, sp, cp * cy],
    ]
    return np.array(rows, dtype=np.float32)


def _background(rng: np.random.Generator, noise: Array, size: int) -> Array:
    x, y = pixel_grid(size)
    colours = rng.uniform(0.05, 0.95, (2, 3)).astype(np.float32)
    # Two opposite colours at full strength would drown any object: keep them half as far apart.
    colours[1] = colours[0] + rng.uniform(0.2, 0.6) * (colours[1] - colours[0])
    angle, frequency, phase, phase_across = rng.random(4).tolist()
    c, s = np.cos(np.pi * angle), np.sin(np.pi * angle)
    along, across = np.float32(c) * x + np.float32(s) * y, np.float32(c) * y - np.float32(s) * x
    cycles = np.float32(1.0 + 3.0 * frequency)
    kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    pattern: NDArray[np.floating]
    if kind == "gradient":
        pattern = 0.5 + 0.35 * along
    elif kind == "noise":
        pattern = noise
    elif kind == "grating":
        pattern = np.abs(2.0 * np.mod(cycles * along + np.float32(phase), 1.0) - 1.0)
    else:
        steps = np.floor(cycles * along + np.float32(phase))
        steps += np.floor(cycles * across + np.float32(phase_across))
        pattern = np.mod(steps, 2.0)
    return colours[0] + pattern[..., None] * (colours[1] - colours[0])


def _clutter(
    rng: np.random.Generator, pieces: int, size: int, longest: float
) -> list[ClutterPiece]:
    """Draws bars, blobs and fragments (triangles without a tip)."""
    drawn = rng.uniform(
        [-1.0, -1.0, 0.0, 0.12, 0.2, 0.05, 0.05, 0.05, -0.4],
        [1.0, 1.0, np.pi, longest, 0.9, 0.95, 0.95, 0.95, 0.4],
        (pieces, 9),
    )
    kinds = rng.integers(len(OUTLINES), size=pieces).tolist()
    grid_x, grid_y = pixel_grid(size)
    clutter = []
    for kind, (x, y, angle, half_length, slimness, *colour, tilt) in zip(
        kinds, drawn.tolist(), strict=True
    ):
        half_width = min(max(half_length * slimness, 0.05), 0.16)
        c, s = math.cos(angle), math.sin(angle)
        # One row plus one column gives the coordinates along and across the piece.
        column, row = grid_x[:1] - np.float32(x), grid_y[:, :1] - np.float32(y)
        along = column * np.float32(c / half_length) + row * np.float32(s / half_length)
        across = row * np.float32(c / half_width) - column * np.float32(s / half_width)
        u, v = np.abs(along), np.abs(across)
        if OUTLINES[kind] == "bar":
            outline = np.maximum(u, v)
        elif OUTLINES[kind] == "blob":
            outline = u * u + v * v
        else:
            outline = np.maximum(u, v + np.float32(0.5) * along)
        covered = np.nonzero(outline < 1.0)
        shading = 1.0 + np.float32(tilt) * np.clip(across[covered], -1.0, 1.0)
        colours = np.minimum(shading[:, None] * np.array(colour, dtype=np.float32), 1.0)
        clutter.append(ClutterPiece(covered, colours))
    return clutter


def _colours(rng: np.random.Generator, surroundings: Array) -> Array:
    """Draws the object's two reflectances, the first one unlike the mean colour around it."""
    for _ in range(20):
        colour = rng.uniform(0.1, 1.0, 3)
        difference = 0.8 * colour - surroundings
        if abs(difference.mean()) > 0.2 or np.abs(difference).max() > 0.4:
            break
    other = np.clip(colour * rng.uniform(0.35, 0.8) + rng.uniform(0.0, 0.15, 3), 0.0, 1.0)
    return np.stack([colour, other]).astype(np.float32)


def draw_scene(solid: Solid, rng: np.random.Generator, size: int) -> Scene:
    """Draws one scene for a solid.

    Args:
        solid: the solid, of which only the ranges of the pose are read.
        rng: the generator all draws come from.
        size: width and height of the picture in pixels.

    Returns:
        The `Scene`.
    """
    rotation = _rotation(solid, rng)
    radius = float(rng.uniform(*SIZE_RANGE))
    shift = rng.uniform(-1.0, 1.0, 2) * (1.0 - radius)
    background_noise, texture_noise = _pink_noise(rng, size)
    background = _background(rng, background_noise, size)
    for piece in _clutter(rng, int(rng.integers(1, 6)), size, longest=0.45):
        background[piece.pixels] = piece.colours
    occluders = _clutter(rng, int(rng.integers(0, 4)), size, longest=0.4)
    # The light comes from the viewer's side, within 60 degrees of the line of sight.
    tilt, turn = rng.uniform(0.0, np.pi / 3), rng.uniform(0.0, 2 * np.pi)
    light = [np.sin(tilt) * np.cos(turn), np.sin(tilt) * np.sin(turn), np.cos(tilt)]
    axes = rng.standard_normal((2, 3))
    axes *= rng.uniform(1.0, 2.5) / np.sqrt((axes * axes).sum(axis=1, keepdims=True))
    return Scene(
        rotation=rotation,
        size=radius,
        centre=(float(shift[0]), float(shift[1])),
        light=np.array(light, dtype=np.float32),
        ambient=float(rng.uniform(0.25, 0.5)),
        gloss=float(rng.uniform(0.0, 0.5)),
        texture=int(rng.integers(len(TEXTURES))),
        texture_axes=axes.astype(np.float32),
        texture_phase=rng.random(2, dtype=np.float32),
        texture_noise=texture_noise,
        colours=_colours(rng, background.mean(axis=(0, 1))),
        background=background,
        occluders=occluders,
        contrast=float(rng.uniform(0.5, 1.0)),
        brightness=float(rng.uniform(0.4, 0.6)),
        noise=rng.standard_normal((size, size, 3), dtype=np.float32)
        * np.float32(rng.uniform(0.0, 0.06)),
    )
