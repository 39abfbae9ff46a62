"""Convolution with large kernels through the discrete Fourier transform, by matrix products.

The transforms are dense matrices: for maps of this size a matrix product is faster than a fast
Fourier transform, has the same gradient everywhere, and needs no complex numbers. Numbers of
frequencies are always first down, then across, real parts before imaginary ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.layers._convolution import Pair

# Multiplications of the direct convolution over those in frequency at which both take about as long
# on a CPU, forward and backward: smaller products and the copies between them go at a lower rate.
_LEAST_GAIN = 4.0
# Of one spectrum. In training there is a gradient of this size for every time step.
_MOST_BYTES = 2**30


def is_faster(sizes: Sequence[int | None], window: Pair, channels: int, filters: int) -> bool:
    """Whether to convolve in frequency, from the numbers of multiplications and of bytes.

    Args:
        sizes: height and width of the map, None if not known.
        window: height and width of the kernel.
        channels: of the input.
        filters: of the output.
    """
    height, width = sizes
    if height is None or width is None:
        return False
    down, across = _frequencies(height, width, window)
    if 16 * down * across * channels * filters > _MOST_BYTES:
        return False
    direct = height * width * window[0] * window[1] * channels * filters
    transforms = 2 * down * width * (height + 2 * across)
    in_frequency = transforms * (channels + filters) + 4 * down * across * channels * filters
    return direct > _LEAST_GAIN * in_frequency


def spectrum(kernel: Any, sizes: Pair) -> Any:
    """A kernel in frequency, for maps of one size. Several convolutions can share it.

    Args:
        kernel: (height, width, C, filters).
        sizes: height and width of the map.

    Returns:
        (frequencies, 2 C, 2 filters), in single precision or better: for every frequency the
        matrix by which a row (real, imaginary) of C channels is multiplied.
    """
    *window, channels, filters = kernel.shape
    down, across = (
        _tensor(_of_kernel(size, side, real), kernel.dtype)
        for size, side, real in zip(sizes, window, (True, False), strict=True)
    )
    kernel = ops.reshape(ops.cast(kernel, down.dtype), (window[0], -1))
    kernel = ops.reshape(ops.matmul(down, kernel), (down.shape[0] // 2, 2 * window[1], -1))
    kernel = ops.reshape(ops.matmul(across, kernel), (-1, 2, channels, filters))
    real, imaginary = kernel[:, 0], kernel[:, 1]
    rows = [
        ops.concatenate([real, imaginary], axis=2),
        ops.concatenate([-imaginary, real], axis=2),
    ]
    return ops.concatenate(rows, axis=1)


def convolve_in_frequency(inputs: Any, kernel: Any, window: Pair) -> Any:
    """Cross-correlation with zeros around, `same`, at a stride of 1.

    Args:
        inputs: (N, H, W, C), of known height and width.
        kernel: of `spectrum`, for this size.
        window: height and width of the kernel.

    Returns:
        (N, H, W, filters)
    """
    height, width = inputs.shape[1:3]
    channels, filters = kernel.shape[1] // 2, kernel.shape[2] // 2
    down, across = _frequencies(height, width, window)
    there = [
        _tensor(_to_frequency(size, side, real), kernel.dtype)
        for size, side, real in zip((height, width), window, (True, False), strict=True)
    ]
    back = [
        _tensor(_from_frequency(size, side, real), kernel.dtype)
        for size, side, real in zip((height, width), window, (True, False), strict=True)
    ]
    # A transform is one large product when images lie beside channels; that of the kernel is a
    # small one at every frequency, when parts do.
    maps = ops.transpose(ops.cast(inputs, kernel.dtype), (1, 2, 0, 3))
    maps = ops.matmul(there[0], ops.reshape(maps, (height, -1)))
    maps = ops.matmul(there[1], ops.reshape(maps, (down, 2 * width, -1)))
    maps = ops.transpose(ops.reshape(maps, (down * across, 2, -1, channels)), (0, 2, 1, 3))
    maps = ops.matmul(ops.reshape(maps, (down * across, -1, 2 * channels)), kernel)
    maps = ops.transpose(ops.reshape(maps, (down * across, -1, 2, filters)), (0, 2, 1, 3))
    maps = ops.matmul(back[1], ops.reshape(maps, (down, 2 * across, -1)))
    maps = ops.matmul(back[0], ops.reshape(maps, (2 * down, -1)))
    maps = ops.transpose(ops.reshape(maps, (height, width, -1, filters)), (2, 0, 1, 3))
    return ops.cast(maps, inputs.dtype)


# === Matrices of one axis ===


def _period(size: int, window: int) -> int:
    """The shortest one at which what leaves a map at one end does not enter at the other."""
    return size + window // 2


def _frequencies(height: int, width: int, window: Pair) -> Pair:
    """Number of frequencies down, half of which tell all of a real map, and across."""
    return _period(height, window[0]) // 2 + 1, _period(width, window[1])


def _waves(places: Any, period: int, real: bool, sign: int) -> np.ndarray:
    """exp(sign 2 pi i frequency place / period), (frequencies, places)."""
    frequencies = np.arange(period // 2 + 1 if real else period)
    # The product is an integer: whole turns are taken off exactly.
    turns = np.outer(frequencies, places) % period / period
    return np.exp(sign * 2j * np.pi * turns)


def _parts(waves: np.ndarray, real: bool) -> np.ndarray:
    """A complex matrix as a real one: of (frequency, part) by places or by (part, place)."""
    if real:
        return np.stack([waves.real, waves.imag], axis=1).reshape(-1, waves.shape[1])
    rows = [
        np.concatenate([waves.real, -waves.imag], axis=1),
        np.concatenate([waves.imag, waves.real], axis=1),
    ]
    return np.stack(rows, axis=1).reshape(2 * len(waves), -1)


@lru_cache(maxsize=64)
def _to_frequency(size: int, window: int, real: bool) -> np.ndarray:
    """Of a map's axis."""
    return _parts(_waves(np.arange(size), _period(size, window), real, -1), real)


@lru_cache(maxsize=64)
def _of_kernel(size: int, window: int, real: bool) -> np.ndarray:
    """Of a kernel's axis, its centre at 0, turned round: a convolution is a cross-correlation."""
    places = np.arange(window) - (window - 1) // 2
    return _parts(_waves(places, _period(size, window), real, 1), real)


@lru_cache(maxsize=64)
def _from_frequency(size: int, window: int, real: bool) -> np.ndarray:
    """Back to a map's axis. All but the frequencies that are their own negative count twice."""
    period = _period(size, window)
    waves = _waves(np.arange(size), period, real, -1) / period
    if real:
        own_negative = 2 * np.arange(len(waves)) % period == 0
        waves = waves * np.where(own_negative, 1, 2)[:, None]
    # The transposed matrix of the conjugate waves is the inverse transform.
    return _parts(waves, real).T


def _tensor(matrix: np.ndarray, dtype: Any) -> Any:
    """In single precision or better."""
    double = keras.backend.standardize_dtype(dtype) == "float64"
    return ops.convert_to_tensor(matrix, dtype="float64" if double else "float32")
