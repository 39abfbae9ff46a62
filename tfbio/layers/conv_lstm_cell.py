"""ConvLSTMCell: long short-term memory with convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.layers._convolution import Pair, convolve, known_channels
from tfbio.layers.conv_cell import ConvCell, Normalization, check_normalization, normalization_layer
from tfbio.layers.gates import drawn_apart, kaiming_fan_out


@keras.saving.register_keras_serializable(package="tfbio")
class ConvLSTMCell(ConvCell):
    """One time step of long short-term memory with convolutions, whose gates see the memory.

    Equation (`*` is convolution, `.` elementwise, s the sigmoid, f the activation, N the
    normalizations; every convolution has a bias; x = inputs(t), h and c are of t - 1):

        forget  g = s( Wg * x + Ug * h + Vg * c )
        input   i = s( Wi * x + Ui * h + Vi * c )
        new     k = f( Wk * x + Uk * h )
        memory  m = g . c + i . k
        output  o = s( Wo * x + Uo * h + Vo * m )
        h(t) = N1( o . f(m) ),  c(t) = N2( m )

    The memory c, which no other cell of the map sees, stands for what a neuron retains below
    threshold; the output gate decides what of it is passed on as activity h.

    Weights: `kernel` (k, k, C, 4 filters), `bias`, `recurrent_kernel` (k, k, filters, 4 filters)
    and `recurrent_bias`, the gates in the order g, i, o, k; `memory_kernel`
    (k, k, filters, 3 filters) and `memory_bias` in the order g, i, o.

    Args:
        filters: number of channels of the output and of the memory.
        kernel_size: an int or a pair, the window of all convolutions.
        strides: an int or a pair, of the convolutions of the inputs, see `ConvCell`.
        activation: f, a function or its name.
        normalization: `"batch"`, `"layer"` or None, of h and of c, the same at all time steps.
        kernel_initializer: of every gate's kernels; None for He's, by the fan out, with the
            activation's gain.
        upstream_exact: the output gate sees the old memory c in place of m, as in the original.
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
        InputError: an argument is out of range.

    Reference:
        Shi, Chen, Wang, Yeung, Wong, Woo (2015), "Convolutional LSTM network: a machine learning
        approach for precipitation nowcasting", https://arxiv.org/abs/1506.04214. There V is a
        weight for every place, and nothing is normalized.

    Upstream:
        shape-processing-rnns, `ConvLSTMCell`. There the output gate sees the old memory
        (`upstream_exact`).

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.ConvLSTMCell(4, 3), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 3))).shape)
        (2, 3, 8, 8, 4)
    """

    state_names = ("h", "c")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = 1,
        activation: Any = "tanh",
        normalization: Normalization | None = None,
        kernel_initializer: Any = None,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.activation = keras.activations.get(activation)
        self.normalization = check_normalization(normalization)
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or kaiming_fan_out(activation)
        )
        self.upstream_exact = upstream_exact
        self.norm_h = normalization_layer(normalization, "norm_h", self.dtype_policy)
        self.norm_c = normalization_layer(normalization, "norm_c", self.dtype_policy)

    def build(self, inputs_shape, states_shape=None):
        def kernel(name: str, channels: int, gates: int, first: int) -> keras.Variable:
            return self.add_weight(
                (*self.kernel_size, channels, gates * self.filters),
                drawn_apart(self.kernel_initializer, gates, first),
                name=name,
            )

        def bias(name: str, gates: int) -> keras.Variable:
            return self.add_weight((gates * self.filters,), "zeros", name=name)

        self.kernel = kernel("kernel", known_channels(inputs_shape), 4, first=0)
        self.bias = bias("bias", 4)
        self.recurrent_kernel = kernel("recurrent_kernel", self.filters, 4, first=4)
        self.recurrent_bias = bias("recurrent_bias", 4)
        self.memory_kernel = kernel("memory_kernel", self.filters, 3, first=8)
        self.memory_bias = bias("memory_bias", 3)
        self.norm_h.build(self.map_shape(inputs_shape))
        self.norm_c.build(self.map_shape(inputs_shape))

    def drive(self, inputs):
        memory_bias = ops.pad(ops.convert_to_tensor(self.memory_bias), [(0, self.filters)])
        return convolve(inputs, self.kernel, self.strides, self.padding) + (
            self.bias + self.recurrent_bias + memory_bias
        )

    def constants(self, drive):
        """The kernels through which the gates see the old memory, and the new."""
        kernel = ops.convert_to_tensor(self.memory_kernel)
        old = (3 if self.upstream_exact else 2) * self.filters
        return kernel[..., :old], kernel[..., old:]

    def step(self, drive, states, constants, training=None):
        h, c = states
        of_old, of_new = self.constants(drive) if constants is None else constants
        from_all = drive + convolve(h, self.recurrent_kernel, padding="same")
        forget, enter, leave, candidate = ops.split(from_all, 4, axis=-1)
        from_memory = ops.split(
            convolve(c, of_old, padding="same"), 3 if self.upstream_exact else 2, axis=-1
        )
        memory = ops.sigmoid(forget + from_memory[0]) * c + ops.sigmoid(
            enter + from_memory[1]
        ) * self.activation(candidate)
        seen = from_memory[2] if self.upstream_exact else convolve(memory, of_new, padding="same")
        activity = ops.sigmoid(leave + seen) * self.activation(memory)
        h = self.norm_h(activity, training=training)
        return h, [h, self.norm_c(memory, training=training)]

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "upstream_exact": self.upstream_exact,
        }
