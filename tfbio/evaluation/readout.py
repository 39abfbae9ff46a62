"""The logits of any classifier at each of its time steps."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfbio.models.logits import logits_model

# Of the sum of probabilities, which half precision rounds.
_TOLERANCE = 0.01


class Readout:
    """The logits of a model for images, compiled once for every batch size.

    A model of the registry ends in an activation `predictions`, which is left out. Any other
    model is taken as it is: where the first images get probabilities (none below 0, their sum 1),
    logits are their natural logarithms, which differ from the model's own by a constant for each
    image. A probability that is rounded to 0 counts as the smallest number of single precision.

    Args:
        model: a classifier of one input and one output, (N, classes) or (N, T, classes).

    Example:
        >>> import keras, numpy as np
        >>> outputs = keras.layers.Dense(3, activation="softmax")(inputs := keras.Input((4,)))
        >>> readout = Readout(keras.Model(inputs, outputs))
        >>> readout(np.zeros((2, 4), "float32")).shape
        (2, 1, 3)
    """

    def __init__(self, model: keras.Model):
        last = model.layers[-1]
        # A layer of this name may do more: in keras.applications it is the readout itself.
        registered = last.name == "predictions" and isinstance(last, keras.layers.Activation)
        self._forward = _compiled(logits_model(model) if registered else model)
        self._probabilities: bool | None = False if registered else None

    def __call__(self, images: Any) -> np.ndarray:
        """The logits of a batch.

        Args:
            images: (N, H, W, C).

        Returns:
            (N, T, classes), float64; T is 1 for a model without time.
        """
        outputs = np.asarray(keras.ops.convert_to_numpy(self._forward(images)), np.float64)
        outputs = outputs[:, None] if outputs.ndim == 2 else outputs
        if self._probabilities is None:
            sums = outputs.sum(axis=-1)
            self._probabilities = bool(
                np.all(outputs >= 0) and np.allclose(sums, 1, rtol=0, atol=_TOLERANCE)
            )
        if self._probabilities:
            # NaN stays what it is.
            return np.log(np.maximum(outputs, np.finfo(np.float32).tiny))
        return outputs


def _compiled(model: keras.Model) -> Any:
    """The model in inference mode."""
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)

    @tf.function(input_signature=[signature])
    def forward(images):
        return model(images, training=False)

    return lambda images: forward(tf.cast(images, tf.float32))
