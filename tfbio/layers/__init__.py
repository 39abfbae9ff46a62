"""Layers: one idea of visual neuroscience per file, on every Keras backend."""

from tfbio.layers.bl_conv2d import BLConv2D
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.dog_conv2d import DoGConv2D
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.polar_transform import PolarTransform
from tfbio.layers.tuned_div_norm import TunedDivNorm

__all__ = [
    "BLConv2D",
    "CenterSurround",
    "DoGConv2D",
    "GaussianDivNorm",
    "LocallyConnected2D",
    "PolarTransform",
    "TunedDivNorm",
]
