"""Activations of any layer of a model, at every time step."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio.errors import InputError


def layer_outputs(model: keras.Model) -> dict[str, Any]:
    """The symbolic output of every layer of a functional model, by name.

    A layer that is called once stands under its name. One that is called several times (a kernel
    shared over time steps) stands under `name:0`, `name:1`, ... in the order of the calls.

    Args:
        model: a functional model.

    Returns:
        A dict of symbolic tensors, in the order of the model's layers.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=2, width=0.125,
        ...                            timesteps=2)
        >>> [name for name in layer_outputs(model) if name.startswith("RCL_3")]
        ['RCL_3_BConv:0', 'RCL_3_BConv:1', 'RCL_3_ConvSum:0', 'RCL_3_ConvSum:1', 'RCL_3_LConv']
    """
    own_nodes = {id(node) for nodes in model._nodes_by_depth.values() for node in nodes}
    outputs: dict[str, Any] = {}
    for layer in model.layers:
        nodes = [node for node in layer._inbound_nodes if id(node) in own_nodes]
        for call, node in enumerate(nodes):
            key = layer.name if len(nodes) == 1 else f"{layer.name}:{call}"
            tensors = node.output_tensors
            outputs[key] = tensors[0] if len(tensors) == 1 else tensors
    return outputs


def chosen_outputs(model: keras.Model, layers: str | Sequence[str]) -> dict[str, Any]:
    """The symbolic outputs of those layers whose names match, by name.

    Args:
        model: a functional model.
        layers: glob patterns over the layer names, see `features`.

    Returns:
        Some of `layer_outputs`, pattern by pattern.

    Raises:
        InputError: a pattern matches no layer.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> list(chosen_outputs(model, ["ReLU_Layer_[01]", "GlobalAvgPool"]))
        ['ReLU_Layer_0', 'ReLU_Layer_1', 'GlobalAvgPool']
    """
    available = layer_outputs(model)
    chosen: dict[str, Any] = {}
    for pattern in [layers] if isinstance(layers, str) else layers:
        # A layer's plain name stands for all of its calls.
        matched = [
            key
            for key in available
            if fnmatch.fnmatchcase(key, pattern) or fnmatch.fnmatchcase(key.split(":")[0], pattern)
        ]
        if not matched:
            nearest = difflib.get_close_matches(pattern, available, n=3, cutoff=0.3)
            raise InputError(
                f"No layer of {model.name!r} matches {pattern!r}. Nearest: {', '.join(nearest)}."
                if nearest
                else f"No layer of {model.name!r} matches {pattern!r}; "
                "`[layer.name for layer in model.layers]` lists them."
            )
        chosen.update((key, available[key]) for key in matched)
    return chosen


def features(
    model: keras.Model,
    images: Any,
    layers: str | Sequence[str],
    batch_size: int = 32,
) -> dict[str, np.ndarray]:
    """Activations of chosen layers for some images.

    Args:
        model: a functional model.
        images: array (N, H, W, C), pixel values in [0, 255] for a model with preprocessing inside.
        layers: glob patterns over the layer names, such as `"ReLU_Layer_3_*"`; a layer that is
            called at every time step has one entry a call, `"RCL_3_ConvSum:0"` and so on.
        batch_size: images per forward pass.

    Returns:
        A dict from layer name to a NumPy array, (N, H, W, C) for convolutional layers.

    Raises:
        InputError: a pattern matches no layer, or there is no image.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=2, width=0.125,
        ...                            timesteps=2)
        >>> found = tfbio.features(model, np.zeros((1, 32, 32, 3)), layers=["ReLU_Layer_1_*"])
        >>> {name: activity.shape for name, activity in found.items()}
        {'ReLU_Layer_1_Time_0': (1, 16, 16, 16), 'ReLU_Layer_1_Time_1': (1, 16, 16, 16)}
    """
    chosen = chosen_outputs(model, layers)
    if len(images) == 0:
        raise InputError("Expected at least one image, received none.")
    probe = keras.Model(model.input, chosen)
    batches = [
        keras.tree.map_structure(
            keras.ops.convert_to_numpy, probe(images[start : start + batch_size], training=False)
        )
        for start in range(0, len(images), batch_size)
    ]
    return {key: np.concatenate([batch[key] for batch in batches]) for key in chosen}
