"""ExponentialDivNorm against loops over channels in float64, and what every layer must pass."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer

from tfbio.layers import ExponentialDivNorm


def _naive(x, lamb, alpha, beta, k):
    taps = math.ceil(8 * lamb)
    taps += taps % 2 == 0
    channels = x.shape[-1]
    output = np.zeros_like(x)
    for image in np.ndindex(x.shape[:-1]):
        for c in range(channels):
            pool = sum(
                math.exp(-abs(j) / lamb) * x[image][c + j] ** 2
                for j in range(-(taps // 2), taps // 2 + 1)
                if 0 <= c + j < channels
            )
            output[image][c] = x[image][c] ** 2 / (k * (1 + alpha / lamb * pool)) ** beta
    return output


@pytest.mark.parametrize("lamb", [0.1, 0.26, 0.7, 1.0, 1.3, 10.0])
@pytest.mark.parametrize("beta", [1.0, 0.75])
def test_against_loops(lamb, beta):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    x = np.random.default_rng(0).standard_normal((2, 3, 2, 13))
    layer = ExponentialDivNorm(lamb, 0.4, beta, 1.5)
    assert relative_error(layer(x), _naive(x, lamb, 0.4, beta, 1.5)) < 1e-10


def test_the_reach_follows_lambda_within_one_compiled_function():
    """The original makes a kernel anew from a Python number."""
    x = np.random.default_rng(0).standard_normal((1, 2, 2, 24)).astype("float32")
    layer = ExponentialDivNorm(0.3)
    layer.build(x.shape)
    compiled = tf.function(layer)
    for lamb in (0.3, 0.9, 2.1):
        layer.lamb.assign([lamb])
        assert relative_error(compiled(x), _naive(np.float64(x), lamb, 0.1, 1.0, 10.0)) < 1e-5


def test_lost_parameters_are_not_replaced():
    """The original goes on with others, silently; here the loss is NaN, and training stops."""
    layer = ExponentialDivNorm()
    layer.build((None, 4))
    for lost in (np.nan, 0.0, -1.0):
        layer.lamb.assign([lost])
        assert np.isnan(layer(np.ones((1, 4)))).all()


def test_half_precision_does_not_overflow():
    x = np.full((1, 2, 2, 64), 1000.0)
    expected = np.asarray(ExponentialDivNorm()(x))
    for policy in ("mixed_float16", "float16"):
        keras.config.set_dtype_policy(policy)
        np.testing.assert_allclose(np.float32(ExponentialDivNorm()(x)), expected, rtol=4e-3)


def test_what_is_fixed():
    layer = ExponentialDivNorm(fix_all=True)
    layer.build((None, 8))
    assert not layer.trainable_weights
    assert [weight.name for weight in layer.weights] == ["lamb", "alpha", "beta", "k"]


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_as_every_layer(beta, tmp_path):
    check_layer(
        lambda: ExponentialDivNorm(1.0, initial_beta=beta),
        [(5, 7, 12), (1, 1, 3)],
        trainable=4,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"initial_lambda": 0}, "Expected `initial_lambda` above 0, received 0"),
        ({"initial_k": -1}, "Expected `initial_k` above 0, received -1"),
        ({"initial_alpha": -0.1}, "Expected `initial_alpha` of 0 or more, received -0.1"),
        ({"initial_beta": float("inf")}, "Expected `initial_beta` of 0 or more, received inf"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ExponentialDivNorm(**arguments)
