"""Activations of any layer of a model, at every time step."""

from __future__ import annotations

import difflib
import fnmatch
import functools
import weakref
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio._keras_graph import calls_of, nodes_of
from tfbio.errors import InputError
from tfbio.layers.unroll import Unroll
from tfbio.models.time_steps import input_of, unrolled_layers, with_timesteps


def layer_outputs(model: keras.Model) -> dict[str, Any]:
    """The symbolic output of every layer of a functional model, by name.

    A layer that is called once stands under its name. One that is called several times (a kernel
    shared over time steps) stands under `name:0`, `name:1`, ... in the order of the calls; so does
    one whose output is a sequence, in the order of its time steps.

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
        >>> model = tfbio.create_model("rnn_tower", input_shape=(32, 32, 3), classes=2,
        ...                            width=1 / 64, timesteps=2, return_sequences=True)
        >>> [name for name in layer_outputs(model) if name.startswith("cell_blocks_4")]
        ['cell_blocks_4:0', 'cell_blocks_4:1', 'cell_blocks_4_pool:0', 'cell_blocks_4_pool:1']
    """
    sequences = _sequences(model)
    outputs: dict[str, Any] = {}
    for layer in model.layers:
        nodes = calls_of(layer, model)
        for call, node in enumerate(nodes):
            key = layer.name if len(nodes) == 1 else f"{layer.name}:{call}"
            tensors = node.output_tensors
            if id(tensors[0]) in sequences:
                outputs.update((f"{key}:{t}", tensors[0][:, t]) for t in range(tensors[0].shape[1]))
            else:
                outputs[key] = tensors[0] if len(tensors) == 1 else tensors
    return outputs


def _sequences(model: keras.Model) -> set[int]:
    """The ids of the symbolic tensors whose second axis is time."""
    found: set[int] = set()
    for node in nodes_of(model):
        operation = node.operation
        over_time = (
            operation.return_sequences
            if isinstance(operation, Unroll)
            else any(id(tensor) in found for tensor in node.input_tensors)
        )
        if over_time:
            found.update(id(tensor) for tensor in node.output_tensors)
    return found


def chosen_outputs(model: keras.Model, layers: str | Sequence[str]) -> dict[str, Any]:
    """The symbolic outputs of those layers whose names match, by name.

    Args:
        model: a functional model.
        layers: glob patterns over the layer names, see `features`.

    Returns:
        Some of `layer_outputs`, and states of cells, pattern by pattern.

    Raises:
        InputError: a pattern matches no layer.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> list(chosen_outputs(model, ["ReLU_Layer_[01]", "GlobalAvgPool"]))
        ['ReLU_Layer_0', 'ReLU_Layer_1', 'GlobalAvgPool']
    """
    available = layer_outputs(model)
    with_states = {
        f"{layer.name}.{name}": layer
        for layer in unrolled_layers(model)
        for name in layer.cell.state_names
    }

    @functools.cache
    def states_of(layer: Unroll) -> dict[str, list[Any]]:
        return _States(layer)(input_of(layer, model))

    chosen: dict[str, Any] = {}
    for pattern in [layers] if isinstance(layers, str) else layers:
        # A layer's plain name stands for all of its calls.
        matched = {
            key: each
            for key, each in available.items()
            if fnmatch.fnmatchcase(key, pattern) or fnmatch.fnmatchcase(key.split(":")[0], pattern)
        }
        if "." in pattern:
            for key, layer in with_states.items():
                if fnmatch.fnmatchcase(key, pattern):
                    maps = states_of(layer)[key.rpartition(".")[2]]
                    matched.update((f"{key}:{t}", each) for t, each in enumerate(maps))
        if not matched:
            names = [*available, *with_states]
            nearest = difflib.get_close_matches(pattern, names, n=3, cutoff=0.3)
            raise InputError(
                f"No layer of {model.name!r} matches {pattern!r}. Nearest: {', '.join(nearest)}."
                if nearest
                else f"No layer of {model.name!r} matches {pattern!r}; "
                "`[layer.name for layer in model.layers]` lists them."
            )
        chosen.update(matched)
    return chosen


class _States(keras.layers.Layer):
    """The states of a cell after every time step, beside what the model computes."""

    def __init__(self, unrolled: Unroll):
        super().__init__(dtype=unrolled.dtype_policy)
        self.unrolled = unrolled

    def call(self, inputs):
        return self.unrolled.states(inputs)


# Layers keep what they are called on: the same model over time is made once.
_OVER_TIME: weakref.WeakKeyDictionary[keras.Model, dict[int | None, keras.Model]]
_OVER_TIME = weakref.WeakKeyDictionary()


def _over_time(model: keras.Model, timesteps: int | None) -> keras.Model:
    """The model with every time step, of its last layers too if they take that."""
    known = _OVER_TIME.setdefault(model, {})
    if timesteps not in known:
        try:
            known[timesteps] = with_timesteps(model, timesteps, return_sequences=True)
        except InputError:
            # Of the last layers there is the last time step alone.
            if timesteps is None:
                return model
            known[timesteps] = with_timesteps(model, timesteps)
    return known[timesteps]


def features(
    model: keras.Model,
    images: Any,
    layers: str | Sequence[str],
    batch_size: int = 32,
    timesteps: int | None = None,
) -> dict[str, np.ndarray]:
    """Activations of chosen layers for some images.

    Args:
        model: a functional model.
        images: array (N, H, W, C), pixel values in [0, 255] for a model with preprocessing inside.
        layers: glob patterns over the layer names, such as `"ReLU_Layer_3_*"`; a layer that is
            called at every time step, or runs over all of them, has one entry a time step,
            `"RCL_3_ConvSum:0"` and so on. A state of a cell stands behind the name of its layer:
            `"cell_blocks_1.c"`, `"*.h"`; it is computed beside the layer, from other noise if a
            cell begins in noise.
        batch_size: images per forward pass.
        timesteps: number of time steps, None for the model's own; see `with_timesteps`.

    Returns:
        A dict from layer name to a NumPy array, (N, H, W, C) for convolutional layers.

    Raises:
        InputError: a pattern matches no layer, there is no image, or the number of time steps
            cannot be changed.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=2, width=0.125,
        ...                            timesteps=2)
        >>> found = tfbio.features(model, np.zeros((1, 32, 32, 3)), layers=["ReLU_Layer_1_*"])
        >>> {name: activity.shape for name, activity in found.items()}
        {'ReLU_Layer_1_Time_0': (1, 16, 16, 16), 'ReLU_Layer_1_Time_1': (1, 16, 16, 16)}
    """
    if timesteps is not None or unrolled_layers(model):
        model = _over_time(model, timesteps)
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
