"""What the convolutional layers share: windows, padding as PyTorch has it, groups by splitting."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from keras import ops

from tfbio.errors import InputError

Pair = tuple[int, int]


def pair(value: int | tuple[int, int], name: str, smallest: int = 1) -> Pair:
    """An int or two ints as two ints.

    Args:
        value: what the user gave, for both axes or for height and width.
        name: the argument's name, for the error.
        smallest: the smallest allowed value.

    Raises:
        InputError: it is something else, or smaller.
    """
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2 or not all(isinstance(each, Integral) and each >= smallest for each in both):
        raise InputError(
            f"Expected `{name}` to be an int or two ints of {smallest} or more, received {value!r}."
        )
    return int(both[0]), int(both[1])


def count(value: Any, name: str) -> int:
    """An int of 1 or more.

    Args:
        value: what the user gave.
        name: the argument's name, for the error.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, Integral) or value < 1:
        raise InputError(f"Expected `{name}` to be an int of 1 or more, received {value!r}.")
    return int(value)


def odd(value: Any, name: str, what: str) -> int:
    """An odd int of 1 or more.

    Args:
        value: what the user gave.
        name: the argument's name, for the error.
        what: what has a centre only if its side is odd.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, Integral) or value < 1 or value % 2 == 0:
        raise InputError(
            f"Expected `{name}` to be one odd int, so that the {what} has a centre, received "
            f"{value!r}."
        )
    return int(value)


def check_padding(padding: str | int | tuple[int, int]) -> str | Pair:
    """`"valid"`, `"same"`, or the number of zeros on either side of each axis.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(padding, str):
        if padding.lower() not in ("valid", "same"):
            raise InputError(
                "Expected `padding` to be 'valid', 'same', or the number of zeros on each side, "
                f"received {padding!r}."
            )
        return padding.lower()
    return pair(padding, "padding", smallest=0)


def zeros_around(size: int, window: int, stride: int, padding: str | int) -> Pair:
    """The number of zeros before and after one axis of a given size.

    `"same"` is TensorFlow's: ceil(size / stride) outputs, and the odd zero comes last. A number
    goes on both sides, as in PyTorch.

    Args:
        size: of the input.
        window: of the kernel, dilated.
        stride: of the windows.
        padding: `"valid"`, `"same"` or a number.
    """
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    return int(padding), int(padding)


def output_length(size: int | None, window: int, stride: int, padding: str | int) -> int | None:
    """Number of windows along one axis, None if its size is not known."""
    if size is None:
        return None
    if padding == "same":
        return -(-size // stride)
    before, after = zeros_around(size, window, stride, padding)
    return (size + before + after - window) // stride + 1


def output_sizes(
    inputs_shape: Sequence[int | None],
    window: Pair,
    strides: Pair,
    padding: str | Pair,
    layer: str,
) -> tuple[int | None, int | None]:
    """Numbers of windows down and across, None where the input's size is not known.

    Args:
        inputs_shape: (N, H, W, C).
        window: height and width of the kernel, dilated.
        strides: of the windows.
        padding: of `check_padding`.
        layer: name of the layer, for the error.

    Raises:
        InputError: the input is smaller than the window.
    """
    rows, columns = (
        output_length(*axis)
        for axis in zip(inputs_shape[1:3], window, strides, per_axis(padding), strict=True)
    )
    if any(number is not None and number < 1 for number in (rows, columns)):
        raise InputError(
            f"Expected inputs no smaller than the window of {layer!r}, {window[0]} x {window[1]} "
            f"pixels; received {tuple(inputs_shape[1:3])} with padding {padding!r}. Take larger "
            "inputs, a smaller `kernel_size` or more `padding`."
        )
    return rows, columns


def known_channels(inputs_shape: Sequence[int | None]) -> int:
    """The number of channels of inputs (N, H, W, C).

    Raises:
        InputError: it is not known.
    """
    channels = inputs_shape[-1]
    if channels is None:
        raise InputError(
            f"Expected inputs of a known number of channels, received {tuple(inputs_shape)}: "
            "give it in the shape of the input."
        )
    return channels


def per_axis(padding: str | Pair) -> tuple[str | int, str | int]:
    """The padding of height and of width."""
    return (padding, padding) if isinstance(padding, str) else padding


def convolve(
    inputs: Any,
    kernel: Any,
    strides: Pair = (1, 1),
    padding: str | Pair = "valid",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """Cross-correlation of (N, H, W, C) with a kernel (height, width, C / groups, filters).

    Groups are split, convolved and concatenated: on TensorFlow's CPU a grouped convolution goes
    through XLA and is tens of times slower. TensorFlow has no strided dilated convolution; there
    the dilated one is computed everywhere and every stride-th output taken.

    Args:
        inputs: (N, H, W, C).
        kernel: (height, width, C / groups, filters).
        strides: of the windows.
        padding: of `check_padding`.
        dilation_rate: distance of neighbouring kernel elements, pixels.
        groups: number of groups of channels.

    Returns:
        (N, H', W', filters)
    """
    windows = [
        rate * (size - 1) + 1 for rate, size in zip(dilation_rate, kernel.shape, strict=False)
    ]
    if padding == "same" and strides != (1, 1) and dilation_rate != (1, 1):
        sizes = inputs.shape[1:3]
        zeros = [zeros_around(*each, "same") for each in zip(sizes, windows, strides, strict=True)]
        inputs, padding = ops.pad(inputs, [(0, 0), *zeros, (0, 0)]), "valid"
    elif not isinstance(padding, str):
        # "same" pads equally where the window is odd and the stride 1: no copy of the input.
        equal = all(2 * zeros == window - 1 for zeros, window in zip(padding, windows, strict=True))
        if not (equal and strides == (1, 1)):
            if padding != (0, 0):
                around = [(zeros, zeros) for zeros in padding]
                inputs = ops.pad(inputs, [(0, 0), *around, (0, 0)])
            padding = "valid"
        else:
            padding = "same"
    if strides != (1, 1) and dilation_rate != (1, 1):
        dense = convolve(inputs, kernel, (1, 1), padding, dilation_rate, groups)
        return dense[:, :: strides[0], :: strides[1]]
    if strides != (1, 1) and tuple(kernel.shape[:2]) == (1, 1):
        # TensorFlow 2.21's gradient of it writes past the end of memory for few channels and even
        # sizes, as images have.
        inputs, strides = inputs[:, :: strides[0], :: strides[1]], (1, 1)
    inputs_of = [inputs] if groups == 1 else ops.split(inputs, groups, axis=-1)
    kernel_of = [kernel] if groups == 1 else ops.split(kernel, groups, axis=-1)
    outputs = [
        ops.conv(
            part,
            weights,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            data_format="channels_last",
        )
        for part, weights in zip(inputs_of, kernel_of, strict=True)
    ]
    return outputs[0] if groups == 1 else ops.concatenate(outputs, axis=-1)
