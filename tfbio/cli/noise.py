"""Flags that choose how the noise of a model is drawn."""

from __future__ import annotations

import keras
from absl import flags

from tfbio.errors import InputError
from tfbio.layers.neuronal_noise import SAMPLINGS
from tfbio.models.noise import set_noise


def define_noise_flags(values: flags.FlagValues) -> None:
    """Flags of `tfbio.models.set_noise`."""
    at = {"flag_values": values}
    flags.DEFINE_enum(
        "noise", None, list(SAMPLINGS),
        "Noise of the model: drawn anew, fixed, the mean of --noise_draws, or off. Default: as it "
        "is.", **at,
    )  # fmt: skip
    flags.DEFINE_integer("noise_seed", None, "Of fixed noise, or where samples start.", **at)
    flags.DEFINE_integer("noise_draws", None, "Of --noise=mean. Default: 10.", **at)


def apply_noise(values: flags.FlagValues, model: keras.Model) -> None:
    """Draw the noise of a model as the flags say, if they do.

    Raises:
        InputError: the model has no noise, or a flag stands without --noise.
    """
    if values.noise is None:
        for name in ("noise_seed", "noise_draws"):
            if values[name].value is not None:
                raise InputError(f"Expected --noise with --{name}, received the latter alone.")
        return
    set_noise(model, values.noise, values.noise_seed, values.noise_draws)
