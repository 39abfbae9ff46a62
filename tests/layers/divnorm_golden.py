"""The golden cases of learned divisive normalization, on whichever backend Keras has."""

from __future__ import annotations

import keras
import numpy as np
from golden_data import GOLDEN, load_case, relative_error
from layers.gradients import forward_and_backward

from tfbio.layers import ExponentialDivNorm, PooledDivNorm

CASES = sorted(
    path.stem for kind in ("heeger", "divnorm2d", "ken") for path in GOLDEN.glob(f"{kind}_*.npz")
)


def make_layer(case: str) -> keras.layers.Layer:
    """Our layer with the arguments of a case of the original."""
    config, _ = load_case(case)
    init = config["init"]["args_divnorm"]
    if config["component"] == "DivisiveNormKenMiller":
        return ExponentialDivNorm(
            init["lamb"], init["alpha"], init["beta"], init["k"], init["fix_all"]
        )
    return PooledDivNorm(
        init["p"],
        init["power"],
        init["gamma"],
        init["sigma"],
        init["eps"],
        init["single_gamma"],
        init["single_sigma"],
        init["fix_gamma"] or init["fix_all"],
        init["fix_sigma"] or init["fix_all"],
        init["normalize_gamma"],
        init["normalize_sigma"],
        upstream_exact=True,
    )


def errors(case: str) -> dict[str, float]:
    """Relative error of the output and of every gradient."""
    _, arrays = load_case(case)
    layer = make_layer(case)
    layer.build(arrays["input"].shape)
    for variable in layer.weights:
        variable.assign(arrays[f"weight/{variable.name}"])
    trained = layer.trainable_weights
    assert {f"grad/{each.name}" for each in trained} == {k for k in arrays if "grad/" in k}
    output, gradients = forward_and_backward(layer, trained, arrays["input"], arrays["cotangent"])
    names = ["grad_input", *(f"grad/{variable.name}" for variable in trained)]
    found = {"output": relative_error(output, arrays["output"])}
    for name, gradient in zip(names, gradients, strict=True):
        found[name] = relative_error(np.reshape(gradient, arrays[name].shape), arrays[name])
    return found


def tolerance(case: str, name: str) -> float:
    """1e-5, or twenty times what the original loses in float32 (the golden data's README)."""
    config, _ = load_case(case)
    return max(1e-5, 20 * config["fp32_vs_fp64_max_abs_err_over_max_abs"][name])
