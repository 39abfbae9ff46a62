from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from golden_data import relative_error
from layers.layer_checks import check_layer

from tfbio.layers import TunedDivNorm


def _naive(image, sigmas):
    """Loops over channels, with the original's constant and no softmax."""
    channels = len(sigmas)
    gaussian = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            s = max(sigmas[j], 0.5)
            distance = abs((j - i) % channels - channels // 2)
            gaussian[i, j] = math.exp(-(distance**2) / (2 * s**2)) / (2.5066 * s)
    weights = gaussian / gaussian.sum(axis=0)
    output = np.zeros_like(image)
    for i in range(channels):
        pool = sum(weights[i, j] * image[..., j] for j in range(channels))
        output[..., i] = image[..., i] / (1 + pool)
    return output


@pytest.mark.parametrize("channels", [1, 2, 7, 12])
def test_equals_the_equation_in_float64(channels):
    rng = np.random.default_rng(channels)
    image = rng.uniform(0, 3, (2, 5, 4, channels))
    layer = TunedDivNorm(dtype="float64")
    layer.build(image.shape)
    sigmas = rng.uniform(-1, 4, channels)  # some are held at their limit
    layer.sigmas.assign(sigmas)
    assert relative_error(layer(image), _naive(image, sigmas)) < 1e-10


def test_one_active_channel_suppresses_its_opposite_most():
    rates = np.ones((1, 1, 1, 16))
    rates[..., 3] = 50
    layer = TunedDivNorm(dtype="float64")
    output = np.asarray(layer(rates))[0, 0, 0]
    others = np.delete(np.arange(16), 3)
    assert others[np.argmin(output[others])] == 3 + 8


def test_passes_the_checks_of_every_layer(tmp_path):
    check_layer(
        TunedDivNorm, [(8, 8, 4), (5, 7, 2), (1, 1, 3)], trainable=1, tmp_path=tmp_path, rates=True
    )


def test_narrow_pools_of_many_channels_do_not_underflow():
    layer = TunedDivNorm()
    layer.build((None, 1, 1, 512))
    layer.sigmas.assign(np.zeros(512))
    assert np.isfinite(layer(np.ones((1, 1, 1, 512), "float32"))).all()


def test_an_unknown_number_of_channels_is_refused():
    with pytest.raises(ValueError, match="a known number of channels, received"):
        TunedDivNorm()(keras.Input((8, 8, None)))
