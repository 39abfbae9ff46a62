"""The one place where layers see their backend: noise that no two replicas share."""

from __future__ import annotations

from typing import Any

import keras


def standard_normal(shape: Any, seed_generator: keras.random.SeedGenerator) -> Any:
    """Draws from the standard normal distribution, float32.

    With one seed, Keras on TensorFlow gives every replica of a strategy the same numbers. Here the
    number of the replica goes into the seed; alone, a device draws what `keras.random.normal` does.

    Args:
        shape: of the result, ints or scalar tensors.
        seed_generator: its state moves on by one draw.

    Example:
        >>> standard_normal((2, 3), keras.random.SeedGenerator(0)).shape
        TensorShape([2, 3])
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            seed = tf.random.experimental.stateless_fold_in(
                tf.cast(seed_generator.next(), "int32"), context.replica_id_in_sync_group
            )
            return tf.random.stateless_normal(shape, seed, dtype="float32")
    return keras.random.normal(shape, dtype="float32", seed=seed_generator)
