"""The originals' numbers in tests/golden, and the recipe that fills their weights.

A case is an .npz of inputs, outputs and gradients that the original code computed. Whole models
store no weights: every tensor is drawn from its own name, so a test rebuilds the checkpoint.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from pathlib import Path

import h5py
import numpy as np

GOLDEN = Path(__file__).parent / "golden"


def load_case(name: str) -> tuple[dict, dict[str, np.ndarray]]:
    """The configuration and the arrays of one case."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as case:
        arrays = {key: case[key] for key in case.files if key != "config"}
        return json.loads(str(case["config"])), arrays


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference over the largest magnitude, in float64."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    assert ours.shape == theirs.shape
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))


def fill(name: str, shape, salt: int, gains=()) -> np.ndarray:
    """One tensor of a Keras model, in Keras' layout, from its name."""
    kind = name.split("/")[-1].split(":")[0]
    rng = np.random.default_rng([salt, zlib.crc32(name.encode())])
    if kind == "moving_variance":
        values = rng.uniform(0.5, 1.5, size=shape)
    elif len(shape) >= 2:
        values = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[:-1]))
    elif kind == "gamma":
        values = rng.uniform(0.8, 1.2, size=shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    for pattern, gain in gains:
        if re.search(pattern, name):
            values = values * gain
    return values.astype(np.float32)


# Per-channel parameters of PyTorch's recurrent cells.
_GAINS = ("weight", "gamma", "alpha", "kappa", "w", "mu", "omega")


def fill_torch(name: str, shape, salt: int, gains=()) -> np.ndarray:
    """One tensor of a state dict, in PyTorch's layout, from its name (RECIPE_B)."""
    kind = name.rsplit(".", 1)[-1]
    rng = np.random.default_rng([salt, zlib.crc32(name.encode())])
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    per_channel = len(shape) == 1 or (len(shape) == 3 and tuple(shape[1:]) == (1, 1))
    if kind == "running_var":
        values = rng.uniform(0.5, 1.5, size=shape)
    elif not per_channel:
        values = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
    elif kind in _GAINS:
        values = rng.uniform(0.8, 1.2, size=shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    for pattern, gain in gains:
        if re.search(pattern, name):
            values = values * gain
    return values.astype(np.float32)


def torch_state_dict(case: str) -> dict[str, np.ndarray]:
    """Every tensor of a whole-model case of PyTorch (RECIPE_B)."""
    config, arrays = load_case(case)
    return {
        name: fill_torch(name, shape, config["salt"], config.get("gains", ()))
        for name, shape in zip(
            json.loads(str(arrays["names"])), json.loads(str(arrays["shapes"])), strict=True
        )
    }


def initial_noise(number: int, shape, salt: int) -> np.ndarray:
    """The state before the first time step of an hGRU, (N, H, W, C) (RECIPE_B)."""
    images, rows, columns, channels = shape
    rng = np.random.default_rng([salt, zlib.crc32(f"h0/{number}".encode())])
    drawn = rng.standard_normal((images, channels, rows, columns))
    scale = math.sqrt(2 / ((images + channels) * rows * columns))
    return (drawn * scale).transpose(0, 2, 3, 1).astype(np.float32)


def model_weights(case: str) -> dict[str, np.ndarray]:
    """Every tensor of a whole-model case, by the name that legacy Keras gave it."""
    config, arrays = load_case(case)
    return {
        name: fill(name, shape, config["salt"], config["gains"])
        for name, shape in zip(
            json.loads(str(arrays["names"])), json.loads(str(arrays["shapes"])), strict=True
        )
    }


def h5_manifest() -> dict:
    """Layers, weight names and attributes of the published BL-net file."""
    return json.loads((GOLDEN / "bl_h5_manifest.json").read_text())


def write_native_h5(path: Path, layers, weights, tensorflow_113: bool = False) -> Path:
    """Write weights as legacy Keras did.

    Args:
        path: where to.
        layers: (layer name, list of weight names), in the model's order.
        weights: weight name to array.
        tensorflow_113: fixed-length byte attributes and no group for top-level weights.
    """

    def text(names):
        return np.array([name.encode() for name in names]) if tensorflow_113 else names

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = text([layer for layer, _ in layers])
        file.attrs["backend"] = b"tensorflow" if tensorflow_113 else "tensorflow"
        file.attrs["keras_version"] = b"2.2.4-tf" if tensorflow_113 else "2.21.0"
        for layer, names in layers:
            group = file.create_group(layer)
            group.attrs["weight_names"] = text(names)
            for name in names:
                group.create_dataset(name, data=weights[name])
        if not tensorflow_113:
            file.create_group("top_level_model_weights").attrs["weight_names"] = []
    return path


def bl_net_layers() -> list[tuple[str, list[str]]]:
    """The 199 layers of the published BL-net file with their weights' names."""
    return [(group["layer"], group["weight_names"]) for group in h5_manifest()["groups"]]
