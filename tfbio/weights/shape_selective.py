"""State dicts of shape-processing-rnns: recurrent cells, towers, hGRUs and gamma-net."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from tfbio.layers.batch_statistics import BatchStatistics
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.weights.origin import Origin, Shapes, module_name, register_origin
from tfbio.weights.tensor_map import (
    Constant,
    Gate,
    NamedTensors,
    Target,
    Tensor,
    TensorRole,
    batch_normalization,
    convolution,
    convolutions,
    group_normalization,
    inside,
    kernel_share,
    per_channel,
)

# Of a tower, which has no matrix.
_TOWER_READOUT = "last_conv.weight"
_WRAPPER, _CLASSIFIER = "network.", "cls.weight"


# === Cells ===


def _normalization(layer: keras.layers.Layer, suffix: str) -> NamedTensors:
    """A cell's normalization of either kind; nothing if there is none."""
    if isinstance(layer, keras.layers.Identity):
        return
    is_batch = isinstance(layer, keras.layers.BatchNormalization)
    yield from inside(suffix, (batch_normalization if is_batch else group_normalization)(layer))


def _conv_rnn_cell(cell: ConvRNNCell) -> NamedTensors:
    yield from _normalization(cell.norm, "norm")
    yield from convolutions(cell.kernel, cell.bias, ("x2h",))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("h2h",))


def _conv_gru_cell(cell: ConvGRUCell) -> NamedTensors:
    yield from _normalization(cell.norm, "norm")
    yield from convolutions(cell.kernel, cell.bias, ("wr", "wz", "wcan"))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("ur", "uz", "ucan"))


def _conv_lstm_cell(cell: ConvLSTMCell) -> NamedTensors:
    yield from _normalization(cell.norm_h, "norm1")
    yield from _normalization(cell.norm_c, "norm2")
    yield from convolutions(cell.kernel, cell.bias, ("wf", "wi", "wo", "wcan"))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("uf", "ui", "uo", "ucan"))
    yield from convolutions(cell.memory_kernel, cell.memory_bias, ("vf", "vi", "vo"))


def _reciprocal_gated_cell(cell: ReciprocalGatedCell) -> NamedTensors:
    yield from _normalization(cell.norm_h, "norm1")
    yield from _normalization(cell.norm_c, "norm2")
    if cell.preconv_kernel_size is not None:
        yield from convolutions(cell.kernel, cell.bias, ("preconv",))
    names = ("whh", "whc", "wch", "wcc")
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, names)


def _hgru_cell(cell: HGRUCell) -> NamedTensors:
    """The original has no kernel that both stages share."""
    names = ("w_gate",) if cell.shared_kernel else ("w_gate_inh", "w_gate_exc")
    for first, name in enumerate(names):
        yield name, kernel_share(cell.recurrent_kernel, first, len(names))
    for name in ("alpha", "gamma", "kappa", "omega", "mu"):
        yield "w" if name == "omega" else name, per_channel(getattr(cell, name))
    yield from convolutions(cell.gate_kernel, cell.gate_bias, ("u1_gate", "u2_gate"))
    for number, norm in enumerate(cell.norms):
        yield from _normalization(norm, f"bn.{number}")


def fgru_cell(cell: FGRUCell) -> NamedTensors:
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
    yield "conv_c1_w", _recurrent_kernel(cell, 0)
    if cell.attend is None:
        yield "conv_g2_w", kernel_share(cell.gate_kernel, 1, gates=2)
    else:
        yield "conv_g2_w", kernel_share(cell.gate_kernel)
    yield "conv_g2_b", per_channel(cell.gate_bias, 1, gates=2)
    yield "conv_c2_w", _recurrent_kernel(cell, 1)
    for name in ("alpha", "mu", "omega", "kappa"):
        yield name, per_channel(getattr(cell, name))
    if cell.attend is not None:
        for path in ("se", "sa"):
            prefix = f"attention.{path}" if cell.attention == "gala" else "attention"
            for number, layer in enumerate(getattr(cell.attend, path)):
                # Every other module is a rectification.
                yield from inside(f"{prefix}.attention.{2 * number}", convolution(layer))
    norms = {"gain": "bn_g1", "inhibition": "bn_c1", "mix": "bn_g2", "excitation": "bn_c2"}
    for ours, theirs in norms.items():
        if ours in cell.norms:
            yield from inside(theirs, group_normalization(cell.norms[ours]))


def _recurrent_kernel(cell: FGRUCell, first: int) -> Target:
    if cell.tied_kernels is None:
        return kernel_share(cell.recurrent_kernel, first, gates=2)

    def turned(array: np.ndarray) -> np.ndarray:
        # (height, width, C, 1) and (C, 1, height, width), which is the same turn either way.
        return array.transpose(2, 3, 0, 1)

    return Gate(cell.recurrent_kernel, turned, turned, first, gates=2)


def _gammanet_cell(cell: GammaNetCell) -> NamedTensors:
    """`BaseGN` without its readout."""
    for block in cell.blocks:
        for layer in block:
            if isinstance(layer, keras.layers.Conv2D):
                yield from inside(module_name(layer.name), convolution(layer))
    for kind, units in (("h_units", cell.h_units), ("td_units", cell.td_units)):
        for number, unit in enumerate(units):
            yield from inside(f"{kind}.{number}", fgru_cell(unit))
    for number, (norm, first, second) in enumerate(cell.us_blocks):
        yield from inside(f"us_blocks.{number}.0", group_normalization(norm))
        # Modules 2 and 4 are rectifications.
        yield from inside(f"us_blocks.{number}.1", convolution(first))
        yield from inside(f"us_blocks.{number}.3", convolution(second))


# === The family ===


class ShapeSelectiveOrigin(Origin):
    """Networks that are told by their cells."""

    def classes(self, shapes: Shapes) -> int | None:
        """By the last convolution of a tower, or the last matrix."""
        readout = shapes.get(_TOWER_READOUT)
        return readout[0] if readout else super().classes(shapes)

    def file_names(self, expected: Mapping[str, Tensor]) -> dict[str, str]:
        """Gamma-net without its classifier has no wrapper, whose only network is `network`."""
        if "gammanet" not in self.recognise(dict.fromkeys(expected, ())):
            return {}
        if _CLASSIFIER in expected:
            return {}
        return {name: name.removeprefix(_WRAPPER) for name in expected if name.startswith(_WRAPPER)}

    def beside(self, expected: Mapping[str, Tensor]) -> dict[str, Constant]:
        """A normalization that `hConvGRU` keeps and does not use."""
        modules = {name.partition(".")[0] for name in expected}
        if not {"unit1", "conv6", "dense1"} <= modules:
            return {}
        (filters, *_) = expected["conv6.weight"].file_shape
        return {
            "bn2.weight": Constant(np.ones(filters, np.float32), TensorRole.UNUSED),
            "bn2.bias": Constant(np.zeros(filters, np.float32), TensorRole.UNUSED),
        }

    def other_equations(self, model: keras.Model) -> str | None:
        """Of gated cells, whose originals have defects."""
        for layer in model.layers:
            cell = getattr(layer, "cell", None)
            if isinstance(cell, (ConvGRUCell, ConvLSTMCell)) and not cell.upstream_exact:
                name = type(cell).__name__
                return f"{name} computes the textbook form: upstream_exact=True is the original"
        return None


SHAPE_SELECTIVE = register_origin(
    ShapeSelectiveOrigin(
        "shape-selective RNNs",
        tensor_maps={
            BatchStatistics: group_normalization,
            ConvRNNCell: _conv_rnn_cell,
            ConvGRUCell: _conv_gru_cell,
            ConvLSTMCell: _conv_lstm_cell,
            ReciprocalGatedCell: _reciprocal_gated_cell,
            HGRUCell: _hgru_cell,
            FGRUCell: fgru_cell,
            GammaNetCell: _gammanet_cell,
        },
        module_names=(
            "cell_blocks",
            "last_conv",
            "base_ff",
            "hgru_units",
            "h_units",
            "td_units",
            "us_blocks",
            "readout_norm",
            "readout_conv",
            r"(?<=base_ff\.)conv\d_\d+",
        ),
        recognised_by={
            "hgru_units.": "vgg16_hgru",
            "h_units.": "gammanet",
            "unit1.w_gate_inh": "hconvgru",
            ".fgru.": "fgru_tower",
            ".hgru.": "hgru_tower",
            ".vf.": "lstm_tower",
            ".wr.": "gru_tower",
            ".whh.": "reciprocal_tower",
            ".x2h.": "rnn_tower",
            "cell_blocks.": "conv_tower",
        },
    )
)
