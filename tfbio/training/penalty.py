"""An L2 penalty on the weights, as PyTorch's optimizers have it."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError


class L2Penalty(keras.optimizers.Optimizer):
    """Base of optimizers whose gradient includes that of a penalty.

    Equation: g <- g + l2 * w, before the optimizer's own rule: the gradient of l2 / 2 * |w|^2. It
    is what PyTorch calls `weight_decay`, but for AdamW, whose decay is decoupled, as is all
    `weight_decay` of Keras: that shrinks the weights beside the rule. Every trainable variable is
    penalised, biases and scales of batch normalization too.

    Args:
        *args: of the optimizer.
        l2: 0 or more. Gradients have been summed over replicas, unscaled and clipped before it is
            added.
        **kwargs: of the optimizer, other than `weight_decay`.

    Raises:
        InputError: l2 is out of range, or `weight_decay` is given.

    Example:
        >>> import numpy as np
        >>> class Descent(L2Penalty):
        ...     def update_step(self, gradient, variable, learning_rate):
        ...         step = learning_rate * self.penalized(gradient, variable)
        ...         self.assign_sub(variable, step)
        >>> weight = keras.Variable(np.float32(2.0))
        >>> Descent(0.5, l2=0.25).apply([keras.ops.ones(())], [weight])
        >>> float(weight)  # 2 - 0.5 * (1 + 0.25 * 2)
        1.25
    """

    def __init__(self, *args: Any, l2: float = 0.0, **kwargs: Any):
        if not (l2 >= 0 and math.isfinite(l2)):
            raise InputError(f"Expected an L2 penalty of 0 or more, received {l2}.")
        # A configuration holds it, as None.
        if kwargs.get("weight_decay") is not None:
            raise InputError(
                f"Expected no weight_decay, received {kwargs['weight_decay']}: pass l2 for the "
                f"penalty of PyTorch, or take keras.optimizers.{type(self).__name__} for decoupled "
                "weight decay."
            )
        super().__init__(*args, **kwargs)
        self.l2 = l2

    def penalized(self, gradient, variable):
        """The gradient with that of the penalty, of the variable's dtype."""
        gradient = ops.cast(gradient, variable.dtype)
        # Not `ops.cast(self.l2, ...)`, which rounds to single precision on the way.
        return gradient + self.l2 * variable if self.l2 else gradient

    def get_config(self):
        return {**super().get_config(), "l2": self.l2}
