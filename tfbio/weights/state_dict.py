"""PyTorch's state dicts and our layers: names, layouts, and constants that stand in them.

A layer carries the name of the original's module, with `_` for `.`, which names of variables on
Keras' PyTorch backend cannot have. A suffix says what a tensor is in its layer. One function per
kind of layer lists its tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfbio.layers.batch_statistics import BatchStatistics
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.dog_conv2d import DoGConv2D, squared_distances
from tfbio.layers.exponential_div_norm import ExponentialDivNorm
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.multi_stride_conv2d import MultiStrideConv2D
from tfbio.layers.over_time import OverTime
from tfbio.layers.polar_transform import PolarTransform, pooling_masks
from tfbio.layers.pooled_div_norm import PooledDivNorm
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.tuned_div_norm import TunedDivNorm, channel_distances
from tfbio.layers.unroll import Unroll
from tfbio.layers.v_one_block import VOneBlock
from tfbio.weights.front_end import settings_of_model
from tfbio.weights.listings import (
    Constant,
    Listing,
    batch_normalization,
    convolution,
    dense,
    group_normalization,
    transposed,
)
from tfbio.weights.module_names import module_name
from tfbio.weights.pytorch import import_torch
from tfbio.weights.recurrent_cells import (
    conv_gru_cell,
    conv_lstm_cell,
    conv_rnn_cell,
    hgru_cell,
    reciprocal_gated_cell,
    unused_normalization,
)
from tfbio.weights.shape_selective import (
    fgru_cell,
    gammanet_cell,
    is_unwrapped,
    unwrapped_name,
)
from tfbio.weights.targets import FilterBank, Target, Targets
from tfbio.weights.v1_components import is_sequential, sequential_name, unused_masks
from tfbio.weights.vonenet import obsolete_tensors


def state_dict_targets(model: keras.Model) -> Targets:
    """The targets of a PyTorch state dict.

    Args:
        model: a model of the registry.

    Returns:
        `Targets`.

    Raises:
        ValueError: the model has a layer with weights that no rule knows.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50_tuned_norm", width=0.125, blocks=(1, 1, 1, 1))
        >>> targets = state_dict_targets(model)
        >>> targets.variables["layer1.0.conv2.weight"].file_shape, list(targets.constants)
        ((8, 8, 3, 3), ['layer1.0.dn.channel_distances'])
    """
    rename = (
        sequential_name if is_sequential(model) else unwrapped_name if is_unwrapped(model) else str
    )
    variables: dict[str, Target] = {}
    constants: dict[str, np.ndarray] = {}
    counters: set[str] = set()
    for layer in model.layers:
        for suffix, tensor in tensors_of(layer):
            name = rename(f"{module_name(layer.name)}.{suffix}")
            if isinstance(tensor, Target):
                variables[name] = tensor
            elif isinstance(tensor, Constant):
                constants[name] = tensor.value
            else:
                counters.add(name)
    return Targets(
        variables,
        constants,
        frozenset(counters),
        obsolete_tensors(model),
        {**unused_masks(model), **unused_normalization(model)},
    )


def tensors_of(layer: keras.layers.Layer) -> Listing:
    """What a layer has in a state dict: suffix and tensor, in the original's order.

    Raises:
        ValueError: the layer has weights and no rule knows it.

    Example:
        >>> import keras
        >>> layer = keras.layers.Conv2D(4, 3)
        >>> layer.build((None, 8, 8, 2))
        >>> [(suffix, tensor.file_shape) for suffix, tensor in tensors_of(layer)]
        [('weight', (4, 2, 3, 3)), ('bias', (4,))]
    """
    for kind, listing in _LISTINGS.items():
        if type(layer) is kind:
            yield from listing(layer)
            return
    if layer.weights:
        raise ValueError(
            f"Expected layers that a PyTorch state dict can hold, received {layer.name!r}, a "
            f"{type(layer).__name__}."
        )


# === Layers of VOneNet ===


def _gabor_conv(layer: GaborConv2D) -> Listing:
    whole = transposed(layer.kernel, 2, 3, 1, 0)
    yield "weight", FilterBank(layer.kernel, whole.from_file, whole.to_file, layer)


def _v_one_block(layer: VOneBlock) -> Listing:
    for bank in (layer.simple_conv_q0, layer.simple_conv_q1):
        for suffix, tensor in _gabor_conv(bank):
            yield f"{bank.name}.{suffix}", tensor


def _multi_stride_convolution(layer: MultiStrideConv2D) -> Listing:
    yield "weight", transposed(layer.kernel, 2, 3, 1, 0)


# === Layers over time ===


def _unroll(layer: Unroll) -> Listing:
    yield from tensors_of(layer.cell)


def _over_time(layer: OverTime) -> Listing:
    yield from tensors_of(layer.layer)


# === Layers of learned divisive normalization ===


def _by_variable_name(layer: PooledDivNorm | ExponentialDivNorm) -> Listing:
    for variable in layer.weights:
        yield variable.name, Target(variable)


# === Layers of the V1 components ===


def _dog_conv(layer: DoGConv2D) -> Listing:
    """Filter f = out x in + i, flat, with two axes for the pixels."""

    def per_kernel(variable: keras.Variable) -> Target:
        inputs, filters = variable.shape
        return Target(
            variable,
            lambda array: array.reshape(filters, inputs).T,
            lambda array: array.T.reshape(filters * inputs, 1, 1),
        )

    yield "kernel_dists", Constant(squared_distances(layer.kernel_size).astype(np.float32))
    yield "sigma1", per_kernel(layer.sigma1)
    yield "sigma2_scale", per_kernel(layer.sigma2_scale)
    yield "total_scale", per_kernel(layer.total_scale)
    if layer.use_bias:
        yield "bias", Target(layer.bias)
    else:
        yield "bias", Constant(np.zeros(layer.filters, np.float32))


def _center_surround(layer: CenterSurround) -> Listing:
    for suffix, tensor in _dog_conv(layer.dog_conv):
        yield f"dog_conv.{suffix}", tensor


def _locally_connected(layer: LocallyConnected2D) -> Listing:
    """[1, out, in, rows, columns, window]; ours is (rows columns, window in, out)."""
    rows, columns = layer.output_size
    positions, elements, filters = layer.kernel.shape
    window = layer.kernel_size[0] * layer.kernel_size[1]
    channels = elements // window

    def from_file(array: np.ndarray) -> np.ndarray:
        return array[0].transpose(2, 3, 4, 1, 0).reshape(positions, elements, filters)

    def to_file(array: np.ndarray) -> np.ndarray:
        split = array.reshape(rows, columns, window, channels, filters)
        return split.transpose(4, 3, 0, 1, 2)[np.newaxis]

    yield "weight", Target(layer.kernel, from_file, to_file)
    if layer.use_bias:
        yield (
            "bias",
            Target(
                layer.bias,
                lambda array: array[0].transpose(1, 2, 0),
                lambda array: array.transpose(2, 0, 1)[np.newaxis],
            ),
        )


def _gaussian_div_norm(layer: GaussianDivNorm) -> Listing:
    def pairwise(variable: keras.Variable) -> Target:
        return Target(
            variable,
            lambda array: array[:, :, 0, 0].T,
            lambda array: array.T[:, :, np.newaxis, np.newaxis],
        )

    for suffix in ("amplitude", "rho", "sigma", "theta", "v", "w"):
        yield "A" if suffix == "amplitude" else suffix, pairwise(getattr(layer, suffix))
    yield "bias", Target(layer.bias)
    steps = np.arange(1, layer.kernel_size + 1, dtype=np.float32)
    columns, rows = np.meshgrid(steps, steps)
    yield "x_coords", Constant(columns)
    yield "y_coords", Constant(rows)


def _tuned_div_norm(layer: TunedDivNorm) -> Listing:
    (channels,) = layer.sigmas.shape
    yield "channel_distances", Constant(channel_distances(channels).astype(np.float32))
    yield "sigmas", Target(layer.sigmas)


def _polar_transform(layer: PolarTransform) -> Listing:
    masks, counts = pooling_masks(
        *layer.input_size, layer.radius_bins, layer.angle_bins, layer.interpolation
    )
    yield "pooling_masks", Constant(masks)
    yield "pooling_mask_counts", Constant(counts)


_LISTINGS: dict[type, Callable[[Any], Listing]] = {
    keras.layers.Conv2D: convolution,
    keras.layers.Dense: dense,
    keras.layers.BatchNormalization: batch_normalization,
    keras.layers.GroupNormalization: group_normalization,
    GaborConv2D: _gabor_conv,
    VOneBlock: _v_one_block,
    MultiStrideConv2D: _multi_stride_convolution,
    BatchStatistics: group_normalization,
    Unroll: _unroll,
    OverTime: _over_time,
    ConvRNNCell: conv_rnn_cell,
    ConvGRUCell: conv_gru_cell,
    ConvLSTMCell: conv_lstm_cell,
    ReciprocalGatedCell: reciprocal_gated_cell,
    HGRUCell: hgru_cell,
    FGRUCell: fgru_cell,
    GammaNetCell: gammanet_cell,
    PooledDivNorm: _by_variable_name,
    ExponentialDivNorm: _by_variable_name,
    DoGConv2D: _dog_conv,
    CenterSurround: _center_surround,
    LocallyConnected2D: _locally_connected,
    GaussianDivNorm: _gaussian_div_norm,
    TunedDivNorm: _tuned_div_norm,
    PolarTransform: _polar_transform,
}


# === The way back ===


def to_torch_state_dict(model: keras.Model, as_arrays: bool = False) -> dict[str, Any]:
    """The weights of a model as a state dict that the original project loads.

    Args:
        model: a model of the registry whose original is written in PyTorch.
        as_arrays: give NumPy arrays, for which PyTorch is not needed.

    Returns:
        Names of the original's tensors, to tensors on the CPU.

    Raises:
        WeightsError: PyTorch is not installed.
        ValueError: the model has a layer that the originals do not have.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50", width=0.125, blocks=(1, 1, 1, 1))
        >>> arrays = to_torch_state_dict(model, as_arrays=True)
        >>> arrays["conv1.weight"].shape, str(arrays["bn1.num_batches_tracked"].dtype)
        ((8, 3, 7, 7), 'int64')
    """
    targets = state_dict_targets(model)
    arrays = {
        **{name: target.value() for name, target in targets.variables.items()},
        **targets.constants,
        **{name: np.zeros((), np.int64) for name in targets.ignored},
        **targets.unused,
    }
    if as_arrays:
        return arrays
    torch = import_torch()
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def to_torch_checkpoint(model: keras.Model, as_arrays: bool = False) -> dict[str, Any]:
    """A VOneNet as the original publishes its networks: state dict, and settings of the front end.

    Without the settings, stride, gain and noise of a state dict are unknown.

    Args:
        model: a VOneNet.
        as_arrays: give NumPy arrays, for which PyTorch is not needed.

    Returns:
        `{"flags": settings, "state_dict": tensors}`, for `torch.save` or `tfbio.load_weights`.

    Raises:
        WeightsError: PyTorch is not installed.
        ValueError: the model has no VOneBlock, or a layer that the originals do not have.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_block", strides=2)
        >>> to_torch_checkpoint(model, as_arrays=True)["flags"]["stride"]
        2
    """
    settings = settings_of_model(model)
    if not settings:
        raise ValueError(f"Expected a model with a VOneBlock, received {model.name!r}.")
    tensors = to_torch_state_dict(model, as_arrays)
    # As of a model that was trained on several devices, like all published ones.
    return {
        "flags": settings,
        "state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()},
    }
