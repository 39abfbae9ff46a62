"""Adam with an L2 penalty, and AdamW."""

from __future__ import annotations

import keras

from tfbio.training.penalty import L2Penalty
from tfbio.training.replica_sum import ReplicaSum


@keras.saving.register_keras_serializable(package="tfbio")
class Adam(ReplicaSum, L2Penalty, keras.optimizers.Adam):
    """Keras' Adam with the L2 penalty of PyTorch's.

    The penalty is part of the gradient, and so of both moments: `torch.optim.Adam(weight_decay=)`,
    where Keras' `weight_decay` is decoupled. Keras adds epsilon before it corrects for the bias of
    the second moment and PyTorch after, as in the paper: with an epsilon far below the gradients
    they are the same. Clipping and accumulation are those of `ReplicaSum`.

    Args:
        *args: of `keras.optimizers.Adam`.
        l2: what PyTorch calls `weight_decay`.
        **kwargs: of `keras.optimizers.Adam`, other than `weight_decay`.

    Raises:
        InputError: l2 is out of range, or `weight_decay` is given.

    Reference:
        Kingma & Ba, 2015, arXiv:1412.6980;
        https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html

    Example:
        >>> import numpy as np
        >>> weight = keras.Variable(np.float32(1.0))
        >>> Adam(learning_rate=0.5, l2=0.1).apply([keras.ops.zeros(())], [weight])
        >>> round(float(weight), 4)  # a whole step, as the penalty is all there is
        0.5
    """

    def update_step(self, gradient, variable, learning_rate):
        super().update_step(self.penalized(gradient, variable), variable, learning_rate)


@keras.saving.register_keras_serializable(package="tfbio")
class AdamW(ReplicaSum, keras.optimizers.AdamW):
    """Keras' AdamW, with the clipping and accumulation of `ReplicaSum`.

    Args:
        *args: of `keras.optimizers.AdamW`.
        **kwargs: of `keras.optimizers.AdamW`.

    Reference:
        Loshchilov & Hutter, 2019, arXiv:1711.05101

    Example:
        >>> import numpy as np
        >>> weight = keras.Variable(np.float32(1.0))
        >>> AdamW(learning_rate=0.5, weight_decay=0.1).apply([keras.ops.zeros(())], [weight])
        >>> round(float(weight), 4)
        0.95
    """
