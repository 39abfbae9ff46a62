"""Loss scaling: what one replica cannot compute, none applies."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import make_learning_rate

from tfbio.training import SGD, LossScaleOptimizer, choose_strategy

GRADIENTS = [8.0, 4.0]


def _step(gradients, kind=LossScaleOptimizer):
    """One step of two replicas, each with a gradient of its own; the weights, and the scale."""
    strategy = choose_strategy("mirrored", 2)
    with strategy.scope():
        weight = keras.Variable(np.float32(1.0))
        optimizer = kind(SGD(0.5, momentum=0.0, l2=0.25), initial_scale=4.0)
        optimizer.build([weight])

    def apply():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        optimizer.apply([tf.constant(gradients)[replica]], [weight])

    tf.function(strategy.run)(apply)
    copies = strategy.experimental_local_results(weight.value)
    scales = strategy.experimental_local_results(optimizer.dynamic_scale.value)
    return [float(copy) for copy in copies], {float(scale) for scale in scales}


def test_gradients_are_unscaled_and_summed_and_the_penalty_is_added_once():
    # 1 - 0.5 * ((8 + 4) / 4 + 0.25 * 1)
    assert _step(GRADIENTS) == ([-0.625, -0.625], {4.0})


@pytest.mark.parametrize("replica", [0, 1])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_an_overflow_on_any_replica_leaves_the_step_out(replica, value):
    gradients = list(GRADIENTS)
    gradients[replica] = value
    assert _step(gradients) == ([1.0, 1.0], {2.0})


def test_keras_asks_the_first_replica_alone():
    """Once this fails, Keras can do without the class."""
    weights, _ = _step([8.0, np.inf], keras.optimizers.LossScaleOptimizer)
    assert not np.isfinite(weights).any()


@pytest.mark.parametrize("kind", ["one", "two"])
def test_steps_that_overflow_count_for_the_learning_rate(kind):
    """The rate falls at its epoch, however many steps of it were left out."""
    strategy = choose_strategy("mirrored", 2) if kind == "two" else tf.distribute.get_strategy()
    with strategy.scope():
        weight = keras.Variable(np.float32(1.0))
        rate = make_learning_rate(0.5, "step", milestones=(1,), steps_per_epoch=3)
        optimizer = LossScaleOptimizer(SGD(rate, momentum=0.0), initial_scale=8.0)
        optimizer.build([weight])

    @tf.function
    def step(gradient):
        strategy.run(lambda: optimizer.apply([gradient], [weight]))

    rates = []
    for gradient in (np.inf, 0.0, np.inf, 0.0, 0.0):
        rates.append(round(float(optimizer.learning_rate), 6))
        step(tf.constant(gradient, tf.float32))
    assert rates == [0.5, 0.5, 0.5, 0.05, 0.05]
    assert optimizer.iterations.numpy() == 5
