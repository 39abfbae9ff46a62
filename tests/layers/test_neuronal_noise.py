from __future__ import annotations

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer
from scipy import stats

from tfbio.layers import NeuronalNoise
from tfbio.training.strategy import choose_strategy

# A sampled mean or variance further than this from its own is no chance: 6 in ten million.
DEVIATIONS = 5


def _equation(mode, rates, noise, scale, level):
    """As the original computes it, NumPy float64."""
    if mode == "gaussian":
        return rates + noise * scale
    spikes = rates * scale + level
    spikes = spikes + noise * np.sqrt(np.maximum(spikes, 0) + 1e-4)
    return (spikes - level) / scale


def _variance(mode, rates, scale, level):
    if mode == "gaussian":
        return np.full(np.shape(rates), scale**2)
    return (np.maximum(scale * rates + level, 0) + 1e-4) / scale**2


def _draw(layer, rates, images, *arguments):
    """Noisy responses of many images, each of which has the same rates."""
    inputs = np.broadcast_to(np.asarray(rates, "float32"), (images, 1, 1, len(rates)))
    return np.asarray(layer(inputs, *arguments), "float64").reshape(images, -1)


def _assert_standard_normal(numbers):
    """By the Kolmogorov-Smirnov test, which a false alarm fails once in ten thousand seeds."""
    assert stats.kstest(np.ravel(numbers), "norm").pvalue > 1e-4


# === The equation ===


@pytest.mark.parametrize("mode", ["neuronal", "gaussian"])
@pytest.mark.parametrize(("scale", "level"), [(0.35, 0.07), (1, 1), (2.5, 0), (0.01, 3)])
@pytest.mark.parametrize("rectify", [False, True])
def test_equals_the_equation_in_float64(mode, scale, level, rectify):
    rng = np.random.default_rng(0)
    # Negative rates among them, whose variance is the floor alone, and none at all.
    rates = 10 * rng.standard_normal((3, 4, 5, 6))
    rates[0, 0] = 0
    noise = rng.standard_normal(rates.shape)
    expected = _equation(mode, rates, noise, scale, level)
    if rectify:
        expected = np.maximum(expected, 0)
    layer = NeuronalNoise(mode, scale, level, rectify=rectify, dtype="float64")
    assert relative_error(layer(rates, noise=noise), expected) < 1e-10
    # One image's noise goes for all.
    expected = _equation(mode, rates, noise[:1], scale, level)
    expected = np.maximum(expected, 0) if rectify else expected
    assert relative_error(layer(rates, noise=noise[:1]), expected) < 1e-10


@pytest.mark.parametrize("mode", ["neuronal", "gaussian"])
def test_gradient_flows_through_the_root_too(mode):
    scale, level = 0.35, 0.07
    rng = np.random.default_rng(1)
    rates, noise = 5 * rng.standard_normal((2, 3, 3, 4)), rng.standard_normal((2, 3, 3, 4))
    layer = NeuronalNoise(mode, scale, level, dtype="float64")
    inputs = tf.constant(rates)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs, noise=noise))
    spikes = scale * rates + level
    # d/dx of n sqrt(z + 1e-4) / scale is n / (2 sqrt(z + 1e-4)) where there are spikes.
    slope = noise / (2 * np.sqrt(np.maximum(spikes, 0) + 1e-4)) * (spikes > 0)
    expected = 1 + (slope if mode == "neuronal" else 0 * slope)
    assert relative_error(tape.gradient(total, inputs), expected) < 1e-10


@pytest.mark.parametrize("arguments", [{"noise_mode": None}, {"sampling": "off"}])
def test_without_noise_outputs_are_the_inputs(arguments):
    rates = np.random.default_rng(0).standard_normal((2, 3, 3, 4)).astype("float32")
    np.testing.assert_array_equal(NeuronalNoise(**arguments)(rates), rates)


def test_given_noise_is_added_even_if_none_is_drawn():
    rates, noise = np.ones((1, 2, 2, 1)), np.full((1, 2, 2, 1), 2.0)
    layer = NeuronalNoise("gaussian", 0.5, sampling="off", dtype="float64")
    np.testing.assert_array_equal(layer(rates, noise=noise), np.full((1, 2, 2, 1), 2.0))


# === Statistics of samples ===

RATES = np.array([-3.0, 0.0, 0.01, 0.3, 1.0, 7.0, 40.0])


def _assert_moments(samples, mean, variance):
    """Mean and variance of columns of normally distributed numbers."""
    count = len(samples)
    errors = (samples.mean(axis=0) - mean) / np.sqrt(variance / count)
    assert np.max(np.abs(errors)) < DEVIATIONS
    errors = (samples.var(axis=0, ddof=1) / variance - 1) / math.sqrt(2 / (count - 1))
    assert np.max(np.abs(errors)) < DEVIATIONS


@pytest.mark.parametrize(
    ("mode", "scale", "level"),
    [("neuronal", 0.35, 0.07), ("neuronal", 2.0, 0.0), ("gaussian", 0.35, 0.07)],
)
def test_mean_and_variance_are_those_of_the_theory(mode, scale, level):
    layer = NeuronalNoise(mode, scale, level, seed=11)
    samples = _draw(layer, RATES, 200_000)
    variance = _variance(mode, RATES, scale, level)
    _assert_moments(samples, RATES, variance)
    numbers = (samples - RATES) / np.sqrt(variance)
    for column in numbers.T:
        _assert_standard_normal(column)
    # Noise of one neuron says nothing of another's.
    correlations = np.corrcoef(numbers.T) - np.eye(len(RATES))
    assert np.max(np.abs(correlations)) < DEVIATIONS / math.sqrt(len(samples))


@pytest.mark.parametrize("draws", [1, 7])
def test_the_mean_over_draws_has_less_variance(draws):
    layer = NeuronalNoise("neuronal", sampling="mean", draws=draws, seed=12)
    samples = _draw(layer, RATES, 100_000)
    _assert_moments(samples, RATES, _variance("neuronal", RATES, 0.35, 0.07) / draws)


def test_the_mean_is_over_rectified_responses():
    """Each presentation is cut off at 0, not their mean: E max(N(m, s), 0) in closed form."""
    layer = NeuronalNoise("gaussian", 1.0, sampling="mean", draws=5, rectify=True, seed=13)
    rates = np.array([-1.0, 0.0, 0.5])
    samples = _draw(layer, rates, 100_000)
    assert samples.min() >= 0
    first = rates * stats.norm.cdf(rates) + stats.norm.pdf(rates)
    second = (rates**2 + 1) * stats.norm.cdf(rates) + rates * stats.norm.pdf(rates)
    error = np.sqrt((second - first**2) / (5 * 100_000))
    assert np.max(np.abs(samples.mean(axis=0) - first) / error) < DEVIATIONS


# === Seeds ===


def _rates(*shape):
    return np.random.default_rng(4).uniform(0, 2, shape).astype("float32")


def test_one_seed_one_stream():
    rates = _rates(2, 3, 3, 4)
    first, again, other = (NeuronalNoise(seed=seed) for seed in (3, 3, 4))
    seen = []
    for _ in range(3):
        output = np.asarray(first(rates))
        np.testing.assert_array_equal(again(rates), output)
        assert (np.asarray(other(rates)) != output).all()
        seen.append(output)
    # Another call, other noise; other images, other noise.
    assert all((a != b).all() for a, b in itertools.combinations(seen, 2))
    same = np.asarray(first(np.ones((2, 3, 3, 4), "float32")))
    assert (same[0] != same[1]).all()


def test_without_a_seed_keras_decides():
    rates = _rates(1, 3, 3, 4)
    outputs = []
    for seed in (6, 6, 7):
        keras.utils.set_random_seed(seed)
        outputs += [np.asarray(NeuronalNoise()(rates)), np.asarray(NeuronalNoise()(rates))]
    first, second = outputs[:2]
    assert (first != second).all()
    np.testing.assert_array_equal(outputs[2:4], [first, second])
    assert (outputs[4] != first).all()


def test_on_one_device_it_draws_what_keras_does():
    layer = NeuronalNoise("gaussian", 1.0, seed=5)
    generator = keras.random.SeedGenerator(5)
    for _ in range(2):
        expected = keras.random.normal((2, 3, 3, 4), dtype="float32", seed=generator)
        np.testing.assert_array_equal(layer(np.zeros((2, 3, 3, 4), "float32")), expected)


def test_a_compiled_function_draws_anew_at_every_call():
    layer = NeuronalNoise(seed=3)
    compiled = tf.function(layer)
    rates = _rates(2, 3, 3, 4)
    outputs = [np.asarray(compiled(rates)) for _ in range(3)]
    assert all((a != b).all() for a, b in itertools.combinations(outputs, 2))
    eager = NeuronalNoise(seed=3)
    for output in outputs:
        np.testing.assert_allclose(eager(rates), output, rtol=1e-5)


def test_fixed_noise_is_the_same_for_every_image_and_every_batch():
    rates = _rates(5, 4, 3, 2)
    layer = NeuronalNoise("gaussian", 1.0, sampling="fixed", fixed_seed=9)
    noise = np.asarray(layer(np.zeros((5, 4, 3, 2), "float32")))
    np.testing.assert_array_equal(noise, np.broadcast_to(noise[:1], noise.shape))
    _assert_standard_normal(noise[0])
    layer = NeuronalNoise(sampling="fixed", fixed_seed=9)
    output = np.asarray(layer(rates))
    assert relative_error(output, _equation("neuronal", rates, noise, 0.35, 0.07)) < 1e-5
    for images in (1, 2, 5):
        np.testing.assert_allclose(layer(rates[:images]), output[:images], rtol=1e-6)
    np.testing.assert_allclose(layer(rates[3:]), output[3:], rtol=1e-6)


def test_fixed_noise_is_a_function_of_its_seed_alone():
    rates = _rates(2, 8, 8, 4)
    outputs = {}
    for seed in (0, 1, 2**31):
        keras.utils.set_random_seed(seed % 7)
        layer = NeuronalNoise(seed=seed % 5)
        layer(rates)
        layer.fix_noise(seed)
        outputs[seed] = np.asarray(layer(rates))
        np.testing.assert_array_equal(layer(rates), outputs[seed])
        fixed = NeuronalNoise(sampling="fixed", fixed_seed=seed)
        np.testing.assert_array_equal(fixed(rates), outputs[seed])
    assert all((a != b).all() for a, b in itertools.combinations(outputs.values(), 2))
    # 0 is a seed as any other.
    np.testing.assert_array_equal(NeuronalNoise(sampling="fixed")(rates), outputs[0])


def test_noise_is_fixed_and_set_free_again():
    rates = _rates(1, 4, 4, 2)
    layer, other = NeuronalNoise(seed=1), NeuronalNoise(seed=1)
    layer.fix_noise(seed=2)
    fixed = np.asarray(layer(rates))
    layer.unfix_noise()
    # Fixed noise has taken nothing from the stream.
    for _ in range(2):
        drawn = np.asarray(layer(rates))
        np.testing.assert_array_equal(drawn, other(rates))
        assert (drawn != fixed).all()
    layer.sampling = "off"
    np.testing.assert_array_equal(layer(rates), rates)


def test_noise_in_training_is_as_in_inference():
    rates = _rates(1, 4, 4, 2)
    outputs = []
    for training in (False, True, None):
        model = keras.Sequential([keras.Input((4, 4, 2)), NeuronalNoise(seed=1)])
        outputs.append(np.asarray(model(rates, training=training)))
    assert (outputs[0] != rates).all()
    np.testing.assert_array_equal(outputs[0], outputs[1])
    np.testing.assert_array_equal(outputs[0], outputs[2])


# === Replicas ===


def test_replicas_draw_independent_noise():
    """All pairs of a million numbers: of two replicas, and of two calls of each."""
    strategy = choose_strategy("mirrored", 2)
    with strategy.scope():
        layer = NeuronalNoise("gaussian", 1.0, seed=3)
    step = tf.function(layer)
    zeros = tf.zeros((10, 100, 100, 10))
    numbers = []
    for _ in range(2):
        parts = strategy.experimental_local_results(strategy.run(step, args=(zeros,)))
        numbers += [part.numpy().astype("float64").ravel() for part in parts]
    assert len(numbers) == 4
    for drawn in numbers:
        _assert_standard_normal(drawn[:200_000])
        _assert_moments(drawn[:, np.newaxis], 0, 1)
    correlations = np.corrcoef(numbers) - np.eye(4)
    # The standard deviation of r is 0.001.
    assert np.max(np.abs(correlations)) < 0.01


def test_replicas_repeat_their_noise_from_one_seed():
    strategy = choose_strategy("mirrored", 2)
    rates = tf.constant(_rates(2, 3, 3, 4))
    outputs = []
    for _ in range(2):
        with strategy.scope():
            layer = NeuronalNoise(seed=3)
        parts = strategy.run(tf.function(layer), args=(rates,))
        outputs.append([part.numpy() for part in strategy.experimental_local_results(parts)])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    # Fixed noise is the same on all.
    layer.fix_noise(seed=4)
    parts = strategy.experimental_local_results(strategy.run(tf.function(layer), args=(rates,)))
    np.testing.assert_array_equal(parts[0], parts[1])
    expected = NeuronalNoise(sampling="fixed", fixed_seed=4)(rates)
    np.testing.assert_allclose(parts[0], expected, rtol=1e-5)


# === The layer ===


@pytest.mark.parametrize("sampling", ["fixed", "off"])
@pytest.mark.parametrize("mode", ["neuronal", "gaussian", None])
def test_passes_the_checks_of_every_layer(mode, sampling, tmp_path):
    check_layer(
        lambda: NeuronalNoise(mode, sampling=sampling, fixed_seed=3, rectify=sampling == "fixed"),
        [(6, 6, 3), (5, 7, 2), (1, 1, 3)],
        trainable=0,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize("sampling", ["sample", "mean"])
@pytest.mark.parametrize("seed", [8, None])
def test_a_saved_layer_goes_on_where_it_stood(sampling, seed, tmp_path):
    layer = NeuronalNoise(sampling=sampling, draws=3, seed=seed)
    model = keras.Sequential([keras.Input((3, 3, 4)), layer])
    rates = _rates(2, 3, 3, 4)
    for _ in range(3):
        model(rates)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    keras.utils.set_random_seed(99)
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    fresh = keras.models.clone_model(model)
    fresh.load_weights(tmp_path / "model.weights.h5")
    for _ in range(3):
        expected = np.asarray(model(rates))
        np.testing.assert_array_equal(reloaded(rates), expected)
        np.testing.assert_array_equal(fresh(rates), expected)


def test_the_random_state_is_no_weight():
    layer = NeuronalNoise(seed=8)
    layer.build((None, 3, 3, 4))
    assert layer.weights == []


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("sampling", ["sample", "fixed", "mean"])
def test_half_precision(policy, sampling):
    rates = _rates(2, 8, 8, 4)
    exact = NeuronalNoise(sampling=sampling, seed=2, fixed_seed=2)
    layer = NeuronalNoise(sampling=sampling, seed=2, fixed_seed=2, dtype=policy)
    output = layer(rates)
    assert output.dtype == layer.compute_dtype
    # The numbers are drawn in single precision, whatever comes after.
    assert relative_error(output, exact(rates)) < (2e-2 if "bfloat16" in policy else 2e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_has_a_gradient_without_spikes(policy):
    layer = NeuronalNoise(level=0.0, seed=2, dtype=policy)
    inputs = tf.zeros((1, 4, 4, 2), layer.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(layer(inputs))
    assert np.isfinite(tape.gradient(total, inputs)).all()


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise_mode": "poisson"}, "Expected `noise_mode` to be one of neuronal, gaussian, or N"),
        ({"scale": 0}, "Expected a noise `scale` above 0, received 0"),
        ({"scale": -0.1}, "Expected a noise `scale` above 0, received -0.1"),
        ({"scale": math.inf}, "Expected a noise `scale` above 0, received inf"),
        ({"level": -0.1}, "Expected a noise `level` of 0 or more, received -0.1"),
        ({"level": math.nan}, "Expected a noise `level` of 0 or more, received nan"),
        ({"sampling": "never"}, "Expected `sampling` to be one of sample, fixed, mean, off, rec"),
        ({"draws": 0}, "Expected `draws` to be an int of 1 or more, received 0"),
        ({"draws": 2.5}, "Expected `draws` to be an int of 1 or more, received 2.5"),
        # None would be noise that is drawn anew.
        (
            {"fixed_seed": None},
            "Expected `fixed_seed` to be an int from 0",
        ),
        (
            {"fixed_seed": 0.5},
            "Expected `fixed_seed` to be an int from 0",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        NeuronalNoise(**arguments)


def test_a_change_to_a_sampling_that_does_not_exist_is_refused():
    layer = NeuronalNoise()
    with pytest.raises(ValueError, match="Expected `sampling` to be one of sample, fixed, mean, o"):
        layer.sampling = "on"
    with pytest.raises(ValueError, match="Expected `seed` to be an int from 0"):
        layer.fix_noise(None)
    assert layer.sampling == "sample"


def test_fixed_noise_for_images_of_unknown_size_is_refused():
    graph = tf.function(NeuronalNoise(sampling="fixed"))
    with pytest.raises(
        ValueError, match=r"Expected inputs of known size for fixed noise, which is"
    ):
        graph.get_concrete_function(tf.TensorSpec((None, None, 8, 4)))
    # Drawn noise needs no size.
    model = keras.Sequential([keras.Input((None, None, 4)), NeuronalNoise()])
    assert model.predict(np.zeros((3, 5, 6, 4)), verbose=0).shape == (3, 5, 6, 4)
