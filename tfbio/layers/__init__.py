"""Layers: one idea of visual neuroscience per file, on every Keras backend."""

from tfbio.layers.adaptive_average_pooling_2d import AdaptiveAveragePooling2D
from tfbio.layers.bl_conv2d import BLConv2D
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.dog_conv2d import DoGConv2D
from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.layers.gabor_parameters import (
    GaborParameters,
    sample_channels,
    sample_gabor_parameters,
)
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.multi_stride_conv2d import MultiStrideConv2D
from tfbio.layers.neuronal_noise import NeuronalNoise
from tfbio.layers.padded_max_pooling_2d import PaddedMaxPooling2D
from tfbio.layers.polar_transform import PolarTransform
from tfbio.layers.pooled_div_norm import PooledDivNorm
from tfbio.layers.tuned_div_norm import TunedDivNorm
from tfbio.layers.v_one_block import VOneBlock

__all__ = [
    "AdaptiveAveragePooling2D",
    "BLConv2D",
    "CenterSurround",
    "DoGConv2D",
    "ExponentialDivNorm",
    "GaborConv2D",
    "GaborParameters",
    "GaussianDivNorm",
    "LocallyConnected2D",
    "MultiStrideConv2D",
    "NeuronalNoise",
    "PaddedMaxPooling2D",
    "PolarTransform",
    "PooledDivNorm",
    "TunedDivNorm",
    "VOneBlock",
    "sample_channels",
    "sample_gabor_parameters",
]
