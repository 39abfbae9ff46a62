"""The golden cases of the towers, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from golden_data import initial_noise, load_case, relative_error, torch_state_dict

import tfbio
from tfbio.models import unrolled_layers

CASES = tuple(
    f"shaperec_tower_{kind}" for kind in ("conv", "rnn", "gru", "lstm", "reciprocal", "hgru")
)
_NORMALIZATIONS = {"batchnorm": "batch", "layernorm": "layer"}


def make_model(case: str, **arguments: Any) -> keras.Model:
    """Our model of the case's state dict, logits out."""
    config, arrays = load_case(case)
    arguments.setdefault("weights", torch_state_dict(case))
    if config["cell_type"] != "conv":
        arguments.setdefault("timesteps", config["time_steps"])
        arguments.setdefault("return_sequences", config["return_all"])
        arguments.setdefault("skip_first", config["skip_first"])
    model = tfbio.create_model(
        f"{config['cell_type']}_tower",
        input_shape=arrays["input"].shape[1:],
        normalization=_NORMALIZATIONS[config["normalization"]],
        include_preprocessing=False,
        classifier_activation=None,
        **arguments,
    )
    begin_with_noise(model, config["salt"])
    return model


def begin_with_noise(model: keras.Model, salt: int) -> None:
    """Let every hGRU begin with the noise that the case's original drew."""
    number = 0
    for layer in unrolled_layers(model):
        if layer.cell.state_names[0] == "h2":

            def noise(drive: Any, number: int = number) -> list[Any]:
                h2 = initial_noise(number, drive.shape, salt)
                return [keras.ops.convert_to_tensor(h2), keras.ops.zeros_like(drive)]

            layer.cell.get_initial_state = noise
            number += 1


def errors(case: str, model: keras.Model) -> dict[str, float]:
    """Relative errors of the logits, at every time step if the case has them, and of the activity.

    Of the activity of each block at every time step, mean and deviation are known; their errors
    are relative to the deviation.
    """
    config, arrays = load_case(case)
    found = tfbio.features(model, arrays["input"], [*_blocks(model), "predictions"])
    logits = [each for key, each in found.items() if key.startswith("predictions")]
    output = np.stack(logits) if config["return_all"] else logits[-1]
    worst = {"logits": relative_error(output, arrays["output"])}
    for key, activity in found.items():
        if key.startswith("cell_blocks"):
            name, _, t = key.partition(":")
            block = "cell_blocks." + name.split("_")[2]
            mean, deviation, _ = config["stats"][block][int(t or 0)]
            error = max(abs(activity.mean() - mean), abs(activity.std() - deviation))
            worst[key] = error / deviation
    return worst


def _blocks(model: keras.Model) -> list[str]:
    """The names of the layers whose outputs are the blocks'."""
    recurrent = [layer.name for layer in unrolled_layers(model)]
    names = [layer.name for layer in model.layers if layer.name.endswith("_activation")]
    return names + recurrent
