from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer
from layers.naive import cross_correlate, gabor_bank
from layers.vone_golden import CASES, errors

from tfbio.layers import GaborParameters, VOneBlock, sample_channels, sample_gabor_parameters


def _block(simple=4, complex_=4, kernel_size=5, strides=2, noise_mode=None, **arguments):
    usual = {"visual_degrees": 1.0, "gabor_seed": 1, "noise_mode": noise_mode}
    return VOneBlock(simple, complex_, kernel_size, strides, **{**usual, **arguments})


def _images(*shape):
    return np.random.default_rng(5).uniform(-1, 1, shape).astype("float32")


# === The original's numbers ===


def test_all_cases_are_there():
    assert CASES == ["vone_block_a", "vone_block_b", "vone_block_c"]


@pytest.mark.parametrize("case", CASES)
def test_filters_responses_output_and_gradient(case):
    for name, error in errors(case).items():
        assert error < 1e-5, (name, error)


# === The equation ===


def _given(cells):
    rng = np.random.default_rng(cells)
    return GaborParameters(
        sf=rng.uniform(0.5, 8, cells),
        theta=rng.uniform(0, 180, cells),
        phase=rng.uniform(0, 360, cells),
        nx=rng.uniform(0.1, 1, cells),
        ny=rng.uniform(0.1, 1, cells),
    )


def _naive(images, block, parameters, channels, pixels_per_degree, noise=None):
    """From the equations of the original, without the shortcuts of ours, NumPy float64."""
    sf = parameters.sf / pixels_per_degree
    converted = {
        "sf": sf,
        "theta": np.radians(parameters.theta),
        "sigma_x": parameters.nx / sf,
        "sigma_y": parameters.ny / sf,
    }
    size, simple = block.kernel_size, block.simple_channels
    half = size // 2
    responses = []
    for of_phase, shift in zip(channels, (0, np.pi / 2), strict=True):
        phase = np.radians(parameters.phase) + shift
        kernel = gabor_bank(size, of_phase, images.shape[-1], phase=phase, **converted)
        zeros = ((half, half), (half, half))
        responses.append(cross_correlate(images, kernel, block.strides, zeros))
    q0, q1 = responses
    simple_cells = np.maximum(q0[..., :simple], 0)
    energy = q0[..., simple:] ** 2 + q1[..., simple:] ** 2
    complex_cells = np.sqrt(energy) / math.sqrt(2)
    rates = block.k_exc * np.concatenate([simple_cells, complex_cells], axis=-1)
    scale, level = block.noise.scale, block.noise.level
    if block.noise.noise_mode == "neuronal":
        spikes = rates * scale + level
        spikes = spikes + noise * np.sqrt(np.maximum(spikes, 0) + 1e-4)
        rates = (spikes - level) / scale
    elif block.noise.noise_mode == "gaussian":
        rates = rates + noise * scale
    return np.maximum(rates, 0)


@pytest.mark.parametrize(("simple", "complex_"), [(2, 3), (4, 0), (0, 4)])
@pytest.mark.parametrize("noise_mode", [None, "neuronal", "gaussian"])
@pytest.mark.parametrize("exact", [False, True])
def test_equals_the_equation_in_float64(simple, complex_, noise_mode, exact):
    rng = np.random.default_rng(6)
    images = rng.uniform(-1, 1, (2, 9, 12, 3))
    parameters = _given(simple + complex_)
    block = VOneBlock(
        simple,
        complex_,
        7,
        (2, 3),
        k_exc=11.5,
        visual_degrees=1.5,
        parameters=parameters,
        channel_seed=4,
        noise_mode=noise_mode,
        noise_scale=0.8,
        noise_level=0.3,
        upstream_exact=exact,
        dtype="float64",
    )
    noise = rng.standard_normal((2, 5, 4, simple + complex_))
    output = block(images, noise=noise)
    q0, q1 = sample_channels(simple + complex_, 4)
    channels = (q0, q1 if exact else q0)
    # The shorter side of the image spans 1.5 degrees.
    expected = _naive(images, block, parameters, channels, 9 / 1.5, noise)
    assert block.compute_output_shape(images.shape) == expected.shape
    assert relative_error(output, expected) < 1e-10
    # Without noise, and with an image of which these are a part.
    block = VOneBlock(
        simple,
        complex_,
        7,
        2,
        image_size=48,
        visual_degrees=2,
        parameters=parameters,
        channels=channels,
        noise_mode=None,
        dtype="float64",
    )
    expected = _naive(images, block, parameters, channels, 24)
    assert relative_error(block(images), expected) < 1e-10
    assert relative_error(block.responses(images), expected) < 1e-10


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("colors", [1, 3, 5])
def test_channels_of_both_phases(exact, colors):
    block = _block(30, 30, upstream_exact=exact, channel_seed=7)
    assert block.channels is None
    block.build((None, 8, 8, colors))
    q0, q1 = block.channels
    assert (set(q0), set(q1)) == (set(range(colors)),) * 2
    drawn = sample_channels(60, 7, colors)
    np.testing.assert_array_equal([q0, q1], drawn if exact else [drawn[0], drawn[0]])
    # As drawn they agree by chance alone.
    assert (q0 == q1) == (not exact or colors == 1)


def test_a_complex_cell_answers_wherever_the_grating_is():
    """A quadrature pair of one colour: the response to a grating hardly depends on its phase."""
    preferred = {"sf": [2.0], "theta": [0.0], "phase": [40.0], "nx": [0.5], "ny": [0.5]}
    image_size, degrees = 65, 4.0
    x = np.arange(image_size)[:, np.newaxis, np.newaxis] / (image_size / degrees)
    answers = {}
    for simple in (0, 1):
        block = VOneBlock(
            simple,
            1 - simple,
            33,
            32,
            visual_degrees=degrees,
            noise_mode=None,
            parameters=preferred,
            channels=[1],
            dtype="float64",
        )
        answers[simple] = [
            float(
                block(np.cos(2 * np.pi * (2.0 * x + shift)) * np.ones((1, 1, image_size, 3)))[
                    0, 1, 1, 0
                ]
            )
            for shift in np.linspace(0, 1, 9)
        ]
    assert np.ptp(answers[0]) < 0.03 * np.mean(answers[0])
    assert min(answers[1]) == 0
    assert max(answers[1]) == pytest.approx(math.sqrt(2) * np.mean(answers[0]), rel=0.05)


# === Gradients ===


def _gradient(block, images):
    images = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(block(images))
    return np.asarray(tape.gradient(total, images), "float64")


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(("simple", "complex_"), [(6, 6), (0, 6), (6, 0)])
@pytest.mark.parametrize("noise_mode", [None, "neuronal", "gaussian"])
def test_uniform_images_have_finite_gradients(noise_mode, simple, complex_, exact):
    block = _block(
        simple, complex_, noise_mode=noise_mode, noise_sampling="fixed", upstream_exact=exact
    )
    for level in (0.5, 0.0):
        gradient = _gradient(block, np.full((1, 9, 8, 3), level, "float32"))
        assert np.isfinite(gradient).all()
        assert gradient.any() == (level > 0)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("level", [1e-3, 1e-10, 1e-19, 1e-21, 1e-30, 0.0])
def test_gradients_of_faint_images_are_bounded(level, policy):
    """The slope of a complex cell is at most the filters' sum, however small its response."""
    block = _block(0, 6, dtype=policy)
    images = level * _images(1, 9, 8, 3)
    gradient = _gradient(block, images)
    bank = np.concatenate([block.simple_conv_q0.kernel, block.simple_conv_q1.kernel], axis=-1)
    most = block.k_exc / math.sqrt(2) * np.abs(bank).sum()
    assert np.max(np.abs(gradient)) <= most
    if level == 0:
        assert not gradient.any()


# === The layer ===


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"simple": 5, "complex_": 0, "strides": (1, 3), "upstream_exact": True},
        {"noise_mode": "neuronal", "noise_sampling": "fixed", "noise_fixed_seed": 3},
        {"noise_mode": "gaussian", "noise_sampling": "fixed", "simple": 0},
    ],
)
def test_passes_the_checks_of_every_layer(arguments, tmp_path):
    check_layer(
        lambda: _block(**arguments),
        [(12, 12, 3), (9, 7, 3), (1, 1, 3)],
        trainable=0,
        non_trainable=2,
        tmp_path=tmp_path,
    )


def test_the_published_block_has_the_published_size():
    block = VOneBlock()
    block.build((None, 224, 224, 3))
    assert block.compute_output_shape((None, 224, 224, 3)) == (None, 56, 56, 512)
    assert block.count_params() == 2 * 512 * 3 * 25**2


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [((9, 7), 2, (5, 4)), ((8, 10), 4, (2, 3)), ((13, 1), (3, 2), (5, 1)), ((1, 2), 5, (1, 1))],
)
def test_odd_sizes(shape, strides, expected):
    block = _block(strides=strides, image_size=16)
    assert block(_images(2, *shape, 3)).shape == (2, *expected, 8)
    assert block.compute_output_shape((None, *shape, 3)) == (None, *expected, 8)


def test_images_of_any_size_with_image_size():
    fixed = _block(image_size=16)
    fixed.build((None, 16, 16, 3))
    model = keras.Sequential([keras.Input((None, None, 3)), _block(image_size=16)])
    assert model.output_shape == (None, None, None, 8)
    for shape in ((16, 16), (11, 8)):
        images = _images(2, *shape, 3)
        expected = np.asarray(fixed(images))
        assert relative_error(model(images), expected) < 1e-5
        assert relative_error(model.predict(images, verbose=0), expected) < 1e-5


@pytest.mark.parametrize("channels", [None, [0, 1, 2, 0, 1], [[0, 1, 2, 0, 1], [2, 2, 2, 1, 0]]])
@pytest.mark.parametrize("parameters", [False, True])
@pytest.mark.parametrize("built", [False, True])
def test_the_configuration_rebuilds_the_block_without_weights(channels, parameters, built):
    block = VOneBlock(
        2,
        3,
        5,
        (2, 3),
        k_exc=3.0,
        visual_degrees=1.0,
        image_size=11,
        gabor_seed=3,
        gabor_distribution="uniform",
        sf_corr=0.1,
        sf_max=6.0,
        sf_min=0.7,
        parameters=_given(5) if parameters else None,
        channel_seed=8,
        channels=channels,
        noise_mode="gaussian",
        noise_scale=0.4,
        noise_level=0.2,
        noise_sampling="mean",
        noise_draws=3,
        noise_seed=4,
        noise_fixed_seed=5,
        upstream_exact=True,
        name="v1",
    )
    if built:
        block.build((None, 10, 10, 3))
    serialized = keras.saving.serialize_keras_object(block)
    copy = keras.saving.deserialize_keras_object(serialized)
    assert copy.get_config() == block.get_config()
    assert keras.saving.serialize_keras_object(copy) == serialized
    images = _images(2, 10, 10, 3)
    output = np.asarray(block(images))
    np.testing.assert_array_equal(copy(images), output)
    np.testing.assert_array_equal(copy.simple_conv_q1.kernel, block.simple_conv_q1.kernel)
    assert copy.channels == block.channels
    if channels is not None:
        np.testing.assert_array_equal(block.channels, np.broadcast_to(np.array(channels), (2, 5)))


def test_parameters_as_lists_and_drawn_ones_agree():
    images = _images(1, 12, 12, 3)
    drawn = sample_gabor_parameters(8, 5, sf_max=6)
    names = ("sf", "theta", "phase", "nx", "ny")
    lists = {name: getattr(drawn, name).tolist() for name in names}
    expected = _block(gabor_seed=5, sf_max=6)(images)
    np.testing.assert_array_equal(_block(parameters=lists)(images), expected)
    np.testing.assert_array_equal(_block(parameters=drawn)(images), expected)


@pytest.mark.parametrize("name", ["block.weights.h5", "block.keras"])
def test_loading_weights_adopts_the_filters_of_another_block(name, tmp_path):
    def model(**arguments):
        return keras.Sequential([keras.Input((12, 12, 3)), _block(**arguments)])

    images = _images(2, 12, 12, 3)
    theirs, ours = model(gabor_seed=3, channel_seed=4, upstream_exact=True), model()
    assert relative_error(ours(images), theirs(images)) > 0.1
    (theirs.save_weights if name.endswith("h5") else theirs.save)(tmp_path / name)
    ours.load_weights(tmp_path / name)
    assert ours.layers[0].channels == theirs.layers[0].channels
    np.testing.assert_array_equal(ours(images), theirs(images))
    # And the configuration of a model that is saved now has them.
    ours.save(tmp_path / "again.keras")
    again = keras.saving.load_model(tmp_path / "again.keras")
    np.testing.assert_array_equal(again(images), theirs(images))


def test_noise_is_fixed_and_set_free_again():
    images = _images(2, 12, 12, 3)
    block = _block(noise_mode="neuronal", noise_seed=1)
    assert np.any(np.asarray(block(images)) != np.asarray(block(images)))
    block.fix_noise(seed=0)
    fixed = np.asarray(block(images))
    assert fixed.min() == 0
    np.testing.assert_array_equal(block(images), fixed)
    np.testing.assert_allclose(block(images[1:]), fixed[1:], rtol=1e-5, atol=1e-6)
    block.unfix_noise()
    assert np.any(np.asarray(block(images)) != fixed)


@pytest.mark.parametrize(("simple", "complex_"), [(8, 8), (8, 0), (0, 8)])
def test_float16_is_within_one_percent_of_float32(simple, complex_):
    images = _images(2, 32, 32, 3)
    arguments = {"kernel_size": 15, "strides": 4, "image_size": 64, "visual_degrees": 8}
    exact = _block(simple, complex_, **arguments)(images)
    half = _block(simple, complex_, **arguments, dtype="mixed_float16")
    output = half(images)
    assert output.dtype == tf.float16
    assert half.simple_conv_q0.kernel.dtype == "float32"
    assert relative_error(output, exact) < 0.01
    # Squares of small responses are below the range of the type, responses are not.
    faint = _block(simple, complex_, **arguments)(1e-4 * images)
    assert relative_error(half(1e-4 * images), faint) < 0.01


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"simple_channels": -1}, "Expected `simple_channels` to be 0 or more, received -1"),
        ({"complex_channels": 2.5}, "Expected `complex_channels` to be 0 or more, received 2.5"),
        (
            {"simple_channels": 0, "complex_channels": 0},
            "Expected simple or complex cells, received 0 of both",
        ),
        ({"kernel_size": 24}, "Expected `kernel_size` to be one odd int, so that the kernel has"),
        ({"strides": 0}, "Expected `strides` to be an int or two ints of 1 or more, received 0"),
        ({"k_exc": 0}, "Expected `k_exc` above 0, received 0"),
        ({"k_exc": math.inf}, "Expected `k_exc` above 0, received inf"),
        ({"visual_degrees": -8}, "Expected `visual_degrees` above 0, received -8"),
        ({"gabor_distribution": "random"}, "Expected `distribution` to be one of neuronal, unif"),
        ({"sf_max": 0.1}, "Expected `sf_min` and `sf_max` with at least two of"),
        ({"sf_corr": 2}, "Expected `sf_corr` from -1 to 1"),
        ({"channels": [0, 1]}, "Expected `channels` to be the number of a channel for each of 4"),
        ({"channels": [[0] * 4] * 3}, r"Expected `channels` for the two phases of 4 cells, rec"),
        ({"noise_mode": "poisson"}, "Expected `noise_mode` to be one of neuronal, gaussian, or"),
        ({"noise_scale": 0}, "Expected a noise `scale` above 0, received 0"),
        ({"noise_level": -1}, "Expected a noise `level` of 0 or more, received -1"),
        ({"noise_sampling": "never"}, "Expected `sampling` to be one of sample, fixed, mean, off"),
        ({"noise_draws": 0}, "Expected `draws` to be an int of 1 or more, received 0"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VOneBlock(**{"simple_channels": 2, "complex_channels": 2, **arguments})


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"Expected `image_size`, the pixels that 1.0 degrees sp"):
        _block()(keras.Input((None, 8, 3)))
    with pytest.raises(ValueError, match="a known number of channels, received"):
        _block()(keras.Input((8, 8, None)))
    with pytest.raises(ValueError, match="with the channels 0 to 2 that the filters of 'simple_c"):
        _block(channels=[0, 1, 2, 0, 1, 2, 0, 1])(keras.Input((8, 8, 1)))


def test_parameters_of_another_number_of_cells_are_refused():
    message = "Expected `parameters` to be sf, theta, phase, nx, ny, one number for each of 8 cells"
    with pytest.raises(ValueError, match=message + r".*'theta': \(5,\)"):
        _block(parameters=_given(5))
    with pytest.raises(ValueError, match=message + r".*received arrays of shape {'sf': \(8,\)}"):
        _block(parameters={"sf": [1.0] * 8})
