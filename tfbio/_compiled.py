"""What Keras has compiled of a model, which does not see later changes of its layers."""

from __future__ import annotations

import keras


def forget_compiled_functions(model: keras.Model) -> None:
    """Let `fit`, `evaluate` and `predict` compile the model anew at their next call.

    Args:
        model: any model.

    Example:
        >>> inputs = keras.Input((4,))
        >>> model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
        >>> forget_compiled_functions(model)
        >>> model.predict_function is None
        True
    """
    model.train_function = None
    model.test_function = None
    model.predict_function = None
