"""The golden cases of VOneNets and CORnet-S, on whichever backend Keras has."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
from golden_data import fill_torch, load_case, relative_error
from layers.vone_golden import block_arguments

import tfbio
from tfbio.layers.gabor_conv2d import gabor_filters

# Case to registered name.
CASES = {
    "vone_resnet50": "vone_resnet50",
    "vone_alexnet": "vone_alexnet",
    "vone_cornets": "vone_cornet_s",
}


def state_dict(case: str) -> dict[str, np.ndarray]:
    """The tensors of the original: the recipe's, and the Gabor filters of the stored parameters."""
    config, arrays = load_case(case)
    names, shapes = json.loads(str(arrays["names"])), json.loads(str(arrays["shapes"]))
    tensors = {}
    for name, shape in zip(names, shapes, strict=True):
        if name.startswith("vone_block."):
            bank = name.split(".")[1].removeprefix("simple_conv_")
            tensors[name] = _gabor_weights(arrays, bank, shape)
        else:
            tensors[name] = fill_torch(name, shape, config["salt"])
    return tensors


def _gabor_weights(arrays: dict[str, np.ndarray], bank: str, shape: list[int]) -> np.ndarray:
    phase = arrays["phase"] + (np.pi / 2 if bank == "q1" else 0)
    filters = gabor_filters(
        shape[-1], arrays["sf"], arrays["theta"], arrays["sigx"], arrays["sigy"], phase
    )
    weights = np.zeros(shape, np.float32)
    weights[np.arange(shape[0]), arrays[f"channel_{bank}"]] = filters.transpose(2, 0, 1)
    return weights


def checkpoint(case: str) -> dict[str, Any]:
    """The case as the original published its networks."""
    config, _ = load_case(case)
    return {
        "flags": {
            key: config[key]
            for key in (
                "stride",
                "simple_channels",
                "complex_channels",
                "k_exc",
                "noise_mode",
                "noise_scale",
                "noise_level",
            )
        },
        "state_dict": {f"module.{name}": tensor for name, tensor in state_dict(case).items()},
    }


def logits_error(case: str, **arguments: Any) -> float:
    """Relative error of the logits of a model that is made of the case's checkpoint."""
    _, arrays = load_case(case)
    model = tfbio.create_model(
        CASES[case],
        input_shape=arrays["input"].shape[1:],
        weights=checkpoint(case),
        include_preprocessing=False,
        classifier_activation=None,
        **arguments,
    )
    logits = model(arrays["input"], training=False)
    return relative_error(keras.ops.convert_to_numpy(logits), arrays["output"])


def seeded_model(case: str) -> keras.Model:
    """Our model with the case's arguments, whose filters come from the seeds."""
    config, arrays = load_case(case)
    return tfbio.create_model(
        CASES[case],
        input_shape=arrays["input"].shape[1:],
        include_preprocessing=False,
        classifier_activation=None,
        **block_arguments(config),
    )
