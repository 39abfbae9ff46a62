from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import load_case, relative_error
from layers.layer_checks import check_layer
from layers.naive import cross_correlate, gabor_bank

from tfbio.layers import GaborConv2D, sample_gabor_parameters
from tfbio.layers.gabor_conv2d import gabor_filters

CHANNELS = (2, 0, 1, 1, 2)


def _parameters(filters, seed=0):
    """Of many shapes, in pixels."""
    rng = np.random.default_rng(seed)
    return {
        "sf": rng.uniform(0.05, 0.5, filters),
        "theta": rng.uniform(0, np.pi, filters),
        "sigma_x": rng.uniform(0.5, 4, filters),
        "sigma_y": rng.uniform(0.5, 4, filters),
        "phase": rng.uniform(0, 2 * np.pi, filters),
    }


def _layer(channels=CHANNELS, kernel_size=3, strides=2, **arguments):
    return GaborConv2D(
        **_parameters(len(channels)),
        channels=channels,
        kernel_size=kernel_size,
        strides=strides,
        **arguments,
    )


# === The equation ===


@pytest.mark.parametrize(("golden", "shift"), [("kernel", 0), ("kernel_q1", np.pi / 2)])
def test_golden_kernels(golden, shift):
    config, arrays = load_case("vone_kernels_0")
    sf, theta, sigma_x, sigma_y = (arrays[name] for name in ("sf", "theta", "sigx", "sigy"))
    phase = arrays["phase"] + shift
    expected = arrays[golden].transpose(1, 2, 0)
    found = gabor_filters(config["ksize"], sf, theta, sigma_x, sigma_y, phase)
    assert relative_error(found, expected) < 1e-6
    channels = [1, 0, 2, 1]
    layer = GaborConv2D(sf, theta, sigma_x, sigma_y, phase, channels, config["ksize"])
    layer.build((None, None, None, 3))
    kernel = np.asarray(layer.kernel)
    assert relative_error(kernel[:, :, channels, range(4)], expected) < 1e-6
    # And nothing in the other colours.
    assert np.count_nonzero(kernel.any(axis=(0, 1))) == 4


@pytest.mark.parametrize("size", [1, 3, 7])
def test_filters_equal_the_equation_in_float64(size):
    parameters = _parameters(6, seed=size)
    expected = gabor_bank(size, [0] * 6, 1, **parameters)[:, :, 0]
    assert relative_error(gabor_filters(size, **parameters), expected) < 1e-12


@pytest.mark.parametrize(
    ("shape", "kernel_size", "strides", "padding", "zeros"),
    [
        ((8, 8), 5, 1, None, ((2, 2), (2, 2))),
        ((8, 8), 5, 4, None, ((2, 2), (2, 2))),
        ((9, 7), 5, (2, 3), None, ((2, 2), (2, 2))),
        ((9, 7), 3, 2, "valid", ((0, 0), (0, 0))),
        ((9, 7), 3, 1, "same", ((1, 1), (1, 1))),
        # TensorFlow's: ceil(size / stride) windows, the odd zero last.
        ((8, 7), 3, 2, "same", ((0, 1), (1, 1))),
        ((6, 5), 3, 2, (0, 3), ((0, 0), (3, 3))),
        ((6, 5), 3, 1, 4, ((4, 4), (4, 4))),
        ((1, 1), 7, 4, None, ((3, 3), (3, 3))),
        ((5, 6), 1, 1, None, ((0, 0), (0, 0))),
    ],
)
def test_equals_loops_over_pixels_in_float64(shape, kernel_size, strides, padding, zeros):
    image = np.random.default_rng(1).standard_normal((2, *shape, 3))
    layer = _layer(kernel_size=kernel_size, strides=strides, padding=padding, dtype="float64")
    kernel = gabor_bank(kernel_size, CHANNELS, 3, **_parameters(5))
    both = strides if isinstance(strides, tuple) else (strides, strides)
    expected = cross_correlate(image, kernel, both, zeros)
    assert layer.compute_output_shape(image.shape) == expected.shape
    assert relative_error(layer(image), expected) < 1e-10
    # In a graph that knows neither the number of images nor their size.
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.float64)])
    assert relative_error(graph(image), expected) < 1e-10


@pytest.mark.parametrize("channels", [(0, 0, 0), (3, 0, 3), (1, 2)])
def test_colors_that_no_filter_sees_do_not_matter(channels):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((2, 8, 6, 4))
    layer = _layer(channels, dtype="float64")
    kernel = gabor_bank(3, channels, 4, **_parameters(len(channels)))
    expected = cross_correlate(image, kernel, (2, 2), ((1, 1), (1, 1)))
    assert relative_error(layer(image), expected) < 1e-10
    unseen = [channel for channel in range(4) if channel not in channels]
    image[..., unseen] = rng.standard_normal((2, 8, 6, len(unseen)))
    assert relative_error(layer(image), expected) < 1e-10


def test_gradient_of_the_image_is_that_of_a_dense_convolution():
    rng = np.random.default_rng(3)
    image = tf.constant(rng.standard_normal((2, 9, 8, 3)))
    layer = _layer(kernel_size=5, dtype="float64")
    kernel = gabor_bank(5, CHANNELS, 3, **_parameters(5))
    cotangent = rng.standard_normal(layer(image).shape)
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = tf.reduce_sum(layer(image) * cotangent)
    expected = np.zeros((2, 13, 12, 3))
    for i, j in np.ndindex(cotangent.shape[1:3]):
        window = np.einsum("nf,abcf->nabc", cotangent[:, i, j], kernel)
        expected[:, 2 * i : 2 * i + 5, 2 * j : 2 * j + 5] += window
    assert relative_error(tape.gradient(loss, image), expected[:, 2:-2, 2:-2]) < 1e-10


# === The layer ===


@pytest.mark.parametrize("arguments", [{}, {"padding": "same"}, {"strides": (1, 3), "padding": 2}])
def test_passes_the_checks_of_every_layer(arguments, tmp_path):
    check_layer(
        lambda: _layer(**arguments),
        [(8, 8, 3), (5, 7, 4), (1, 1, 3)],
        trainable=0,
        non_trainable=1,
        tmp_path=tmp_path,
    )


def test_takes_sampled_parameters():
    parameters = sample_gabor_parameters(6, 0).in_pixels(8)
    layer = GaborConv2D(**parameters, channels=np.array([0, 1, 2] * 2), dtype="float64")
    image = np.random.default_rng(0).standard_normal((1, 9, 9, 3))
    kernel = gabor_bank(25, [0, 1, 2] * 2, 3, **parameters)
    expected = cross_correlate(image, kernel, (4, 4), ((12, 12), (12, 12)))
    assert relative_error(layer(image), expected) < 1e-10


# === Channels of a kernel that came from elsewhere ===


def test_a_kernel_of_other_channels_gives_nan_until_they_are_found():
    image = np.random.default_rng(0).standard_normal((1, 6, 6, 3))
    layer = _layer((0, 1, 2), dtype="float64")
    layer(image)
    kernel = gabor_bank(3, (0, 2, 2), 3, **_parameters(3))
    layer.kernel.assign(kernel)
    assert np.isnan(layer(image)).all()
    layer.find_channels()
    assert layer.channels == (0, 2, 2)
    assert layer.get_config()["channels"] == [0, 2, 2]
    expected = cross_correlate(image, kernel, (2, 2), ((1, 1), (1, 1)))
    assert relative_error(layer(image), expected) < 1e-10


def test_a_kernel_that_sees_several_channels_is_refused():
    layer = _layer((0, 1, 2))
    layer.build((None, 6, 6, 3))
    layer.kernel.assign(np.ones((3, 3, 3, 3)))
    with pytest.raises(ValueError, match="one channel each; of 3 filters, 3 see more, such as num"):
        layer.find_channels()


@pytest.mark.parametrize("name", ["bank.weights.h5", "bank.keras"])
def test_loading_weights_adopts_their_channels(name, tmp_path):
    image = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype("float32")
    theirs = keras.Sequential([keras.Input((8, 8, 3)), _layer((2, 0, 1, 1, 2))])
    ours = keras.Sequential([keras.Input((8, 8, 3)), _layer((0, 0, 1, 2, 1))])
    assert relative_error(ours(image), theirs(image)) > 0.1
    (theirs.save_weights if name.endswith("h5") else theirs.save)(tmp_path / name)
    ours.load_weights(tmp_path / name)
    assert ours.layers[0].channels == (2, 0, 1, 1, 2)
    np.testing.assert_array_equal(ours(image), theirs(image))


def test_a_saved_model_whose_kernel_was_exchanged_comes_back_with_its_channels(tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 3)), _layer((2, 0, 1, 1, 2))])
    kernel = gabor_bank(3, (1, 1, 1, 0, 2), 3, **_parameters(5))
    model.layers[0].kernel.assign(kernel)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert reloaded.layers[0].channels == (1, 1, 1, 0, 2)
    image = np.random.default_rng(0).standard_normal((2, 8, 8, 3)).astype("float32")
    expected = cross_correlate(image, kernel, (2, 2), ((1, 1), (1, 1)))
    assert relative_error(reloaded(image), expected) < 1e-5


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "Expected `kernel_size` to be one odd int, so that the kernel has a"),
        ({"kernel_size": 0}, "Expected `kernel_size` to be one odd int"),
        ({"strides": 0}, "Expected `strides` to be an int or two ints of 1 or more, received 0"),
        ({"padding": "full"}, "Expected `padding` to be 'valid', 'same', or the number of zeros"),
        ({"padding": -1}, "Expected `padding` to be an int or two ints of 0 or more"),
        ({"channels": [0, 1]}, "Expected `channels` to be the number of a channel for each of 3"),
        ({"channels": [0, 1, -1]}, "Expected `channels` to be the number of a channel for each"),
        ({"channels": [0, 1, 1.5]}, "Expected `channels` to be the number of a channel for each"),
        ({"theta": [0, 1]}, r"Expected `theta` to be one finite number for each of 3 filters"),
        ({"phase": [0, 1, np.nan]}, "Expected `phase` to be one finite number for each of 3"),
        ({"sf": [[1, 1, 1]]}, "Expected `channels` to be the number of a channel for each of 1"),
        ({"sigma_x": [1, 0, 1]}, "Expected `sigma_x` and `sigma_y` above 0 pixels, received at"),
        ({"sigma_y": [1, -2, 1]}, "above 0 pixels, received at least 1.0 and -2.0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    usual = {name: [1.0, 1.0, 1.0] for name in ("sf", "theta", "sigma_x", "sigma_y", "phase")}
    with pytest.raises(ValueError, match=message):
        GaborConv2D(**{**usual, "channels": [0, 1, 2], "kernel_size": 3, **arguments})


def test_images_of_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"channels 0 to 2 that the filters of 'bank' see, receiv"):
        _layer(name="bank")(np.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="a known number of channels, received"):
        _layer()(keras.Input((8, 8, None)))
    layer = _layer()
    layer.build((None, 8, 8, 3))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3"):
        layer(np.zeros((1, 8, 8, 4)))


def test_images_smaller_than_the_window_are_refused():
    with pytest.raises(ValueError, match=r"no smaller than the window of 'bank', 7 x 7 pixels"):
        _layer(kernel_size=7, padding="valid", name="bank")(keras.Input((8, 6, 3)))
