"""ReciprocalGatedCell: activity and memory that gate each other's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import Pair, convolve, known_channels, output_sizes, pair
from tfbio.layers.conv_cell import ConvCell, Normalization, check_normalization, normalization_layer
from tfbio.layers.gates import drawn_apart, kaiming_fan_out


@keras.saving.register_keras_serializable(package="tfbio")
class ReciprocalGatedCell(ConvCell):
    """One time step of the reciprocal gated cell.

    Equation (`*` is convolution, `.` elementwise, s the sigmoid, f the activation, N the
    normalizations; every convolution has a bias; h and c on the right are of t - 1):

        u = P * inputs(t)
        h(t) = N1( f( (1 - s(Wch * c)) . u + (1 - s(Whh * h)) . h ) )
        c(t) = N2( f( (1 - s(Whc * h)) . u + (1 - s(Wcc * c)) . c ) )

    Input passes at full strength where there is no gate (bypassing), and each gate closes with
    the activity that it sees (gating): the motif that a search over recurrent cells found to
    describe responses of V4 and IT over time best.

    Weights: `kernel` (p, p, C, filters) and `bias` of P; `recurrent_kernel`
    (k, k, filters, 4 filters) and `recurrent_bias`, the gates in the order Whh, Whc, Wch, Wcc.

    Args:
        filters: number of channels of the output and of the memory.
        kernel_size: an int or a pair, the window of the four recurrent convolutions.
        strides: an int or a pair, of P, see `ConvCell`.
        activation: f, a function or its name.
        normalization: `"batch"`, `"layer"` or None, of h and of c, the same at all time steps.
        preconv_kernel_size: an int or a pair, the window of P; None for u = inputs(t), which have
            `filters` channels then.
        kernel_initializer: of every gate's kernels; None for He's, by the fan out, with the
            activation's gain.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C).
        states: [h, c], None for zeros.
        training: whether batch normalization takes the statistics of the batch.

    Input shape:
        (N, H, W, C)

    Output shape:
        Output (N, H', W', filters), and the list of states [h, c], the first of them the output.

    Raises:
        InputError: an argument is out of range, or without P there are strides or another number
            of channels than `filters`.

    Reference:
        Nayebi, Bear, Kubilius, Kar, Ganguli, Sussillo, DiCarlo, Yamins (2018), "Task-driven
        convolutional recurrent models of the visual system", https://arxiv.org/abs/1807.00053

    Upstream:
        shape-processing-rnns, `ReciprocalGatedCell`. There strides crash: the size of the states is
        divided by them twice.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.ReciprocalGatedCell(4, 3), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 3))).shape)
        (2, 3, 8, 8, 4)
    """

    state_names = ("h", "c")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = 1,
        activation: Any = "relu",
        normalization: Normalization | None = None,
        preconv_kernel_size: int | Pair | None = 1,
        kernel_initializer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.activation = keras.activations.get(activation)
        self.normalization = check_normalization(normalization)
        self.preconv_kernel_size = (
            None
            if preconv_kernel_size is None
            else pair(preconv_kernel_size, "preconv_kernel_size")
        )
        if preconv_kernel_size is None and self.strides != (1, 1):
            raise InputError(
                f"Expected `strides` of 1 without a convolution of the inputs, received {strides}: "
                "give a `preconv_kernel_size`."
            )
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or kaiming_fan_out(activation)
        )
        self.norm_h = normalization_layer(normalization, "norm_h", self.dtype_policy)
        self.norm_c = normalization_layer(normalization, "norm_c", self.dtype_policy)

    def map_shape(self, inputs_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """The shape of the output and of both states, for inputs (N, H, W, C)."""
        channels = known_channels(inputs_shape)
        if self.preconv_kernel_size is not None:
            window = self.preconv_kernel_size
            sizes = output_sizes(inputs_shape, window, self.strides, self.padding, self.name)
            return (inputs_shape[0], *sizes, self.filters)
        if channels != self.filters:
            raise InputError(
                f"Expected inputs of {self.filters} channels, as many as `filters`, received "
                f"{tuple(inputs_shape)}: give a `preconv_kernel_size`."
            )
        return tuple(inputs_shape)

    def build(self, inputs_shape, states_shape=None):
        map_shape = self.map_shape(inputs_shape)
        if self.preconv_kernel_size is not None:
            self.kernel = self.add_weight(
                (*self.preconv_kernel_size, known_channels(inputs_shape), self.filters),
                drawn_apart(self.kernel_initializer),
                name="kernel",
            )
            self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, 4 * self.filters),
            drawn_apart(self.kernel_initializer, 4, first=1),
            name="recurrent_kernel",
        )
        self.recurrent_bias = self.add_weight((4 * self.filters,), "zeros", name="recurrent_bias")
        self.norm_h.build(map_shape)
        self.norm_c.build(map_shape)

    def drive(self, inputs):
        if self.preconv_kernel_size is None:
            return inputs
        return convolve(inputs, self.kernel, self.strides, self.padding) + self.bias

    def constants(self, drive):
        """Kernel and bias of the gates that see the activity, and of those that see the memory."""
        kernels = ops.split(ops.convert_to_tensor(self.recurrent_kernel), 2, axis=-1)
        biases = ops.split(ops.convert_to_tensor(self.recurrent_bias), 2)
        return list(zip(kernels, biases, strict=True))

    def step(self, drive, states, constants, training=None):
        h, c = states
        by_h, by_c = self.constants(drive) if constants is None else constants
        hh, hc = self._open(h, *by_h)
        ch, cc = self._open(c, *by_c)
        activity = self.activation(ch * drive + hh * h)
        memory = self.activation(hc * drive + cc * c)
        h = self.norm_h(activity, training=training)
        return h, [h, self.norm_c(memory, training=training)]

    def _open(self, state: Any, kernel: Any, bias: Any) -> list[Any]:
        """How far the two gates that see a state are open: 1 - s(x) is s(-x)."""
        return ops.split(ops.sigmoid(-(convolve(state, kernel, padding="same") + bias)), 2, axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "preconv_kernel_size": self.preconv_kernel_size,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
