"""What recurrent convolutional cells have in the state dicts of shape-processing-rnns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
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


def kernel_share(kernel: keras.Variable, first: int = 0, gates: int = 1) -> Target:
    """One convolution of those whose kernels stand in one variable of ours.

    Args:
        kernel: (height, width, channels, gates x filters), or (channels, gates x filters) for
            1 x 1 convolutions.
        first: index of the convolution.
        gates: number of convolutions.

    Example:
        >>> kernel_share(keras.Variable(np.zeros((3, 3, 2, 12))), 0, 3).file_shape
        (4, 2, 3, 3)
        >>> kernel_share(keras.Variable(np.zeros((2, 8))), 1, 2).file_shape
        (4, 2, 1, 1)
    """
    if len(kernel.shape) == 4:
        whole = transposed(kernel, 2, 3, 1, 0)
        return Gate(kernel, whole.from_file, whole.to_file, first, gates)
    return Gate(
        kernel, lambda array: array[:, :, 0, 0].T, lambda array: array.T[:, :, None, None],
        first, gates,
    )  # fmt: skip


def per_channel(variable: keras.Variable, first: int = 0, gates: int = 1) -> Target:
    """One number a channel, which PyTorch keeps as (C, 1, 1); arguments as of `kernel_share`.

    Example:
        >>> per_channel(keras.Variable(np.zeros(8)), 1, 2).file_shape
        (4, 1, 1)
    """
    return Gate(
        variable, lambda array: array.reshape(-1), lambda array: array.reshape(-1, 1, 1),
        first, gates,
    )  # fmt: skip


def convolutions(kernel: keras.Variable, bias: keras.Variable, names: Sequence[str]) -> Listing:
    """The convolutions of several gates that share a kernel and a bias of ours.

    Args:
        kernel: as of `kernel_share`.
        bias: (gates x filters,)
        names: what the original calls the gates, in our order.
    """
    for first, name in enumerate(names):
        yield f"{name}.weight", kernel_share(kernel, first, len(names))
        yield f"{name}.bias", Gate(bias, first=first, gates=len(names))


def conv_rnn_cell(cell: Any) -> Listing:
    """`ConvRNNCell`."""
    yield from normalization(cell.norm, "norm")
    yield from convolutions(cell.kernel, cell.bias, ("x2h",))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("h2h",))


def conv_gru_cell(cell: Any) -> Listing:
    """`ConvGRUCell`."""
    yield from normalization(cell.norm, "norm")
    yield from convolutions(cell.kernel, cell.bias, ("wr", "wz", "wcan"))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("ur", "uz", "ucan"))


def conv_lstm_cell(cell: Any) -> Listing:
    """`ConvLSTMCell`."""
    yield from normalization(cell.norm_h, "norm1")
    yield from normalization(cell.norm_c, "norm2")
    yield from convolutions(cell.kernel, cell.bias, ("wf", "wi", "wo", "wcan"))
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, ("uf", "ui", "uo", "ucan"))
    yield from convolutions(cell.memory_kernel, cell.memory_bias, ("vf", "vi", "vo"))


def reciprocal_gated_cell(cell: Any) -> Listing:
    """`ReciprocalGatedCell`."""
    yield from normalization(cell.norm_h, "norm1")
    yield from normalization(cell.norm_c, "norm2")
    if cell.preconv_kernel_size is not None:
        yield from convolutions(cell.kernel, cell.bias, ("preconv",))
    names = ("whh", "whc", "wch", "wcc")
    yield from convolutions(cell.recurrent_kernel, cell.recurrent_bias, names)


def hgru_cell(cell: Any) -> Listing:
    """`HGRUCell`; the original has no kernel that both stages share."""
    names = ("w_gate",) if cell.shared_kernel else ("w_gate_inh", "w_gate_exc")
    for first, name in enumerate(names):
        yield name, kernel_share(cell.recurrent_kernel, first, len(names))
    for name in ("alpha", "gamma", "kappa", "omega", "mu"):
        yield "w" if name == "omega" else name, per_channel(getattr(cell, name))
    yield from convolutions(cell.gate_kernel, cell.gate_bias, ("u1_gate", "u2_gate"))
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


def other_equations(model: keras.Model) -> str | None:
    """Says so if a model's cells compute otherwise than the original, whose weights it gets.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("gru_tower", input_shape=(32, 32, 3), width=1 / 64)
        >>> other_equations(model)
        'ConvGRUCell computes the textbook form: upstream_exact=True is the original'
    """
    for layer in model.layers:
        cell = getattr(layer, "cell", None)
        if isinstance(cell, (ConvGRUCell, ConvLSTMCell)) and not cell.upstream_exact:
            name = type(cell).__name__
            return f"{name} computes the textbook form: upstream_exact=True is the original"
    return None
