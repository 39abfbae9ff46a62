"""Weights of the original projects into our models, strictly, and back."""

import importlib
import pkgutil

from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import WeightsReport, load_weights
from tfbio.weights.origin import (
    Origin,
    PublishedWeights,
    published_weights,
    register_origin,
)
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.state_dict import to_torch_checkpoint, to_torch_state_dict
from tfbio.weights.tensor_map import TensorRole

__all__ = [
    "Origin",
    "PublishedWeights",
    "TensorRole",
    "Tensors",
    "WeightsError",
    "WeightsReport",
    "bl_rcnn",
    "cornet",
    "divisive_normalization",
    "keras_layers",
    "load_weights",
    "published_weights",
    "read_tensors",
    "register_origin",
    "shape_selective",
    "to_torch_checkpoint",
    "to_torch_state_dict",
    "v1_components",
    "vonenet",
]

# The file of each family registers what its files look like.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
