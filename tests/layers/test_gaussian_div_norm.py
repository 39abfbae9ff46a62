from __future__ import annotations

import math

import numpy as np
import pytest
from golden_data import relative_error
from layers.layer_checks import check_layer
from layers.naive import cross_correlate

from tfbio.layers import GaussianDivNorm


def _naive_pool(layer, exact):
    """Every pool, pixel by pixel, from the equations in the docstring."""
    names = ("amplitude", "rho", "sigma", "theta", "v", "w")
    values = {name: np.asarray(getattr(layer, name)) for name in names}
    size, channels = layer.kernel_size, len(values["rho"])
    pool = np.zeros((size, size, channels, channels))
    first = 1 if exact else -(size // 2)
    for i in range(channels):
        for o in range(channels):
            a, rho, sigma, theta, v, w = (values[name][i, o] for name in names)
            for row in range(size):
                for column in range(size):
                    x, y = column + first, row + first
                    xr = x * math.cos(theta) + y * math.sin(theta)
                    yr = -x * math.sin(theta) + y * math.cos(theta)
                    d = (xr - v) ** 2 / max(rho**2, 0.1) + (yr - w) ** 2 / max(sigma**2, 0.1)
                    scale = abs(a / max(2 * math.pi * rho * sigma, 0.1))
                    pool[row, column, i, o] = scale * math.exp(-d / 2)
    return pool


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_equals_the_equation_in_float64(exact, size):
    rng = np.random.default_rng(size)
    image = rng.uniform(0, 2, (2, 7, 6, 4)) if exact else rng.standard_normal((2, 7, 6, 4))
    layer = GaussianDivNorm(size, upstream_exact=exact, dtype="float64")
    layer.build(image.shape)
    # Narrow and negative ones among them, which are held at their limits.
    layer.amplitude.assign(rng.standard_normal((4, 4)))
    layer.rho.assign(rng.uniform(-1, 2, (4, 4)))
    layer.sigma.assign(rng.uniform(-1, 2, (4, 4)))
    layer.bias.assign([-1.5])
    half = size // 2
    pooled = cross_correlate(
        image if exact else np.abs(image),
        _naive_pool(layer, exact),
        zeros=((half, half), (half, half)),
    )
    assert relative_error(layer(image), image / (pooled + 1.5)) < 1e-10


def test_signed_inputs_keep_their_sign_and_stay_below_the_input():
    image = 100 * np.random.default_rng(0).standard_normal((2, 6, 6, 5))
    output = np.asarray(GaussianDivNorm(dtype="float64")(image))
    assert (np.sign(output) == np.sign(image)).all()
    # The constant in the denominator starts above 1.
    assert (np.abs(output) <= np.abs(image)).all()


@pytest.mark.parametrize("exact", [False, True])
def test_passes_the_checks_of_every_layer(exact, tmp_path):
    # Signed images may divide by zero in the original's form, which is for rates.
    check_layer(
        lambda: GaussianDivNorm(3, upstream_exact=exact),
        [(8, 8, 4), (5, 7, 2), (1, 1, 3)],
        trainable=7,
        tmp_path=tmp_path,
        rates=True,
    )


def test_an_even_pool_is_refused():
    with pytest.raises(ValueError, match="to be one odd int, so that the pool has a centre"):
        GaussianDivNorm(4)


def test_an_unknown_number_of_channels_is_refused():
    import keras

    with pytest.raises(ValueError, match="a known number of channels, received"):
        GaussianDivNorm(3)(keras.Input((8, 8, None)))
