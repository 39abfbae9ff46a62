"""Flags that choose and shape a model, and what the commands make of them."""

from __future__ import annotations

from typing import Any

from absl import flags

from tfbio.cli.command import given
from tfbio.errors import InputError
from tfbio.models.registry import model_info

# Arguments of the models' own, as flags.
_OWN = ("width", "timesteps", "cumulative_readout")
MODEL_FLAGS = ("image_size", *_OWN)


def define_model_flags(values: flags.FlagValues, default: str | None = None) -> None:
    """Flags that name a model and set its arguments."""
    flags.DEFINE_string(
        "model", default, "Model of the registry, such as bl_rcnn.", flag_values=values
    )
    flags.DEFINE_integer(
        "image_size", None, "Height and width of the input, pixels. Default: as published.",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_float(
        "width", None, "Factor on the number of filters. Default: 1, as published.",
        flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "timesteps", None, "Time steps of a recurrent model. Default: as published.",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    flags.DEFINE_boolean(
        "cumulative_readout", None, "Read out the sum of the logits over time steps.",
        flag_values=values,
    )  # fmt: skip


def model_arguments(values: flags.FlagValues) -> dict[str, Any]:
    """The builder's arguments that the flags give.

    Raises:
        InputError: the model does not take one of them.
    """
    info = model_info(values.model)
    arguments = given(values, _OWN)
    strange = [name for name in arguments if name not in info.arguments]
    if strange:
        raise InputError(
            f"{info.name} takes no {' or '.join('--' + name for name in strange)}: leave it out."
        )
    if values.image_size is not None:
        arguments["input_shape"] = (values.image_size, values.image_size, 3)
    if info.recurrent:
        # Training and measuring look at every time step.
        arguments["return_sequences"] = True
    return arguments
