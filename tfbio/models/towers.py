"""Towers: five to ten recurrent convolutional layers of one kind, with pooling between."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.layers._gates import kaiming_fan_out
from tfbio.layers.conv_cell import ConvCell, check_normalization, normalization_layer
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.over_time import OverTime
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.unroll import Unroll
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    predictions,
    readout_dtype,
    scaled,
    show_arguments,
    unit_pixels,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights

# Filters of each block, and whether pooling follows it.
TOWERS: dict[str, tuple[tuple[int, ...], str]] = {
    "normal": ((64, 128, 256, 256, 512), "ppppp"),
    "more": ((64, 64, 128, 128, 256, 256, 512, 512), "p.p.p.pp"),
    "wider": ((128, 512, 512, 512, 1024), "ppppp"),
    "deeper": ((64, 64, 64, 128, 128, 256, 256, 512, 512, 512), "p..p.pp..p"),
}
_FIRST_KERNEL, _FIRST_STRIDE = 7, 2
_LAST_KERNEL = 3
_SMALLEST_INPUT = 32
# Below this size five poolings of 2 x 2 leave no pixel of what the first block gives.
_SMALLEST_VALID_POOLING = 69

# The number of arguments that every model of the registry has, and the width.
_OF_EVERY_MODEL = 7


@dataclass(frozen=True)
class Choices:
    """What all blocks of a tower have in common.

    Attributes:
        activation: of every block that has a choice.
        normalization: `"batch"`, `"layer"` or None.
        preconv: whether a convolution brings the inputs of an hGRU, fGRU or reciprocal gated cell
            to its number of channels.
        preconv_kernel: its kernel size.
        upstream_exact: compute as the original, defects included.
        timesteps: number of time steps.
    """

    activation: str
    normalization: str | None
    preconv: bool
    preconv_kernel: int
    upstream_exact: bool
    timesteps: int


# === Cells ===

MakeCell = Callable[[int, int, int, Choices, str], ConvCell]


def _rnn(filters: int, kernel_size: int, strides: int, choices: Choices, name: str) -> ConvCell:
    return ConvRNNCell(
        filters, kernel_size, strides, choices.activation, choices.normalization, name=name
    )


def _gru(filters: int, kernel_size: int, strides: int, choices: Choices, name: str) -> ConvCell:
    return ConvGRUCell(
        filters, kernel_size, strides, choices.activation, choices.normalization,
        upstream_exact=choices.upstream_exact, name=name,
    )  # fmt: skip


def _lstm(filters: int, kernel_size: int, strides: int, choices: Choices, name: str) -> ConvCell:
    return ConvLSTMCell(
        filters, kernel_size, strides, choices.activation, choices.normalization,
        upstream_exact=choices.upstream_exact, name=name,
    )  # fmt: skip


def _reciprocal(
    filters: int, kernel_size: int, strides: int, choices: Choices, name: str
) -> ConvCell:
    return ReciprocalGatedCell(
        filters, kernel_size, strides, choices.activation, choices.normalization,
        preconv_kernel_size=choices.preconv_kernel if choices.preconv else None, name=name,
    )  # fmt: skip


def _hgru(filters: int, kernel_size: int, strides: int, choices: Choices, name: str) -> ConvCell:
    return HGRUCell(
        filters, kernel_size, normalization=choices.normalization,
        max_timesteps=max(choices.timesteps, 2), norm_scale=1.0,
        gate_initializer=kaiming_fan_out(choices.activation),
        upstream_exact=choices.upstream_exact, name=name,
    )  # fmt: skip


def _fgru(filters: int, kernel_size: int, strides: int, choices: Choices, name: str) -> ConvCell:
    return FGRUCell(filters, kernel_size, max_timesteps=choices.timesteps, name=name)


@dataclass(frozen=True)
class _Kind:
    """A kind of cell.

    Attributes:
        make: makes one.
        suffix: what the original calls it within its block, if the block has more than the cell.
    """

    make: MakeCell
    suffix: str | None = None


_RNN, _GRU, _LSTM = _Kind(_rnn), _Kind(_gru), _Kind(_lstm)
_RECIPROCAL = _Kind(_reciprocal)
_HGRU, _FGRU = _Kind(_hgru, "hgru"), _Kind(_fgru, "fgru")


# === Blocks ===


def _convolution_block(
    inputs: Any, filters: int, kernel_size: int, strides: int, choices: Choices, name: str
) -> Any:
    """Convolution, normalization, activation; the same at every time step, so computed once."""
    outputs = _convolution(filters, kernel_size, strides, choices, f"{name}_conv")(inputs)
    if choices.normalization is not None:
        dtype = keras.config.dtype_policy()
        norm = normalization_layer(choices.normalization, f"{name}_norm", dtype)
        if isinstance(norm, keras.layers.BatchNormalization):
            # The original moves the averages at every time step, always by the same statistics.
            norm.momentum **= choices.timesteps
        outputs = norm(outputs)
    return keras.layers.Activation(choices.activation, name=f"{name}_activation")(outputs)


def _convolution(
    filters: int, kernel_size: int, strides: int, choices: Choices, name: str
) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same" if strides == 1 else "valid",
        data_format="channels_last",
        kernel_initializer=kaiming_fan_out(choices.activation),
        name=name,
    )


def _recurrent_block(
    inputs: Any,
    filters: int,
    kernel_size: int,
    strides: int,
    kind: _Kind,
    choices: Choices,
    name: str,
    **arguments: Any,
) -> Any:
    """A cell over time, behind a convolution if the cell has as many inputs as outputs."""
    outputs = inputs
    if kind.suffix is not None:
        if choices.preconv:
            if choices.preconv_kernel == 1 and strides > 1:
                # See `tfbio.layers._convolution.convolve`: the strided one is not safe.
                outputs, strides = outputs[:, ::strides, ::strides], 1
            preconv = _convolution(
                filters, choices.preconv_kernel, strides, choices, f"{name}_conv"
            )
            outputs = OverTime(preconv, name=f"{name}_conv")(outputs)
        elif strides != 1 or inputs.shape[-1] != filters:
            raise InputError(
                f"Expected `preconv` in front of a block of {filters} filters with stride "
                f"{strides} whose inputs have {inputs.shape[-1]} channels, received preconv=False."
            )
        name = f"{name}_{kind.suffix}"
    cell = kind.make(filters, kernel_size, strides, choices, f"{name}_cell")
    return Unroll(cell, timesteps=choices.timesteps, name=name, **arguments)(outputs)


# === Towers ===


def _tower(
    kind: _Kind | None,
    input_shape: InputShape,
    classes: int | None,
    weights: Any,
    classifier_activation: str | None,
    include_preprocessing: bool,
    name: str,
    width: float,
    tower_type: str,
    activation: str,
    normalization: str | None,
    dropout: float,
    timesteps: int = 1,
    return_sequences: bool = False,
    skip_first: bool = False,
    cell_kernel: int = 3,
    preconv: bool = True,
    preconv_kernel: int = 1,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """A tower of one kind of block; None for convolutions alone."""
    if tower_type not in TOWERS:
        raise InputError(
            f"Expected `tower_type` to be one of {', '.join(TOWERS)}, received {tower_type!r}."
        )
    if timesteps < 1:
        raise InputError(f"Expected at least 1 time step, received timesteps={timesteps}.")
    if not 0 <= dropout < 1:
        raise InputError(f"Expected `dropout` from 0 to below 1, received {dropout}.")
    weights, classes = weights_and_classes(weights, classes)
    check_input_shape(input_shape, _SMALLEST_INPUT)
    for argument, size in (("cell_kernel", cell_kernel), ("preconv_kernel", preconv_kernel)):
        if size < 1:
            raise InputError(f"Expected `{argument}` of 1 or more, received {size}.")
    if upstream_exact is None:
        upstream_exact = weights is not None and weights.is_state_dict
    if kind is _FGRU and weights is not None and weights.is_state_dict:
        # The original's has hGRUs, one that `to_torch_state_dict` wrote has what the model had.
        kind = _HGRU if any(".hgru." in tensor for tensor in weights.arrays) else _FGRU
    elif kind is _FGRU and upstream_exact:
        kind = _HGRU
    choices = Choices(activation, normalization, preconv, preconv_kernel, upstream_exact, timesteps)
    filters, pooled = TOWERS[tower_type]
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    outputs = unit_pixels(image) if include_preprocessing else image
    try:
        check_normalization(normalization)
        for number, count in enumerate(scaled(filters, width)):
            first, last = number == 0, number == len(filters) - 1
            block = f"cell_blocks_{number}"
            kernel_size, strides = (_FIRST_KERNEL, _FIRST_STRIDE) if first else (cell_kernel, 1)
            if kind is None or (first and skip_first):
                outputs = _convolution_block(outputs, count, kernel_size, strides, choices, block)
            else:
                over_time: dict[str, Any] = (
                    {
                        "return_sequences": return_sequences,
                        "dropout": dropout,
                        "recurrent_dropout": recurrent_dropout,
                    }
                    if last
                    else {}
                )
                outputs = _recurrent_block(
                    outputs, count, kernel_size, strides, kind, choices, block, **over_time
                )
            if pooled[number] == "p":
                outputs = _pool(outputs, input_shape, f"{block}_pool")
    except ValueError as error:
        raise InputError(str(error)) from error
    if kind is None and dropout:
        outputs = keras.layers.SpatialDropout2D(
            dropout, data_format="channels_last", name="dropout"
        )(outputs)
    output = predictions(_readout(outputs, classes, choices), classifier_activation)
    model = keras.Model(image, output, name=name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _pool(inputs: Any, input_shape: InputShape, name: str) -> Any:
    small = any(side is not None and side < _SMALLEST_VALID_POOLING for side in input_shape[:2])
    pool = keras.layers.MaxPooling2D(
        2, padding="same" if small else "valid", data_format="channels_last", name=name
    )
    return OverTime(pool, name=name)(inputs)


def _readout(inputs: Any, classes: int, choices: Choices) -> Any:
    """A convolution with one output a class, and the mean over its positions.

    At 224 x 224 pixels the last map has 3 x 3 positions, and the convolution one.
    """
    small = any(side is not None and side < _LAST_KERNEL for side in inputs.shape[-3:-1])
    convolution = keras.layers.Conv2D(
        classes,
        _LAST_KERNEL,
        padding="same" if small else "valid",
        data_format="channels_last",
        kernel_initializer=kaiming_fan_out(choices.activation),
        dtype=readout_dtype(),
        name="last_conv",
    )
    mean = keras.layers.GlobalAveragePooling2D(
        data_format="channels_last", dtype=readout_dtype(), name="positions"
    )
    positions = OverTime(convolution, name="last_conv")(inputs)
    return OverTime(mean, name="positions")(positions)


_DOCUMENTATION = """{headline}

    {architecture}

    Args:
        input_shape: (H, W, 3), each side 32 or more, or None for any size from 197 pixels on.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: scale pixels from [0, 255] to [0, 1] inside the model. Without it
            the model expects [0, 1].
        name: name of the model.
        width: factor on the number of filters of every block; 1 is the published network.
        tower_type: `"normal"` (five blocks), `"more"` (eight), `"wider"` (five of more filters) or
            `"deeper"` (ten).
        activation: {activation}
        normalization: {normalization}
        dropout: fraction of channels of the last block that are silent in training{same_mask}.{own}

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        {output_shape}

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Birkholz (2023), "Shape-Selective Processing in Recurrent Deep Neural Networks".
        {reference}

    Upstream:
        shape-processing-rnns, `FeedForwardTower`, which runs all blocks at every time step, takes
        197 to 260 pixels, and ignores the cells' kernel size. Here every block is computed for all
        time steps before the next; smaller images are pooled with padding, and of larger ones the
        mean over positions is read out. {upstream}

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("{name}", input_shape={example_shape}, classes=16,
        ...                            width=0.125)
        >>> model.output_shape
        (None, 16)
    """

_OF_RECURRENT = """
        timesteps: number of time steps, 1 or more; see `tfbio.with_timesteps` for others
            afterwards.
        return_sequences: return all time steps, or the last one.
        skip_first: the first block is a convolution, the same at all time steps.
        cell_kernel: kernel size of all blocks but the first, which has 7.
        recurrent_dropout: silence the same channels of the last block's states, too.{own}
        upstream_exact: {exact} None computes so if `weights` are a state dict, which may
            also be one that `tfbio.weights.to_torch_state_dict` wrote: say False then."""
_OF_PRECONV = """
        preconv: a convolution brings a block's inputs to its number of channels.
        preconv_kernel: its kernel size."""


def _arguments_of_all(
    tower_type: str = "normal",
    activation: str = "relu",
    normalization: str | None = "batch",
    dropout: float = 0.0,
) -> None:
    """The arguments that every tower has beside those of every model."""


def _arguments_over_time(
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> None:
    """The arguments that every recurrent tower has."""


def _arguments_with_preconv(
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    preconv: bool = True,
    preconv_kernel: int = 1,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> None:
    """The arguments of a tower whose cells have as many inputs as outputs."""


def _register(
    name: str,
    kind: _Kind | None,
    headline: str,
    architecture: str,
    reference: str,
    doi: str,
    exact: str = "",
    upstream: str = "",
    activation: str = "of every block, a function or its name.",
    normalization: str = '`"batch"`, `"layer"` or None, the same at all time steps.',
    quick_size: int = 64,
) -> Callable[..., keras.Model]:
    """Make the builder of a tower, and register it."""
    recurrent = kind is not None
    with_preconv = kind in (_RECIPROCAL, _HGRU, _FGRU)

    def build(
        input_shape: InputShape = (224, 224, 3),
        classes: int | None = None,
        weights: Any = None,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = name,
        width: float = 1.0,
        **others: Any,
    ) -> keras.Model:
        return _tower(
            kind, input_shape, classes, weights, classifier_activation, include_preprocessing,
            name, width, **{**defaults, **others},
        )  # fmt: skip

    own = _arguments_with_preconv if with_preconv else _arguments_over_time if recurrent else None
    show_arguments(build, _arguments_of_all, own)
    parameters = inspect.signature(build).parameters
    defaults = {each: parameters[each].default for each in list(parameters)[_OF_EVERY_MODEL:]}
    build.__name__ = build.__qualname__ = name
    of_recurrent = _OF_RECURRENT.format(own=_OF_PRECONV if with_preconv else "", exact=exact)
    build.__doc__ = _DOCUMENTATION.format(
        name=name,
        headline=headline,
        architecture=architecture,
        activation=activation,
        normalization=normalization,
        same_mask=", the same at all time steps" if recurrent else "",
        own=of_recurrent if recurrent else "",
        output_shape=(
            "(N, timesteps, classes) with `return_sequences`, else (N, classes)."
            if recurrent
            else "(N, classes)"
        ),
        reference=reference,
        upstream=upstream,
        example_shape=(quick_size, quick_size, 3),
    )
    quick_start: dict[str, Any] = {"input_shape": (quick_size, quick_size, 3), "width": 0.25}
    return register_model(
        family="shape-selective RNNs",
        input_shape=(224, 224, 3),
        reference=doi,
        weight_formats=("PyTorch state dict",),
        recurrent=recurrent,
        quick_start={**quick_start, "timesteps": 3} if recurrent else quick_start,
    )(build)


_FIVE_BLOCKS = "The image stays on. At every time step all blocks are computed, from the image up."
_SAME = "The same with and without, for this cell."

conv_tower = _register(
    "conv_tower",
    None,
    "Tower of convolutions: the feed-forward control of the recurrent towers.",
    "Blocks are convolution, normalization and activation; 2 x 2 pooling follows some of them.",
    "Used as the control there.",
    "10.48550/arXiv.1805.08315",
)
rnn_tower = _register(
    "rnn_tower",
    _RNN,
    "Tower of plain recurrent convolutions, `ConvRNNCell`.",
    _FIVE_BLOCKS,
    "Liang, Hu (2015), doi:10.1109/CVPR.2015.7298958.",
    "10.1109/CVPR.2015.7298958",
    exact=_SAME,
)
gru_tower = _register(
    "gru_tower",
    _GRU,
    "Tower of convolutional GRUs, `ConvGRUCell`.",
    _FIVE_BLOCKS,
    "Ballas, Yao, Pal, Courville (2016), https://arxiv.org/abs/1511.06432.",
    "10.48550/arXiv.1511.06432",
    exact="the update gate takes both sides.",
)
lstm_tower = _register(
    "lstm_tower",
    _LSTM,
    "Tower of convolutional LSTMs with convolutions of the cell state, `ConvLSTMCell`.",
    _FIVE_BLOCKS,
    "Shi et al. (2015), https://arxiv.org/abs/1506.04214.",
    "10.48550/arXiv.1506.04214",
    exact="the output gate sees the cell state before the update.",
)
reciprocal_tower = _register(
    "reciprocal_tower",
    _RECIPROCAL,
    "Tower of reciprocal gated cells, `ReciprocalGatedCell`.",
    _FIVE_BLOCKS,
    "Nayebi et al. (2018), https://arxiv.org/abs/1807.00053.",
    "10.48550/arXiv.1807.00053",
    exact=_SAME,
    upstream="There the first block works as a convolution only.",
)
hgru_tower = _register(
    "hgru_tower",
    _HGRU,
    "Tower of horizontal gated recurrent units, `HGRUCell`.",
    _FIVE_BLOCKS,
    "Linsley, Kim, Veerabadran, Windolf, Serre (2018), https://arxiv.org/abs/1805.08315.",
    "10.48550/arXiv.1805.08315",
    exact="the gates' biases start without the logarithm.",
    upstream="There the states start from noise, which is another one at every call.",
    activation=(
        "of the first block, if that is a convolution; a function or its name. It sets\n"
        "            the gain of all initial convolutions."
    ),
)
fgru_tower = _register(
    "fgru_tower",
    _FGRU,
    "Tower of fGRUs, `FGRUCell`.",
    _FIVE_BLOCKS,
    "Linsley, Kim, Ashok, Serre (2020), https://openreview.net/forum?id=H1gB4RVKvB.",
    "https://openreview.net/forum?id=H1gB4RVKvB",
    exact="the cells are hGRUs, as the thesis' were.",
    upstream="There the tower named so is one of hGRUs.",
    activation="of the first block, if that is a convolution; a function or its name.",
    normalization=(
        'of the first block, `"batch"`, `"layer"` or None. fGRUs normalize each\n'
        "            image by itself."
    ),
    quick_size=112,
)
