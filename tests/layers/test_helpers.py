"""What the layers share, in private files: sizes, checks, draws."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from tfbio.layers import (
    _attention,
    _convolution,
    _exact,
    _first_state,
    _fourier_convolution,
    _random_state,
    _reflection,
    _replica_noise,
    _seeds,
    gates,
    instance_norm,
    single_channel,
)


@pytest.fixture
def seeds():
    return keras.random.SeedGenerator(0)


def _array(tensor):
    return ops.convert_to_numpy(tensor)


# === Sizes ===


def test_arguments_of_a_convolution():
    assert _convolution.pair(3, "strides") == (3, 3)
    assert _convolution.pair((1, 2), "strides") == (1, 2)
    assert _convolution.count(4, "filters") == 4
    assert _convolution.odd(5, "kernel_size", "kernel") == 5
    assert _convolution.check_padding("SAME") == "same"
    assert _convolution.check_padding(1) == (1, 1)


def test_sizes_of_a_convolution():
    assert _convolution.zeros_around(8, 3, 2, "same") == (0, 1)
    assert _convolution.zeros_around(8, 3, 2, 1) == (1, 1)
    assert _convolution.output_length(8, 3, 2, 1) == 4
    assert _convolution.output_length(8, 3, 1, "valid") == 6
    sizes = _convolution.output_sizes((None, 8, None, 3), (3, 3), (2, 2), (1, 1), "conv")
    assert tuple(sizes) == (4, None)
    assert _convolution.known_channels((None, None, None, 3)) == 3


def test_a_grouped_convolution_is_that_of_its_groups():
    rng = np.random.default_rng(0)
    image = rng.standard_normal((1, 8, 8, 4)).astype("float32")
    kernel = rng.standard_normal((3, 3, 2, 6)).astype("float32")
    found = _array(_convolution.convolve(image, kernel, (2, 2), (1, 1), groups=2))
    assert found.shape == (1, 4, 4, 6)
    for group in range(2):
        inside, outside = slice(2 * group, 2 * group + 2), slice(3 * group, 3 * group + 3)
        alone = _convolution.convolve(image[..., inside], kernel[..., outside], (2, 2), (1, 1))
        np.testing.assert_allclose(found[..., outside], _array(alone), rtol=1e-5, atol=1e-5)


def test_which_convolutions_are_faster_among_frequencies():
    assert _fourier_convolution.is_faster((64, 64), (15, 15), 25, 25)
    assert not _fourier_convolution.is_faster((64, 64), (3, 3), 25, 25)


def test_a_box_among_frequencies_counts_its_pixels():
    assert tuple(_fourier_convolution.spectrum(np.ones((5, 5, 3, 4)), (8, 8)).shape) == (60, 6, 8)
    ones, box = np.ones((1, 8, 8, 1), "float32"), np.ones((5, 5, 1, 1), "float32")
    transformed = _fourier_convolution.spectrum(box, (8, 8))
    maps = _array(_fourier_convolution.convolve_in_frequency(ones, transformed, (5, 5)))
    assert maps[0, 4, 4, 0] == pytest.approx(25, abs=1e-4)
    assert maps[0, 0, 0, 0] == pytest.approx(9, abs=1e-4)


def test_a_row_is_reflected_about_its_ends():
    row = ops.reshape(ops.arange(3), (1, 1, 3, 1))
    assert _array(_reflection.reflected(row, (1, 4)))[0, 0, :, 0].tolist() == [1, 0, 1, 2, 1, 0]
    _reflection.check_map((None, 3, 3, 8), [(5, 5)], "cell")


# === One channel a filter ===


def test_filters_that_see_one_channel():
    assert single_channel.check_channels([2, 0], 2) == (2, 0)
    kernel = np.zeros((3, 3, 3, 2))
    kernel[:, :, 2, 1] = 1
    assert single_channel.channels_of(kernel) == (0, 2)


def test_responses_of_filters_that_see_one_channel():
    kernel = np.zeros((3, 3, 2, 4), "float32")
    kernel[:, :, [1, 0, 1, 1], range(4)] = 1
    inputs = np.ones((1, 5, 5, 2), "float32")
    rows = single_channel.responses_by_filter(inputs, kernel, (1, 0, 1, 1), (1, 1), "valid")
    np.testing.assert_array_equal(_array(rows), np.full((4, 9), 9))
    assert tuple(single_channel.to_image(np.zeros((4, 18)), (3, 3)).shape) == (2, 3, 3, 4)


# === Weights and states ===


def test_constants_keep_their_double_precision():
    assert float(_exact.exactly(0.1)((1,), "float64")[0]) == 0.1


def test_gates_are_drawn_apart():
    assert gates.kaiming_fan_out("tanh").scale == pytest.approx((5 / 3) ** 2)
    kernels = _array(gates.drawn_apart(keras.initializers.GlorotNormal(), 2)((3, 3, 4, 8)))
    assert (kernels[..., :4] != kernels[..., 4:]).any()


def test_instance_normalization_begins_with_a_deviation_of_a_tenth():
    layer = instance_norm.instance_norm("norm", "float32")
    maps = _array(layer(keras.random.uniform((1, 9, 9, 2))))
    np.testing.assert_allclose(maps.std(axis=(1, 2)), 0.1, rtol=1e-3)
    instance_norm.check_pixels((None, 1, 2, 8), "norm")


def test_attention_keeps_the_shape_of_a_map():
    attention = _attention.Attention(4, "sa")
    assert tuple(attention(keras.random.uniform((2, 8, 8, 4))).shape) == (2, 8, 8, 4)


# === Random numbers ===


def test_draws(seeds):
    assert tuple(_first_state.xavier_noise(ops.zeros((2, 8, 8, 4)), seeds).shape) == (2, 8, 8, 4)
    assert tuple(_replica_noise.standard_normal((2, 3), seeds).shape) == (2, 3)
    mask = _array(_replica_noise.dropout_mask((1000,), 0.2, seeds))
    assert set(mask.tolist()) == {0.0, 1.25}
    assert _seeds.check_seed(7, "seed") == 7


def test_a_seed_generators_state_is_kept():
    class Shaken(_random_state.KeepsRandomState, keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.seed_generator = keras.random.SeedGenerator(7)

    store = {}
    Shaken().save_own_variables(store)
    assert list(store) == ["random_state"]
