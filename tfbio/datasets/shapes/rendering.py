"""The renderer of the `shapes` data set: solids under light, among clutter, in NumPy.

A solid is seen under an orthographic camera. Rays are marched through its signed distance function,
many pictures at a time; what they meet is shaded with an ambient, a Lambertian and a specular term.
A picture is a function of (seed, split, index) only: each has a random generator of its own, and
the steps that work on many pictures at once are elementwise and correctly rounded, so that a
picture does not depend on its company.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tfbio.datasets.shapes.scenes import TEXTURES, Scene, draw_scene, pixel_grid
from tfbio.datasets.shapes.solids import SOLIDS, Solid
from tfbio.errors import InputError, UnknownNameError

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

CLASS_NAMES: tuple[str, ...] = tuple(solid.name for solid in SOLIDS)
SPLITS: tuple[str, ...] = ("train", "validation", "test")
IMAGE_SIZE = 64
MINIMUM_MASK = 0.05

_STEPS = 24
_RETIRE_EVERY = 4
_TOLERANCE = np.float32(0.012)
_GRADIENT_STEP = np.float32(0.01)
_GROWTH = 1.1
_LEAST_VISIBLE = 0.7


def _per_ray(values: Sequence[Array], picture: NDArray[np.intp]) -> Array:
    """Repeats each scene's value for each of its rays, which become the last axis."""
    return np.take(np.stack(values, axis=-1), picture, axis=-1)


def _surface(solid: Solid, scenes: Sequence[Scene], size: int) -> tuple[NDArray[np.intp], Array]:
    """Finds where the pictures' rays meet the solid.

    Returns the indices into the stack of pictures (scene, row, column; 3 x hits) and the points in
    the solid's coordinates (3 x hits).
    """
    x, y = pixel_grid(size)
    scale = np.array([s.size for s in scenes], dtype=np.float32)[:, None, None]
    centre = np.array([s.centre for s in scenes], dtype=np.float32)[..., None, None]
    u, v = (x - centre[:, 0]) / scale, (y - centre[:, 1]) / scale
    squared = u * u + v * v
    where = np.nonzero(squared < 1.0)
    u, v, depth = u[where], v[where], np.sqrt(1.0 - squared[where])
    right, up, direction = _per_ray([s.rotation for s in scenes], where[0])
    # The ray enters the enclosing ball at (u, v, depth) and runs along -z; turn both into the
    # solid's coordinates.
    direction = -direction
    point = (right * u + up * v) - direction * depth
    remaining = 2.0 * depth
    rays: NDArray[np.intp] = np.arange(u.size)
    hits, points = [], []
    # Rays retire at fixed steps, so that each takes as many steps as it would alone.
    for step in range(1, _STEPS + 1):
        distance = solid.distance(*point)
        point = point + direction * distance
        remaining = remaining - distance
        if step % _RETIRE_EVERY:
            continue
        last = step == _STEPS
        inside = remaining > 0.0
        hit = inside & (distance < (4 * _TOLERANCE if last else _TOLERANCE))
        hits.append(rays[hit])
        points.append(point[:, hit])
        going = inside & ~hit
        rays, remaining = rays[going], remaining[going]
        point, direction = point[:, going], direction[:, going]
    hit = np.concatenate(hits)
    return np.stack([axis[hit] for axis in where]), np.concatenate(points, axis=1)


def _normals(solid: Solid, points: Array) -> Array:
    x, y, z = points
    h = _GRADIENT_STEP
    # Four corners of a tetrahedron give the gradient with four evaluations instead of six.
    a = solid.distance(x + h, y - h, z - h)
    b = solid.distance(x - h, y - h, z + h)
    c = solid.distance(x - h, y + h, z - h)
    d = solid.distance(x + h, y + h, z + h)
    gradient = np.stack([a - b - c + d, c + d - a - b, b + d - a - c])
    length = np.sqrt(gradient[0] ** 2 + gradient[1] ** 2 + gradient[2] ** 2)
    return gradient / np.maximum(length, np.float32(1e-8))


def _dot(a: Array, b: Array) -> Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _reflectance(scenes: Sequence[Scene], picture: NDArray[np.intp], points: Array) -> Array:
    """Evaluates each scene's solid texture at points of its solid; 3 x hits."""
    axes = _per_ray([s.texture_axes for s in scenes], picture)
    phase = _per_ray([s.texture_phase for s in scenes], picture)
    kind = np.array([s.texture for s in scenes])[picture]
    along, across = _dot(axes[0], points) + phase[0], _dot(axes[1], points) + phase[1]
    pattern = np.zeros_like(along)
    stripes, checks, noisy = (
        np.flatnonzero(kind == TEXTURES.index(name)) for name in ("stripes", "checks", "noise")
    )
    pattern[stripes] = np.mod(along[stripes], 1.0) < 0.5
    pattern[checks] = np.mod(np.floor(2.0 * along[checks]) + np.floor(2.0 * across[checks]), 2.0)
    noise = np.stack([s.texture_noise for s in scenes])
    texels = [np.floor(t[noisy] * 12.0).astype(np.intp) % noise.shape[1] for t in (along, across)]
    pattern[noisy] = noise[picture[noisy], texels[0], texels[1]]
    first, second = _per_ray([s.colours for s in scenes], picture)
    return first + pattern * (second - first)


def _radiance(
    solid: Solid, scenes: Sequence[Scene], picture: NDArray[np.intp], points: Array
) -> Array:
    """Shades the points; 3 x hits."""
    normals = _normals(solid, points)
    light = _per_ray([s.light for s in scenes], picture)
    ambient = np.array([s.ambient for s in scenes], dtype=np.float32)[picture]
    gloss = np.array([s.gloss for s in scenes], dtype=np.float32)[picture]
    rotation = _per_ray([s.rotation for s in scenes], picture)
    seen = np.stack([_dot(axis, normals) for axis in rotation])
    lambert = np.maximum(_dot(light, seen), 0.0)
    halfway = light
    halfway[2] += 1.0
    halfway /= np.sqrt(_dot(halfway, halfway))
    highlight = np.maximum(_dot(halfway, seen), 0.0)
    for _ in range(4):
        highlight = highlight * highlight
    diffuse = ambient + (1.0 - ambient) * lambert
    return _reflectance(scenes, picture, points) * diffuse + gloss * highlight


def _object_layers(
    solid: Solid, scenes: Sequence[Scene], size: int
) -> tuple[Array, NDArray[np.bool_]]:
    """Renders the solid alone: layers (N, H, W, 3) and masks (N, H, W)."""
    (picture, row, column), points = _surface(solid, scenes, size)
    colours = np.zeros((len(scenes), size, size, 3), dtype=np.float32)
    masks = np.zeros((len(scenes), size, size), dtype=bool)
    colours[picture, row, column] = _radiance(solid, scenes, picture, points).T
    masks[picture, row, column] = True
    return colours, masks


def _enlarge(scene: Scene) -> None:
    """Enlarges the object a little, moving it as far as it takes to keep it in the picture."""
    scene.size = min(scene.size * _GROWTH, 1.0)
    room = 1.0 - scene.size
    x, y = (min(max(position, -room), room) for position in scene.centre)
    scene.centre = (x, y)


def _finish(scene: Scene, layer: Array, mask: NDArray[np.bool_]) -> tuple[Picture, Picture]:
    """Puts the object between its background and what hides it, and takes the picture."""
    image = np.where(mask[..., None], layer, scene.background)
    least = max(MINIMUM_MASK, _LEAST_VISIBLE * mask.mean())
    for piece in scene.occluders:
        visible = mask.copy()
        visible[piece.pixels] = False
        # A piece that would hide too much of the object is left out.
        if visible.mean() >= least:
            mask = visible
            image[piece.pixels] = piece.colours
    image = scene.brightness + scene.contrast * (image - image.mean()) + scene.noise
    picture = np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)
    return picture, mask[..., None].astype(np.uint8) * np.uint8(255)


def _render_class(
    solid: Solid, rngs: Sequence[np.random.Generator], size: int
) -> tuple[Picture, Picture]:
    scenes = [draw_scene(solid, rng, size) for rng in rngs]
    layers, masks = _object_layers(solid, scenes, size)
    pictures = []
    for scene, layer, mask in zip(scenes, layers, masks, strict=True):
        while mask.mean() < MINIMUM_MASK and scene.size < 1.0:
            _enlarge(scene)
            (layer,), (mask,) = _object_layers(solid, [scene], size)
        pictures.append(_finish(scene, layer, mask))
    images, visible = zip(*pictures, strict=True)
    return np.stack(images), np.stack(visible)


def render(label: int, rng: np.random.Generator, size: int = IMAGE_SIZE) -> tuple[Picture, Picture]:
    """Renders one picture of a class.

    Args:
        label: the class, an index into `CLASS_NAMES`.
        rng: the generator that everything about the picture is drawn from.
        size: width and height of the picture in pixels.

    Returns:
        The picture, uint8 of shape (size, size, 3), and the mask of the object's visible pixels,
        uint8 of shape (size, size, 1), 255 on the object and 0 elsewhere.

    Raises:
        InputError: if there is no such class.

    Example:
        >>> image, mask = render(CLASS_NAMES.index("torus"), np.random.default_rng(0))
        >>> image.shape, image.dtype, mask.shape
        ((64, 64, 3), dtype('uint8'), (64, 64, 1))
    """
    if not 0 <= label < len(SOLIDS):
        raise InputError(
            f"Expected a label from 0 to {len(SOLIDS) - 1}, received {label}: see CLASS_NAMES."
        )
    images, masks = _render_class(SOLIDS[label], [rng], size)
    return images[0], masks[0]


def _split_number(split: str) -> int:
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return SPLITS.index(split)


def example_label(split: str, index: int, seed: int = 0) -> int:
    """Returns the class of one example of the data set.

    Each run of sixteen examples holds every class once, in an order of its own.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        index: number of the example in its split.
        seed: seed of the data set.

    Returns:
        The label, an index into `CLASS_NAMES`.

    Raises:
        UnknownNameError: if there is no such split.

    Example:
        >>> sorted(example_label("test", index) for index in range(16)) == list(range(16))
        True
    """
    block, position = divmod(index, len(SOLIDS))
    rng = np.random.default_rng([seed, _split_number(split), block, 1])
    return int(rng.permutation(len(SOLIDS))[position])


def render_examples(
    split: str, indices: Sequence[int], seed: int = 0, size: int = IMAGE_SIZE
) -> tuple[Picture, Picture, NDArray[np.int64]]:
    """Renders examples of the data set; each is a function of (seed, split, index) only.

    A few hundred at a time take the least time per picture.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        indices: numbers of the examples in their split.
        seed: seed of the data set.
        size: width and height of the pictures in pixels.

    Returns:
        The pictures, uint8 of shape (N, size, size, 3), the masks, uint8 of shape
        (N, size, size, 1) with 255 on the visible object, and the labels, int64 of shape (N,).

    Raises:
        UnknownNameError: if there is no such split.

    Example:
        >>> images, masks, labels = render_examples("test", range(3))
        >>> images.shape, masks.shape, labels.shape
        ((3, 64, 64, 3), (3, 64, 64, 1), (3,))
    """
    number = _split_number(split)
    labels = np.array([example_label(split, index, seed) for index in indices], dtype=np.int64)
    rngs = [np.random.default_rng([seed, number, index]) for index in indices]
    images = np.empty((len(labels), size, size, 3), dtype=np.uint8)
    masks = np.empty((len(labels), size, size, 1), dtype=np.uint8)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        images[members], masks[members] = _render_class(
            SOLIDS[label], [rngs[member] for member in members], size
        )
    return images, masks, labels


def bounding_box(mask: Picture) -> tuple[float, float, float, float]:
    """Returns the smallest box around the pixels of a mask.

    Args:
        mask: mask of shape (height, width, 1), above 0 on the object.

    Returns:
        The box's edges (ymin, xmin, ymax, xmax) as fractions of the height and the width.

    Raises:
        InputError: if the mask is empty.

    Example:
        >>> mask = np.zeros((8, 8, 1), np.uint8)
        >>> mask[2:4, 1:8] = 255
        >>> bounding_box(mask)
        (0.25, 0.125, 0.5, 1.0)
    """
    rows, columns = np.nonzero(mask[..., 0])
    if not rows.size:
        raise InputError("Expected a mask with a pixel above 0, received an empty one.")
    height, width = mask.shape[:2]
    return (
        float(rows.min() / height),
        float(columns.min() / width),
        float((rows.max() + 1) / height),
        float((columns.max() + 1) / width),
    )


def contact_sheet(examples: int = 8, seed: int = 0, size: int = IMAGE_SIZE) -> Picture:
    """Draws an overview of the data set, one row for each class.

    Args:
        examples: number of examples of each class, the first ones of the training split.
        seed: seed of the data set.
        size: width and height of each picture in pixels.

    Returns:
        The sheet, uint8 of shape (16 * size, examples * size, 3).

    Example:
        >>> contact_sheet(examples=2, size=32).shape
        (512, 64, 3)
    """
    images, _, labels = render_examples("train", range(len(SOLIDS) * examples), seed, size)
    by_class = images[np.argsort(labels, kind="stable")]
    grid = by_class.reshape(len(SOLIDS), examples, size, size, 3)
    return grid.swapaxes(1, 2).reshape(len(SOLIDS) * size, examples * size, 3)
