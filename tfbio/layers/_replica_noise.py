"""The one place where layers see their backend: random numbers that no two replicas share."""

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
    """
    seed = _seed_of_replica(seed_generator)
    if seed is not None:
        import tensorflow as tf

        return tf.random.stateless_normal(shape, seed, dtype="float32")
    return keras.random.normal(shape, dtype="float32", seed=seed_generator)


def dropout_mask(shape: Any, rate: float, seed_generator: keras.random.SeedGenerator) -> Any:
    """Zeros with a probability, and else what makes the mean 1; float32.

    Args:
        shape: of the result, ints or scalar tensors.
        rate: probability of a zero.
        seed_generator: its state moves on by one draw.
    """
    seed = _seed_of_replica(seed_generator)
    if seed is not None:
        import tensorflow as tf

        drawn = tf.random.stateless_uniform(shape, seed, dtype="float32")
    else:
        drawn = keras.random.uniform(shape, dtype="float32", seed=seed_generator)
    return keras.ops.cast(drawn >= rate, "float32") / (1 - rate)


def _seed_of_replica(seed_generator: keras.random.SeedGenerator) -> Any:
    """A seed of the next draw with the replica's number in it; None on a single device."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return tf.random.experimental.stateless_fold_in(
        tf.cast(seed_generator.next(), "int32"), context.replica_id_in_sync_group
    )
