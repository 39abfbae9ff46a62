"""PooledDivNorm against loops over pools in float64, and what every layer must pass."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer

from tfbio.layers import PooledDivNorm
from tfbio.layers.pooled_div_norm import pool_size


def _naive(x, size, power, gamma, sigma, epsilon):
    output = np.zeros_like(x)
    for image in np.ndindex(x.shape[:-1]):
        for c in range(x.shape[-1]):
            pool = c // size
            total = sum(abs(x[image][j]) ** power for j in range(pool * size, (pool + 1) * size))
            gain, half = gamma[pool % len(gamma)], sigma[pool % len(sigma)]
            output[image][c] = (
                np.exp(gain) * abs(x[image][c]) ** power / (total + abs(half) ** power + epsilon)
            )
    return output


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")


@pytest.mark.parametrize("power", [1, 2, 2.5, 3, 4])
@pytest.mark.parametrize(("p", "size"), [(0, 1), (0.5, 4), (0.75, 8), (1, 16)])
def test_against_loops(p, size, power, float64):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 2, 16))
    layer = PooledDivNorm(p, power, epsilon=0.01)
    layer.build(x.shape)
    pools = 16 // size
    gamma, sigma = rng.standard_normal(pools), rng.uniform(-1, 1, pools)
    layer.gamma.assign(gamma)
    layer.sigma.assign(sigma)
    assert relative_error(layer(x), _naive(x, size, power, gamma, sigma, 0.01)) < 1e-10


@pytest.mark.parametrize("upstream_exact", [True, False])
def test_normalized_parameters(upstream_exact, float64):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 2, 2, 16))
    layer = PooledDivNorm(
        0.5, normalize_gamma=True, normalize_sigma=True, upstream_exact=upstream_exact
    )
    layer.build(x.shape)
    gamma, sigma = rng.uniform(0.5, 1.5, 4), rng.uniform(0.5, 1.5, 4)
    layer.gamma.assign(gamma)
    layer.sigma.assign(sigma)
    shared = sigma**2 / np.sum(sigma**2)
    # The original divides gamma by the sum of sigma's powers.
    gains = gamma**2 / (np.sum(shared**2) if upstream_exact else np.sum(gamma**2))
    assert relative_error(layer(x), _naive(x, 4, 2, gains, shared, 0)) < 1e-10


def test_pools():
    assert [pool_size(64, p) for p in (0, 0.5, 0.9, 1)] == [1, 8, 32, 64]
    assert pool_size(24, 0.5) == 4  # log2(24) / 2 = 2.29
    with pytest.raises(ValueError, match="that pools of 16 divide"):
        pool_size(24, 0.9)


@pytest.mark.parametrize("power", [1, 1.5, 2, 3])
@pytest.mark.parametrize("p", [0.5, 1])
def test_silence_without_semisaturation_is_zero_with_finite_gradients(p, power):
    """0 / 0 of the equation, whatever gradient comes from behind."""
    layer = PooledDivNorm(p, power, initial_sigma=0.0, initial_gamma=3.0)
    x = tf.zeros((1, 2, 2, 16))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        loss = 1e5 * tf.reduce_sum(y)
    gradients = tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])
    np.testing.assert_array_equal(y, 0)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("scale", [1e-19, 1e-10, 1.0, 1e15])
def test_shares_do_not_depend_on_the_units(scale):
    """Without sigma: the outputs are those of scale 1, the gradient theirs over the scale."""
    layer = PooledDivNorm(0.5, initial_sigma=0.0)
    x = np.random.default_rng(0).standard_normal((1, 2, 2, 16))
    reference = _naive(x, 4, 2, [1.0] * 4, [0.0] * 4, 0)
    image = tf.constant(scale * x, "float32")
    with tf.GradientTape() as tape:
        tape.watch(image)
        y = layer(image)
        loss = tf.reduce_sum(y * np.float32(x))
    assert relative_error(y, reference) < 1e-5
    # Of e x_c^2 / S: e (2 x_c w_c / S - 2 x_c sum(w x^2) / S^2), with the weights w = x.
    pooled = x.reshape(1, 2, 2, 4, 4)
    total = (pooled**2).sum(-1, keepdims=True)
    weighted = (pooled**3).sum(-1, keepdims=True)
    gradient = np.e * 2 * pooled * (pooled / total - weighted / total**2)
    found = np.float64(tape.gradient(loss, image)) * scale
    assert relative_error(found, gradient.reshape(x.shape)) < 1e-5


def test_high_powers_do_not_overflow():
    y = PooledDivNorm(0.5, power=10)(np.full((1, 1, 1, 16), 2e4))
    np.testing.assert_allclose(y, np.e / 4, rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16"])
def test_half_precision_does_not_overflow(policy):
    """Squares of 1,000 do not fit into float16."""
    x = np.full((1, 2, 2, 64), 1000.0)
    expected = np.asarray(PooledDivNorm(1)(x))
    keras.config.set_dtype_policy(policy)
    np.testing.assert_allclose(np.float32(PooledDivNorm(1)(x)), expected, rtol=4e-3)


def test_normalized_parameters_of_zero_stay_zero():
    rates = np.abs(np.random.default_rng(0).standard_normal((1, 2, 2, 16))).astype("float32")
    plain = PooledDivNorm(0.5, initial_gamma=0.0)(rates)
    normalized = PooledDivNorm(0.5, initial_gamma=0.0, normalize_gamma=True)(rates)
    np.testing.assert_array_equal(normalized, plain)
    assert np.isfinite(PooledDivNorm(0.5, initial_sigma=0.0, normalize_sigma=True)(rates)).all()


def test_what_is_fixed():
    def trainable(**arguments):
        layer = PooledDivNorm(0.5, **arguments)
        layer.build((None, 4, 4, 16))
        return [weight.name for weight in layer.trainable_weights]

    assert trainable() == ["gamma", "sigma"]
    assert trainable(fix_gamma=True) == ["sigma"]
    assert trainable(fix_gamma=True, fix_sigma=True) == []
    # The original fixes single ones only.
    assert trainable(fix_gamma=True, upstream_exact=True) == ["gamma", "sigma"]
    single = {"single_gamma": True, "single_sigma": True}
    assert trainable(fix_gamma=True, upstream_exact=True, **single) == ["sigma"]


@pytest.mark.parametrize("arguments", [{}, {"p": 1}, {"p": 0, "power": 3}])
def test_as_every_layer(arguments, tmp_path):
    check_layer(
        lambda: PooledDivNorm(**arguments), [(5, 7, 16), (1, 1, 32)], trainable=2, tmp_path=tmp_path
    )


def test_vectors_too():
    assert PooledDivNorm()(np.ones((3, 16))).shape == (3, 16)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"p": -0.1}, "Expected a pool exponent `p` from 0 to 1, received -0.1"),
        ({"power": 0}, "Expected a `power` above 0, received 0"),
        ({"epsilon": -1}, "Expected an `epsilon` of 0 or more"),
        ({"initial_sigma": float("nan")}, "Expected `initial_sigma` to be finite"),
        ({"normalize_sigma": True, "fix_sigma": True}, "received both: a fixed sigma"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        PooledDivNorm(**arguments)
