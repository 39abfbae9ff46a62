from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from layers.layer_checks import check_layer

from tfbio.layers.over_time import OverTime


def _sequence(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: keras.layers.MaxPooling2D(2), (2, 3, 6, 7, 4)),
        (lambda: keras.layers.Conv2D(5, 3, strides=2), (2, 3, 7, 6, 4)),
        (keras.layers.GlobalAveragePooling2D, (1, 4, 5, 5, 2)),
        (keras.layers.Flatten, (2, 1, 3, 3, 2)),
    ],
)
def test_is_the_layer_at_every_time_step(make, shape):
    layer = OverTime(make())
    sequence = _sequence(*shape)
    output = layer(sequence)
    steps = [layer.layer(sequence[:, t]) for t in range(shape[1])]
    np.testing.assert_allclose(output, np.stack(steps, axis=1), rtol=1e-5, atol=1e-6)
    assert output.shape == layer.compute_output_shape(shape)
    # An image without time is one step.
    np.testing.assert_allclose(layer(sequence[:, 0]), steps[0], rtol=1e-5, atol=1e-6)
    assert layer.compute_output_shape((shape[0], *shape[2:])) == steps[0].shape


def test_vectors_over_time_equal_keras_time_distributed():
    dense = keras.layers.Dense(3)
    vectors = _sequence(2, 4, 5)
    np.testing.assert_allclose(
        OverTime(dense, ndim=2)(vectors), keras.layers.TimeDistributed(dense)(vectors), rtol=1e-5
    )
    assert OverTime(dense, ndim=2)(vectors[:, 0]).shape == (2, 3)


@pytest.mark.parametrize("training", [True, False, None])
def test_training_reaches_the_layer(training):
    layer = OverTime(keras.layers.Dropout(0.5, seed=1))
    ones = np.ones((2, 3, 8, 8, 4), "float32")
    silent = float(np.mean(np.asarray(layer(ones, training=training)) == 0))
    assert (0.4 < silent < 0.6) if training else silent == 0
    model = keras.Sequential([keras.Input(ones.shape[1:]), layer])
    assert (np.asarray(model(ones, training=training)) == 0).any() == bool(training)


def test_sizes_of_maps_may_be_unknown():
    inputs = keras.Input((3, None, None, 2))
    outputs = OverTime(keras.layers.MaxPooling2D(2))(inputs)
    assert outputs.shape == (None, 3, None, None, 2)
    model = keras.Model(inputs, outputs)
    assert model.predict(_sequence(2, 3, 6, 8, 2), verbose=0).shape == (2, 3, 3, 4, 2)


def test_weights_keep_their_paths(tmp_path):
    inputs = keras.Input((3, 6, 6, 2))
    model = keras.Model(inputs, OverTime(keras.layers.Conv2D(4, 3, name="conv"), name="t")(inputs))
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, reloaded):
        assert [weight.path for weight in each.weights] == ["t/conv/kernel", "t/conv/bias"]
    sequence = _sequence(1, 3, 6, 6, 2)
    np.testing.assert_array_equal(model(sequence), reloaded(sequence))


@pytest.mark.parametrize("ndim", [3, 4])
def test_passes_the_checks_of_every_layer(ndim, tmp_path):
    # Inputs of (N, 6, 6, 3): images without time, or a sequence of six rows.
    if ndim == 4:
        check_layer(
            lambda: OverTime(keras.layers.Conv2D(4, 3)),
            [(6, 6, 3), (5, 7, 2)],
            trainable=2,
            tmp_path=tmp_path,
        )
    else:
        check_layer(
            lambda: OverTime(keras.layers.Conv1D(4, 3), ndim=3),
            [(6, 6, 3), (5, 7, 2)],
            trainable=2,
            tmp_path=tmp_path,
        )


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4, 5, 6, 7)])
def test_other_numbers_of_dimensions_are_refused(shape):
    layer = OverTime(keras.layers.MaxPooling2D(2), name="pool")
    with pytest.raises(ValueError, match=r"Expected inputs of 'pool' of 4 dimensions, or of one m"):
        layer(np.zeros(shape))
    layer(np.zeros((2, 4, 4, 3)))
    with pytest.raises(ValueError, match=r"Expected inputs of 'pool' of 4 dimensions, or of one m"):
        layer(np.zeros(shape))


def test_an_unknown_number_of_time_steps_is_refused():
    with pytest.raises(ValueError, match=r"a known number of time steps, received \(None, None, 8"):
        OverTime(keras.layers.MaxPooling2D(2))(keras.Input((None, 8, 8, 3)))
    layer = OverTime(keras.layers.MaxPooling2D(2))
    layer(np.zeros((1, 2, 8, 8, 3)))
    with pytest.raises(ValueError, match="a known number of time steps, received"):
        tf.function(layer).get_concrete_function(tf.TensorSpec((1, None, 8, 8, 3)))


def test_what_mixes_images_sees_each_time_step_by_itself():
    """The statistics of every step's own batch, in NumPy float64."""
    sequence = _sequence(6, 3, 5) * np.array([1.0, 3.0, 9.0], "float32")[:, np.newaxis]
    norm = keras.layers.BatchNormalization(epsilon=0.0, momentum=0.5)
    layer = OverTime(norm, ndim=2, separately=True)
    output = layer(sequence, training=True)
    exact = sequence.astype(np.float64)
    expected = (exact - exact.mean(axis=0)) / exact.std(axis=0)
    np.testing.assert_allclose(output, expected, rtol=1e-4, atol=1e-5)
    # The averages move three times.
    moved = np.zeros(5)
    for t in range(3):
        moved = 0.5 * moved + 0.5 * exact[:, t].mean(axis=0)
    np.testing.assert_allclose(norm.moving_mean, moved, rtol=1e-4, atol=1e-6)
    assert OverTime.from_config(layer.get_config()).separately
