"""VOneBlock: simple and complex cells of primary visual cortex, with noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import count, known_channels, odd, output_sizes, pair
from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.layers.gabor_parameters import (
    Distribution,
    GaborParameters,
    sample_channels,
    sample_gabor_parameters,
)
from tfbio.layers.neuronal_noise import NeuronalNoise, NoiseMode, Sampling
from tfbio.layers.single_channel import check_channels, responses_by_filter, to_image

_PARAMETERS = ("sf", "theta", "phase", "nx", "ny")
# The smallest normal number of float32: below it, the gradient of the root is not finite.
_SMALLEST_ENERGY = 1.1754944e-38


@keras.saving.register_keras_serializable(package="tfbio")
class VOneBlock(keras.layers.Layer):
    """Primary visual cortex: Gabor filters, simple cells, complex cells, neuronal noise.

    Equation, with the responses q0 and q1 of Gabor filters 90 degrees apart in phase:

        simple cells   max(k_exc q0, 0)
        complex cells  k_exc sqrt((q0^2 + q1^2) / 2)
        outputs        max(noisy responses, 0), see `NeuronalNoise`

    Simple cells answer to a bar at one place, complex cells wherever in their receptive field it
    is. The parameters of the filters follow what was measured in the primary visual cortex of
    macaques. Nothing in the block is trained.

    Filters see one colour each and the second phase is computed for complex cells only: a quarter
    of the arithmetic of the original.

    Args:
        simple_channels: number of simple cells at each place.
        complex_channels: number of complex cells at each place.
        kernel_size: side of the filters, pixels, odd.
        strides: an int or a pair.
        k_exc: gain of the responses, above 0.
        visual_degrees: what the image spans, degrees of visual angle.
        image_size: pixels that span `visual_degrees`; by default the shorter side of the input.
        gabor_seed: of the filters' parameters.
        gabor_distribution: `"neuronal"` or `"uniform"`, see `sample_gabor_parameters`.
        sf_corr: correlation of spatial frequency and receptive field size.
        sf_max: highest spatial frequency, cycles per degree.
        sf_min: lowest spatial frequency, cycles per degree.
        parameters: `GaborParameters` of all simple, then all complex cells, in place of the draws.
        channel_seed: of the colour that each filter sees.
        channels: the colours, in place of the draws: one int per cell, or two rows of them, for q0
            and for q1.
        noise_mode: `"neuronal"`, `"gaussian"`, or None for no noise.
        noise_scale: see `NeuronalNoise`.
        noise_level: see `NeuronalNoise`.
        noise_sampling: `"sample"`, `"fixed"`, `"mean"` or `"off"`, see `NeuronalNoise`.
        noise_draws: samples that `"mean"` takes the mean of.
        noise_seed: of the samples.
        noise_fixed_seed: of fixed noise.
        upstream_exact: draw the colours of q0 and q1 independently, as the original does; two
            thirds of its quadrature pairs compare different colours. False gives both the first.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: images.
        noise: numbers of the standard normal distribution in place of drawn ones, see
            `NeuronalNoise`.

    Input shape:
        (N, H, W, C), pixels around 0, in [-1, 1] as published. C is 3 for RGB.

    Output shape:
        (N, ceil(H / stride), ceil(W / stride), simple_channels + complex_channels)

    Raises:
        InputError: an argument is out of range.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), "Simulating a Primary Visual
        Cortex at the Front of CNNs Improves Robustness to Image Perturbations",
        doi:10.1101/2020.06.16.154542. Complex cells: Adelson, Bergen (1985),
        doi:10.1364/JOSAA.2.000284.

    Upstream:
        vonenet, modules.py, `VOneBlock`. There the gradient of a complex cell without response is
        NaN; here it is 0. Two phases of a pair see different colours, see `upstream_exact`.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.VOneBlock(simple_channels=4, complex_channels=4)
        >>> tuple(layer(keras.random.uniform((2, 64, 64, 3), -1, 1)).shape)
        (2, 16, 16, 8)
    """

    def __init__(
        self,
        simple_channels: int = 256,
        complex_channels: int = 256,
        kernel_size: int = 25,
        strides: int | tuple[int, int] = 4,
        k_exc: float = 25.0,
        visual_degrees: float = 8.0,
        image_size: int | None = None,
        gabor_seed: int = 0,
        gabor_distribution: Distribution = "neuronal",
        sf_corr: float = 0.75,
        sf_max: float = 9.0,
        sf_min: float = 0.0,
        parameters: GaborParameters | Mapping[str, Sequence[float]] | None = None,
        channel_seed: int = 0,
        channels: Sequence[int] | Sequence[Sequence[int]] | None = None,
        noise_mode: NoiseMode | None = "neuronal",
        noise_scale: float = 0.35,
        noise_level: float = 0.07,
        noise_sampling: Sampling = "sample",
        noise_draws: int = 10,
        noise_seed: int | None = None,
        noise_fixed_seed: int = 0,
        upstream_exact: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        numbers = {"simple_channels": simple_channels, "complex_channels": complex_channels}
        for name, number in numbers.items():
            if not isinstance(number, (int, np.integer)) or number < 0:
                raise InputError(f"Expected `{name}` to be 0 or more, received {number!r}.")
        if simple_channels + complex_channels == 0:
            raise InputError("Expected simple or complex cells, received 0 of both.")
        positive = {"k_exc": k_exc, "visual_degrees": visual_degrees}
        for name, value in positive.items():
            if not 0 < value < math.inf:
                raise InputError(f"Expected `{name}` above 0, received {value!r}.")
        if image_size is not None:
            count(image_size, "image_size")
        self.simple_channels = int(simple_channels)
        self.complex_channels = int(complex_channels)
        self.kernel_size = odd(kernel_size, "kernel_size", "kernel")
        self.strides = pair(strides, "strides")
        self.k_exc = k_exc
        self.visual_degrees = visual_degrees
        self.image_size = image_size
        self.gabor_seed = gabor_seed
        self.gabor_distribution = gabor_distribution
        self.sf_corr = sf_corr
        self.sf_max = sf_max
        self.sf_min = sf_min
        self.channel_seed = channel_seed
        self.upstream_exact = upstream_exact
        cells = self.simple_channels + self.complex_channels
        self._given_parameters = parameters is not None
        if parameters is None:
            parameters = sample_gabor_parameters(
                cells, gabor_seed, gabor_distribution, sf_corr, sf_max, sf_min
            )
        self.parameters = _check_parameters(parameters, cells)
        self._channels = None if channels is None else _two_rows(channels, cells)
        self.noise = NeuronalNoise(
            noise_mode,
            noise_scale,
            noise_level,
            noise_sampling,
            noise_draws,
            rectify=True,
            seed=noise_seed,
            fixed_seed=noise_fixed_seed,
            dtype=self.dtype_policy,
            name="noise",
        )
        self.input_spec = keras.layers.InputSpec(ndim=4)

    def build(self, inputs_shape):
        colors, size = known_channels(inputs_shape), self.image_size
        if size is None:
            if None in inputs_shape[1:3]:
                raise InputError(
                    f"Expected `image_size`, the pixels that {self.visual_degrees} degrees span, "
                    f"for inputs of unknown size {tuple(inputs_shape)}."
                )
            size = min(inputs_shape[1:3])
        if self._channels is None:
            drawn = sample_channels(
                self.simple_channels + self.complex_channels, self.channel_seed, colors
            )
            self._channels = _two_rows(drawn if self.upstream_exact else drawn[0], drawn.shape[1])
        in_pixels = self.parameters.in_pixels(size / self.visual_degrees)
        in_quadrature = {**in_pixels, "phase": in_pixels["phase"] + np.pi / 2}
        self.simple_conv_q0 = self._bank("simple_conv_q0", in_pixels, self._channels[0])
        self.simple_conv_q1 = self._bank("simple_conv_q1", in_quadrature, self._channels[1])
        self.simple_conv_q0.build(inputs_shape)
        self.simple_conv_q1.build(inputs_shape)
        self.input_spec = keras.layers.InputSpec(ndim=4, axes={-1: colors})

    def _bank(
        self, name: str, in_pixels: Mapping[str, Any], channels: Sequence[int]
    ) -> GaborConv2D:
        return GaborConv2D(
            **in_pixels,
            channels=channels,
            kernel_size=self.kernel_size,
            strides=self.strides,
            dtype=self.dtype_policy,
            name=name,
        )

    @property
    def channels(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The colour that each filter sees, for q0 and q1; None before it is drawn."""
        if not self.built:
            return self._channels
        return self.simple_conv_q0.channels, self.simple_conv_q1.channels

    def call(self, inputs, noise=None):
        return self.noise(self.responses(inputs), noise=noise)

    def responses(self, inputs: Any) -> Any:
        """The responses of simple and complex cells without noise."""
        q0, q1 = self.simple_conv_q0, self.simple_conv_q1
        simple, cells = self.simple_channels, self.simple_channels + self.complex_channels
        # The gains go into the filters, which are fewer than their responses.
        gain = np.full(cells, float(self.k_exc))
        gain[simple:] /= math.sqrt(2)
        kernel = ops.concatenate([q0.kernel, q1.kernel[..., simple:]], axis=-1)
        rows = responses_by_filter(
            inputs,
            kernel * ops.cast(np.append(gain, gain[simple:]), kernel.dtype),
            (*q0.channels, *q1.channels[simple:]),
            self.strides,
            q0.padding,
        )
        parts = []
        if simple:
            parts.append(ops.relu(rows[:simple]))
        if cells > simple:
            parts.append(_magnitude(rows[simple:cells], rows[cells:]))
        return to_image(ops.concatenate(parts, axis=0), q0.sizes(ops.shape(inputs)))

    def fix_noise(self, seed: int = 0) -> None:
        """Give every image the same noise from now on, drawn from a seed."""
        self.noise.fix_noise(seed)

    def unfix_noise(self) -> None:
        """Draw noise anew for every image from now on."""
        self.noise.unfix_noise()

    def compute_output_shape(self, inputs_shape):
        radius = self.kernel_size // 2
        sizes = output_sizes(
            inputs_shape,
            (self.kernel_size, self.kernel_size),
            self.strides,
            (radius, radius),
            self.name,
        )
        return (inputs_shape[0], *sizes, self.simple_channels + self.complex_channels)

    def get_config(self):
        parameters = None
        if self._given_parameters:
            parameters = {name: getattr(self.parameters, name).tolist() for name in _PARAMETERS}
        return {
            **super().get_config(),
            "simple_channels": self.simple_channels,
            "complex_channels": self.complex_channels,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "k_exc": self.k_exc,
            "visual_degrees": self.visual_degrees,
            "image_size": self.image_size,
            "gabor_seed": self.gabor_seed,
            "gabor_distribution": self.gabor_distribution,
            "sf_corr": self.sf_corr,
            "sf_max": self.sf_max,
            "sf_min": self.sf_min,
            "parameters": parameters,
            "channel_seed": self.channel_seed,
            "channels": self.channels,
            "noise_mode": self.noise.noise_mode,
            "noise_scale": self.noise.scale,
            "noise_level": self.noise.level,
            "noise_sampling": self.noise.sampling,
            "noise_draws": self.noise.draws,
            "noise_seed": self.noise.seed,
            "noise_fixed_seed": self.noise.fixed_seed,
            "upstream_exact": self.upstream_exact,
        }


def _check_parameters(
    parameters: GaborParameters | Mapping[str, Sequence[float]], cells: int
) -> GaborParameters:
    """The parameters as arrays, one number for each cell."""
    given = parameters if isinstance(parameters, Mapping) else vars(parameters)
    arrays = {name: np.asarray(values, np.float64) for name, values in given.items()}
    shapes = {name: array.shape for name, array in arrays.items()}
    if shapes != dict.fromkeys(_PARAMETERS, (cells,)):
        raise InputError(
            f"Expected `parameters` to be {', '.join(_PARAMETERS)}, one number for each of {cells} "
            f"cells, received arrays of shape {shapes}."
        )
    return GaborParameters(**arrays)


def _two_rows(channels: Any, cells: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The colours for both phases, from one row for both or from two."""
    try:
        rows = np.atleast_1d(channels)
    except ValueError:
        # Rows of different lengths.
        rows = np.zeros((0, 0, 0))
    both = (rows, rows) if rows.ndim == 1 else tuple(rows)
    if len(both) != 2:
        raise InputError(
            f"Expected `channels` for the two phases of {cells} cells, received an array of shape "
            f"{rows.shape}."
        )
    return check_channels(both[0], cells), check_channels(both[1], cells)


def _magnitude(even: Any, odd: Any) -> Any:
    """sqrt(even^2 + odd^2), whose gradient is finite at 0."""
    # Squares of small numbers vanish in half precision.
    half = keras.backend.standardize_dtype(even.dtype) == "float16"
    if half:
        even, odd = ops.cast(even, "float32"), ops.cast(odd, "float32")
    magnitude = ops.sqrt(ops.maximum(even * even + odd * odd, _SMALLEST_ENERGY))
    return ops.cast(magnitude, "float16") if half else magnitude
