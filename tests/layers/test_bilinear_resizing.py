"""Bilinear interpolation with aligned corners, pixel by pixel."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import relative_error
from layers.layer_checks import check_layer

from tfbio.layers.bilinear_resizing import BilinearResizing


def _naive(image, size):
    """What lies between the four nearest pixels, in float64."""
    _, height, width, _ = image.shape
    output = np.zeros((len(image), *size, image.shape[-1]))
    for i in range(size[0]):
        for j in range(size[1]):
            y = i * (height - 1) / (size[0] - 1) if size[0] > 1 else 0
            x = j * (width - 1) / (size[1] - 1) if size[1] > 1 else 0
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            down, across = y - top, x - left
            output[:, i, j] = (1 - down) * (
                (1 - across) * image[:, top, left] + across * image[:, top, right]
            ) + down * ((1 - across) * image[:, bottom, left] + across * image[:, bottom, right])
    return output


@pytest.mark.parametrize("size", [(6, 6), (13, 9), (3, 5), (2, 2), (1, 4), (7, 4)])
@pytest.mark.parametrize("source", [(3, 5), (7, 4), (1, 1)])
def test_interpolates_between_pixels(source, size):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    image = np.random.default_rng(0).standard_normal((2, *source, 3))
    assert relative_error(BilinearResizing(size)(image), _naive(image, size)) < 1e-12


def test_is_a_layer(tmp_path):
    check_layer(lambda: BilinearResizing((5, 9)), [(4, 6, 2), (7, 3, 1)], 0, 0, tmp_path)


def test_needs_known_sizes():
    with pytest.raises(ValueError, match="known height"):
        BilinearResizing(4)(keras.Input((None, 8, 3)))
    with pytest.raises(ValueError, match="`size`"):
        BilinearResizing(0)
