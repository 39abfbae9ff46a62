"""Initial filters of convolutions: pools of like ones, and detectors of contours."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.layers.gabor_conv2d import gabor_filters
from tfbio.layers.pooled_div_norm import pool_size


@keras.saving.register_keras_serializable(package="tfbio")
class PooledGaussian(keras.initializers.Initializer):
    """Filters drawn around a mean filter that a pool of them shares.

    Equation, for the filters c of pool g:

        mean_g  ~ N(0, mean_std^2), or Kaiming's N(0, 2 / fan in) where `mean_std` is None
        W_c     ~ N(mean_g, std^2)

    Args:
        p: exponent of the pool's size, see `tfbio.layers.PooledDivNorm`.
        std: of the filters around their mean; with `relative`, in units of Kaiming's deviation.
        mean_std: of the means; None for Kaiming's.
        relative: whether `std` is relative.
        seed: an int, a `keras.random.SeedGenerator` or None.

    Example:
        >>> kernel = PooledGaussian(p=0.5, std=0.01, mean_std=1.0, seed=0)((3, 3, 4, 16))
        >>> tuple(kernel.shape)
        (3, 3, 4, 16)
    """

    def __init__(
        self,
        p: float,
        std: float,
        mean_std: float | None = None,
        relative: bool = False,
        seed: Any = None,
    ):
        self.p = p
        self.std = std
        self.mean_std = mean_std
        self.relative = relative
        self.seed = seed if seed is not None else keras.random.SeedGenerator()

    def __call__(self, shape, dtype=None):
        *window, filters = shape
        size = pool_size(filters, self.p)
        kaiming = math.sqrt(2 / math.prod(window))
        mean_std = kaiming if self.mean_std is None else self.mean_std
        draws = keras.random.SeedGenerator(self.seed) if isinstance(self.seed, int) else self.seed
        means = keras.random.normal((*window, filters // size), 0.0, mean_std, dtype, draws)
        std = self.std * kaiming if self.relative else self.std
        around = keras.random.normal(shape, 0.0, std, dtype, draws)
        return ops.repeat(means, size, axis=-1) + around

    def get_config(self):
        return {
            "p": self.p,
            "std": self.std,
            "mean_std": self.mean_std,
            "relative": self.relative,
            "seed": self.seed if isinstance(self.seed, int) else None,
        }


@keras.saving.register_keras_serializable(package="tfbio")
class ContourFilters(keras.initializers.Initializer):
    """Gabor filters for thin lines: pairs of two phases at evenly spaced orientations.

    With an odd number of filters the last one is a difference of Gaussians, which has no
    orientation. All filters have mean 0 and norm 1; the colours share them evenly.

    Args:
        wavelength: of the Gabor filters, pixels.
        sigma: standard deviation of their envelope, pixels.

    Example:
        >>> kernel = ContourFilters()((7, 7, 3, 25))
        >>> bool(abs(keras.ops.mean(kernel)) < 1e-6)
        True
    """

    def __init__(self, wavelength: float = 4.0, sigma: float = 1.5):
        self.wavelength = wavelength
        self.sigma = sigma

    def __call__(self, shape, dtype=None):
        rows, columns, channels, filters = shape
        if rows != columns or rows % 2 == 0:
            raise ValueError(f"Expected a square window with an odd side, received {shape}.")
        orientations = filters // 2
        theta = np.repeat(np.pi * np.arange(orientations) / max(orientations, 1), 2)
        phase = np.tile([0.0, np.pi / 2], orientations)
        alike = np.ones_like(theta)
        bank = gabor_filters(
            rows, alike / self.wavelength, theta, self.sigma * alike, self.sigma * alike, phase
        )
        if filters % 2:
            centre, surround = (
                gabor_filters(rows, *np.array([[0.0], [0.0], [width], [width], [0.0]]))
                for width in (self.sigma / 2, self.sigma)
            )
            bank = np.concatenate([bank, centre - surround], axis=-1)
        bank -= bank.mean(axis=(0, 1))
        bank /= np.sqrt((bank**2).sum(axis=(0, 1)))
        kernel = np.repeat(bank[:, :, np.newaxis], channels, axis=2) / channels
        return ops.convert_to_tensor(kernel, dtype)

    def get_config(self):
        return {"wavelength": self.wavelength, "sigma": self.sigma}
