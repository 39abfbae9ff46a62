"""Loss scaling for training in half precision, on one device or many."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfbio")
class LossScaleOptimizer(keras.optimizers.LossScaleOptimizer):
    """Keras' loss scaling, with all replicas asked whether a gradient overflowed.

    Keras takes the answer of the first replica for that of all, but the gradients have not been
    summed when it asks (3.15). An overflow on another replica then goes into the weights; here the
    step is left out and the scale halved, as on one device.

    A step that is left out counts: a schedule of the learning rate is one of epochs, and does not
    fall behind by the steps that overflowed. Where the inner optimizer accumulates gradients, a
    batch that overflows adds 0 to the mean over its batches, and the others count.

    Args:
        inner_optimizer: gets the gradients, unscaled.
        **kwargs: of `keras.optimizers.LossScaleOptimizer`.

    Example:
        >>> import numpy as np
        >>> weight = keras.Variable(np.float32(1.0))
        >>> optimizer = LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=4.0)
        >>> optimizer.apply([keras.ops.full((), np.inf)], [weight])
        >>> float(weight), float(optimizer.dynamic_scale)
        (1.0, 2.0)
    """

    def _stateful_handle_non_finite_grads(self):
        super()._stateful_handle_non_finite_grads()
        if not self.inner_optimizer.gradient_accumulation_steps:
            self.inner_optimizer.iterations.assign_add(1)
        elif tf.distribute.in_cross_replica_context():
            tf.distribute.get_strategy().extended.call_for_each_replica(self._apply_zeros)
        else:
            self._apply_zeros()

    def _apply_zeros(self):
        variables = self.inner_optimizer._trainable_variables
        self.inner_optimizer.apply([keras.ops.zeros_like(each) for each in variables], variables)

    def check_finite(self, grads):
        finite = super().check_finite(grads)
        replica = tf.distribute.get_replica_context()
        if replica is None or replica.num_replicas_in_sync == 1:
            return finite
        agreeing = replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.cast(finite, tf.float32))
        return agreeing == replica.num_replicas_in_sync
