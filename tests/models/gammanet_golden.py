"""The golden cases of gamma-net, on whichever backend Keras has."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import keras
import numpy as np
from golden_data import load_case, relative_error

from tfbio.models.gammanet import gammanet, gammanet_map

# Case to builder and tower type.
CASES = {
    "shaperec_gammanet_small": (gammanet, "small"),
    "fgru_gamanet_vgg16": (gammanet_map, "normal"),
}


def fill(name: str, shape: list[int], salt: int) -> np.ndarray:
    """One tensor of a state dict from its name (RECIPE_B)."""
    leaf = name.rsplit(".", 1)[-1]
    rng = np.random.default_rng([salt, zlib.crc32(name.encode())])
    if len(shape) in (2, 4):
        values = rng.standard_normal(shape) * math.sqrt(2 / math.prod(shape[1:]))
    elif leaf in ("weight", "alpha", "kappa", "mu", "omega"):
        values = rng.uniform(0.8, 1.2, size=shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return values.astype(np.float32)


def state_dict(case: str) -> dict[str, np.ndarray]:
    """The tensors of the original."""
    config, arrays = load_case(case)
    names, shapes = json.loads(str(arrays["names"])), json.loads(str(arrays["shapes"]))
    tensors = {n: fill(n, s, config["salt"]) for n, s in zip(names, shapes, strict=True)}
    assert sum(tensor.size for tensor in tensors.values()) == config["n_params"]
    return tensors


def make_model(case: str, **arguments: Any) -> keras.Model:
    """Our model with the original's weights, for pixels in [0, 1]."""
    config, arrays = load_case(case)
    build, tower_type = CASES[case]
    if build is gammanet:
        arguments["classifier_activation"] = None
    return build(
        input_shape=arrays["input"].shape[1:],
        weights=state_dict(case),
        include_preprocessing=False,
        tower_type=tower_type,
        timesteps=config.get("time_steps", config.get("timesteps")),
        **arguments,
    )


def output_error(case: str, model: keras.Model | None = None) -> float:
    """Relative error of logits or map."""
    _, arrays = load_case(case)
    output = (model or make_model(case))(arrays["input"], training=False)
    return relative_error(keras.ops.convert_to_numpy(output), arrays["output"])


def state_errors(case: str, model: keras.Model | None = None) -> dict[str, float]:
    """Error of the mean of every state after every time step, over its deviation.

    The original's figures are those of its units. The highest area's state is what its unit gives;
    the others are sums of what lateral connections and feedback give.
    """
    config, arrays = load_case(case)
    states = (model or make_model(case)).get_layer("network").states(arrays["input"])
    prefix = "network." if CASES[case][0] is gammanet else ""
    found = {}
    for area, (name, maps) in enumerate(states.items()):
        units = [f"h_units.{area}", *([f"td_units.{2 - area}"] if area < 3 else [])]
        for step, ours in enumerate(maps):
            theirs = [config["stats"][prefix + unit][step] for unit in units]
            values = keras.ops.convert_to_numpy(ours).astype(np.float64)
            assert values.transpose(0, 3, 1, 2).shape == tuple(theirs[0][2])
            error = abs(values.mean() - sum(mean for mean, _, _ in theirs)) / values.std()
            if len(units) == 1:
                error = max(error, abs(values.std() - theirs[0][1]) / values.std())
            found[f"{name}({step})"] = float(error)
    return found
