"""Layers that every family has: those of Keras, and what runs a layer over time."""

from __future__ import annotations

import keras

from tfbio.layers.over_time import OverTime
from tfbio.layers.unroll import Unroll
from tfbio.weights.origin import Origin, register_origin, tensors_of
from tfbio.weights.tensor_map import (
    NamedTensors,
    batch_normalization,
    convolution,
    dense,
    group_normalization,
)


def _unroll(layer: Unroll) -> NamedTensors:
    return tensors_of(layer.cell)


def _over_time(layer: OverTime) -> NamedTensors:
    return tensors_of(layer.layer)


KERAS_LAYERS = register_origin(
    Origin(
        "layers of every family",
        tensor_maps={
            keras.layers.Conv2D: convolution,
            keras.layers.Dense: dense,
            keras.layers.BatchNormalization: batch_normalization,
            keras.layers.GroupNormalization: group_normalization,
            Unroll: _unroll,
            OverTime: _over_time,
        },
    )
)
