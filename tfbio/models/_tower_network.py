"""Towers: recurrent convolutional layers of one kind, one after the other, with pooling between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import keras

from tfbio.errors import InputError
from tfbio.layers.conv_cell import ConvCell, Normalization, check_normalization, normalization_layer
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.gates import kaiming_fan_out
from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.over_time import OverTime
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.unroll import Unroll
from tfbio.models.construction import (
    CommonArguments,
    InputShape,
    check_input_shape,
    predictions,
    readout_dtype,
    scaled,
    unit_pixels,
    weights_and_classes,
)
from tfbio.weights.loading import load_weights

TowerType = Literal["normal", "more", "wider", "deeper"]
# Filters of each block, and whether pooling follows it.
TOWERS: dict[TowerType, tuple[tuple[int, ...], str]] = {
    "normal": ((64, 128, 256, 256, 512), "ppppp"),
    "more": ((64, 64, 128, 128, 256, 256, 512, 512), "p.p.p.pp"),
    "wider": ((128, 512, 512, 512, 1024), "ppppp"),
    "deeper": ((64, 64, 64, 128, 128, 256, 256, 512, 512, 512), "p..p.pp..p"),
}
# Those that have a gain of their own, see `tfbio.layers`; Keras' others are taken, too.
Activation = Literal["relu", "elu", "tanh", "sigmoid"]

_FIRST_KERNEL, _FIRST_STRIDE = 7, 2
_LAST_KERNEL = 3
_SMALLEST_INPUT = 32
# Below this size five poolings of 2 x 2 leave no pixel of what the first block gives.
_SMALLEST_VALID_POOLING = 69

_FACTS: dict[str, Any] = {
    "family": "shape-selective RNNs",
    "input_shape": (224, 224, 3),
    "weight_formats": ("PyTorch state dict",),
}
# What the registry knows of every tower without time, and of every one with.
FACTS = {**_FACTS, "quick_start": {"input_shape": (64, 64, 3), "width": 0.25}}
RECURRENT_FACTS = {
    **_FACTS,
    "recurrent": True,
    "quick_start": {"input_shape": (64, 64, 3), "width": 0.25, "timesteps": 3},
}


@dataclass(frozen=True)
class BlockArguments:
    """The arguments of a builder that every tower has, in their order."""

    width: float
    tower_type: TowerType
    activation: Activation
    normalization: Normalization | None
    dropout: float


@dataclass(frozen=True)
class TimeArguments:
    """The arguments of a builder that every recurrent tower has, in their order."""

    timesteps: int = 1
    return_sequences: bool = False
    skip_first: bool = False
    cell_kernel: int = 3
    recurrent_dropout: bool = False
    upstream_exact: bool | None = None


@dataclass(frozen=True)
class Settings:
    """What all blocks of a tower have in common.

    Attributes:
        activation: of every block that has a choice.
        normalization: `"batch"`, `"layer"` or None.
        preconv_kernel: kernel size of the convolution that brings the inputs of an hGRU, fGRU or
            reciprocal gated cell to its number of channels; None for no such convolution.
        upstream_exact: compute as the original, defects included.
        timesteps: number of time steps.
    """

    activation: Activation
    normalization: Normalization | None
    preconv_kernel: int | None
    upstream_exact: bool
    timesteps: int


# === Cells ===

MakeCell = Callable[[int, int, int, Settings, str], ConvCell]


def _rnn(filters: int, kernel_size: int, strides: int, settings: Settings, name: str) -> ConvCell:
    return ConvRNNCell(
        filters, kernel_size, strides, settings.activation, settings.normalization, name=name
    )


def _gru(filters: int, kernel_size: int, strides: int, settings: Settings, name: str) -> ConvCell:
    return ConvGRUCell(
        filters,
        kernel_size,
        strides,
        settings.activation,
        settings.normalization,
        upstream_exact=settings.upstream_exact,
        name=name,
    )


def _lstm(filters: int, kernel_size: int, strides: int, settings: Settings, name: str) -> ConvCell:
    return ConvLSTMCell(
        filters,
        kernel_size,
        strides,
        settings.activation,
        settings.normalization,
        upstream_exact=settings.upstream_exact,
        name=name,
    )


def _reciprocal(
    filters: int, kernel_size: int, strides: int, settings: Settings, name: str
) -> ConvCell:
    return ReciprocalGatedCell(
        filters,
        kernel_size,
        strides,
        settings.activation,
        settings.normalization,
        preconv_kernel_size=settings.preconv_kernel,
        name=name,
    )


def _hgru(filters: int, kernel_size: int, strides: int, settings: Settings, name: str) -> ConvCell:
    return HGRUCell(
        filters,
        kernel_size,
        normalization=settings.normalization,
        max_timesteps=max(settings.timesteps, 2),
        norm_scale=1.0,
        gate_initializer=kaiming_fan_out(settings.activation),
        upstream_exact=settings.upstream_exact,
        name=name,
    )


def _fgru(filters: int, kernel_size: int, strides: int, settings: Settings, name: str) -> ConvCell:
    return FGRUCell(filters, kernel_size, max_timesteps=settings.timesteps, name=name)


@dataclass(frozen=True)
class Kind:
    """A kind of cell.

    Attributes:
        make: makes one.
        suffix: what the original calls it within its block, if the block has more than the cell.
    """

    make: MakeCell
    suffix: str | None = None


RNN, GRU, LSTM = Kind(_rnn), Kind(_gru), Kind(_lstm)
RECIPROCAL = Kind(_reciprocal)
HGRU, FGRU = Kind(_hgru, "hgru"), Kind(_fgru, "fgru")


# === Blocks ===


def _convolution_block(
    inputs: Any, filters: int, kernel_size: int, strides: int, settings: Settings, name: str
) -> Any:
    """Convolution, normalization, activation; the same at every time step, so computed once."""
    outputs = _convolution(filters, kernel_size, strides, settings, f"{name}_conv")(inputs)
    if settings.normalization is not None:
        dtype = keras.config.dtype_policy()
        norm = normalization_layer(settings.normalization, f"{name}_norm", dtype)
        if isinstance(norm, keras.layers.BatchNormalization):
            # The original moves the averages at every time step, always by the same statistics.
            norm.momentum **= settings.timesteps
        outputs = norm(outputs)
    return keras.layers.Activation(settings.activation, name=f"{name}_activation")(outputs)


def _convolution(
    filters: int, kernel_size: int, strides: int, settings: Settings, name: str
) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        data_format="channels_last",
        kernel_initializer=kaiming_fan_out(settings.activation),
        name=name,
    )


def _recurrent_block(
    inputs: Any,
    filters: int,
    kernel_size: int,
    strides: int,
    kind: Kind,
    settings: Settings,
    name: str,
    **arguments: Any,
) -> Any:
    """A cell over time, behind a convolution if the cell has as many inputs as outputs."""
    outputs = inputs
    if kind.suffix is not None:
        if settings.preconv_kernel is not None:
            if settings.preconv_kernel == 1 and strides > 1:
                # See `tfbio.layers._convolution.convolve`: the strided one is not safe.
                outputs, strides = outputs[:, ::strides, ::strides], 1
            preconv = _convolution(
                filters, settings.preconv_kernel, strides, settings, f"{name}_conv"
            )
            outputs = OverTime(preconv, name=f"{name}_conv")(outputs)
        elif strides != 1 or inputs.shape[-1] != filters:
            raise InputError(
                f"Expected `preconv` in front of a block of {filters} filters with stride "
                f"{strides} whose inputs have {inputs.shape[-1]} channels, received preconv=False."
            )
        name = f"{name}_{kind.suffix}"
    cell = kind.make(filters, kernel_size, strides, settings, f"{name}_cell")
    return Unroll(cell, timesteps=settings.timesteps, name=name, **arguments)(outputs)


# === Towers ===


def tower(
    kind: Kind | None,
    common: CommonArguments,
    blocks: BlockArguments,
    time: TimeArguments | None = None,
    preconv_kernel: int | None = None,
) -> keras.Model:
    """A tower of one kind of block.

    Args:
        kind: of cell; None for convolutions alone.
        common: arguments of the builder.
        blocks: arguments of the builder.
        time: arguments of the builder, if it is recurrent.
        preconv_kernel: kernel size of convolutions in front of the cells, None for none.

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Example:
        >>> common = CommonArguments((64, 64, 3), 10, None, "softmax", True, "small")
        >>> tower(None, common, BlockArguments(1 / 64, "normal", "relu", "batch", 0.0)).name
        'small'
    """
    time = time or TimeArguments()
    _check(blocks, time, preconv_kernel)
    weights, classes = weights_and_classes(common.weights, common.classes)
    check_input_shape(common.input_shape, _SMALLEST_INPUT)
    upstream_exact = time.upstream_exact
    if upstream_exact is None:
        upstream_exact = weights is not None and weights.is_state_dict
    if kind is FGRU and weights is not None and weights.is_state_dict:
        # The original's has hGRUs, one that `to_torch_state_dict` wrote has what the model had.
        kind = HGRU if any(".hgru." in tensor for tensor in weights.arrays) else FGRU
    elif kind is FGRU and upstream_exact:
        kind = HGRU
    settings = Settings(
        blocks.activation, blocks.normalization, preconv_kernel, upstream_exact, time.timesteps
    )
    filters, pooled = TOWERS[blocks.tower_type]
    # === Functional model ===
    image = keras.Input(common.input_shape, name="image")
    outputs = unit_pixels(image) if common.include_preprocessing else image
    for number, count in enumerate(scaled(filters, blocks.width)):
        first, last = number == 0, number == len(filters) - 1
        block = f"cell_blocks_{number}"
        size, strides = (_FIRST_KERNEL, _FIRST_STRIDE) if first else (time.cell_kernel, 1)
        if kind is None or (first and time.skip_first):
            outputs = _convolution_block(outputs, count, size, strides, settings, block)
        else:
            over_time: dict[str, Any] = {}
            if last:
                over_time = {
                    "return_sequences": time.return_sequences,
                    "dropout": blocks.dropout,
                    "recurrent_dropout": time.recurrent_dropout,
                }
            outputs = _recurrent_block(
                outputs, count, size, strides, kind, settings, block, **over_time
            )
        if pooled[number] == "p":
            outputs = _pool(outputs, common.input_shape, f"{block}_pool")
    if kind is None and blocks.dropout:
        outputs = keras.layers.SpatialDropout2D(
            blocks.dropout, data_format="channels_last", name="dropout"
        )(outputs)
    logits = _readout(outputs, classes, settings)
    model = keras.Model(image, predictions(logits, common.classifier_activation), name=common.name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _check(blocks: BlockArguments, time: TimeArguments, preconv_kernel: int | None) -> None:
    if blocks.tower_type not in TOWERS:
        raise InputError(
            f"Expected `tower_type` to be one of {', '.join(TOWERS)}, received "
            f"{blocks.tower_type!r}."
        )
    try:
        keras.activations.get(blocks.activation)
    except ValueError as error:
        raise InputError(
            f"Expected `activation` to be one of {', '.join(get_args(Activation))}, or another of "
            f"Keras, received {blocks.activation!r}."
        ) from error
    check_normalization(blocks.normalization)
    if not 0 <= blocks.dropout < 1:
        raise InputError(f"Expected `dropout` from 0 to below 1, received {blocks.dropout}.")
    if time.timesteps < 1:
        raise InputError(f"Expected at least 1 time step, received timesteps={time.timesteps}.")
    sizes = {"cell_kernel": time.cell_kernel, "preconv_kernel": preconv_kernel}
    for argument, size in sizes.items():
        if size is not None and size < 1:
            raise InputError(f"Expected `{argument}` of 1 or more, received {size}.")


def _pool(inputs: Any, input_shape: InputShape, name: str) -> Any:
    small = any(side is not None and side < _SMALLEST_VALID_POOLING for side in input_shape[:2])
    pool = keras.layers.MaxPooling2D(
        2, padding="same" if small else "valid", data_format="channels_last", name=name
    )
    return OverTime(pool, name=name)(inputs)


def _readout(inputs: Any, classes: int, settings: Settings) -> Any:
    """A convolution with one output a class, and the mean over its positions.

    At 224 x 224 pixels the last map has 3 x 3 positions, and the convolution one.
    """
    small = any(side is not None and side < _LAST_KERNEL for side in inputs.shape[-3:-1])
    convolution = keras.layers.Conv2D(
        classes,
        _LAST_KERNEL,
        padding="same" if small else "valid",
        data_format="channels_last",
        kernel_initializer=kaiming_fan_out(settings.activation),
        dtype=readout_dtype(),
        name="last_conv",
    )
    mean = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", dtype=readout_dtype(), name="positions"
    )
    positions = OverTime(convolution, name="last_conv")(inputs)
    return OverTime(mean, name="positions")(positions)
