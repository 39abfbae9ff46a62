"""What fGRU cells and gamma-net have in the state dicts of shape-processing-rnns."""

from __future__ import annotations

import keras
import numpy as np

from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.weights.listings import Listing, convolution, group_normalization
from tfbio.weights.module_names import module_name
from tfbio.weights.recurrent_cells import kernel_share, per_channel
from tfbio.weights.targets import Gate, Target


def fgru_cell(cell: FGRUCell) -> Listing:
    """`fGRUCell` and `fGRUCell_td`.

    Example:
        >>> cell = FGRUCell(4, attention="se")
        >>> cell.build((None, 8, 8, 4))
        >>> list(dict(fgru_cell(cell)))[:4]
        ['conv_g1_b', 'conv_c1_w', 'conv_g2_w', 'conv_g2_b']
    """
    if cell.attend is None:
        yield "conv_g1_w", kernel_share(cell.gate_kernel, 0, gates=2)
    yield "conv_g1_b", per_channel(cell.gate_bias, 0, gates=2)
    yield "conv_c1_w", _kernel(cell, 0)
    if cell.attend is None:
        yield "conv_g2_w", kernel_share(cell.gate_kernel, 1, gates=2)
    else:
        yield "conv_g2_w", kernel_share(cell.gate_kernel)
    yield "conv_g2_b", per_channel(cell.gate_bias, 1, gates=2)
    yield "conv_c2_w", _kernel(cell, 1)
    for name in ("alpha", "mu", "omega", "kappa"):
        yield name, per_channel(getattr(cell, name))
    if cell.attend is not None:
        for path in ("se", "sa"):
            prefix = f"attention.{path}" if cell.attention == "gala" else "attention"
            for number, layer in enumerate(getattr(cell.attend, path)):
                # Every other module is a rectification.
                yield from _inside(f"{prefix}.attention.{2 * number}", convolution(layer))
    for ours, theirs in (
        ("gain", "bn_g1"), ("inhibition", "bn_c1"), ("mix", "bn_g2"), ("excitation", "bn_c2"),
    ):  # fmt: skip
        if ours in cell.norms:
            yield from _inside(theirs, group_normalization(cell.norms[ours]))


def gammanet_cell(cell: GammaNetCell) -> Listing:
    """`BaseGN` without its readout.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("gammanet", input_shape=(48, 48, 3), classes=2, width=0.125)
        >>> names = list(dict(gammanet_cell(model.get_layer("network").cell)))
        >>> names[0], names[26]
        ('base_ff.conv1_1.weight', 'h_units.0.conv_g1_b')
    """
    for block in cell.blocks:
        for layer in block:
            if isinstance(layer, keras.layers.Conv2D):
                yield from _inside(module_name(layer.name), convolution(layer))
    for kind, units in (("h_units", cell.h_units), ("td_units", cell.td_units)):
        for number, unit in enumerate(units):
            yield from _inside(f"{kind}.{number}", fgru_cell(unit))
    for number, (norm, first, second) in enumerate(cell.us_blocks):
        yield from _inside(f"us_blocks.{number}.0", group_normalization(norm))
        # Modules 2 and 4 are rectifications.
        yield from _inside(f"us_blocks.{number}.1", convolution(first))
        yield from _inside(f"us_blocks.{number}.3", convolution(second))


def _inside(prefix: str, listing: Listing) -> Listing:
    for suffix, tensor in listing:
        yield f"{prefix}.{suffix}", tensor


def _kernel(cell: FGRUCell, first: int) -> Target:
    if cell.tied_kernels is None:
        return kernel_share(cell.recurrent_kernel, first, gates=2)

    def turned(array: np.ndarray) -> np.ndarray:
        # (height, width, C, 1) and (C, 1, height, width), which is the same turn either way.
        return array.transpose(2, 3, 0, 1)

    return Gate(cell.recurrent_kernel, turned, turned, first, gates=2)


def unwrapped_name(name: str) -> str:
    """`BaseGN` has no wrapper, whose only network is `network`.

    Example:
        >>> unwrapped_name("network.readout_conv.bias")
        'readout_conv.bias'
    """
    return name.removeprefix("network.")


def is_unwrapped(model: keras.Model) -> bool:
    """Whether a model is gamma-net without its classifier.

    Example:
        >>> import tfbio
        >>> is_unwrapped(tfbio.create_model("gammanet_map", input_shape=(48, 48, 3), width=0.125))
        True
    """
    cells = [getattr(layer, "cell", None) for layer in model.layers]
    has_cell = any(isinstance(cell, GammaNetCell) for cell in cells)
    return has_cell and not any(layer.name == "cls" for layer in model.layers)
