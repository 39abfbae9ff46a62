"""The golden cases of the VOneBlock, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from golden_data import GOLDEN, load_case, relative_error
from layers.gradients import forward_and_backward

from tfbio.layers import VOneBlock

CASES = sorted(path.stem for path in GOLDEN.glob("vone_block_*.npz"))


def block_arguments(config: dict[str, Any]) -> dict[str, Any]:
    """Our names of the original's arguments."""
    return {
        "simple_channels": config["simple_channels"],
        "complex_channels": config["complex_channels"],
        "kernel_size": config["ksize"],
        "strides": config["stride"],
        "k_exc": config["k_exc"],
        "visual_degrees": config["visual_degrees"],
        "gabor_seed": config["gabor_seed"],
        "gabor_distribution": "uniform" if config["rand_param"] else "neuronal",
        "sf_corr": config["sf_corr"],
        "sf_max": config["sf_max"],
        "sf_min": config["sf_min"],
        "channel_seed": config["torch_seed"],
        "noise_mode": config["noise_mode"],
        "noise_scale": config["noise_scale"],
        "noise_level": config["noise_level"],
    }


def make_block(case: str) -> VOneBlock:
    """Our block with the arguments of a case of the original, from its seeds alone."""
    config, arrays = load_case(case)
    block = VOneBlock(
        **block_arguments(config), image_size=config["image_size"], upstream_exact=True
    )
    block.build(arrays["input"].shape)
    return block


def errors(case: str) -> dict[str, float]:
    """Relative error of filters, of responses without noise, of the output, of the gradient."""
    _, arrays = load_case(case)
    block = make_block(case)
    assert block.channels == (
        tuple(arrays["channel_q0"].tolist()),
        tuple(arrays["channel_q1"].tolist()),
    )
    output, (gradient,) = forward_and_backward(
        block, [], arrays["input"], arrays["cotangent"], noise=arrays.get("noise")
    )
    found = {
        "gabors": relative_error(
            keras.ops.convert_to_numpy(block.responses(arrays["input"])), arrays["gabors"]
        ),
        "output": relative_error(output, arrays["output"]),
        "grad_input": relative_error(gradient, arrays["grad_input"]),
    }
    for bank in ("simple_conv_q0", "simple_conv_q1"):
        kernel = keras.ops.convert_to_numpy(getattr(block, bank).kernel.value)
        theirs = arrays[f"weight/{bank}.weight"]
        found[bank] = relative_error(np.transpose(kernel, (3, 2, 0, 1)), theirs)
    return found
