"""What every layer must pass, whatever it computes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfbio.training.strategy import choose_strategy


def check_layer(
    make: Callable[[], keras.layers.Layer],
    input_shapes: Sequence[tuple[int, ...]],
    trainable: int,
    non_trainable: int = 0,
    tmp_path: Any = None,
    rates: bool = False,
) -> None:
    """Config, shapes, gradients, saving, precision and replicas of one layer.

    Args:
        make: builds the layer.
        input_shapes: (H, W, C) inputs to try, odd sizes among them; every one gets a new layer.
        trainable: expected number of trainable weights.
        non_trainable: expected number of the others.
        tmp_path: where files go.
        rates: whether inputs are zero or more, for layers that are defined for rates alone.
    """
    rng = np.random.default_rng(0)

    def draw(*dimensions: int) -> np.ndarray:
        values = rng.standard_normal(dimensions).astype("float32")
        return np.abs(values) if rates else values

    for shape in input_shapes:
        for batch in (1, 3):
            layer = make()
            inputs = draw(batch, *shape)
            output = keras.ops.convert_to_numpy(layer(inputs))
            assert output.shape == layer.compute_output_shape((batch, *shape))
            assert np.isfinite(output).all()
            assert len(layer.trainable_weights) == trainable
            assert len(layer.non_trainable_weights) == non_trainable

    shape = input_shapes[0]
    inputs = draw(2, *shape)
    layer = make()
    expected = keras.ops.convert_to_numpy(layer(inputs))

    # The configuration alone rebuilds the layer; with the weights it computes the same.
    arguments = set(inspect.signature(type(layer).__init__).parameters) - {"self", "kwargs"}
    assert arguments <= set(layer.get_config())
    copy = type(layer).from_config(layer.get_config())
    copy.build(inputs.shape)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(copy(inputs)), expected)

    model = keras.Sequential([keras.Input(shape), layer])
    model.save(tmp_path / "layer.keras")
    reloaded = keras.saving.load_model(tmp_path / "layer.keras")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(reloaded(inputs)), expected)
    model.export(tmp_path / "saved_model", verbose=False)
    saved = tf.saved_model.load(tmp_path / "saved_model")
    np.testing.assert_allclose(saved.serve(inputs), expected, rtol=1e-5, atol=1e-6)

    # A constant image, zero or not, gives every weight and pixel a finite gradient.
    for level in (0.0, 0.5):
        constant = tf.fill((1, *shape), tf.constant(level))
        with tf.GradientTape() as tape:
            tape.watch(constant)
            loss = tf.reduce_sum(layer(constant, training=True))
        gradients = tape.gradient(
            loss,
            [constant, *(weight.value for weight in layer.trainable_weights)],
            # A recurrent kernel takes no part in the first time step.
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        assert all(np.isfinite(gradient).all() for gradient in gradients)

    keras.config.set_dtype_policy("mixed_bfloat16")
    mixed = make()
    half = mixed(inputs)
    assert half.dtype == tf.bfloat16
    assert all(weight.dtype == "float32" for weight in mixed.weights)
    keras.config.set_dtype_policy("float32")

    strategy = choose_strategy("mirrored", 2)
    with strategy.scope():
        mirrored = make()
        mirrored.build(inputs.shape)
        mirrored.set_weights(layer.get_weights())
    parts = strategy.run(
        tf.function(mirrored),
        args=(
            strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(inputs[context.replica_id_in_sync_group][None])
            ),
        ),
    )
    together = np.concatenate([part.numpy() for part in strategy.experimental_local_results(parts)])
    np.testing.assert_allclose(together, expected, rtol=1e-5, atol=1e-6)
