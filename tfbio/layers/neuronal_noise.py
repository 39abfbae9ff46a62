"""NeuronalNoise: responses that vary from one presentation of an image to the next."""

from __future__ import annotations

from typing import Any, Literal, get_args

import keras
from keras import ops

from tfbio.errors import InputError
from tfbio.layers._convolution import count
from tfbio.layers._random_state import KeepsRandomState
from tfbio.layers._replica_noise import standard_normal
from tfbio.layers._seeds import check_seed

NoiseMode = Literal["neuronal", "gaussian"]
Sampling = Literal["sample", "fixed", "mean", "off"]
NOISE_MODES: tuple[NoiseMode, ...] = get_args(NoiseMode)
SAMPLINGS: tuple[Sampling, ...] = get_args(Sampling)

# Of the variance, which the original writes 10e-5.
_EPSILON = 1e-4


@keras.saving.register_keras_serializable(package="tfbio")
class NeuronalNoise(KeepsRandomState, keras.layers.Layer):
    """Noise of neuronal responses, in training and in inference.

    Equation, with n from the standard normal distribution:

        neuronal:  z = scale inputs + level
                   outputs = (z + n sqrt(max(z, 0) + 1e-4) - level) / scale
        gaussian:  outputs = inputs + scale n

    The variance of a cortical neuron's spike count grows with its mean; `"neuronal"` is the
    Gaussian approximation of a Poisson distribution of mean z: `scale` turns a response into
    spikes, `level` is the spontaneous activity.

    How n is drawn (`sampling`):

        sample  anew for every image of every call, and on every replica of a strategy
        fixed   once for every place and channel, from `fixed_seed`: the same for all images,
                whatever the size of the batch
        mean    outputs are the mean over `draws` samples, as over repeated presentations
        off     outputs are the inputs

    Args:
        noise_mode: `"neuronal"`, `"gaussian"`, or None for no noise.
        scale: spikes per unit of response, or the standard deviation of the Gaussian, above 0.
        level: spontaneous activity, spikes, 0 or more.
        sampling: how noise is drawn, see above.
        draws: samples that `"mean"` takes the mean of.
        rectify: cut every noisy response off at 0, since rates are not negative.
        seed: of the samples, an int, or None for a seed that `keras.utils.set_random_seed` decides.
        fixed_seed: of fixed noise, an int.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: (N, ..., C).
        noise: n itself, in place of drawn numbers, of a shape that broadcasts to the inputs'.

    Input shape:
        (N, H, W, C), or any other with the batch first; H, W and C known for fixed noise.

    Output shape:
        As the input.

    Raises:
        InputError: an argument is out of range.

    Reference:
        Dapello, Marques, Schrimpf, Geiger, Cox, DiCarlo (2020), "Simulating a Primary Visual
        Cortex at the Front of CNNs Improves Robustness to Image Perturbations",
        doi:10.1101/2020.06.16.154542. Variance of spike counts: Softky, Koch (1993),
        doi:10.1523/JNEUROSCI.13-01-00334.1993.

    Upstream:
        vonenet, modules.py, `VOneBlock.noise_fn`. There fixed noise belongs to one batch size,
        and seed 0 is no seed.

    Example:
        >>> import keras, tfbio
        >>> layer = tfbio.layers.NeuronalNoise(scale=0.35, level=0.07, seed=0)
        >>> rates = keras.ops.ones((1, 8, 8, 4))
        >>> bool(keras.ops.any(layer(rates) != layer(rates)))
        True
        >>> layer.fix_noise(seed=0)
        >>> bool(keras.ops.all(layer(rates) == layer(rates)))
        True
    """

    def __init__(
        self,
        noise_mode: NoiseMode | None = "neuronal",
        scale: float = 0.35,
        level: float = 0.07,
        sampling: Sampling = "sample",
        draws: int = 10,
        rectify: bool = False,
        seed: int | None = None,
        fixed_seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if noise_mode is not None and noise_mode not in NOISE_MODES:
            raise InputError(
                f"Expected `noise_mode` to be one of {', '.join(NOISE_MODES)}, or None, received "
                f"{noise_mode!r}."
            )
        if not 0 < scale < float("inf"):
            raise InputError(f"Expected a noise `scale` above 0, received {scale}.")
        if not 0 <= level < float("inf"):
            raise InputError(f"Expected a noise `level` of 0 or more, received {level}.")
        self.noise_mode = noise_mode
        self.scale = scale
        self.level = level
        self.sampling = sampling
        self.draws = count(draws, "draws")
        self.rectify = rectify
        self.seed = None if seed is None else check_seed(seed, "seed")
        self.fixed_seed = check_seed(fixed_seed, "fixed_seed")
        self.seed_generator = keras.random.SeedGenerator(self.seed)

    @property
    def sampling(self) -> Sampling:
        """How noise is drawn: `"sample"`, `"fixed"`, `"mean"` or `"off"`.

        Functions that were compiled before a change keep what they had; for a whole model,
        `tfbio.models.set_noise` renews them.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        if sampling not in SAMPLINGS:
            raise InputError(
                f"Expected `sampling` to be one of {', '.join(SAMPLINGS)}, received {sampling!r}."
            )
        self._sampling = sampling

    def fix_noise(self, seed: int = 0) -> None:
        """Give every image the same noise from now on, drawn from a seed."""
        self.fixed_seed = check_seed(seed, "seed")
        self.sampling = "fixed"

    def reseed(self, seed: int) -> None:
        """Let the samples start again, from a seed."""
        state = self.seed_generator.state
        start = keras.random.SeedGenerator(check_seed(seed, "seed")).state.value
        state.assign(ops.cast(start, state.dtype))

    def unfix_noise(self) -> None:
        """Draw noise anew for every image from now on."""
        self.sampling = "sample"

    def call(self, inputs, noise=None):
        if self.noise_mode is None or (self.sampling == "off" and noise is None):
            return inputs
        if noise is not None:
            return self._noisy(inputs, ops.cast(noise, inputs.dtype))
        if self.sampling == "fixed":
            shape = (1, *inputs.shape[1:])
            if None in shape:
                raise InputError(
                    "Expected inputs of known size for fixed noise, which is drawn for every "
                    f"place, received {tuple(inputs.shape)}."
                )
            drawn = keras.random.normal(shape, dtype="float32", seed=self.fixed_seed)
            return self._noisy(inputs, ops.cast(drawn, inputs.dtype))
        if self.sampling == "mean":
            return sum(self._sample(inputs) for _ in range(self.draws)) / self.draws
        return self._sample(inputs)

    def _sample(self, inputs: Any) -> Any:
        drawn = standard_normal(ops.shape(inputs), self.seed_generator)
        return self._noisy(inputs, ops.cast(drawn, inputs.dtype))

    def _noisy(self, inputs: Any, noise: Any) -> Any:
        if self.noise_mode == "gaussian":
            outputs = inputs + self.scale * noise
        elif keras.backend.standardize_dtype(inputs.dtype) == "float16":
            # As below, without numbers that leave half precision.
            spikes = ops.maximum(inputs * self.scale + (self.level + _EPSILON), _EPSILON)
            outputs = inputs + noise * (ops.sqrt(spikes) / self.scale)
        else:
            # The equation above in fewer operations: both scales are within the root.
            floor = _EPSILON / self.scale**2
            variance = ops.maximum(
                inputs * (1 / self.scale) + (self.level / self.scale**2 + floor), floor
            )
            outputs = inputs + noise * ops.sqrt(variance)
        return ops.relu(outputs) if self.rectify else outputs

    def compute_output_shape(self, inputs_shape):
        return inputs_shape

    def get_config(self):
        return {
            **super().get_config(),
            "noise_mode": self.noise_mode,
            "scale": self.scale,
            "level": self.level,
            "sampling": self.sampling,
            "draws": self.draws,
            "rectify": self.rectify,
            "seed": self.seed,
            "fixed_seed": self.fixed_seed,
        }
