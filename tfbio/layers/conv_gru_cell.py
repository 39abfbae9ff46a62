"""ConvGRUCell: the gated recurrent unit with convolutions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfbio.layers._convolution import Pair, convolve, known_channels
from tfbio.layers.conv_cell import ConvCell, Normalization, check_normalization, normalization_layer
from tfbio.layers.gates import drawn_apart, kaiming_fan_out


@keras.saving.register_keras_serializable(package="tfbio")
class ConvGRUCell(ConvCell):
    """One time step of the gated recurrent unit with convolutions.

    Equation (`*` is convolution, `.` elementwise, s the sigmoid, f the activation, N the
    normalization; every convolution of inputs and of h has a bias):

        r = s( Wr * inputs(t) + Ur * h(t - 1) )
        z = s( Wz * inputs(t) + Uz * h(t - 1) )
        k = f( Wk * inputs(t) + Uk * (r . h(t - 1)) )
        h(t) = N( (1 - z) . h(t - 1) + z . k )

    The update gate z decides at every place how long activity outlives its cause, as an adaptive
    membrane time constant would; the reset gate r which lateral input counts for the new activity.

    Weights: `kernel` (k, k, C, 3 filters), `bias`, `recurrent_kernel` (k, k, filters, 3 filters)
    and `recurrent_bias`, the gates in the order r, z, k.

    Args:
        filters: number of channels of the output.
        kernel_size: an int or a pair, the window of all convolutions.
        strides: an int or a pair, of the convolutions of the inputs, see `ConvCell`.
        activation: f, a function or its name.
        normalization: `"batch"`, `"layer"` or None, the same at all time steps.
        kernel_initializer: of every gate's kernels; None for He's, by the fan out, with the
            activation's gain.
        upstream_exact: z . h(t - 1) in place of (1 - z) . h(t - 1), as in the original.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C).
        states: [h], None for zeros.
        training: whether batch normalization takes the statistics of the batch.

    Input shape:
        (N, H, W, C)

    Output shape:
        Output (N, H', W', filters), and the list of states [h], which is the output.

    Raises:
        InputError: an argument is out of range.

    Reference:
        Ballas, Yao, Pal, Courville (2016), "Delving deeper into convolutional networks for
        learning video representations", https://arxiv.org/abs/1511.06432

    Upstream:
        shape-processing-rnns, `ConvGruCell`. There h is multiplied by z, for 1 - z
        (`upstream_exact`): where z is 0, everything is forgotten.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.ConvGRUCell(4, 3), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 3))).shape)
        (2, 3, 8, 8, 4)
    """

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
        self.norm = normalization_layer(normalization, "norm", self.dtype_policy)

    def build(self, inputs_shape, states_shape=None):
        channels, gates = known_channels(inputs_shape), 3 * self.filters
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, gates),
            drawn_apart(self.kernel_initializer, 3),
            name="kernel",
        )
        self.bias = self.add_weight((gates,), "zeros", name="bias")
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, gates),
            drawn_apart(self.kernel_initializer, 3, first=3),
            name="recurrent_kernel",
        )
        self.recurrent_bias = self.add_weight((gates,), "zeros", name="recurrent_bias")
        self.norm.build(self.map_shape(inputs_shape))

    def drive(self, inputs):
        """Of the two gates, and of the new activity."""
        merged = convolve(inputs, self.kernel, self.strides, self.padding)
        # Split here, once: the gradient of a slice at every step is as large as all of this.
        return ops.split(merged + (self.bias + self.recurrent_bias), [2 * self.filters], axis=-1)

    def constants(self, drive):
        """The lateral kernels of the two gates, and of the new activity."""
        kernel = ops.convert_to_tensor(self.recurrent_kernel)
        return ops.split(kernel, [2 * self.filters], axis=-1)

    def step(self, drive, states, constants, training=None):
        (h,) = states
        of_gates, of_candidate = self.constants(drive) if constants is None else constants
        to_gates, to_candidate = drive
        gates = ops.sigmoid(to_gates + convolve(h, of_gates, padding="same"))
        reset, update = ops.split(gates, 2, axis=-1)
        candidate = self.activation(
            to_candidate + convolve(reset * h, of_candidate, padding="same")
        )
        kept = update if self.upstream_exact else 1 - update
        h = self.norm(kept * h + update * candidate, training=training)
        return h, [h]

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "upstream_exact": self.upstream_exact,
        }
