"""Weights of the original projects into our models, strictly."""

from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import WeightsReport, load_weights
from tfbio.weights.reading import Tensors, read_tensors

__all__ = ["Tensors", "WeightsError", "WeightsReport", "load_weights", "read_tensors"]
