"""The graph of a functional model. Keras has no public way to walk it; this file is the only one
that touches the private one.

A node is one call of a layer: it has `operation`, the layer, `input_tensors` and `output_tensors`.
A layer that is shared has a node for each of its calls, those of other models among them.
"""

from __future__ import annotations

from typing import Any

import keras

Node = Any


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """A model and the layers inside it, at any depth.

    Example:
        >>> inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="dense")])
        >>> model = keras.Sequential([inner])
        >>> [layer.name for layer in all_layers(model) if isinstance(layer, keras.layers.Dense)]
        ['dense']
    """
    return list(model._flatten_layers())


def nodes_of(model: keras.Model) -> list[Node]:
    """All calls of a functional model, those before that others depend on.

    Example:
        >>> inputs = keras.Input((4,), name="image")
        >>> model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(inputs))
        >>> [node.operation.name for node in nodes_of(model)]
        ['image', 'dense']
    """
    # A Sequential model has a functional one inside.
    by_depth = (getattr(model, "_functional", None) or model)._nodes_by_depth
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def calls_of(layer: keras.layers.Layer, model: keras.Model) -> list[Node]:
    """The calls of a layer that belong to a functional model, in their order.

    Example:
        >>> inputs, dense = keras.Input((4,)), keras.layers.Dense(4)
        >>> model = keras.Model(inputs, dense(dense(inputs)))
        >>> longer = keras.Model(inputs, dense(model.output))
        >>> len(calls_of(dense, model)), len(calls_of(dense, longer))
        (2, 3)
    """
    own = {id(node) for node in nodes_of(model)}
    return [node for node in layer._inbound_nodes if id(node) in own]


def call_behind(tensor: Any) -> Node:
    """The call that gave a symbolic tensor.

    Example:
        >>> inputs = keras.Input((4,), name="image")
        >>> node = call_behind(keras.layers.Dense(2, name="dense")(inputs))
        >>> node.operation.name, node.input_tensors[0] is inputs
        ('dense', True)
    """
    layer, number, _ = tensor._keras_history
    return layer._inbound_nodes[number]
