from __future__ import annotations

import keras
import numpy as np
import pytest

from tfbio.training import TimeAveragedCrossentropy, last_step_accuracy


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 3, (5, 4, 7))


def _crossentropy(logits, labels):
    """By loops, float64."""
    return np.array(
        [
            [np.log(np.sum(np.exp(step))) - step[label] for step in example]
            for example, label in zip(logits, labels, strict=True)
        ]
    )


def test_is_the_mean_over_examples_and_time_steps(logits):
    labels = np.array([0, 6, 3, 3, 1])
    expected = _crossentropy(logits, labels)
    loss = TimeAveragedCrossentropy(dtype="float64")
    assert float(loss(labels, logits)) == pytest.approx(expected.mean(), rel=1e-10)
    # Keras hands labels over as a column where it can.
    assert float(loss(labels[:, None], logits)) == pytest.approx(expected.mean(), rel=1e-10)
    weights = np.array([1.0, 0, 2, 0.5, 1])
    weighted = float(loss(labels, logits, sample_weight=weights))
    assert weighted == pytest.approx((expected.mean(axis=1) * weights).mean(), rel=1e-10)
    single = float(loss(labels, logits[:, -1]))
    assert single == pytest.approx(expected[:, -1].mean(), rel=1e-10)


def test_keeps_its_gradient_where_the_softmax_saturates():
    import tensorflow as tf

    logits = tf.constant([[[200.0, 0.0], [200.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = TimeAveragedCrossentropy()(np.array([1]), logits)
    np.testing.assert_allclose(tape.gradient(loss, logits), [[[0.5, -0.5], [0.5, -0.5]]])


def test_survives_a_round_trip():
    loss = keras.losses.deserialize(keras.losses.serialize(TimeAveragedCrossentropy()))
    assert isinstance(loss, TimeAveragedCrossentropy)


def test_accuracy_is_that_of_the_last_step(logits):
    labels = np.argmax(logits[:, -1], axis=-1)
    labels[1] = (labels[1] + 1) % 7
    np.testing.assert_array_equal(last_step_accuracy(labels, logits), [1, 0, 1, 1, 1])
    np.testing.assert_array_equal(last_step_accuracy(labels, logits[:, -1]), [1, 0, 1, 1, 1])
