"""The golden cases of networks with divisive normalization, on whichever backend Keras has."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
from golden_data import GOLDEN, load_case, relative_error
from models.v1_golden import fill

import tfbio

CASES = sorted(path.stem.removeprefix("model_dn_") for path in GOLDEN.glob("model_dn_*.npz"))


def arguments(case: str) -> dict[str, Any]:
    """Registered name and arguments of a case, from the original's configuration."""
    init = load_case(f"model_dn_{case}")[0]["init"]
    specs = init["divnorm_specs"]
    return {
        "classes": init["num_classes"],
        "variant": "cifar" if init["for_dataset"] == "cifar100" else "imagenet",
        "relu": init["relu"],
        "batchnorm": init["batchnorm"],
        "divnorm": {"ours": "pooled", "ken": "exponential", "nonorm": None}[specs["type"]],
        "divnorm_as_activation": specs.get("asact", False),
        "p": specs["p"],
        "power": specs["power"],
        "epsilon": specs["eps"],
        "single_gamma": specs["single_gamma"],
        "single_sigma": specs["single_sigma"],
        "normalize_gamma": specs["normalize_gamma"],
        "normalize_sigma": specs["normalize_sigma"],
    }


def state_dict(case: str) -> dict[str, np.ndarray]:
    """The tensors of the original, checked by their sums."""
    _, arrays = load_case(f"model_dn_{case}")
    shapes, sums = json.loads(str(arrays["shapes"])), json.loads(str(arrays["checksums"]))
    tensors = {}
    for name in arrays["names"].tolist():
        tensors[name] = fill(name, shapes[name])
        np.testing.assert_allclose(tensors[name].sum(dtype=np.float64), sums[name][1], rtol=1e-6)
    return tensors


def make_model(case: str, **others: Any) -> keras.Model:
    """Our model with the original's weights, for normalized pixels."""
    _, arrays = load_case(f"model_dn_{case}")
    return tfbio.create_model(
        f"{case.split('_')[0]}_divnorm",
        input_shape=arrays["input"].shape[1:],
        weights=state_dict(case),
        include_preprocessing=False,
        classifier_activation=None,
        **{**arguments(case), **others},
    )


def logits_error(case: str, model: keras.Model | None = None) -> float:
    """Relative error of the logits, against the original's in float64."""
    _, arrays = load_case(f"model_dn_{case}")
    logits = (model or make_model(case))(arrays["input"], training=False)
    return relative_error(keras.ops.convert_to_numpy(logits), arrays["output_f64"])
