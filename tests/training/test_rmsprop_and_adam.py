"""RMSprop and Adam against PyTorch's equations, and against PyTorch where it is installed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import make_optimizer

from tfbio.errors import InputError
from tfbio.training import Adam, RMSprop

L2 = 0.03
RATES = [0.5] * 5 + [0.125] * 5 + [0.03125] * 5
SHAPES = [(3, 4), (4,), ()]
# As in the original: steps are lowered three times, every five steps.
COURSE = {"decay_every": 1, "decay_factor": 0.25, "steps_per_epoch": 5}


@pytest.fixture(autouse=True)
def _double():
    keras.config.set_floatx("float64")


def _initial():
    return [np.random.default_rng(1).normal(size=shape) for shape in SHAPES]


def _gradients(step):
    """Some of them so small that epsilon counts."""
    rng = np.random.default_rng([2, step])
    scales = (1, 1e-7, 1)
    return [scale * rng.normal(size=shape) for scale, shape in zip(scales, SHAPES, strict=True)]


def _rmsprop_by_the_equations(momentum, l2):
    """https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html"""
    weights = _initial()
    squares = [np.zeros(shape) for shape in SHAPES]
    buffers = [np.zeros(shape) for shape in SHAPES]
    for step, rate in enumerate(RATES):
        for i, gradient in enumerate(_gradients(step)):
            gradient = gradient + l2 * weights[i]
            squares[i] = 0.99 * squares[i] + 0.01 * gradient**2
            normalised = gradient / (np.sqrt(squares[i]) + 1e-8)
            if momentum > 0:
                buffers[i] = momentum * buffers[i] + normalised
                normalised = buffers[i]
            weights[i] = weights[i] - rate * normalised
    return weights


def _adam_by_the_equations(l2):
    """https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html, epsilon as in Keras.

    Keras rounds the betas to single precision where it corrects for the bias.
    """
    rounded = {beta: float(np.float32(beta)) for beta in (0.9, 0.999)}
    weights = _initial()
    first = [np.zeros(shape) for shape in SHAPES]
    second = [np.zeros(shape) for shape in SHAPES]
    for step, rate in enumerate(RATES, start=1):
        for i, gradient in enumerate(_gradients(step - 1)):
            gradient = gradient + l2 * weights[i]
            first[i] = 0.9 * first[i] + 0.1 * gradient
            second[i] = 0.999 * second[i] + 0.001 * gradient**2
            correction = np.sqrt(1 - rounded[0.999] ** step) / (1 - rounded[0.9] ** step)
            weights[i] = weights[i] - rate * correction * first[i] / (np.sqrt(second[i]) + 1e-7)
    return weights


def _by_pytorch(kind, **arguments):
    torch = pytest.importorskip("torch")
    parameters = [torch.tensor(array, requires_grad=True) for array in _initial()]
    optimizer = getattr(torch.optim, kind)(parameters, RATES[0], **arguments)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 5, gamma=0.25)
    for step in range(len(RATES)):
        for parameter, gradient in zip(parameters, _gradients(step), strict=True):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
        schedule.step()
    return [parameter.detach().numpy() for parameter in parameters]


def _trained(optimizer):
    variables = [keras.Variable(array) for array in _initial()]
    for step in range(len(RATES)):
        optimizer.apply([tf.constant(gradient) for gradient in _gradients(step)], variables)
    return [np.array(variable) for variable in variables]


def _make(name, **arguments):
    return make_optimizer(name, RATES[0], "step", **COURSE, **arguments)


def _farthest(some, others):
    return max(np.abs(one - other).max() for one, other in zip(some, others, strict=True))


@pytest.mark.parametrize(("momentum", "l2"), [(0.9, L2), (0.9, 0.0), (0.0, L2), (0.0, 0.0)])
def test_rmsprop_follows_pytorch_s_equations(momentum, l2):
    optimizer = _make("rmsprop", momentum=momentum, weight_decay=l2)
    assert _farthest(_trained(optimizer), _rmsprop_by_the_equations(momentum, l2)) < 1e-11


def test_rmsprop_does_what_pytorch_does():
    expected = _by_pytorch("RMSprop", momentum=0.9, weight_decay=L2)
    assert _farthest(_trained(_make("rmsprop", momentum=0.9, weight_decay=L2)), expected) < 1e-11


def test_the_rmsprop_of_keras_differs_in_epsilon_and_in_momentum():
    """Once this fails, Keras can do without the class."""
    rate = _make("rmsprop")._learning_rate
    ours = _rmsprop_by_the_equations(0.0, 0.0)
    for epsilon in (1e-8, 1e-16):
        theirs = _trained(keras.optimizers.RMSprop(rate, rho=0.99, epsilon=epsilon))
        assert _farthest(theirs, ours) > 1e-3
    theirs = _trained(keras.optimizers.RMSprop(rate, rho=0.99, momentum=0.9, epsilon=1e-30))
    assert _farthest(theirs, _trained(RMSprop(rate, momentum=0.9, epsilon=1e-15))) > 0.1


@pytest.mark.parametrize("l2", [L2, 0.0])
def test_adam_has_the_penalty_in_its_gradient(l2):
    adam = _trained(_make("adam", weight_decay=l2))
    assert _farthest(adam, _adam_by_the_equations(l2)) < 1e-11
    if l2:
        assert _farthest(adam, _adam_by_the_equations(0.0)) > 0.05
        decoupled = _trained(keras.optimizers.Adam(_make("adam")._learning_rate, weight_decay=l2))
        assert _farthest(adam, decoupled) > 0.05


def test_adam_does_what_pytorch_does():
    """Without epsilon, which stands elsewhere; and but for betas in single precision."""
    expected = _by_pytorch("Adam", weight_decay=L2, eps=1e-30)
    adam = Adam(_make("adam")._learning_rate, l2=L2, epsilon=1e-30)
    assert _farthest(_trained(adam), expected) < 1e-4


@pytest.mark.parametrize(
    "optimizer", [RMSprop(0.1, rho=0.8, momentum=0.5, l2=0.01), Adam(0.1, l2=0.01, clipvalue=0.5)]
)
def test_configuration_and_state_are_saved(optimizer, tmp_path):
    keras.config.set_floatx("float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    data = np.eye(2, dtype="float32")
    model.fit(data, data, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.optimizer) is type(optimizer)
    assert again.optimizer.get_config() == optimizer.get_config()
    for each in (model, again):
        each.fit(data, data, epochs=3, verbose=0)
    for weight, same in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        (RMSprop, {"rho": 1.0}, "rho from 0 to below 1, received 1.0"),
        (RMSprop, {"momentum": -0.1}, "a momentum from 0 to below 1, received -0.1"),
        (RMSprop, {"epsilon": 0.0}, "an epsilon above 0, received 0.0"),
        (RMSprop, {"l2": -1.0}, "an L2 penalty of 0 or more, received -1.0"),
        (Adam, {"l2": float("inf")}, "an L2 penalty of 0 or more, received inf"),
        (Adam, {"weight_decay": 0.1}, r"no weight_decay, received 0.1: .* keras.optimizers.Adam"),
    ],
)
def test_bad_values_are_named(kind, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        kind(0.1, **arguments)
