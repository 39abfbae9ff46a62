"""Towers: five to ten recurrent convolutional layers of one kind, with pooling between.

Their network is in `_tower_network.py`.
"""

from __future__ import annotations

from typing import Any

import keras

from tfbio.layers.conv_cell import Normalization
from tfbio.models._tower_network import (
    FACTS,
    FGRU,
    GRU,
    HGRU,
    LSTM,
    RECIPROCAL,
    RECURRENT_FACTS,
    RNN,
    Activation,
    BlockArguments,
    TimeArguments,
    TowerType,
    tower,
)
from tfbio.models.construction import CommonArguments, InputShape
from tfbio.models.registry import register_model


@register_model(**FACTS, reference="10.48550/arXiv.1805.08315")
def conv_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "conv_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
) -> keras.Model:
    """Tower of convolutions: the feed-forward control of the recurrent towers.

    Blocks are convolution, normalization and activation; 2 x 2 pooling follows some of them.

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
        tower_type: number and size of the blocks: `"normal"` (five), `"more"` (eight), `"wider"`
            (five of more filters) or `"deeper"` (ten).
        activation: activation of every block; another of Keras' names, or a function, works, too.
        normalization: normalization in every block, `"batch"`, `"layer"` or None.
        dropout: fraction of the last block's channels that are silent in training.

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Birkholz (2023), "Shape-Selective Processing in Recurrent Deep Neural Networks".
        Used as the control by Linsley et al. (2018), doi:10.48550/arXiv.1805.08315.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`, which takes 197 to 260 pixels. Here smaller
        images are pooled with padding, and of larger ones the mean over positions is read out.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("conv_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125)
        >>> model.output_shape
        (None, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    return tower(None, common, blocks)


@register_model(**RECURRENT_FACTS, reference="10.1109/CVPR.2015.7298958")
def rnn_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "rnn_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of plain recurrent convolutions, `ConvRNNCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, input shape and errors are `conv_tower`'s.

    Args:
        normalization: normalization in every block, `"batch"`, `"layer"` or None, the same at all
            time steps.
        dropout: fraction of the last block's channels that are silent in training, the same at all
            time steps.
        timesteps: number of time steps, 1 or more; see `tfbio.with_timesteps` for others
            afterwards.
        return_sequences: return all time steps, or the last one.
        skip_first: the first block is a convolution, the same at all time steps.
        cell_kernel: kernel size of all blocks but the first, which has 7.
        recurrent_dropout: silence the same channels of the last block's states, too.
        upstream_exact: compute as the original does, defects included, which is the same for this
            cell. None does so if `weights` are a state dict, which may also be one that
            `tfbio.weights.to_torch_state_dict` wrote: say False then.

    Output shape:
        (N, timesteps, classes) with `return_sequences`, else (N, classes).

    Reference:
        Birkholz (2023), "Shape-Selective Processing in Recurrent Deep Neural Networks".
        Liang, Hu (2015), doi:10.1109/CVPR.2015.7298958.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`, which runs all blocks at every time step, takes
        197 to 260 pixels, and ignores the cells' kernel size. Here every block is computed for all
        time steps before the next; smaller images are pooled with padding, and of larger ones the
        mean over positions is read out.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("rnn_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(RNN, common, blocks, time)


@register_model(**RECURRENT_FACTS, reference="10.48550/arXiv.1511.06432")
def gru_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "gru_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of convolutional GRUs, `ConvGRUCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, shapes and errors are `rnn_tower`'s.

    Args:
        upstream_exact: compute as the original does, defects included: the update gate
            takes both sides. None does so if
            `weights` are a state dict, which may also be one that
            `tfbio.weights.to_torch_state_dict` wrote: say False then.

    Reference:
        Birkholz (2023). Ballas, Yao, Pal, Courville (2016), https://arxiv.org/abs/1511.06432.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`; see `rnn_tower`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("gru_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(GRU, common, blocks, time)


@register_model(**RECURRENT_FACTS, reference="10.48550/arXiv.1506.04214")
def lstm_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "lstm_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of convolutional LSTMs with convolutions of the cell state, `ConvLSTMCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, shapes and errors are `rnn_tower`'s.

    Args:
        upstream_exact: compute as the original does, defects included: the output gate
            sees the cell state before the update. None does so if
            `weights` are a state dict, which may also be one that
            `tfbio.weights.to_torch_state_dict` wrote: say False then.

    Reference:
        Birkholz (2023). Shi et al. (2015), https://arxiv.org/abs/1506.04214.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`; see `rnn_tower`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("lstm_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(LSTM, common, blocks, time)


@register_model(**RECURRENT_FACTS, reference="10.48550/arXiv.1807.00053")
def reciprocal_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "reciprocal_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    preconv: bool = True,
    preconv_kernel: int = 1,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of reciprocal gated cells, `ReciprocalGatedCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, shapes and errors are `rnn_tower`'s.

    Args:
        preconv: a convolution brings a block's inputs to its number of channels.
        preconv_kernel: kernel size of that convolution, pixels.

    Reference:
        Birkholz (2023). Nayebi et al. (2018), https://arxiv.org/abs/1807.00053.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`; see `rnn_tower`. There the first block works as a
        convolution only.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("reciprocal_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(RECIPROCAL, common, blocks, time, preconv_kernel if preconv else None)


@register_model(**RECURRENT_FACTS, reference="10.48550/arXiv.1805.08315")
def hgru_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "hgru_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    preconv: bool = True,
    preconv_kernel: int = 1,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of horizontal gated recurrent units, `HGRUCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, shapes and errors are `rnn_tower`'s.

    Args:
        activation: activation of the first block, if that is a convolution; another of Keras'
        names, or
            a function, works, too. It sets the gain of all initial convolutions.
        preconv: a convolution brings a block's inputs to its number of channels.
        preconv_kernel: kernel size of that convolution, pixels.
        upstream_exact: compute as the original does, defects included: the gates' biases
            start without the logarithm. None does so if
            `weights` are a state dict, which may also be one that
            `tfbio.weights.to_torch_state_dict` wrote: say False then.

    Reference:
        Birkholz (2023). Linsley, Kim, Veerabadran, Windolf, Serre (2018),
        https://arxiv.org/abs/1805.08315.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`; see `rnn_tower`. There the states start from
        noise, which is another one at every call.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("hgru_tower", input_shape=(64, 64, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(HGRU, common, blocks, time, preconv_kernel if preconv else None)


@register_model(
    **{
        **RECURRENT_FACTS,
        "quick_start": {"input_shape": (112, 112, 3), "width": 0.25, "timesteps": 3},
    },
    reference="https://openreview.net/forum?id=H1gB4RVKvB",
)
def fgru_tower(
    input_shape: InputShape = (224, 224, 3),
    classes: int | None = None,
    weights: Any = None,
    classifier_activation: str | None = "softmax",
    include_preprocessing: bool = True,
    name: str = "fgru_tower",
    width: float = 1.0,
    tower_type: TowerType = "normal",
    activation: Activation = "relu",
    normalization: Normalization | None = "batch",
    dropout: float = 0.0,
    timesteps: int = 4,
    return_sequences: bool = False,
    skip_first: bool = True,
    cell_kernel: int = 3,
    preconv: bool = True,
    preconv_kernel: int = 1,
    recurrent_dropout: bool = False,
    upstream_exact: bool | None = None,
) -> keras.Model:
    """Tower of fGRUs, `FGRUCell`.

    The image stays on. At every time step all blocks are computed, from the image up. Arguments
    that are not described here, shapes and errors are `rnn_tower`'s.

    Args:
        activation: activation of the first block, if that is a convolution; another of Keras'
        names, or
            a function, works, too.
        normalization: normalization in the first block, `"batch"`, `"layer"` or None. fGRUs
            normalize each image by itself.
        preconv: a convolution brings a block's inputs to its number of channels.
        preconv_kernel: kernel size of that convolution, pixels.
        upstream_exact: compute as the original does, defects included: the cells are
            hGRUs, as the thesis' were. None does so if
            `weights` are a state dict, which may also be one that
            `tfbio.weights.to_torch_state_dict` wrote: say False then.

    Reference:
        Birkholz (2023). Linsley, Kim, Ashok, Serre (2020),
        https://openreview.net/forum?id=H1gB4RVKvB.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`; see `rnn_tower`. There the tower named so is one
        of hGRUs.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("fgru_tower", input_shape=(112, 112, 3), classes=16,
        ...                            width=0.125, return_sequences=True)
        >>> model.output_shape
        (None, 4, 16)
    """
    common = CommonArguments(
        input_shape, classes, weights, classifier_activation, include_preprocessing, name
    )
    blocks = BlockArguments(width, tower_type, activation, normalization, dropout)
    time = TimeArguments(
        timesteps, return_sequences, skip_first, cell_kernel, recurrent_dropout, upstream_exact
    )
    return tower(FGRU, common, blocks, time, preconv_kernel if preconv else None)
