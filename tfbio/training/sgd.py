"""Stochastic gradient descent with momentum, as PyTorch defines it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.training.penalty import L2Penalty
from tfbio.training.replica_sum import ReplicaSum


@keras.saving.register_keras_serializable(package="tfbio")
class SGD(ReplicaSum, L2Penalty):
    """Gradient descent with momentum and an L2 penalty, in the order in which PyTorch does it.

    Equation: g <- g + l2 * w; v <- momentum * v + g; w <- w - learning_rate * v, with v = 0 before
    the first step. With Nesterov's momentum the weights move by g + momentum * v in place of v.

    Two things are otherwise in `keras.optimizers.SGD`. Its momentum holds steps, with the learning
    rate inside, so that a lower rate takes effect over the following steps only; here it holds
    gradients, and the rate takes effect at once. Its `weight_decay` is decoupled: it shrinks the
    weights beside the momentum. The penalty here is part of the gradient and so of the momentum.

    Args:
        learning_rate: a number, or a `keras.optimizers.schedules.LearningRateSchedule`.
        momentum: from 0 to below 1; 0 keeps no momentum.
        l2: what PyTorch calls `weight_decay`, see `L2Penalty`.
        nesterov: look one step ahead along the momentum, which must be above 0.
        name: name of the optimizer.
        **kwargs: of `keras.optimizers.Optimizer`, other than `weight_decay`.

    Raises:
        InputError: momentum or l2 is out of range, Nesterov's momentum is asked for without one, or
            `weight_decay` is given.

    Reference:
        https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html

    Example:
        >>> import numpy as np
        >>> weight = keras.Variable(np.float32(1.0))
        >>> optimizer = SGD(learning_rate=0.5, momentum=0.5)
        >>> optimizer.apply([keras.ops.ones(())], [weight])
        >>> optimizer.learning_rate = 0.1
        >>> optimizer.apply([keras.ops.zeros(())], [weight])
        >>> round(float(weight), 4)  # 1 - 0.5 * 1 - 0.1 * (0.5 * 1)
        0.45
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.1,
        momentum: float = 0.9,
        l2: float = 0.0,
        nesterov: bool = False,
        name: str = "sgd",
        **kwargs: Any,
    ):
        if not 0 <= momentum < 1:
            raise InputError(f"Expected a momentum from 0 to below 1, received {momentum}.")
        if nesterov and not momentum:
            raise InputError(
                "Expected a momentum above 0 with Nesterov's momentum, received 0: leave one out."
            )
        super().__init__(learning_rate=learning_rate, l2=l2, name=name, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._momenta = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient, variable, learning_rate):
        step = self.penalized(gradient, variable)
        if self.momentum:
            velocity = self._momenta[self._get_variable_index(variable)]
            momentum = self.momentum * velocity + step
            self.assign(velocity, momentum)
            step = step + self.momentum * momentum if self.nesterov else momentum
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * step)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
