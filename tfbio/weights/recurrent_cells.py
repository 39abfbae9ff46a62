"""What recurrent convolutional cells have in the state dicts of shape-processing-rnns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio.weights.listings import (
    Listing,
    batch_normalization,
    group_normalization,
    transposed,
)
from tfbio.weights.targets import Gate, Target


def normalization(layer: keras.layers.Layer, suffix: str) -> Listing:
    """A cell's normalization of either kind; nothing if there is none."""
    if isinstance(layer, keras.layers.Identity):
        return
    is_batch = isinstance(layer, keras.layers.BatchNormalization)
    listing = batch_normalization if is_batch else group_normalization
    for name, tensor in listing(layer):
        yield f"{suffix}.{name}", tensor


def gates(kernel: keras.Variable, bias: keras.Variable, names: Sequence[str]) -> Listing:
    """The convolutions of several gates that share a kernel and a bias of ours.

    Args:
        kernel: (height, width, channels, gates x filters), or (channels, gates x filters) for
            1 x 1 convolutions.
        bias: (gates x filters,)
        names: what the original calls the gates, in our order.
    """
    whole = transposed(kernel, 2, 3, 1, 0) if len(kernel.shape) == 4 else _pointwise(kernel)
    for first, name in enumerate(names):
        yield (
            f"{name}.weight",
            Gate(kernel, whole.from_file, whole.to_file, first=first, gates=len(names)),
        )
        yield f"{name}.bias", Gate(bias, first=first, gates=len(names))


def _pointwise(kernel: keras.Variable) -> Target:
    return Target(
        kernel, lambda array: array[:, :, 0, 0].T, lambda array: array.T[:, :, None, None]
    )


def per_channel(variable: keras.Variable) -> Target:
    """One number a channel, which PyTorch keeps as (C, 1, 1)."""
    return Target(variable, lambda array: array.reshape(-1), lambda array: array.reshape(-1, 1, 1))


def conv_rnn_cell(cell: Any) -> Listing:
    """`ConvRNNCell`."""
    yield from normalization(cell.norm, "norm")
    yield from gates(cell.kernel, cell.bias, ("x2h",))
    yield from gates(cell.recurrent_kernel, cell.recurrent_bias, ("h2h",))


def conv_gru_cell(cell: Any) -> Listing:
    """`ConvGRUCell`."""
    yield from normalization(cell.norm, "norm")
    yield from gates(cell.kernel, cell.bias, ("wr", "wz", "wcan"))
    yield from gates(cell.recurrent_kernel, cell.recurrent_bias, ("ur", "uz", "ucan"))


def conv_lstm_cell(cell: Any) -> Listing:
    """`ConvLSTMCell`."""
    yield from normalization(cell.norm_h, "norm1")
    yield from normalization(cell.norm_c, "norm2")
    yield from gates(cell.kernel, cell.bias, ("wf", "wi", "wo", "wcan"))
    yield from gates(cell.recurrent_kernel, cell.recurrent_bias, ("uf", "ui", "uo", "ucan"))
    yield from gates(cell.memory_kernel, cell.memory_bias, ("vf", "vi", "vo"))


def reciprocal_gated_cell(cell: Any) -> Listing:
    """`ReciprocalGatedCell`."""
    yield from normalization(cell.norm_h, "norm1")
    yield from normalization(cell.norm_c, "norm2")
    if cell.preconv_kernel_size is not None:
        yield from gates(cell.kernel, cell.bias, ("preconv",))
    names = ("whh", "whc", "wch", "wcc")
    yield from gates(cell.recurrent_kernel, cell.recurrent_bias, names)


def hgru_cell(cell: Any) -> Listing:
    """`HGRUCell`; the original has no kernel that both stages share."""
    whole = transposed(cell.recurrent_kernel, 2, 3, 1, 0)
    names = ("w_gate",) if cell.shared_kernel else ("w_gate_inh", "w_gate_exc")
    for first, name in enumerate(names):
        kernel = cell.recurrent_kernel
        yield name, Gate(kernel, whole.from_file, whole.to_file, first=first, gates=len(names))
    for name in ("alpha", "gamma", "kappa", "omega", "mu"):
        yield "w" if name == "omega" else name, per_channel(getattr(cell, name))
    yield from gates(cell.gate_kernel, cell.gate_bias, ("u1_gate", "u2_gate"))
    for number, norm in enumerate(cell.norms):
        yield from normalization(norm, f"bn.{number}")


def unused_normalization(model: keras.Model) -> dict[str, np.ndarray]:
    """A normalization that `hConvGRU` keeps and does not use.

    Example:
        >>> import tfbio
        >>> list(unused_normalization(tfbio.create_model("rnn_tower", width=1 / 64)))
        []
    """
    names = {layer.name for layer in model.layers}
    if not {"unit1", "conv6", "dense1"} <= names:
        return {}
    outputs = model.get_layer("conv6").layer.filters
    return {
        "bn2.weight": np.ones(outputs, np.float32),
        "bn2.bias": np.zeros(outputs, np.float32),
    }
