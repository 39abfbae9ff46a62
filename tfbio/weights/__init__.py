"""Weights of the original projects into our models, strictly, and back."""

from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import WeightsReport, load_weights
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.state_dict import to_torch_checkpoint, to_torch_state_dict

__all__ = [
    "Tensors",
    "WeightsError",
    "WeightsReport",
    "load_weights",
    "read_tensors",
    "to_torch_checkpoint",
    "to_torch_state_dict",
]
