"""PolarTransform: cortical magnification, an image pooled over rings and angles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError

_INTERPOLATIONS = ("linear", "nearest", None)
_LARGEST_COUNT = np.finfo(np.float16).max


@keras.saving.register_keras_serializable(package="tfbio")
class PolarTransform(keras.layers.Layer):
    """Resamples an image to radius by angle around its centre, finely near the centre.

    Equation, for ring i and angle j, and x, y the pixel's offset from (H // 2, W // 2), y upwards:

        mask(i, j) = [radius_i <= r < radius_i+1] [angle_j <= a < angle_j+1],
                     r = sqrt(x^2 + y^2),  a = atan2(y, x) in [0, 2 pi)
        map(i, j) = sum over pixels of mask(i, j) * inputs / sum over pixels of mask(i, j)
        output = bilinear resize of map, its angles padded by one reflected column on each side

    A small ring has fewer pixels than angles. With interpolation, the masks of a ring that are
    not empty are spread over all its angles; rings that leave the image, those that start
    beyond min(H // 2, W // 2), stay as they are. A mask that is empty all the same gives 0.

    V1 spends most of its surface on the fovea and ever less towards the periphery, so that its
    map of the visual field resembles logarithm of eccentricity by polar angle.

    All of it is linear and fixed: one matrix from pixels to outputs, made when the layer is
    built and applied to every channel, or two where they are smaller than their product. The
    layer has no weights. Under mixed precision the product stays in float32, because rounded
    averages would change the contrast of the image.

    Args:
        output_size: an int, a pair (height, width), or None for the map itself, without
            padding and resize.
        radius_bins: increasing edges of the rings, pixels.
        angle_bins: number of equal angles, or their increasing edges, radians.
        interpolation: `"linear"`, `"nearest"` or None, how a ring's masks fill its angles.
        antialias: widen the filter of the resize where it shrinks.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Input shape:
        (N, H, W, C), H and W known.

    Output shape:
        (N, height, width, C), or (N, rings, angles, C) with `output_size=None`: radius in
        pixels along the second axis, angle in radians, counterclockwise, along the third.

    Raises:
        InputError: an argument is none of these, H or W is unknown or changes between calls, a
            ring lies outside the image, or one whose angles are to be filled holds no pixel.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), "Explaining V1 Properties with a Biologically
        Constrained Deep Learning Architecture", NeurIPS 2023, doi:10.48550/arXiv.2305.11275

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, utils/PolarTransform.py. Known differences: it
        multiplies every image with every mask (540 in the models); with torchvision before 0.17
        its resize did not anti-alias (`antialias=False` here); it takes rings outside the image,
        for which it gives 0.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.PolarTransform(16, radius_bins=[0, 1, 2, 4, 8, 16])
        >>> image = keras.random.uniform((2, 32, 32, 3))
        >>> tuple(layer(image).shape), layer.count_params()
        ((2, 16, 16, 3), 0)
    """

    def __init__(
        self,
        output_size: int | Sequence[int] | None,
        radius_bins: Sequence[float],
        angle_bins: int | Sequence[float] = 30,
        interpolation: str | None = "linear",
        antialias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.output_size = _height_and_width(output_size)
        self.radius_bins = tuple(_radius_edges(radius_bins).tolist())
        edges = _angle_edges(angle_bins)
        self.angle_bins = len(edges) - 1 if np.ndim(angle_bins) == 0 else tuple(edges.tolist())
        self.interpolation = _known_interpolation(interpolation)
        self.antialias = bool(antialias)
        self._map_size = (len(self.radius_bins) - 1, len(edges) - 1)
        if self.output_size is not None and self._map_size[1] < 2:
            raise InputError(
                "Expected at least two angles in `angle_bins`, because the resize reflects the "
                f"map at its first and last angle, received {angle_bins!r}: give more angles, or "
                "`output_size=None`."
            )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, input_shape):
        height, width = input_shape[1:3]
        if height is None or width is None:
            raise InputError(
                f"Expected {self.name!r} to be built for a known height and width, received the "
                f"shape {tuple(input_shape)}: give both in the model's input shape."
            )
        masks, counts = pooling_masks(
            height, width, self.radius_bins, self.angle_bins, self.interpolation
        )
        pooling = masks.reshape(len(counts), -1) / counts.astype(np.float64)[:, None]
        factors = [pooling]
        if self.output_size is not None:
            resize = self._resize(*self.output_size)
            product_size = len(resize) * pooling.shape[1]
            smaller = product_size <= resize.size + pooling.size
            factors = [resize @ pooling] if smaller else [pooling, resize]
        # NumPy's arrays, neither weights, which would be saved and counted, nor tensors, which
        # would belong to the graph they were made in.
        dtype = "float64" if self.compute_dtype == "float64" else "float32"
        self._factors = [factor.astype(dtype) for factor in factors]
        self.input_size = (height, width)

    def _resize(self, height: int, width: int) -> np.ndarray:
        """From the map to the output: (height * width, rings * angles)."""
        rings, angles = self._map_size
        down = _resize_weights(rings, height, self.antialias)
        padded = _resize_weights(angles + 2, width, self.antialias)
        across = padded[:, 1:-1].copy()
        across[:, 1] += padded[:, 0]
        across[:, -2] += padded[:, -1]
        return np.einsum("hr,wa->hwra", down, across).reshape(height * width, rings * angles)

    def call(self, inputs):
        if tuple(inputs.shape[1:3]) != self.input_size:
            raise InputError(
                f"Expected images of {self.input_size[0]} x {self.input_size[1]} pixels, as "
                f"{self.name!r} was built for, received the shape {tuple(inputs.shape)}: resize "
                "them, or use another layer for another size."
            )
        channels = ops.shape(inputs)[-1]
        outputs = ops.reshape(inputs, (-1, self._factors[0].shape[1], channels))
        outputs = ops.cast(outputs, self._factors[0].dtype.name)
        for factor in self._factors:
            outputs = ops.matmul(ops.convert_to_tensor(factor), outputs)
        outputs = ops.reshape(outputs, self.compute_output_shape((-1, None, None, channels)))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *(self.output_size or self._map_size), input_shape[-1])

    def get_config(self):
        def plain(value):
            return list(value) if isinstance(value, tuple) else value

        return {
            **super().get_config(),
            "output_size": plain(self.output_size),
            "radius_bins": plain(self.radius_bins),
            "angle_bins": plain(self.angle_bins),
            "interpolation": self.interpolation,
            "antialias": self.antialias,
        }


def pooling_masks(
    height: int,
    width: int,
    radius_bins: Sequence[float],
    angle_bins: int | Sequence[float] = 30,
    interpolation: str | None = "linear",
) -> tuple[np.ndarray, np.ndarray]:
    """The masks that `PolarTransform` averages over, as the original stores them.

    Args:
        height: of the image, pixels.
        width: of the image, pixels.
        radius_bins: increasing edges of the rings, pixels.
        angle_bins: number of equal angles, or their increasing edges, radians.
        interpolation: `"linear"`, `"nearest"` or None, how a ring's masks fill its angles.

    Returns:
        masks (rings * angles, H, W), ring by ring, and the sum of each mask (rings * angles), 1
        for an empty one; both in float16, the sums taken before the masks are rounded.

    Raises:
        InputError: an argument is none of these, or a ring holds no pixel of the image.

    Example:
        >>> masks, counts = pooling_masks(4, 4, [0, 1, 3], angle_bins=4)
        >>> masks.shape, counts.tolist()
        ((8, 4, 4), [1.0, 1.0, 1.0, 1.0, 3.0, 6.0, 4.0, 2.0])
    """
    radii, angles = _radius_edges(radius_bins), _angle_edges(angle_bins)
    _known_interpolation(interpolation)
    radius, angle = _polar_coordinates(height, width)
    ring = np.searchsorted(radii.astype(np.float32), radius, side="right") - 1
    sector = np.searchsorted(angles.astype(np.float32), angle, side="right") - 1
    rings, sectors = len(radii) - 1, len(angles) - 1
    within = (sector >= 0) & (sector < sectors)

    masks = np.zeros((rings, sectors, height, width), np.float16)
    counts = np.zeros((rings, sectors), np.float32)
    for i in range(rings):
        rows, columns = np.nonzero(within & (ring == i))
        fills = interpolation is not None and radii[i] <= min(height // 2, width // 2)
        if radii[i] > radius.max() or (fills and not rows.size):
            raise InputError(
                f"Expected every ring to hold a pixel, received one from {radii[i]:g} to "
                f"{radii[i + 1]:g} pixels, which holds none of an image of {height} x {width}, "
                f"whose farthest pixel is {radius.max():.2f} from the centre: give wider rings "
                "within that radius, or a larger image."
            )
        present, which = np.unique(sector[rows, columns], return_inverse=True)
        if not fills:
            spread = np.eye(sectors, dtype=np.float32)[:, present]
        else:
            spread = _spread(len(present), sectors, interpolation)
        masks[i][:, rows, columns] = spread[:, which]
        counts[i] = spread @ np.bincount(which)
    if counts.max() > _LARGEST_COUNT:
        raise InputError(
            f"Expected at most {_LARGEST_COUNT:.0f} pixels per polar bin, received bins of up to "
            f"{counts.max():.0f} for an image of {height} x {width}: give more bins."
        )
    counts[counts == 0] = 1
    return masks.reshape(-1, height, width), counts.reshape(-1).astype(np.float16)


# === Geometry ===


def _polar_coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the centre and angle in [0, 2 pi) of every pixel, in float32."""
    y, x = np.meshgrid(
        height // 2 - np.arange(height), np.arange(width) - width // 2, indexing="ij"
    )
    radius = np.sqrt((x * x + y * y).astype(np.float32))
    # Rounded from float64, because libraries differ in the last bit of a float32 arctangent. On
    # the diagonal that bit counts: there the original's vectorised arctangent is one bit below
    # pi / 4, and the pixels belong to the bin before an edge at 45 degrees.
    angle = np.arctan2(y, x).astype(np.float32)
    angle[(x == y) & (y > 0)] = np.nextafter(np.float32(np.pi / 4), np.float32(0))
    angle[y < 0] += np.float32(2 * np.pi)
    return radius, angle


def _spread(present: int, sectors: int, interpolation: str | None) -> np.ndarray:
    """Weights (sectors, present) that spread the masks of a ring over its angles.

    In float32 as PyTorch's `interpolate` computes them, half-pixel centres and clamped ends, its
    fused multiply-add (rounded once) through float64.
    """
    scale = np.float32(present) / np.float32(sectors)
    sector = np.arange(sectors)
    weights = np.zeros((sectors, present), np.float32)
    if interpolation == "nearest":
        source = (sector.astype(np.float32) * scale).astype(int)
        weights[sector, np.minimum(source, present - 1)] = 1
        return weights
    position = np.maximum(np.float64(scale) * (sector + 0.5) - 0.5, 0).astype(np.float32)
    lower = np.minimum(position.astype(int), present - 1)
    fraction = np.minimum(position - lower.astype(np.float32), np.float32(1))
    weights[sector, lower] = 1 - fraction
    weights[sector, np.minimum(lower + 1, present - 1)] += fraction
    return weights


def _resize_weights(size: int, new_size: int, antialias: bool) -> np.ndarray:
    """Weights (new_size, size) of a bilinear resize along one axis, half-pixel centres."""
    scale = size / new_size
    centres = scale * (np.arange(new_size) + 0.5)
    distances = np.abs(np.arange(size) + 0.5 - centres[:, None])
    weights = np.maximum(0, 1 - distances / (max(scale, 1.0) if antialias else 1.0))
    return weights / weights.sum(axis=1, keepdims=True)


# === Arguments ===


def _height_and_width(output_size: Any) -> tuple[int, int] | None:
    if output_size is None:
        return None
    sizes = (output_size, output_size) if np.ndim(output_size) == 0 else tuple(output_size)
    if len(sizes) != 2 or not all(
        isinstance(size, (int, np.integer)) and size > 0 for size in sizes
    ):
        raise InputError(
            "Expected `output_size` to be a positive int, two of them, or None for the polar map "
            f"itself, received {output_size!r}: give the height and width of the output."
        )
    return int(sizes[0]), int(sizes[1])


def _increasing_edges(edges: Any, name: str, unit: str, largest: float) -> np.ndarray:
    """Edges in float64, checked as float32, in which they are used."""
    values = np.asarray(edges, np.float64)
    if (
        values.ndim != 1
        or len(values) < 2
        or not np.isfinite(values).all()
        or not (np.diff(values.astype(np.float32)) > 0).all()
        or values[0] < 0
        or values[-1] > largest
    ):
        raise InputError(
            f"Expected `{name}` to be two or more increasing edges {unit}, received {edges!r}: "
            "sort them, and leave out repeated ones and those beyond these limits."
        )
    return values


def _radius_edges(radius_bins: Any) -> np.ndarray:
    return _increasing_edges(radius_bins, "radius_bins", "of 0 pixels or more", np.inf)


def _angle_edges(angle_bins: Any) -> np.ndarray:
    if np.ndim(angle_bins) == 0:
        if not isinstance(angle_bins, (int, np.integer)) or angle_bins < 1:
            raise InputError(
                "Expected `angle_bins` to be a positive number of angles or their edges in "
                f"radians, received {angle_bins!r}: give a positive int or a list of edges."
            )
        return np.linspace(0, 2 * np.pi, int(angle_bins) + 1)
    # 2 pi in float32 is a little more than 2 pi.
    return _increasing_edges(
        angle_bins, "angle_bins", "within 0 and 2 pi radians", 2 * np.pi * (1 + 1e-6)
    )


def _known_interpolation(interpolation: Any) -> str | None:
    if interpolation not in _INTERPOLATIONS:
        raise InputError(
            "Expected `interpolation` to be 'linear', 'nearest' or None, received "
            f"{interpolation!r}: choose one of these."
        )
    return interpolation
