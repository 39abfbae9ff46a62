"""Layers: one idea of visual neuroscience per file, on every Keras backend."""

from tfbio.layers.bl_conv2d import BLConv2D

__all__ = ["BLConv2D"]
