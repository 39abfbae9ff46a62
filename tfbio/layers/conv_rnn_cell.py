"""ConvRNNCell: the plain recurrent convolutional layer."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.layers._convolution import Pair, convolve, known_channels
from tfbio.layers.conv_cell import ConvCell, Normalization, check_normalization, normalization_layer
from tfbio.layers.gates import drawn_apart, kaiming_fan_out


@keras.saving.register_keras_serializable(package="tfbio")
class ConvRNNCell(ConvCell):
    """One time step of the plain recurrent convolutional layer.

    Equation (`*` is convolution, f the activation, N the normalization):

        h(t) = N( f( W * inputs(t) + b + U * h(t - 1) + c ) )

    W stands for bottom-up connections, U for lateral ones of the same area.

    Args:
        filters: number of channels of the output.
        kernel_size: an int or a pair, the window of both convolutions.
        strides: an int or a pair, of the bottom-up convolution, see `ConvCell`.
        activation: a function or its name.
        normalization: `"batch"`, `"layer"` or None, the same at all time steps.
        kernel_initializer: of both kernels; None for He's, by the fan out, with the activation's
            gain.
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
        Liang, Hu (2015), "Recurrent convolutional neural network for object recognition",
        doi:10.1109/CVPR.2015.7298958

    Upstream:
        shape-processing-rnns, `ConvRNNCell`. In training, PyTorch averages the unbiased variance of
        a batch, n / (n - 1) times the biased one that Keras averages.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.ConvRNNCell(4, 3), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 3))).shape)
        (2, 3, 8, 8, 4)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair,
        strides: int | Pair = 1,
        activation: Any = "relu",
        normalization: Normalization | None = None,
        kernel_initializer: Any = None,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.activation = keras.activations.get(activation)
        self.normalization = check_normalization(normalization)
        self.kernel_initializer = keras.initializers.get(
            kernel_initializer or kaiming_fan_out(activation)
        )
        self.norm = normalization_layer(normalization, "norm", self.dtype_policy)

    def build(self, inputs_shape, states_shape=None):
        channels = known_channels(inputs_shape)
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, self.filters),
            drawn_apart(self.kernel_initializer),
            name="kernel",
        )
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, self.filters),
            drawn_apart(self.kernel_initializer, first=1),
            name="recurrent_kernel",
        )
        self.recurrent_bias = self.add_weight((self.filters,), "zeros", name="recurrent_bias")
        self.norm.build(self.map_shape(inputs_shape))

    def drive(self, inputs):
        return convolve(inputs, self.kernel, self.strides, self.padding) + (
            self.bias + self.recurrent_bias
        )

    def step(self, drive, states, constants, training=None):
        lateral = convolve(states[0], self.recurrent_kernel, padding="same")
        h = self.norm(self.activation(drive + lateral), training=training)
        return h, [h]

    def get_config(self):
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "normalization": self.normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
