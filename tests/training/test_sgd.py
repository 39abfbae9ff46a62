"""Gradient descent against PyTorch's equations, and wherever Keras runs an optimizer."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import make_optimizer

from tfbio.errors import InputError
from tfbio.training import SGD, choose_strategy, strategy_scope

MOMENTUM, L2 = 0.9, 0.03
# The third rate comes in the middle of much momentum. Exact in single precision too.
RATES = [0.5] * 5 + [0.125] * 5 + [0.03125] * 5
SHAPES = [(3, 4), (4,), ()]


def _initial():
    return [np.random.default_rng(1).normal(size=shape) for shape in SHAPES]


def _gradients(step):
    """Of no loss: anything that depends on the step."""
    rng = np.random.default_rng([2, step])
    return [rng.normal(size=shape) for shape in SHAPES]


def _by_the_equations(momentum=MOMENTUM, l2=L2, nesterov=False):
    """https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html"""
    weights = _initial()
    buffers = [None] * len(weights)
    for step, rate in enumerate(RATES):
        for i, gradient in enumerate(_gradients(step)):
            gradient = gradient + l2 * weights[i]
            if momentum != 0:
                buffers[i] = gradient if buffers[i] is None else momentum * buffers[i] + gradient
                gradient = gradient + momentum * buffers[i] if nesterov else buffers[i]
            weights[i] = weights[i] - rate * gradient
    return weights


def _trained(optimizer, scale=1.0):
    variables = [keras.Variable(array) for array in _initial()]
    for step in range(len(RATES)):
        gradients = [tf.constant(scale * g, variables[0].dtype) for g in _gradients(step)]
        optimizer.apply(gradients, variables)
    return [np.array(variable) for variable in variables]


def _step_schedule(momentum=MOMENTUM, l2=L2, nesterov=False):
    return make_optimizer(
        "sgd",
        RATES[0],
        "step",
        milestones=(1, 2),
        decay_factor=0.25,
        steps_per_epoch=5,
        weight_decay=l2,
        momentum=momentum,
        nesterov=nesterov,
    )


def _assert_close(some, others, atol=1e-12):
    for one, other in zip(some, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize(("momentum", "l2"), [(0.9, 0.03), (0.9, 0.0), (0.0, 0.03), (0.0, 0.0)])
def test_it_follows_pytorch_s_equations(momentum, l2):
    keras.config.set_floatx("float64")
    _assert_close(_trained(_step_schedule(momentum, l2)), _by_the_equations(momentum, l2))


@pytest.mark.parametrize("l2", [0.03, 0.0])
def test_nesterov_s_momentum_follows_pytorch_s_equations(l2):
    keras.config.set_floatx("float64")
    ahead = _by_the_equations(l2=l2, nesterov=True)
    _assert_close(_trained(_step_schedule(l2=l2, nesterov=True)), ahead)
    assert max(np.abs(ahead[0] - _by_the_equations(l2=l2)[0]).ravel()) > 0.05


@pytest.mark.parametrize("nesterov", [False, True])
def test_it_does_what_pytorch_does(nesterov):
    torch = pytest.importorskip("torch")
    keras.config.set_floatx("float64")
    parameters = [torch.tensor(array, requires_grad=True) for array in _initial()]
    optimizer = torch.optim.SGD(
        parameters, RATES[0], momentum=MOMENTUM, weight_decay=L2, nesterov=nesterov
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [5, 10], gamma=0.25)
    for step in range(len(RATES)):
        for parameter, gradient in zip(parameters, _gradients(step), strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
        schedule.step()
    expected = [parameter.detach().numpy() for parameter in parameters]
    _assert_close(_trained(_step_schedule(nesterov=nesterov)), expected)


def test_the_sgd_of_keras_differs_in_decay_and_in_momentum():
    keras.config.set_floatx("float64")
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([4, 9], [0.5, 0.125, 0.03125])
    decoupled = _trained(keras.optimizers.SGD(rate, MOMENTUM, weight_decay=L2))
    assert max(np.abs(decoupled[0] - _by_the_equations()[0]).ravel()) > 0.05
    plain = _trained(keras.optimizers.SGD(rate, MOMENTUM))
    assert max(np.abs(plain[0] - _by_the_equations(l2=0.0)[0]).ravel()) > 0.05
    # With one rate and no decay they are the same.
    assert _trained(keras.optimizers.SGD(0.5, MOMENTUM))[0] == pytest.approx(
        _trained(SGD(0.5, MOMENTUM))[0]
    )


def test_the_penalty_acts_on_gradients_that_are_unscaled():
    keras.config.set_floatx("float64")
    scaled = keras.optimizers.LossScaleOptimizer(_step_schedule(), initial_scale=1024.0)
    _assert_close(_trained(scaled, scale=1024.0), _by_the_equations())
    fixed = SGD(0.5, l2=L2, loss_scale_factor=64.0)
    _assert_close(_trained(fixed, scale=64.0), _trained(SGD(0.5, l2=L2)))


def _fitted(strategy=None, **arguments):
    keras.utils.set_random_seed(5)
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(32, 6)), rng.integers(0, 3, 32)
    with strategy_scope(strategy):
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(8, activation="tanh"),
                keras.layers.BatchNormalization(synchronized=strategy is not None),
                keras.layers.Dense(3, dtype="float64" if not arguments else None),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(SGD(0.1, l2=0.01), loss, **{"jit_compile": False, **arguments})
    model.fit(images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


def test_replicas_add_the_penalty_once():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    _assert_close(_fitted(choose_strategy("mirrored", 2)), _fitted(), atol=1e-9)


def test_it_compiles():
    _assert_close(_fitted(jit_compile=True), _fitted(jit_compile=False), atol=1e-5)


def test_configuration_and_state_are_saved(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(SGD(0.1, momentum=0.8, l2=0.01, nesterov=True), "mse")
    data = np.eye(2, dtype="float32")
    model.fit(data, data, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, SGD)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert (again.optimizer.l2, again.optimizer.nesterov) == (0.01, True)
    assert again.optimizer.weight_decay is None
    for each in (model, again):
        each.fit(data, data, epochs=3, verbose=0)
    _assert_close(model.get_weights(), again.get_weights(), atol=0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"momentum": 1.0}, "a momentum from 0 to below 1, received 1.0"),
        ({"momentum": -0.1}, "a momentum from 0 to below 1, received -0.1"),
        ({"momentum": 0.0, "nesterov": True}, "a momentum above 0 with Nesterov's momentum"),
        ({"l2": -1.0}, "an L2 penalty of 0 or more, received -1.0"),
        ({"l2": float("nan")}, "an L2 penalty of 0 or more, received nan"),
        ({"weight_decay": 1e-5}, "Expected no weight_decay, received 1e-05: pass l2"),
    ],
)
def test_bad_values_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        SGD(**arguments)


ON_JAX = """
import keras, numpy as np
from tfbio.training.sgd import SGD

weights = [keras.Variable(np.arange(3.0, dtype="float32"))]
optimizer = SGD(0.5, momentum=0.9, l2=0.1)
optimizer.build(weights)
values, state = [weights[0].value], [variable.value for variable in optimizer.variables]
for _ in range(2):
    values, state = optimizer.stateless_apply(state, [np.ones(3, "float32")], values)
expected = np.arange(3.0)
velocity = 0.0
for _ in range(2):
    velocity = 0.9 * velocity + 1 + 0.1 * expected
    expected = expected - 0.5 * velocity
np.testing.assert_allclose(values[0], expected, rtol=1e-6)
print(keras.backend.backend())
"""


def test_it_works_on_jax():
    answer = subprocess.run(
        [sys.executable, "-c", ON_JAX],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout.strip() == "jax", answer.stderr[-2000:]
