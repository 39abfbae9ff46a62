"""PaddedMaxPooling2D against loops over windows."""

from __future__ import annotations

import numpy as np
import pytest
from layers.layer_checks import check_layer

from tfbio.layers import PaddedMaxPooling2D


def _naive(x, size, stride, padding):
    batch, height, width, channels = x.shape
    rows = (height + 2 * padding - size) // stride + 1
    columns = (width + 2 * padding - size) // stride + 1
    output = np.full((batch, rows, columns, channels), -np.inf, np.float32)
    for i in range(rows):
        for j in range(columns):
            for y in range(i * stride - padding, i * stride - padding + size):
                for z in range(j * stride - padding, j * stride - padding + size):
                    if 0 <= y < height and 0 <= z < width:
                        output[:, i, j] = np.maximum(output[:, i, j], x[:, y, z])
    return output


@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (3, 5)])
@pytest.mark.parametrize(("size", "stride", "padding"), [(3, 2, 1), (2, 2, 0), (3, 1, 1)])
def test_against_loops(shape, size, stride, padding):
    """Of negative numbers too, for which zeros around would be the maximum."""
    x = np.random.default_rng(0).standard_normal((2, *shape, 3)).astype("float32") - 3
    layer = PaddedMaxPooling2D(size, stride, padding)
    np.testing.assert_array_equal(layer(x), _naive(x, size, stride, padding))


def test_as_every_layer(tmp_path):
    check_layer(
        lambda: PaddedMaxPooling2D(3, 2, 1), [(7, 6, 2), (4, 9, 1)], trainable=0, tmp_path=tmp_path
    )


@pytest.mark.parametrize("arguments", [{"padding": "same"}, {"padding": 2}, {"padding": (0, 2)}])
def test_bad_padding_is_one_sentence(arguments):
    with pytest.raises(ValueError, match="Expected `padding` to be at most half of `pool_size`"):
        PaddedMaxPooling2D(3, 2, **arguments)
