"""Convolution with filters that see one channel each, without multiplying by the zeros between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair, convolve


def check_channels(channels: Any, filters: int) -> tuple[int, ...]:
    """The channel that each filter sees, as ints.

    Args:
        channels: what the user gave.
        filters: number of filters.

    Raises:
        InputError: it is not one int of 0 or more for each filter.

    Example:
        >>> check_channels([2, 0], 2)
        (2, 0)
    """
    given = tuple(np.ravel(channels).tolist())
    if len(given) != filters or not all(isinstance(each, int) and each >= 0 for each in given):
        raise InputError(
            f"Expected `channels` to be the number of a channel for each of {filters} filters, "
            f"received {channels!r}."
        )
    return given


def channels_of(kernel: np.ndarray) -> tuple[int, ...]:
    """The channel that each filter of a kernel sees.

    Args:
        kernel: (height, width, C, filters).

    Raises:
        InputError: a filter sees more than one.

    Example:
        >>> kernel = np.zeros((3, 3, 3, 2))
        >>> kernel[:, :, 2, 1] = 1
        >>> channels_of(kernel)
        (0, 2)
    """
    seen = np.any(kernel != 0, axis=(0, 1))
    several = np.flatnonzero(seen.sum(axis=0) > 1)
    if len(several):
        raise InputError(
            f"Expected filters that see one channel each; of {kernel.shape[-1]} filters, "
            f"{len(several)} see more, such as number {several[0]}."
        )
    return tuple(np.argmax(seen, axis=0).tolist())


def responses_by_filter(
    inputs: Any,
    kernel: Any,
    channels: Sequence[int],
    strides: Pair,
    padding: str | Pair,
) -> Any:
    """Responses of each filter to its channel, at all places of all images in one row.

    One dense convolution per channel. To bring the filters into their order, rows are moved: in
    an image the filters lie side by side, and moving them there takes several times longer.

    Args:
        inputs: (N, H, W, C).
        kernel: (height, width, C, filters), zero outside the filters' channels. If it is not, all
            responses are NaN: `channels` are then of another kernel.
        channels: the channel that each filter sees.
        strides: of the windows.
        padding: of `check_padding`.

    Returns:
        (filters, N H' W'); `to_image` brings it back.
    """
    of = np.asarray(channels)
    elsewhere = np.ones(kernel.shape[2:], bool)
    elsewhere[of, np.arange(len(of))] = False
    strange = ops.any(ops.logical_and(kernel != 0, elsewhere))
    guard = ops.where(strange, ops.cast(np.nan, kernel.dtype), ops.cast(0, kernel.dtype))
    rows, order = [], []
    for channel in np.unique(of).tolist():
        filters = np.flatnonzero(of == channel)
        order.append(filters)
        seen = ops.take(kernel[:, :, channel : channel + 1], filters, axis=-1) + guard
        outputs = convolve(inputs[..., channel : channel + 1], seen, strides, padding)
        rows.append(ops.transpose(ops.reshape(outputs, (-1, len(filters)))))
    return ops.take(ops.concatenate(rows, axis=0), np.argsort(np.concatenate(order)), axis=0)


def to_image(rows: Any, sizes: tuple[Any, Any]) -> Any:
    """(filters, N H W) to (N, H, W, filters).

    Args:
        rows: of `responses_by_filter`.
        sizes: H and W.
    """
    return ops.reshape(ops.transpose(rows), (-1, *sizes, rows.shape[0]))
