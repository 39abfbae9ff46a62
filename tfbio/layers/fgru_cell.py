"""FGRUCell: lateral and top-down connections whose gates attend to what is salient."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._attention import Attention, AttentionKind
from tfbio.layers._convolution import Pair, convolve, count, known_channels, pair
from tfbio.layers._first_state import xavier_noise
from tfbio.layers._random_state import KeepsRandomState
from tfbio.layers._reflection import check_map, reflected
from tfbio.layers._seeds import check_seed
from tfbio.layers.conv_cell import ConvCell
from tfbio.layers.gates import drawn_apart
from tfbio.layers.instance_norm import check_pixels, instance_norm

HiddenInit = Literal["identity", "zeros", "noise"]


@keras.saving.register_keras_serializable(package="tfbio")
class FGRUCell(KeepsRandomState, ConvCell):
    """One time step of the feedback gated recurrent unit.

    Equation (`*` is convolution, `.` elementwise, s the sigmoid, f the activation, N1 to N4
    normalizations of each image's channels), with X the inputs, h the state h2, and h1, h2 what
    the two stages give:

        gain   g1 = s( N1(A(h) + b1) )       mix   g2 = s( N3(U2 h1 + b2) )
        c1 = N2( Winh * (g1 . h) )           c2 = N4( Wexc * h1 )

        h1 = f( X - f( c1 . (alpha . h + mu) ) )
        h~ = f( kappa . (h1 + c2) + omega . h1 . c2 )
        h2 = (1 - g2) . h + g2 . h~          top-down: (1 - g2) . X + g2 . h~

    with A the attention to places and channels, or U1 h without.

    Activity is first suppressed, then facilitated by its surround. Between areas, X is the state of
    the lower one and h that of the higher one, brought to the same size: what the higher area
    believes corrects what the lower one sees.

    Args:
        filters: number of channels C, of the inputs, too.
        kernel_size: an odd or even int or a pair, the extent of Winh and Wexc. Maps are reflected
            at the border.
        attention: `"gala"` (place and channel), `"se"` (channel), `"sa"` (place), or None.
        attention_layers: number of convolutions on either path of the attention.
        saliency_kernel_size: an int or a pair, the extent of attention to places.
        activation: a function or its name.
        gate_normalization: normalize the gates; without, N1 and N3 are absent.
        tied_kernels: `"depth"` for kernels Winh and Wexc that keep channels apart, or None.
        hidden_init: the first state: `"identity"` for the inputs, `"zeros"`, or `"noise"`, which is
            drawn at every call, with a variance of 2 / ((N + C) H W), also in inference.
        top_down: mix with the inputs in place of the state.
        max_timesteps: how long the state may have to last, time steps: the gates' biases begin at
            the logarithms of times from 1 to this less 1. None for biases of 1.
        seed: of the noise, an int, or None for a seed that `keras.utils.set_random_seed` decides.
        upstream_exact: without `gate_normalization`, leave out b1 and b2.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, H, W, C), the drive.
        states: [h2] or [h2, h1], None for `hidden_init`. Only h2 has an effect.
        training: without effect.

    Weights, with Winh before Wexc, U1 before U2, b1 before b2:
        recurrent_kernel (k, k, C, 2 C), tied (k, k, C, 2); gate_kernel (C, C), without attention
        (C, 2 C); gate_bias (2 C,); alpha, mu, kappa, omega (C,); convolutions of `attention`;
        normalizations norm_gain, norm_inhibition, norm_mix, norm_excitation. Where gates are
        normalized b1 and b2 have no effect, and are not trained.

    Input shape:
        (N, H, W, C)

    Output shape:
        Output (N, H, W, C), which is h2, and the list of states [h2, h1].

    Raises:
        InputError: an argument is out of range, the inputs have another number of channels, or
            maps are too small to be reflected or normalized.

    Reference:
        Linsley, Kim, Ashok, Serre (2020), "Recurrent neural circuits for contour detection",
        https://openreview.net/forum?id=H1gB4RVKvB. Attention: Linsley, Shiebler, Eberhardt,
        Serre (2019), https://arxiv.org/abs/1805.08819.

    Upstream:
        serre-lab and shape-processing-rnns, layers/fgru_cell.py, `fGRUCell` and its top-down form.
        There gates that are not normalized have no biases (`upstream_exact`), and kernels tied
        otherwise than by depth crash. Normalization of the attention is left out here.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.Unroll(tfbio.layers.FGRUCell(4, kernel_size=3), timesteps=3)
        >>> tuple(layer(keras.random.uniform((2, 8, 8, 4))).shape)
        (2, 3, 8, 8, 4)
    """

    state_names = ("h2", "h1")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Pair = 3,
        attention: AttentionKind | None = "gala",
        attention_layers: int = 2,
        saliency_kernel_size: int | Pair = 5,
        activation: Any = "relu",
        gate_normalization: bool = True,
        tied_kernels: Literal["depth"] | None = None,
        hidden_init: HiddenInit = "identity",
        top_down: bool = False,
        max_timesteps: int | None = None,
        seed: int | None = None,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(filters, kernel_size, **kwargs)
        if tied_kernels not in ("depth", None):
            raise InputError(
                f"Expected `tied_kernels` to be 'depth' or None, received {tied_kernels!r}."
            )
        if hidden_init not in get_args(HiddenInit):
            raise InputError(
                f"Expected `hidden_init` to be one of {', '.join(get_args(HiddenInit))}, received "
                f"{hidden_init!r}."
            )
        self.attention = attention
        self.attention_layers = attention_layers
        self.saliency_kernel_size = pair(saliency_kernel_size, "saliency_kernel_size")
        self.activation = keras.activations.get(activation)
        self.gate_normalization = gate_normalization
        self.tied_kernels = tied_kernels
        self.hidden_init = hidden_init
        self.top_down = top_down
        self.max_timesteps = (
            None if max_timesteps is None else count(max_timesteps, "max_timesteps")
        )
        self.seed = None if seed is None else check_seed(seed, "seed")
        self.upstream_exact = upstream_exact
        self.seed_generator = (
            keras.random.SeedGenerator(self.seed) if hidden_init == "noise" else None
        )
        self.attend = None
        if attention is not None:
            self.attend = Attention(
                self.filters,
                attention,
                attention_layers,
                self.saliency_kernel_size,
                name="attention",
                dtype=self.dtype_policy,
            )
        names = ["inhibition", "excitation", *(("gain", "mix") if gate_normalization else ())]
        self.norms = {name: instance_norm(f"norm_{name}", self.dtype_policy) for name in names}

    def build(self, inputs_shape, states_shape=None):
        channels = known_channels(inputs_shape)
        if channels != self.filters:
            raise InputError(
                f"Expected inputs of {self.name!r} of {self.filters} channels, as many as it has "
                f"filters, received {tuple(inputs_shape)}: put a convolution before it."
            )
        windows = [self.kernel_size]
        if self.attention in ("gala", "sa"):
            windows.append(self.saliency_kernel_size)
        check_map(inputs_shape, windows, self.name)
        check_pixels(inputs_shape, self.name)
        orthogonal = keras.initializers.Orthogonal()
        tied = self.tied_kernels is not None
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, channels, 2 if tied else 2 * channels),
            _depthwise_orthogonal if tied else drawn_apart(orthogonal, 2),
            name="recurrent_kernel",
        )
        gates = 2 if self.attend is None else 1
        self.gate_kernel = self.add_weight(
            (channels, gates * channels), drawn_apart(orthogonal, gates), name="gate_kernel"
        )
        self.gate_bias = self.add_weight(
            (2 * channels,),
            self._chronos,
            trainable=not (self.gate_normalization or self.upstream_exact),
            name="gate_bias",
        )
        for name, value in (("alpha", 0.1), ("mu", 1.0), ("kappa", 0.5), ("omega", 0.5)):
            constant = keras.initializers.Constant(value)
            setattr(self, name, self.add_weight((channels,), constant, name=name))
        if self.attend is not None:
            self.attend.build(inputs_shape)
        for norm in self.norms.values():
            norm.build(inputs_shape)

    def constants(self, drive):
        """Kernels of suppression and facilitation, and of both gates, which may be the same one."""
        gates = 2 if self.attend is None else 1
        gate_kernels = ops.split(self.gate_kernel, gates, axis=-1)
        return [
            *ops.split(self.recurrent_kernel, 2, axis=-1),
            gate_kernels[0],
            gate_kernels[-1],
            *ops.split(self.gate_bias, 2),
        ]

    def get_initial_state(self, drive):
        silence = ops.zeros_like(drive)
        if self.hidden_init == "noise":
            return [xavier_noise(drive, self.seed_generator), silence]
        return [drive if self.hidden_init == "identity" else silence, silence]

    def step(self, drive, states, constants, training=None):
        h = states[0]
        inhibition, excitation, gain_kernel, mix_kernel, gain_bias, mix_bias = constants

        salience = ops.matmul(h, gain_kernel) if self.attend is None else self.attend(h)
        gain = self._gate(salience, gain_bias, "gain")
        surround = self._surround(gain * h, inhibition, "inhibition")
        h1 = self.activation(drive - self.activation(surround * (self.alpha * h + self.mu)))

        mix = self._gate(ops.matmul(h1, mix_kernel), mix_bias, "mix")
        context = self._surround(h1, excitation, "excitation")
        facilitated = self.activation(self.kappa * h1 + context * (self.kappa + self.omega * h1))
        before = drive if self.top_down else h
        h2 = before + mix * (facilitated - before)
        return h2, [h2, h1]

    def _gate(self, inputs: Any, bias: Any, name: str) -> Any:
        if self.gate_normalization:
            # The mean over the map takes the bias away again.
            return ops.sigmoid(self.norms[name](inputs))
        return ops.sigmoid(inputs if self.upstream_exact else inputs + bias)

    def _surround(self, inputs: Any, kernel: Any, name: str) -> Any:
        inputs = reflected(inputs, self.kernel_size)
        if self.tied_kernels is None:
            summed = convolve(inputs, kernel)
        else:
            summed = ops.depthwise_conv(inputs, kernel, data_format="channels_last")
        return self.norms[name](summed)

    def _chronos(self, shape: Any, dtype: Any = None) -> Any:
        """Biases with which states last for times from 1 to `max_timesteps` - 1."""
        if self.max_timesteps is None:
            return ops.ones(shape, dtype)
        longest = max(self.max_timesteps - 1, 1)
        bias = ops.log(keras.random.uniform((shape[0] // 2,), 1, longest, dtype=dtype))
        return ops.concatenate([bias, -bias])

    def get_config(self):
        config = super().get_config()
        del config["strides"]
        return {
            **config,
            "attention": self.attention,
            "attention_layers": self.attention_layers,
            "saliency_kernel_size": self.saliency_kernel_size,
            "activation": keras.activations.serialize(self.activation),
            "gate_normalization": self.gate_normalization,
            "tied_kernels": self.tied_kernels,
            "hidden_init": self.hidden_init,
            "top_down": self.top_down,
            "max_timesteps": self.max_timesteps,
            "seed": self.seed,
            "upstream_exact": self.upstream_exact,
        }


def _depthwise_orthogonal(shape: Any, dtype: Any = None) -> Any:
    """Two kernels (height, width, C, 1): the channels' windows are orthogonal to each other."""
    height, width, channels, kernels = shape
    drawn = [
        keras.initializers.Orthogonal()((height * width, channels), dtype) for _ in range(kernels)
    ]
    return ops.reshape(ops.stack(drawn, axis=-1), shape)
