"""Networks around the hGRU: the originals' numbers, and their parts."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import torch_state_dict
from models.hgru_golden import CASES, make_model, output_error

import tfbio
from tfbio.errors import InputError
from tfbio.layers import BatchStatistics
from tfbio.layers.filter_initializers import ContourFilters
from tfbio.weights import to_torch_state_dict


@pytest.mark.parametrize("case", CASES)
def test_output_is_the_originals(case):
    assert output_error(case) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_the_way_back_to_pytorch(case):
    theirs = torch_state_dict(case)
    ours = to_torch_state_dict(make_model(case), as_arrays=True)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        if not name.startswith("bn2."):
            np.testing.assert_array_equal(ours[name], tensor)


def test_the_readout_of_the_published_network():
    """In NumPy float64, from the last state on."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = tfbio.create_model(
        "hgru",
        input_shape=(20, 24, 3),
        filters=5,
        kernel_size=5,
        timesteps=2,
        classifier_activation=None,
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape) * 0.3)
    image = rng.uniform(0, 255, (3, 20, 24, 3))
    state = tfbio.features(model, image, "hgru")["hgru:1"]

    def normalized(values, name):
        norm = model.get_layer(name).layer
        mean, variance, gamma, beta = (
            np.asarray(each)
            for each in (norm.moving_mean, norm.moving_variance, norm.gamma, norm.beta)
        )
        return (values - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    maps = normalized(state, "hgru_norm") @ np.asarray(model.get_layer("readout_maps").layer.kernel)
    largest = normalized(maps.reshape(3, -1, 2).max(axis=1), "readout_norm")
    dense = model.get_layer("readout").layer
    logits = largest @ np.asarray(dense.kernel) + np.asarray(dense.bias)
    np.testing.assert_allclose(model(image), logits, rtol=1e-10)


def test_contour_filters_prefer_their_orientation():
    kernel = np.asarray(ContourFilters()((7, 7, 1, 25)), np.float64)[:, :, 0]
    np.testing.assert_allclose(kernel.sum(axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_allclose((kernel**2).sum(axis=(0, 1)), 1, rtol=1e-5)
    # Energy of a horizontal line through the centre, of both phases: the first pair's carrier
    # runs down the rows.
    line = np.zeros((7, 7))
    line[3] = 1
    energy = ((kernel * line[..., None]).sum(axis=(0, 1)) ** 2)[:24].reshape(12, 2).sum(axis=1)
    assert energy.argmax() == 0
    assert energy[0] > 20 * energy[6]
    # The last one has no orientation.
    np.testing.assert_allclose(kernel[:, :, 24], kernel[:, :, 24].T, atol=1e-6)
    np.testing.assert_allclose(kernel[:, :, 24], kernel[::-1, :, 24], atol=1e-6)


def test_statistics_of_the_batch():
    """Against NumPy, and in inference too."""
    values = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 7)).astype("float32")
    layer = BatchStatistics(epsilon=1e-3)
    layer.build(values.shape)
    layer.gamma.assign(np.linspace(0.5, 1.5, 7))
    layer.beta.assign(np.linspace(-1, 1, 7))
    exact = values.astype(np.float64)
    mean, variance = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    expected = (exact - mean) / np.sqrt(variance + 1e-3) * np.linspace(0.5, 1.5, 7)
    expected += np.linspace(-1, 1, 7)
    for training in (True, False):
        np.testing.assert_allclose(layer(values, training=training), expected, rtol=1e-4, atol=1e-5)


def test_the_right_form_does_not_depend_on_the_other_images():
    arguments = {"input_shape": (24, 24, 3), "filters": 4, "kernel_size": 5, "timesteps": 2}
    images = np.random.default_rng(0).uniform(0, 255, (3, 24, 24, 3))
    for upstream_exact in (False, True):
        model = tfbio.create_model("hconvgru", upstream_exact=upstream_exact, **arguments)
        together, alone = np.asarray(model(images))[:1], np.asarray(model(images[:1]))
        assert (np.abs(together - alone).max() > 1e-4) == upstream_exact


def test_noise_at_the_beginning_is_another_one_every_time():
    arguments = {"input_shape": (24, 24, 3), "filters": 4, "kernel_size": 5, "timesteps": 2}
    image = np.random.default_rng(0).uniform(0, 255, (1, 24, 24, 3))
    still = tfbio.create_model("hgru", **arguments)
    np.testing.assert_array_equal(still(image), still(image))
    noisy = tfbio.create_model("hgru", hidden_init="noise", **arguments)
    assert (np.asarray(noisy(image)) != np.asarray(noisy(image))).any()


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("hgru", {"kernel_size": 4}, "one odd int"),
        ("hgru", {"activation": "elu"}, "relu, tanh"),
        ("hgru", {"input_shape": (8, 32, 3)}, "at least 16 x 16 pixels"),
        ("hgru", {"timesteps": 0}, "Expected `timesteps` of 1 or more, received 0"),
        ("hgru", {"filters": 0}, "Expected `filters` of 1 or more, received 0"),
        ("hgru", {"strides": 0}, "Expected `strides` of 1 or more, received 0"),
        ("hconvgru", {"input_shape": (32, 32, 2)}, r"\(height, width, 1\) or \(height, width, 3\)"),
        ("vgg16_hgru", {"hgru_layers": ()}, "at least one layer with an hGRU"),
        ("vgg16_hgru", {"hgru_layers": (("conv9_1", 3),)}, "conv9_1"),
        ("vgg16_hgru", {"hgru_layers": (("conv2_1", 3), ("conv1_1", 3))}, "in the order of"),
    ],
)
def test_bad_arguments_are_one_sentence(name, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        tfbio.create_model(name, **{"input_shape": (32, 32, 3), **arguments})
