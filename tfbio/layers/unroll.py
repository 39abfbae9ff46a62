"""Unroll: a recurrent convolutional cell over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import count
from tfbio.layers._random_state import KeepsRandomState
from tfbio.layers._replica_noise import dropout_mask
from tfbio.layers._seeds import check_seed
from tfbio.layers.conv_cell import ConvCell


@keras.saving.register_keras_serializable(package="tfbio")
class Unroll(KeepsRandomState, keras.layers.Layer):
    """A recurrent convolutional cell over time, on an image that stays or on a sequence of maps.

    Equation, for t = 0 .. T - 1, with m the mask of spatial dropout:

        output(t), states(t) = cell(inputs(t), states(t - 1))
        outputs(t) = m output(t)

    A static image is there at every time step; what the cell makes of it alone is computed once.
    Layers that follow each other in time (Keras' `StackedRNNCells`) are a chain of these: the
    sequence of one is the input of the next.

    The mask is drawn once for each image: the same channels are silent at all time steps, as if
    they were lesioned. With `recurrent_dropout` the states that the cell goes on with are masked,
    too.

    Args:
        cell: a `ConvCell`.
        timesteps: number of time steps T for a static image, 1 or more; a sequence has its own.
        return_sequences: give all time steps, or the last one.
        dropout: fraction of channels that are silent in training, from 0 to below 1.
        recurrent_dropout: mask the states, too.
        seed: of the masks, an int, or None for a seed that `keras.utils.set_random_seed` decides.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C), or (N, T, H, W, C).
        initial_state: list of states before the first time step, None for the cell's own.
        training: whether there is dropout, and what normalization does.

    Input shape:
        (N, H, W, C), or (N, T, H, W, C) with T known, 1 or more.

    Output shape:
        (N, T, H', W', filters) with `return_sequences`, else (N, H', W', filters).

    Raises:
        InputError: an argument is out of range, or the inputs have neither of these shapes.

    Reference:
        Spatial dropout: Tompson, Goroshin, Jain, LeCun, Bregler (2015), "Efficient object
        localization using convolutional networks", doi:10.1109/CVPR.2015.7298664. Masks shared
        over time: Gal, Ghahramani (2016), https://arxiv.org/abs/1512.05287.

    Upstream:
        shape-processing-rnns, `FeedForwardTower`, where the loop over time is around all cells.
        Without recurrent dropout a new mask is drawn there at every time step that is read out.

    Example:
        >>> import keras, tfbio
        >>> image = keras.random.uniform((2, 8, 8, 3))
        >>> first = tfbio.layers.Unroll(tfbio.layers.ConvRNNCell(4, 3), timesteps=3)
        >>> second = tfbio.layers.Unroll(tfbio.layers.ConvRNNCell(6, 3), return_sequences=False)
        >>> tuple(first(image).shape), tuple(second(first(image)).shape)
        ((2, 3, 8, 8, 4), (2, 8, 8, 6))
    """

    def __init__(
        self,
        cell: ConvCell,
        timesteps: int = 1,
        return_sequences: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        if not isinstance(cell, ConvCell):
            raise InputError(f"Expected a `ConvCell` to unroll, received {cell!r}.")
        kwargs.setdefault("dtype", cell.dtype_policy)
        super().__init__(**kwargs)
        if not 0 <= dropout < 1:
            raise InputError(f"Expected `dropout` from 0 to below 1, received {dropout}.")
        if seed is not None:
            check_seed(seed, "seed")
        if recurrent_dropout and set(cell.state_size) != {cell.output_size}:
            raise InputError(
                "Expected a cell whose states have the channels of its output with "
                f"`recurrent_dropout`, received {type(cell).__name__} with {cell.state_size}."
            )
        self.cell = cell
        self.timesteps = count(timesteps, "timesteps")
        self.return_sequences = return_sequences
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, inputs_shape, initial_state_shape=None):
        if not self.cell.built:
            self.cell.build(self._image_shape(inputs_shape))
            self.cell.built = True

    def call(self, inputs, initial_state=None, training=None):
        drives = self._drives(inputs)
        states = (
            self.cell.get_initial_state(drives[0])
            if initial_state is None
            else self._checked(initial_state)
        )
        constants = self.cell.constants(drives[0])
        mask = self._mask(drives[0]) if training and self.dropout else None
        outputs = []
        for drive in drives:
            output, states = self.cell.step(drive, states, constants, training)
            if mask is not None:
                output = output * mask
                states = [state * mask for state in states] if self.recurrent_dropout else states
            outputs.append(output)
        return ops.stack(outputs, axis=1) if self.return_sequences else outputs[-1]

    def states(
        self, inputs: Any, initial_state: Sequence[Any] | None = None
    ) -> dict[str, list[Any]]:
        """Every state of the cell after every time step, in inference.

        Args:
            inputs: as of a call.
            initial_state: as of a call.

        Returns:
            The name of a state to its maps (N, H', W', filters), one a time step.
        """
        self._image_shape(inputs.shape)
        static = len(inputs.shape) == 4
        steps = self.timesteps if static else inputs.shape[1]
        over_time: dict[str, list[Any]] = {name: [] for name in self.cell.state_names}
        states = None if initial_state is None else self._checked(initial_state)
        for t in range(steps):
            # The cell as a layer: outside of a call, nobody else sees to its precision.
            _, states = self.cell(inputs if static else inputs[:, t], states, training=False)
            for name, state in zip(over_time, states, strict=True):
                over_time[name].append(state)
        return over_time

    def _checked(self, initial_state: Any) -> Sequence[Any]:
        """As many states as the cell has."""
        names = self.cell.state_names
        if not isinstance(initial_state, (list, tuple)) or len(initial_state) != len(names):
            raise InputError(
                f"Expected `initial_state` of {self.name!r} to be a list of as many states as the "
                f"cell has ({', '.join(names)}), received {initial_state!r}."
            )
        return initial_state

    def _drives(self, inputs: Any) -> list[Any]:
        """What the cell makes of the inputs alone, for each time step."""
        self._image_shape(inputs.shape)
        if len(inputs.shape) == 4:
            return [self.cell.drive(inputs)] * self.timesteps
        steps = inputs.shape[1]
        merged = ops.reshape(inputs, (-1, *ops.shape(inputs)[2:]))
        drive = self.cell.drive(merged)
        # Unstacked at once: the gradient of a slice is as large as what it was cut from.
        over_time = [
            ops.unstack(ops.reshape(each, (-1, steps, *ops.shape(each)[1:])), steps, axis=1)
            for each in keras.tree.flatten(drive)
        ]
        return [
            keras.tree.pack_sequence_as(drive, list(of_step))
            for of_step in zip(*over_time, strict=True)
        ]

    def _mask(self, drive: Any) -> Any:
        """0 for silent channels of an image, above 1 for the others: the mean is 1."""
        images = ops.shape(keras.tree.flatten(drive)[0])[0]
        shape = (images, 1, 1, self.cell.filters)
        return ops.cast(dropout_mask(shape, self.dropout, self.seed_generator), self.compute_dtype)

    def _image_shape(self, inputs_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(N, H, W, C) of one time step."""
        if len(inputs_shape) == 4:
            return tuple(inputs_shape)
        if len(inputs_shape) != 5 or not inputs_shape[1]:
            raise InputError(
                f"Expected inputs of {self.name!r} of shape (N, H, W, C), or (N, T, H, W, C) with "
                f"a known number of time steps T, 1 or more; received {tuple(inputs_shape)}."
            )
        return (inputs_shape[0], *inputs_shape[2:])

    def compute_output_shape(self, inputs_shape, initial_state_shape=None):
        batch, *map_shape = self.cell.map_shape(self._image_shape(inputs_shape))
        steps = self.timesteps if len(inputs_shape) == 4 else inputs_shape[1]
        return (batch, steps, *map_shape) if self.return_sequences else (batch, *map_shape)

    def get_config(self):
        cell = keras.saving.serialize_keras_object(self.cell)
        # Read back, it is built by this layer, so that weights keep their paths.
        cell.pop("build_config", None)
        return {
            **super().get_config(),
            "cell": cell,
            "timesteps": self.timesteps,
            "return_sequences": self.return_sequences,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})
