"""Layers: one idea of visual neuroscience per file, on every Keras backend."""

from tfbio.layers.adaptive_average_pooling_2d import AdaptiveAveragePooling2D
from tfbio.layers.batch_statistics import BatchStatistics
from tfbio.layers.bilinear_resizing import BilinearResizing
from tfbio.layers.bl_conv2d import BLConv2D
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.conv_cell import ConvCell
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.dense_logits import DenseLogits
from tfbio.layers.dog_conv2d import DoGConv2D
from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.filter_initializers import ContourFilters, PooledGaussian
from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.layers.gabor_parameters import (
    GaborParameters,
    sample_channels,
    sample_gabor_parameters,
)
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.multi_stride_conv2d import MultiStrideConv2D
from tfbio.layers.neuronal_noise import NeuronalNoise
from tfbio.layers.over_time import OverTime
from tfbio.layers.padded_max_pooling_2d import PaddedMaxPooling2D
from tfbio.layers.polar_transform import PolarTransform
from tfbio.layers.pooled_div_norm import PooledDivNorm
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.tuned_div_norm import TunedDivNorm
from tfbio.layers.unroll import Unroll
from tfbio.layers.v_one_block import VOneBlock

__all__ = [
    "AdaptiveAveragePooling2D",
    "BLConv2D",
    "BatchStatistics",
    "BilinearResizing",
    "CenterSurround",
    "ContourFilters",
    "ConvCell",
    "ConvGRUCell",
    "ConvLSTMCell",
    "ConvRNNCell",
    "DenseLogits",
    "DoGConv2D",
    "ExponentialDivNorm",
    "FGRUCell",
    "GaborConv2D",
    "GaborParameters",
    "GammaNetCell",
    "GaussianDivNorm",
    "HGRUCell",
    "LocallyConnected2D",
    "MultiStrideConv2D",
    "NeuronalNoise",
    "OverTime",
    "PaddedMaxPooling2D",
    "PolarTransform",
    "PooledDivNorm",
    "PooledGaussian",
    "ReciprocalGatedCell",
    "TunedDivNorm",
    "Unroll",
    "VOneBlock",
    "sample_channels",
    "sample_gabor_parameters",
]
