"""The golden cases of the networks around the hGRU, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import keras
from golden_data import load_case, relative_error, torch_state_dict
from models.towers_golden import begin_with_noise

import tfbio

CASES = ("hgru_hconvgru", "hgru_vgg16", "hgru_vgg16_relu")


def make_model(case: str, **arguments: Any) -> keras.Model:
    """Our model of the case's state dict, logits or maps out."""
    config, arrays = load_case(case)
    arguments = {
        "input_shape": arrays["input"].shape[1:],
        "weights": torch_state_dict(case),
        "timesteps": config["timesteps"],
        "include_preprocessing": False,
        "classifier_activation": None,
        **arguments,
    }
    if case == "hgru_hconvgru":
        model = tfbio.create_model("hconvgru", **arguments)
    else:
        model = tfbio.create_model(
            "vgg16_hgru",
            hgru_layers=config["add_hgru"],
            relu=config["relu"],
            include_top=False,
            **arguments,
        )
    begin_with_noise(model, config["salt"])
    return model


def output_error(case: str) -> float:
    """Relative error of the output."""
    _, arrays = load_case(case)
    output = make_model(case)(arrays["input"], training=False)
    return relative_error(keras.ops.convert_to_numpy(output), arrays["output"])
