"""Clipped and accumulated gradients: the same as of one large batch, on one device or two."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import Kill, KilledError, TwoColours, make_optimizer

from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.training import (
    OPTIMIZERS,
    SGD,
    Adam,
    LossScaleOptimizer,
    choose_strategy,
    fit,
    open_run,
    strategy_scope,
)

FEATURES, CLASSES, EXAMPLES = 6, 3, 32
CLIP = {"clip_value": 0.01, "clip_norm": 0.02}


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(EXAMPLES, FEATURES)), rng.integers(0, CLASSES, EXAMPLES)


def _fitted(optimizer, batch_size, strategy=None):
    """The weights after two epochs, in float64, without batch normalization."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(5)
    with strategy_scope(strategy):
        model = keras.Sequential(
            [
                keras.Input((FEATURES,)),
                keras.layers.Dense(8, activation="tanh"),
                keras.layers.Dense(CLASSES),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer(), loss, jit_compile=False)
    model.fit(*_data(), batch_size=batch_size, epochs=2, shuffle=False, verbose=0)
    return model.get_weights()


def _farthest(some, others):
    return max(np.abs(one - other).max() for one, other in zip(some, others, strict=True))


def _clipped_by_hand(kind):
    """A softmax regression by gradient descent, each gradient clipped as a whole; its weights."""
    images, labels = _data()
    kernel, bias = np.zeros((FEATURES, CLASSES)), np.zeros(CLASSES)
    for start in range(0, EXAMPLES, 8):
        batch, true = images[start : start + 8], np.eye(CLASSES)[labels[start : start + 8]]
        scores = np.exp(batch @ kernel + bias)
        error = (scores / scores.sum(axis=1, keepdims=True) - true) / len(batch)
        gradients = [batch.T @ error, error.sum(axis=0)]
        if kind == "clip_value":
            gradients = [np.minimum(np.maximum(each, -0.01), 0.01) for each in gradients]
        else:
            norm = np.sqrt(sum((each**2).sum() for each in gradients))
            gradients = [each * min(1, 0.02 / norm) for each in gradients]
        kernel, bias = (w - 0.5 * g for w, g in zip((kernel, bias), gradients, strict=True))
    return [kernel, bias]


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("kind", sorted(CLIP))
def test_gradients_are_clipped_once_they_are_summed(kind, devices):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with strategy_scope(choose_strategy("mirrored", 2) if devices == 2 else None):
        dense = keras.layers.Dense(CLASSES, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((FEATURES,)), dense])
        optimizer = make_optimizer("sgd", 0.5, "constant", momentum=0, **{kind: CLIP[kind]})
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, jit_compile=False)
    model.fit(*_data(), batch_size=8, shuffle=False, verbose=0)
    assert _farthest(model.get_weights(), _clipped_by_hand(kind)) < 1e-12


def test_keras_clips_before_the_sum():
    """Once this fails, Keras can do without the class."""
    clipped = {"learning_rate": 0.1, "clipvalue": 0.01}
    one = _fitted(lambda: keras.optimizers.SGD(**clipped), 8)
    two = _fitted(lambda: keras.optimizers.SGD(**clipped), 8, choose_strategy("mirrored", 2))
    assert _farthest(one, two) > 1e-4


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sgd", {"weight_decay": 0.01, "clip_value": 0.01}),
        ("adamw", {"clip_norm": 0.02}),
    ],
)
def test_small_batches_make_the_update_of_a_large_one(name, arguments):
    def optimizer(steps):
        # Rates of 0.05, then 0.005, whatever the batch.
        course = {"decay_every": 1, "steps_per_epoch": 2 * steps}
        return lambda: make_optimizer(
            name, 0.05, "step", accumulate_steps=steps, **course, **arguments
        )

    large = _fitted(optimizer(1), 16)
    assert _farthest(_fitted(optimizer(2), 8), large) < 1e-10
    assert _farthest(_fitted(optimizer(2), 8, choose_strategy("mirrored", 2)), large) < 1e-10
    assert _farthest(_fitted(optimizer(1), 8), large) > 1e-3


def test_every_optimizer_is_made_for_replicas():
    for name in OPTIMIZERS:
        optimizer = make_optimizer(name, accumulate_steps=3, clip_norm=1.0)
        assert (optimizer.gradient_accumulation_steps, optimizer.global_clipnorm) == (3, 1.0)
        assert type(optimizer).__module__.startswith("tfbio.training")


def test_a_moving_average_is_refused_where_replicas_accumulate():
    with pytest.raises(InputError, match="where 2 replicas accumulate gradients, received use_ema"):
        _fitted(
            lambda: Adam(0.1, use_ema=True, gradient_accumulation_steps=2),
            8,
            choose_strategy("mirrored", 2),
        )


@pytest.mark.parametrize("devices", [1, 2])
def test_in_half_precision_an_overflow_adds_nothing(devices):
    strategy = choose_strategy("mirrored", 2) if devices == 2 else tf.distribute.get_strategy()
    with strategy.scope():
        weight = keras.Variable(np.float32(1.0))
        rate = make_optimizer("sgd", 0.5, "step", decay_every=4)._learning_rate
        sgd = SGD(rate, momentum=0.0, gradient_accumulation_steps=2, clipvalue=2.0)
        optimizer = LossScaleOptimizer(sgd, initial_scale=4.0)
        optimizer.build([weight])

    @tf.function
    def step(gradient):
        # Replicas share it.
        strategy.run(lambda: optimizer.apply([gradient / devices], [weight]))

    weights = []
    for gradient in (4.0, 8.0, 4.0, np.inf, np.nan, 1.0, 40.0, 40.0):
        step(tf.constant(gradient, tf.float32))
        weights.append(float(tf.convert_to_tensor(weight)))
    # Scales of 4, then 2, then 1. Updates of (1 + 2) / 2, (1 + 0) / 2, at a tenth of the rate
    # (0 + 1) / 2, and 40, clipped at 2.
    expected = [1, 0.25, 0.25, 0, 0, -0.025, -0.025, -0.125]
    np.testing.assert_allclose(weights, expected, rtol=1e-6, atol=1e-7)
    assert float(tf.convert_to_tensor(optimizer.dynamic_scale)) == 1.0


def _small_run(run, kill=None):
    """Two epochs of five batches, three of which make an update."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(3)
    batches = TrainingBatches(TwoColours(20), 4, (32, 32), 3, ("flip",))
    pixels = keras.Input((32, 32, 3))
    logits = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(pixels / 255))
    model = keras.Model(pixels, keras.layers.Activation("softmax", name="predictions")(logits))
    fit(
        model,
        batches,
        2,
        make_optimizer("adam", 0.1, "cosine", 10, accumulate_steps=3),
        run,
        lambda: {"val_loss": 1.0, "val_top1": 0.5, "val_top5": 1.0},
        checkpoint_steps=1,
        callbacks=[] if kill is None else [Kill(kill)],
    )
    return [np.array(weight) for weight in model.weights]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return _small_run(open_run(tmp_path_factory.mktemp("runs"), "whole")[0])


# Within an epoch, and between two that share an update.
@pytest.mark.parametrize("kill", [2, 5])
def test_a_kill_amid_an_update_costs_nothing(whole, kill, tmp_path):
    run, _ = open_run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _small_run(run, kill)
    assert _farthest(_small_run(run), whole) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"clip_value": 0.0}, "gradients clipped at a size above 0, received 0.0"),
        ({"clip_norm": float("nan")}, "gradients clipped at a size above 0, received nan"),
        (CLIP, r"one way to clip gradients, received clip_value=0.01 and clip_norm=0.02"),
        ({"accumulate_steps": 0}, "accumulate_steps to be a whole number of 1 or more, received 0"),
    ],
)
def test_bad_values_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        make_optimizer("adam", **arguments)
