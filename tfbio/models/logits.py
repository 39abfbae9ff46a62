"""The same model without its last activation, for losses and attacks that want logits."""

from __future__ import annotations

import keras

from tfbio._keras_graph import call_behind


def logits_model(model: keras.Model) -> keras.Model:
    """The model up to the input of its last layer, sharing every weight.

    Every registered model ends in one activation layer, `predictions`. A cross-entropy computed
    from the logits keeps its gradient where the softmax has saturated.

    Args:
        model: a model of the registry, with any `classifier_activation`.

    Returns:
        A functional model that gives logits, of the same output shape.

    Raises:
        ValueError: the model does not end in a layer `predictions`.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> image = np.zeros((1, 32, 32, 3))
        >>> logits = logits_model(model)(image)
        >>> bool(np.allclose(keras.ops.softmax(logits), model(image)))
        True
    """
    last = model.layers[-1]
    if last.name != "predictions":
        raise ValueError(
            f"Expected a model that ends in a layer named 'predictions', received {model.name!r}, "
            f"which ends in {last.name!r}."
        )
    # The layer may be shared with another model: its input is the one of this model's output.
    (inputs,) = call_behind(model.outputs[0]).input_tensors
    # As exact as the activation itself, so that a loss in mixed precision stays exact.
    logits = keras.layers.Activation("linear", dtype=last.dtype_policy, name="logits")(inputs)
    return keras.Model(model.input, logits, name=f"{model.name}_logits")
