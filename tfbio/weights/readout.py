"""Which variables of a model are its readout."""

from __future__ import annotations

import keras

from tfbio._keras_graph import call_behind


def readout_variables(model: keras.Model) -> list[keras.Variable]:
    """The variables of the last layers with weights on the way to the output: the classifier.

    Args:
        model: a functional model.

    Returns:
        Variables, those of one layer together.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> sorted(variable.path for variable in readout_variables(model))
        ['ReadoutDense/bias', 'ReadoutDense/kernel']
    """
    found: dict[int, keras.Variable] = {}
    seen: set[int] = set()
    pending = list(model.outputs)
    while pending:
        node = call_behind(pending.pop())
        if id(node) in seen:
            continue
        seen.add(id(node))
        weights = getattr(node.operation, "weights", [])
        if weights:
            found.update((id(variable), variable) for variable in weights)
        else:
            pending.extend(node.input_tensors)
    return list(found.values())
