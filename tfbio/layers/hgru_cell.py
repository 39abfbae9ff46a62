"""HGRUCell: horizontal connections within an area that first suppress and then facilitate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import convolve, count, known_channels, odd
from tfbio.layers._first_state import xavier_noise
from tfbio.layers._fourier_convolution import convolve_in_frequency, is_faster, spectrum
from tfbio.layers._random_state import KeepsRandomState
from tfbio.layers._seeds import check_seed
from tfbio.layers.conv_cell import (
    ConvCell,
    Normalization,
    check_normalization,
    normalization_layer,
)
from tfbio.layers.gates import drawn_apart

Activation = Literal["relu", "tanh"]
HiddenInit = Literal["zeros", "noise"]
Convolution = Literal["auto", "direct", "fourier"]

# Time steps: the original takes 8 for their number, whatever it is.
_UPSTREAM_LONGEST = 7


@keras.saving.register_keras_serializable(package="tfbio")
class HGRUCell(KeepsRandomState, ConvCell):
    """One time step of the horizontal gated recurrent unit.

    Equation (`*` is convolution, `.` elementwise, s the sigmoid, N0 to N3 normalizations), with
    X the inputs, h the state h2, and h1, h2 what the two stages give:

        gain   g1 = s( N0(U1 h + b1) )       mix   g2 = s( N2(U2 h1 + b2) )
        c1 = N1( Winh * (g1 . h) )           c2 = N3( Wexc * h1 )

        relu:  h1 = relu( X - relu( c1 . (alpha . h + mu) ) )
               h~ = relu( kappa . h1 + gamma . c2 + omega . h1 . c2 )
        tanh:  h1 = tanh( X - c1 . (alpha . h + mu) )
               h~ = tanh( kappa . h1 + gamma . c2 + omega . h1 . c2 )

        h2 = (1 - g2) . h + g2 . h~

    Winh and Wexc are the horizontal connections of V1, wider than a receptive field. The first
    stage is suppression from the surround (subtractive by mu, divisive by alpha), the second one
    facilitation along a contour (additive by gamma, multiplicative by omega).

    Connections between two channels are as strong one way as the other way round, as far as
    learning goes: their updates are the mean of both (`symmetric_updates`).

    Args:
        filters: number of channels, of the inputs, too.
        kernel_size: an odd int, the extent of the horizontal connections.
        activation: `"relu"`, or `"tanh"`, which does not rectify suppression.
        normalization: `"batch"`, `"layer"` or None, the same at all time steps.
        shared_kernel: one kernel for both stages.
        symmetric_updates: symmetric gradients of the kernels, see above.
        hidden_init: the first state: `"zeros"`, or `"noise"`, which is drawn at every call, with a
            variance of 2 / ((N + C) H W), also in inference.
        max_timesteps: how long the state may have to last, time steps; the gates' biases begin
            at the logarithms of times from 1 to this less 1.
        gate_initializer: of U1 and U2.
        norm_scale: where the scales of normalizations begin; None for 0.1, with `"layer"` for 1.
        convolution: `"direct"`, `"fourier"`, or `"auto"` for the faster one: the Fourier transform,
            with the same result, if kernels are large and the size of the map is known.
        seed: of the noise, an int, or None for a seed that `keras.utils.set_random_seed` decides.
        upstream_exact: begin with the times themselves in place of their logarithms, from 1 to 7.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, filters), the drive.
        states: [h2] or [h2, h1], None for `hidden_init`. Only h2 has an effect.
        training: whether batch normalization takes the statistics of the batch.

    Weights, with Winh before Wexc, U1 before U2, b1 before b2:
        recurrent_kernel (k, k, filters, 2 filters), with `shared_kernel` (k, k, filters, filters);
        gate_kernel (filters, 2 filters); gate_bias (2 filters,); alpha, mu, kappa, gamma, omega
        (filters,); normalizations norm_0 to norm_3.

    Input shape:
        (N, H, W, filters)

    Output shape:
        Output (N, H, W, filters), which is h2, and the list of states [h2, h1].

    Raises:
        InputError: an argument is out of range, or the inputs have another number of channels, or
            a size that is not known with `convolution="fourier"`.

    Reference:
        Linsley, Kim, Veerabadran, Windolf, Serre (2018), "Learning long-range spatial dependencies
        with horizontal gated recurrent units", https://arxiv.org/abs/1805.08315. The gates'
        biases: Tallec, Ollivier (2018), https://arxiv.org/abs/1804.11188.

    Upstream:
        serre-lab, layers/hgru_cell.py, `hGRUCell`, and shape-processing-rnns. There the first state
        is always noise, which depends on the size of the batch, given states are replaced by it,
        the logarithm of the biases has no effect, times are below 7 whatever the number of time
        steps, and without normalization (the tanh form) the cell crashes. `omega` is `w` there.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.HGRUCell(4, kernel_size=5), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 4))).shape)
        (2, 3, 8, 8, 4)
    """

    state_names = ("h2", "h1")

    def __init__(
        self,
        filters: int,
        kernel_size: int = 15,
        activation: Activation = "relu",
        normalization: Normalization | None = "batch",
        shared_kernel: bool = False,
        symmetric_updates: bool = True,
        hidden_init: HiddenInit = "zeros",
        max_timesteps: int = 8,
        gate_initializer: Any = "orthogonal",
        norm_scale: float | None = None,
        convolution: Convolution = "auto",
        seed: int | None = None,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(filters, odd(kernel_size, "kernel_size", "kernel"), **kwargs)
        self.activation = _one_of(activation, get_args(Activation), "activation")
        self.normalization = check_normalization(normalization)
        self.shared_kernel = shared_kernel
        self.symmetric_updates = symmetric_updates
        self.hidden_init = _one_of(hidden_init, get_args(HiddenInit), "hidden_init")
        self.max_timesteps = count(max_timesteps, "max_timesteps")
        self.gate_initializer = keras.initializers.get(gate_initializer)
        self.norm_scale = norm_scale
        self.convolution = _one_of(convolution, get_args(Convolution), "convolution")
        self.seed = None if seed is None else check_seed(seed, "seed")
        self.upstream_exact = upstream_exact
        self.seed_generator = (
            keras.random.SeedGenerator(self.seed) if hidden_init == "noise" else None
        )
        default = 1.0 if normalization == "layer" else 0.1
        scale = default if norm_scale is None else norm_scale
        self.norms = [
            normalization_layer(normalization, f"norm_{index}", self.dtype_policy, scale)
            for index in range(4)
        ]

    def build(self, inputs_shape, states_shape=None):
        channels = known_channels(inputs_shape)
        if channels != self.filters:
            raise InputError(
                f"Expected inputs of {self.name!r} of {self.filters} channels, as many as it has "
                f"filters, received {tuple(inputs_shape)}: put a convolution before it."
            )
        if self.convolution == "fourier" and None in inputs_shape[1:3]:
            raise InputError(
                f"Expected inputs of {self.name!r} of known height and width, received "
                f"{tuple(inputs_shape)}: give them, or take another `convolution` than 'fourier'."
            )
        kernels = 1 if self.shared_kernel else 2
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, channels, kernels * channels),
            drawn_apart(keras.initializers.Orthogonal(), kernels),
            name="recurrent_kernel",
        )
        self.gate_kernel = self.add_weight(
            (channels, 2 * channels), drawn_apart(self.gate_initializer, 2), name="gate_kernel"
        )
        self.gate_bias = self.add_weight((2 * channels,), self._chronos(), name="gate_bias")
        for name, value in (
            ("alpha", 0.1),
            ("mu", 1.0),
            ("kappa", 0.5),
            ("gamma", 1.0),
            ("omega", 0.5),
        ):
            constant = keras.initializers.Constant(value)
            setattr(self, name, self.add_weight((channels,), constant, name=name))
        for norm in self.norms:
            norm.build(inputs_shape)

    def constants(self, drive):
        """Kernels of suppression and of facilitation, in frequency if that is faster."""
        kernels = ops.split(self.recurrent_kernel, 1 if self.shared_kernel else 2, axis=-1)
        if self.symmetric_updates:
            kernels = [_with_symmetric_gradient(kernel) for kernel in kernels]
        if self._in_frequency(drive.shape):
            kernels = [spectrum(kernel, drive.shape[1:3]) for kernel in kernels]
        return [kernels[0], kernels[-1]]

    def get_initial_state(self, drive):
        silence, _ = super().get_initial_state(drive)
        if self.hidden_init == "zeros":
            return [silence, silence]
        return [xavier_noise(drive, self.seed_generator), silence]

    def step(self, drive, states, constants, training=None):
        h = states[0]
        inhibition, excitation = constants
        (gain_kernel, mix_kernel), (gain_bias, mix_bias) = (
            ops.split(gates, 2, axis=-1) for gates in (self.gate_kernel, self.gate_bias)
        )

        gain = ops.sigmoid(self.norms[0](ops.matmul(h, gain_kernel) + gain_bias, training=training))
        surround = self.norms[1](self._horizontal(gain * h, inhibition), training=training)
        suppression = surround * (self.alpha * h + self.mu)
        if self.activation == "relu":
            h1 = ops.relu(drive - ops.relu(suppression))
        else:
            h1 = ops.tanh(drive - suppression)

        mix = ops.sigmoid(self.norms[2](ops.matmul(h1, mix_kernel) + mix_bias, training=training))
        contour = self.norms[3](self._horizontal(h1, excitation), training=training)
        facilitated = self.kappa * h1 + contour * (self.gamma + self.omega * h1)
        facilitated = ops.relu(facilitated) if self.activation == "relu" else ops.tanh(facilitated)
        h2 = h + mix * (facilitated - h)
        return h2, [h2, h1]

    def _horizontal(self, inputs: Any, kernel: Any) -> Any:
        if self._in_frequency(inputs.shape):
            return convolve_in_frequency(inputs, kernel, self.kernel_size)
        return convolve(inputs, kernel, padding="same")

    def _in_frequency(self, shape: Sequence[int | None]) -> bool:
        """Whether maps (N, H, W, C) are convolved by the Fourier transform."""
        if self.convolution != "auto":
            return self.convolution == "fourier"
        return is_faster(shape[1:3], self.kernel_size, self.filters, self.filters)

    def _chronos(self) -> Callable[..., Any]:
        """Biases with which states last for times from 1 to `max_timesteps` - 1."""

        def initialize(shape: Any, dtype: Any = None) -> Any:
            longest = _UPSTREAM_LONGEST if self.upstream_exact else max(self.max_timesteps - 1, 1)
            times = keras.random.uniform((shape[0] // 2,), 1, longest, dtype=dtype)
            bias = times if self.upstream_exact else ops.log(times)
            return ops.concatenate([bias, -bias])

        return initialize

    def get_config(self):
        config = super().get_config()
        del config["strides"]
        return {
            **config,
            "kernel_size": self.kernel_size[0],
            "activation": self.activation,
            "normalization": self.normalization,
            "shared_kernel": self.shared_kernel,
            "symmetric_updates": self.symmetric_updates,
            "hidden_init": self.hidden_init,
            "max_timesteps": self.max_timesteps,
            "gate_initializer": keras.initializers.serialize(self.gate_initializer),
            "norm_scale": self.norm_scale,
            "convolution": self.convolution,
            "seed": self.seed,
            "upstream_exact": self.upstream_exact,
        }


def _one_of(value: Any, known: Sequence[str], name: str) -> Any:
    if value not in known:
        raise InputError(f"Expected `{name}` to be one of {', '.join(known)}, received {value!r}.")
    return value


def _with_symmetric_gradient(kernel: Any) -> Any:
    """The kernel; its gradient is the mean of itself and its swap of channels in and out."""
    symmetric = (kernel + ops.transpose(kernel, (0, 1, 3, 2))) / 2
    # A difference of exactly 0: the values stay what they are.
    return ops.stop_gradient(kernel) + (symmetric - ops.stop_gradient(symmetric))
