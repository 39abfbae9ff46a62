"""Clipping and accumulation of gradients that are the same on one device and on many."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfbio.errors import InputError


class ReplicaSum(keras.optimizers.Optimizer):
    """Base of optimizers that first sum what the replicas found, then clip or accumulate it.

    Keras does it the other way round (3.15). It clips the gradients of each replica and sums them:
    two halves of a batch, clipped alone, are not the batch, clipped. Here `clipvalue` and
    `global_clipnorm` are `clip_grad_value_` and `clip_grad_norm_` of PyTorch, on any number of
    devices. And its `gradient_accumulation_steps`, the mean over so many batches, fail with
    replicas, as a condition in one cannot update the weights of all; here all decide together.

    Example:
        >>> import numpy as np
        >>> class Descent(ReplicaSum):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         self.assign_sub(variable, learning_rate * gradient)
        >>> weight = keras.Variable(np.float32([1.0, 1.0]))
        >>> Descent(0.5, clipvalue=0.5).apply([keras.ops.array([3.0, 0.25])], [weight])
        >>> weight.numpy().tolist()
        [0.75, 0.875]
    """

    def _clip_gradients(self, grads):
        # TensorFlow alone has replicas that are summed here; it clips below.
        return grads if keras.backend.backend() == "tensorflow" else super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        gradients, variables = zip(*super()._all_reduce_sum_gradients(grads_and_vars), strict=True)
        return list(zip(super()._clip_gradients(gradients), variables, strict=True))

    def _backend_apply_gradients(self, grads, trainable_variables):
        replica = tf.distribute.get_replica_context()
        count = replica.num_replicas_in_sync
        if not self.gradient_accumulation_steps or count == 1:
            super()._backend_apply_gradients(grads, trainable_variables)
            return
        if self.use_ema:
            raise InputError(
                f"Expected no moving average of the weights where {count} replicas accumulate "
                "gradients, received use_ema=True: leave out one of them."
            )
        # The same on all replicas. The update is to sum them once more.
        shares = [total / count for total in replica.all_reduce("SUM", list(grads))]
        replica.merge_call(self._apply_or_accumulate, args=(shares, trainable_variables))

    def _apply_or_accumulate(self, strategy, shares, trainable_variables):
        steps = self.gradient_accumulation_steps
        accumulators = [
            self._accumulated_gradients[self._get_variable_index(variable)]
            for variable in trainable_variables
        ]

        def apply(shares):
            means = [(one + rest) / steps for one, rest in zip(shares, accumulators, strict=True)]
            self._apply_weight_decay(trainable_variables)
            self._backend_update_step(means, trainable_variables, self.learning_rate)
            self._backend_reset_gradient_accumulators()

        def accumulate(shares):
            self._backend_increment_gradient_accumulators(shares, accumulators)

        def on_all(function):
            # The branch of a condition returns nothing.
            strategy.extended.call_for_each_replica(function, args=(shares,))

        due = (self._iterations + 1) % steps == 0
        tf.cond(due, lambda: on_all(apply), lambda: on_all(accumulate))
