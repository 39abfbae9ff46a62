"""ConvCell: what all recurrent convolutional cells share, their interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair, count, known_channels, output_sizes, pair

Normalization = Literal["batch", "layer"]
NORMALIZATIONS: tuple[Normalization, ...] = get_args(Normalization)


class ConvCell(keras.layers.Layer):
    """One time step of a recurrent layer whose units lie on a map.

        output, states = cell(inputs, states)

    It is Keras' cell protocol but for the initial state, which cannot be made from the size of the
    batch alone: states are maps. `tfbio.layers.Unroll` runs any cell over time.

    A cell says what it computes in two parts, so that `Unroll` can do the first for all time steps
    at once, and for a static image a single time:

        drive(inputs)                               what the inputs alone decide
        step(drive, states, constants, training)    one time step: output and new states

    Args:
        filters: number of channels of the output and of every state.
        kernel_size: an odd or even int or a pair, the window of the recurrent convolutions.
        strides: an int or a pair. With a stride of 1 maps keep their size (`same`, the odd zero
            last); otherwise the convolutions of the inputs have no padding (`valid`), and those of
            states keep the size.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C).
        states: as many maps (N, H', W', filters) as `state_names` has names; None begins.
        training: whether normalization takes the statistics of the batch.

    Input shape:
        (N, H, W, C)

    Output shape:
        Output (N, H', W', filters), and a list of states of the same shape.

    Raises:
        InputError: an argument is out of range.

    Example:
        >>> import keras, tfbio
        >>> cell = tfbio.layers.ConvRNNCell(filters=4, kernel_size=3)
        >>> image = keras.random.uniform((2, 8, 8, 3))
        >>> output, states = cell(image)
        >>> output, states = cell(image, states)
        >>> tuple(output.shape), cell.state_names
        ((2, 8, 8, 4), ('h',))
    """

    # What the states are called, in the order in which they are handed on.
    state_names: tuple[str, ...] = ("h",)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = 1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.filters = count(filters, "filters")
        self.kernel_size = pair(kernel_size, "kernel_size")
        self.strides = pair(strides, "strides")

    @property
    def padding(self) -> str:
        """Of the convolutions of the inputs."""
        return "same" if self.strides == (1, 1) else "valid"

    @property
    def state_size(self) -> list[int]:
        """The number of channels of each state."""
        return [self.filters] * len(self.state_names)

    @property
    def output_size(self) -> int:
        """The number of channels of the output."""
        return self.filters

    def map_shape(self, inputs_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the output and of every state, for inputs (N, H, W, C)."""
        known_channels(inputs_shape)
        sizes = output_sizes(inputs_shape, self.kernel_size, self.strides, self.padding, self.name)
        return (inputs_shape[0], *sizes, self.filters)

    def drive(self, inputs: Any) -> Any:
        """What the inputs alone decide: (N, H, W, C) to a tensor or a list of them, (N, ...)."""
        return inputs

    def constants(self, drive: Any) -> Any:
        """What does not change over time, such as parts of kernels; made once for all steps."""
        return None

    def get_initial_state(self, drive: Any) -> list[Any]:
        """The states at the beginning: silence."""
        first = keras.tree.flatten(drive)[0]
        silence = ops.zeros((*ops.shape(first)[:3], self.filters), dtype=first.dtype)
        return [silence] * len(self.state_names)

    def step(
        self, drive: Any, states: Sequence[Any], constants: Any, training: bool | None = None
    ) -> tuple[Any, list[Any]]:
        """One time step: the output and the new states."""
        raise NotImplementedError

    def call(self, inputs, states=None, training=None):
        drive = self.drive(inputs)
        states = self.get_initial_state(drive) if states is None else states
        return self.step(drive, states, self.constants(drive), training)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
        }


def check_normalization(normalization: str | None) -> str | None:
    """Refuse a normalization that no cell has.

    Raises:
        InputError: it is none of `NORMALIZATIONS`, nor None.

    Example:
        >>> check_normalization("layer")
        'layer'
    """
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise InputError(
            f"Expected `normalization` to be one of {', '.join(NORMALIZATIONS)}, or None, received "
            f"{normalization!r}."
        )
    return normalization


def normalization_layer(
    normalization: str | None, name: str, dtype: Any, gamma: float = 1.0
) -> keras.layers.Layer:
    """The normalization that a cell applies at every time step, the same one at all of them.

    Args:
        normalization: `"batch"`: over the batch, with PyTorch's momentum and epsilon; `"layer"`:
            over an image's map and channels; None: nothing.
        name: of the layer.
        dtype: of the cell.
        gamma: initial scale.

    Example:
        >>> normalization_layer("layer", "norm", "float32").groups
        1
    """
    check_normalization(normalization)
    arguments: dict[str, Any] = {"name": name, "dtype": dtype}
    if normalization is None:
        return keras.layers.Identity(**arguments)
    arguments.update(epsilon=1e-5, gamma_initializer=keras.initializers.Constant(gamma))
    if normalization == "batch":
        return keras.layers.BatchNormalization(momentum=0.9, **arguments)
    return keras.layers.GroupNormalization(groups=1, **arguments)
