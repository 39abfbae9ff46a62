"""RMSprop, as PyTorch defines it."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.training.penalty import L2Penalty
from tfbio.training.replica_sum import ReplicaSum


@keras.saving.register_keras_serializable(package="tfbio")
class RMSprop(ReplicaSum, L2Penalty):
    """Gradients divided by the root of their running mean square, in the order of PyTorch.

    Equation: g <- g + l2 * w; s <- rho * s + (1 - rho) * g^2; d = g / (sqrt(s) + epsilon);
    v <- momentum * v + d; w <- w - learning_rate * v, with s = v = 0 before the first step.

    In `keras.optimizers.RMSprop` epsilon is inside the root, so that at 0 gradients a step is
    shorter; momentum holds steps, with the learning rate inside; rho is 0.9, epsilon 1e-7; and
    weight decay is decoupled. Nothing makes it equal to PyTorch's.

    Args:
        learning_rate: a number, or a `keras.optimizers.schedules.LearningRateSchedule`.
        rho: from 0 to below 1; what PyTorch calls alpha.
        momentum: from 0 to below 1; 0 keeps no momentum.
        epsilon: above 0.
        l2: see `L2Penalty`.
        name: name of the optimizer.
        **kwargs: of `keras.optimizers.Optimizer`, other than `weight_decay`.

    Raises:
        InputError: rho, momentum, epsilon or l2 is out of range, or `weight_decay` is given.

    Reference:
        Hinton, 2012, https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf;
        https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html

    Example:
        >>> import numpy as np
        >>> weight = keras.Variable(np.float32(1.0))
        >>> RMSprop(learning_rate=0.01, rho=0.75).apply([keras.ops.array(3.0)], [weight])
        >>> round(float(weight), 4)  # 1 - 0.01 * 3 / sqrt(0.25 * 3^2)
        0.98
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.01,
        rho: float = 0.99,
        momentum: float = 0.0,
        epsilon: float = 1e-8,
        l2: float = 0.0,
        name: str = "rmsprop",
        **kwargs: Any,
    ):
        if not 0 <= rho < 1:
            raise InputError(f"Expected rho from 0 to below 1, received {rho}.")
        if not 0 <= momentum < 1:
            raise InputError(f"Expected a momentum from 0 to below 1, received {momentum}.")
        if not epsilon > 0:
            raise InputError(f"Expected an epsilon above 0, received {epsilon}.")
        super().__init__(learning_rate=learning_rate, l2=l2, name=name, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        self._mean_squares = self.add_optimizer_variables(variables, "mean_square")
        self._momenta = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient, variable, learning_rate):
        gradient = self.penalized(gradient, variable)
        number = self._get_variable_index(variable)
        mean_square = self._mean_squares[number]
        mean = self.rho * mean_square + (1 - self.rho) * ops.square(gradient)
        self.assign(mean_square, mean)
        step = gradient / (ops.sqrt(mean) + self.epsilon)
        if self.momentum:
            step = self.momentum * self._momenta[number] + step
            self.assign(self._momenta[number], step)
        self.assign_sub(variable, ops.cast(learning_rate, variable.dtype) * step)

    def get_config(self):
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
