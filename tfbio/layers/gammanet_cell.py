"""GammaNetCell: a convolutional hierarchy with recurrence in its areas and between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfbio.errors import InputError
from tfbio.layers._attention import AttentionKind
from tfbio.layers.bilinear_resizing import resized
from tfbio.layers.conv_cell import ConvCell
from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.instance_norm import check_pixels, instance_norm

Layers = Sequence[keras.layers.Layer]


@keras.saving.register_keras_serializable(package="tfbio")
class GammaNetCell(ConvCell):
    """One time step of gamma-net: up through all areas, and down again.

    Equation, for areas l = 0 .. L - 1, of states h_l, with D_0 what the image alone decides:

        up, l = 0 .. L - 1:      h_l <- fGRU_l(D_l, h_l)            D_{l+1} = block_{l+1}(h_l)
        down, l = L - 2 .. 0:    h_l <- h_l + fGRU'_l(h_l, U_l(h_{l+1}))

    and the output is h_0. U_l interpolates h_{l+1} to the map of h_l, normalizes it, and
    convolves it twice, 1 x 1, with rectification.

    Feed-forward connections of the ventral stream are met by lateral ones within every area
    (fGRU_l) and by feedback from the area above (fGRU'_l, `FGRUCell` with `top_down`). The first
    state of an area is what it receives.

    Args:
        blocks: for each area, the layers between it and the one below; those of the first see the
            image, once. The last convolution of a block gives the number of the area's channels.
        kernel_sizes: of lateral connections, one an area.
        top_down_kernel_sizes: of feedback, from the highest area but one to the lowest.
        attention: of all units, see `FGRUCell`.
        attention_layers: the same.
        saliency_kernel_size: the same.
        gate_normalization: the same.
        max_timesteps: the same.
        skip_horizontal: after feedback, add the state as it was before, as in the equation.
        resize_first: interpolate before U_l normalizes and convolves, or after.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C), images of a known size.
        states: [h_0, h_1, ...], the state of each area; None begins.
        training: without effect, but on the layers of blocks.

    Input shape:
        (N, H, W, C), H and W known.

    Output shape:
        Output (N, H', W', C') of the first area, and the states of all.

    Raises:
        InputError: an argument is out of range, or a map is too small, see `FGRUCell`.

    Reference:
        Linsley, Kim, Ashok, Serre (2020), "Recurrent neural circuits for contour detection",
        https://openreview.net/forum?id=H1gB4RVKvB

    Upstream:
        shape-processing-rnns, gamanet.py, `BaseGN`, without its readout. No known difference; the
        number of time steps that is asked for there has no effect.

    Example:
        >>> import keras, tfbio
        >>> blocks = [[keras.layers.Conv2D(4, 3)], [keras.layers.Conv2D(6, 3, strides=2)]]
        >>> cell = tfbio.layers.GammaNetCell(blocks, kernel_sizes=(3, 3),
        ...                                  top_down_kernel_sizes=(1,))
        >>> layer = tfbio.layers.Unroll(cell, timesteps=2)
        >>> tuple(layer(keras.random.uniform((2, 16, 16, 3))).shape), cell.state_names
        ((2, 2, 14, 14, 4), ('h_0', 'h_1'))
    """

    def __init__(
        self,
        blocks: Sequence[Layers],
        kernel_sizes: Sequence[int] = (3, 3, 3, 1),
        top_down_kernel_sizes: Sequence[int] = (1, 1, 1),
        attention: AttentionKind | None = "gala",
        attention_layers: int = 2,
        saliency_kernel_size: int = 5,
        gate_normalization: bool = True,
        max_timesteps: int | None = None,
        skip_horizontal: bool = True,
        resize_first: bool = True,
        **kwargs: Any,
    ):
        channels = [_filters(block) for block in blocks]
        if not len(blocks) == len(kernel_sizes) == len(top_down_kernel_sizes) + 1:
            raise InputError(
                "Expected as many kernel sizes as blocks, and one less for feedback, received "
                f"{len(blocks)} blocks, {len(kernel_sizes)} and {len(top_down_kernel_sizes)}."
            )
        super().__init__(channels[0], kernel_sizes[0], **kwargs)
        self.state_names = tuple(f"h_{area}" for area in range(len(blocks)))
        self.blocks = [list(block) for block in blocks]
        self.kernel_sizes = tuple(kernel_sizes)
        self.top_down_kernel_sizes = tuple(top_down_kernel_sizes)
        self.skip_horizontal = skip_horizontal
        self.resize_first = resize_first
        self.unit_arguments: dict[str, Any] = {
            "attention": attention,
            "attention_layers": attention_layers,
            "saliency_kernel_size": saliency_kernel_size,
            "gate_normalization": gate_normalization,
            "max_timesteps": max_timesteps,
        }
        self.h_units = [
            self._unit(count, size, f"h_units_{area}")
            for area, (count, size) in enumerate(zip(channels, kernel_sizes, strict=True))
        ]
        below = channels[-2::-1]
        self.td_units = [
            self._unit(count, size, f"td_units_{number}", top_down=True)
            for number, (count, size) in enumerate(zip(below, top_down_kernel_sizes, strict=True))
        ]
        self.us_blocks = [self._feedback(count, number) for number, count in enumerate(below)]

    def _unit(self, filters: int, size: int, name: str, top_down: bool = False) -> FGRUCell:
        return FGRUCell(
            filters,
            size,
            top_down=top_down,
            name=name,
            dtype=self.dtype_policy,
            **self.unit_arguments,
        )

    def _feedback(self, filters: int, number: int) -> list[keras.layers.Layer]:
        convolutions = [
            keras.layers.Conv2D(
                filters,
                1,
                activation="relu",
                data_format="channels_last",
                kernel_initializer=keras.initializers.VarianceScaling(
                    2.0, "fan_in", "untruncated_normal"
                ),
                name=f"us_blocks_{number}_{index}",
                dtype=self.dtype_policy,
            )
            for index in (1, 3)
        ]
        return [instance_norm(f"us_blocks_{number}_0", self.dtype_policy), *convolutions]

    @property
    def state_size(self):
        """The number of channels of each state."""
        return [unit.filters for unit in self.h_units]

    def map_shape(self, inputs_shape):
        """The shape of the output, for inputs (N, H, W, C)."""
        for layer in self.blocks[0]:
            inputs_shape = layer.compute_output_shape(inputs_shape)
        return tuple(inputs_shape)

    def build(self, inputs_shape, states_shape=None):
        if None in inputs_shape[1:]:
            raise InputError(
                f"Expected inputs of {self.name!r} of known height, width and channels, received "
                f"{tuple(inputs_shape)}."
            )
        shape, shapes = inputs_shape, []
        for block, unit in zip(self.blocks, self.h_units, strict=True):
            shape = _build(block, shape)
            unit.build(shape)
            unit.built = True
            shapes.append(shape)
        # From the highest area down.
        above = shapes[-1]
        for block, unit, shape in zip(self.us_blocks, self.td_units, shapes[-2::-1], strict=True):
            sizes = shape[1:3] if self.resize_first else above[1:3]
            check_pixels((None, *sizes, above[-1]), self.name)
            _build(block, (above[0], *sizes, above[-1]))
            unit.build(shape)
            unit.built = True
            above = shape

    def drive(self, inputs):
        return _apply(self.blocks[0], inputs, None)

    def constants(self, drive):
        """Kernels of the units, going up, then down."""
        return [unit.constants(drive) for unit in (*self.h_units, *self.td_units)]

    def get_initial_state(self, drive):
        # What an area receives is known when the one below has given it.
        return [None] * len(self.h_units)

    def step(self, drive, states, constants, training=None):
        states = list(states)
        for area, unit in enumerate(self.h_units):
            if area:
                drive = _apply(self.blocks[area], states[area - 1], training)
            state = drive if states[area] is None else states[area]
            states[area], _ = unit.step(drive, [state], constants[area])
        above = states[-1]
        for number, (block, unit) in enumerate(zip(self.us_blocks, self.td_units, strict=True)):
            area = len(self.td_units) - 1 - number
            state = states[area]
            size = tuple(state.shape[1:3])
            if self.resize_first:
                above = _apply(block, resized(above, size), training)
            else:
                above = resized(_apply(block, above, training), size)
            above, _ = unit.step(state, [above], constants[len(self.h_units) + number])
            above = above + state if self.skip_horizontal else above
            states[area] = above
        return states[0], states

    def get_config(self):
        config = super().get_config()
        for name in ("filters", "kernel_size", "strides"):
            del config[name]
        return {
            **config,
            "blocks": [
                [_unbuilt(keras.saving.serialize_keras_object(layer)) for layer in block]
                for block in self.blocks
            ],
            "kernel_sizes": self.kernel_sizes,
            "top_down_kernel_sizes": self.top_down_kernel_sizes,
            "skip_horizontal": self.skip_horizontal,
            "resize_first": self.resize_first,
            **self.unit_arguments,
        }

    @classmethod
    def from_config(cls, config):
        blocks = [
            [keras.saving.deserialize_keras_object(layer) for layer in block]
            for block in config["blocks"]
        ]
        return cls(**{**config, "blocks": blocks})


def _unbuilt(config: dict[str, Any]) -> dict[str, Any]:
    """Without its shape, for which it would be built before the cell, and not under its name."""
    return {key: value for key, value in config.items() if key != "build_config"}


def _filters(block: Layers) -> int:
    counts = [layer.filters for layer in block if hasattr(layer, "filters")]
    if not counts:
        raise InputError(f"Expected a convolution in every block, received {list(block)}.")
    return counts[-1]


def _build(block: Layers, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    for layer in block:
        if not layer.built:
            layer.build(shape)
            layer.built = True
        shape = layer.compute_output_shape(shape)
    return shape


def _apply(block: Layers, inputs: Any, training: bool | None) -> Any:
    for layer in block:
        arguments = {"training": training} if layer._call_has_training_arg else {}
        inputs = layer(inputs, **arguments)
    return inputs
