"""From the names of our layers to those of the originals' modules."""

from __future__ import annotations

import re

# Names of modules that have an underscore, as they read with dots.
_UNDERSCORED = (
    "vone.block", "conv.input", "norm.skip", "cell.blocks", "last.conv", "base.ff", "hgru.units",
    "h.units", "td.units", "us.blocks", "readout.norm", "readout.conv",
)  # fmt: skip
# CORnet-S numbers a normalization by its time step; a VGG a layer by its stage and place.
_NUMBERED = re.compile(
    r"\b(norm\d|(?<=features\.)(?:conv|bn|divnorm)\d|(?<=base_ff\.)conv\d)\.(\d+)$"
)


def module_name(layer_name: str) -> str:
    """The original's name of a module, from the name of our layer: dots for underscores.

    Example:
        >>> module_name("layer1_0_bn1"), module_name("vone_block"), module_name("model_V2_norm1_0")
        ('layer1.0.bn1', 'vone_block', 'model.V2.norm1_0')
        >>> module_name("features_conv1_2"), module_name("layer1_2_conv2_1")
        ('features.conv1_2', 'layer1.2.conv2.1')
    """
    name = layer_name.replace("_", ".")
    for dotted in _UNDERSCORED:
        name = name.replace(dotted, dotted.replace(".", "_"))
    return _NUMBERED.sub(r"\1_\2", name)
