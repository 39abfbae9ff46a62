"""The loss of models that answer at every time step."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfbio")
class TimeAveragedCrossentropy(keras.losses.Loss):
    """Cross-entropy of the true class, averaged over the readouts of all time steps.

    Equation: L = -(1/T) sum over t of log softmax(logits(t))[label]. A network trained with it
    answers as early as it can and improves for as long as it is allowed to.

    Args:
        name: name of the loss.
        **kwargs: `reduction` and `dtype` of `keras.losses.Loss`.

    Input shape:
        `y_true`: (N,) class indices. `y_pred`: logits, (N, T, classes) or (N, classes).

    Output shape:
        A scalar, or (N,) with `reduction=None`.

    Reference:
        Spoerer et al. (2020), doi:10.1371/journal.pcbi.1008215

    Example:
        >>> import numpy as np
        >>> loss = TimeAveragedCrossentropy()
        >>> round(float(loss(np.array([0, 1]), np.zeros((2, 8, 16)))), 4)  # log(16)
        2.7726
    """

    def __init__(self, name: str = "time_averaged_crossentropy", **kwargs: Any):
        super().__init__(name=name, **kwargs)

    def call(self, y_true, y_pred):
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        if len(y_pred.shape) == 2:
            return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
        steps = y_pred.shape[1]
        labels = ops.repeat(labels[:, None], steps, axis=1)
        return ops.mean(
            ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True), axis=1
        )


def last_step_accuracy(y_true, y_pred):
    """Whether the largest readout of the last time step is the true class, for each example.

    Args:
        y_true: (N,) class indices.
        y_pred: (N, T, classes) or (N, classes).

    Returns:
        (N,) of 0 and 1.

    Example:
        >>> import numpy as np
        >>> last_step_accuracy(np.array([1]), np.array([[[0.9, 0.1], [0.2, 0.8]]])).numpy()
        array([1.], dtype=float32)
    """
    if len(y_pred.shape) == 3:
        y_pred = y_pred[:, -1]
    labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    return ops.cast(ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), labels), "float32")
