"""The golden cases of the V1 components' ResNet50s, on whichever backend Keras has."""

from __future__ import annotations

import json
import math
import zlib

import keras
import numpy as np
from golden_data import GOLDEN, load_case, relative_error

import tfbio

CASES = sorted(
    path.stem.removeprefix("model_bionic_") for path in GOLDEN.glob("model_bionic_*.npz")
)
REGISTERED = [
    name for name in tfbio.list_models() if tfbio.model_info(name).family == "V1 components"
]
_PLAIN = {"running_mean": 0.1, "bias": 0.1}


def registered_name(case: str) -> str:
    """The name of our model."""
    return case if case == "resnet50" else f"resnet50_{case}"


def fill(name: str, shape: list[int]) -> np.ndarray | None:
    """One tensor of a state dict from its name, None if the original derives it (RECIPE_A)."""
    leaf = name.rsplit(".", 1)[-1]
    rng = np.random.default_rng([1, zlib.crc32(name.encode())])
    uniform = {
        "running_var": (0.5, 1.5),
        "sigma1": (0.8, 1.8),
        "sigma2_scale": (1.2, 2.2),
        "A": (0.0, 0.1),
        "rho": (1.0, 2.0),
        "sigma": (1.0, 2.0),
        "theta": (0.0, 2 * math.pi),
        "lamb": (1.5, 4.0),
        "alpha": (0.05, 0.3),
        "beta": (0.7, 1.1),
        "k": (0.5, 2.0),
    }
    if leaf == "gamma":
        return rng.uniform(
            *((3.5, 4.5) if tuple(shape) == (1,) else (1.5, 2.5)), size=shape
        ).astype(np.float32)
    if leaf == "sigma" and len(shape) == 1:
        return rng.uniform(0.5, 1.5, size=shape).astype(np.float32)
    if leaf in (
        "kernel_dists",
        "channel_distances",
        "x_coords",
        "y_coords",
        "pooling_masks",
        "pooling_mask_counts",
    ) or name.endswith("dog_conv.bias"):
        return None
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf in uniform:
        values = rng.uniform(*uniform[leaf], size=shape)
    elif leaf == "total_scale":
        values = 2 * rng.standard_normal(shape)
    elif leaf == "sigmas":
        values = rng.uniform(0.05 * shape[0], 0.2 * shape[0], size=shape)
    elif leaf in ("v", "w"):
        values = 1 + rng.standard_normal(shape)
    elif name.endswith(".dn.bias"):
        values = rng.uniform(1, 2, size=shape)
    elif leaf == "weight" and len(shape) == 6:
        values = rng.standard_normal(shape) * math.sqrt(2 / (shape[2] * shape[5]))
    elif leaf == "weight" and len(shape) >= 2:
        values = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
    elif leaf == "weight":
        values = rng.uniform(0.8, 1.2, size=shape)
    else:
        values = _PLAIN[leaf] * rng.standard_normal(shape)
    return values.astype(np.float32)


def state_dict(case: str) -> dict[str, np.ndarray]:
    """The tensors of the original without the constants it derives; checked by their sums."""
    _, arrays = load_case(f"model_bionic_{case}")
    shapes = json.loads(str(arrays["shapes"]))
    sums = json.loads(str(arrays["checksums"]))
    tensors = {}
    for name in arrays["names"].tolist():
        tensor = fill(name, shapes[name])
        if tensor is not None:
            np.testing.assert_allclose(tensor.sum(dtype=np.float64), sums[name][1], rtol=1e-6)
            tensors[name] = tensor
    return tensors


def make_model(case: str, **arguments) -> keras.Model:
    """Our model with the original's weights, for normalized pixels."""
    return tfbio.create_model(
        registered_name(case),
        classes=200,
        weights=state_dict(case),
        include_preprocessing=False,
        classifier_activation=None,
        **arguments,
    )


def logits_error(case: str, model: keras.Model | None = None) -> float:
    """Relative error of the logits, against the original's in float64."""
    _, arrays = load_case(f"model_bionic_{case}")
    logits = (model or make_model(case))(arrays["input"], training=False)
    return relative_error(keras.ops.convert_to_numpy(logits), arrays["output_f64"])
