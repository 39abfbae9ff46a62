from __future__ import annotations

import numpy as np
import pytest
from layers.layer_checks import check_layer

from tfbio.layers import CenterSurround


def test_filters_the_first_channels_and_passes_the_rest_on():
    image = np.random.default_rng(0).standard_normal((2, 7, 6, 5))
    layer = CenterSurround(3, 5, dtype="float64")
    output = np.asarray(layer(image))
    np.testing.assert_array_equal(output[..., 3:], image[..., 3:])
    np.testing.assert_allclose(output[..., :3], layer.dog_conv(image[..., :3]), rtol=1e-12)


@pytest.mark.parametrize("exact", [False, True])
def test_passes_the_checks_of_every_layer(exact, tmp_path):
    check_layer(
        lambda: CenterSurround(2, 3, upstream_exact=exact),
        [(8, 8, 4), (5, 7, 2), (1, 1, 3)],
        trainable=4,
        tmp_path=tmp_path,
    )


def test_too_few_channels_are_refused():
    with pytest.raises(ValueError, match=r"at least 16 channels, as many .* lower `channels`"):
        CenterSurround(16, 5)(np.zeros((1, 8, 8, 3)))


@pytest.mark.parametrize("arguments", [{"strides": 2}, {"padding": "valid"}, {"padding": 1}])
def test_filters_that_change_the_size_are_refused(arguments):
    with pytest.raises(ValueError, match=r"keep the image's size.*strides 1 and padding 'same'"):
        CenterSurround(2, 5, **arguments)


@pytest.mark.parametrize("arguments", [{"padding": 2}, {"padding": "same"}])
def test_paddings_that_keep_the_size_are_the_same(arguments):
    image = np.random.default_rng(0).standard_normal((1, 6, 7, 3))
    layer = CenterSurround(2, 5, dtype="float64", **arguments)
    other = CenterSurround(2, 5, dtype="float64")
    other.build(image.shape)
    layer.build(image.shape)
    other.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(image), other(image), rtol=1e-12)


@pytest.mark.parametrize("channels", [0, 2.5, None])
def test_a_strange_number_of_channels_is_refused(channels):
    with pytest.raises(ValueError, match="Expected `channels` to be an int of 1 or more"):
        CenterSurround(channels, 3)
