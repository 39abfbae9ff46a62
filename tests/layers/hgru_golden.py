"""The golden cases of hGRU cells, at every time step, on whichever backend Keras has."""

from __future__ import annotations

import zlib
from typing import Any

import keras
import numpy as np
from golden_data import load_case, relative_error
from layers.gradients import forward_and_backward

from tfbio.layers.hgru_cell import HGRUCell
from tfbio.layers.unroll import Unroll

CASES = ("hgru_cell_eval", "hgru_cell_layernorm", "hgru_cell_train", "shaperec_cell_hgru")

# The names of a wrapper's tensors begin with it.
_PREFIX = "hgru."


def make_cell(case: str, **arguments: Any) -> HGRUCell:
    """Our cell with the arguments of a case of the original."""
    config, arrays = load_case(case)
    filters, kernel_size = arrays["output"].shape[-1], config["kernel_size"]
    kind = {"batchnorm": "batch", "layernorm": "layer"}[config["normalization"]]
    cell = HGRUCell(filters, kernel_size, normalization=kind, **arguments)
    cell.build(arrays["output"].shape[1:])
    for name, value in variables_of(cell, arrays, "weight").items():
        variable, theirs = value
        assert tuple(variable.shape) == theirs.shape, name
        variable.assign(theirs)
    return cell


def variables_of(
    cell: HGRUCell, arrays: dict[str, np.ndarray], kind: str
) -> dict[str, tuple[keras.Variable, np.ndarray]]:
    """Name to our variable and theirs: `weight`, `grad`, `grad_raw` or `after`, in our layout."""
    theirs = {
        name.removeprefix(f"{kind}/").removeprefix(_PREFIX): array
        for name, array in arrays.items()
        if name.startswith(f"{kind}/")
    }
    found = {}

    def add(name: str, variable: keras.Variable, *parts: str):
        if all(part in theirs for part in parts):
            found[name] = (variable, _merged([theirs[part] for part in parts]))

    add("recurrent_kernel", cell.recurrent_kernel, "w_gate_inh", "w_gate_exc")
    add("gate_kernel", cell.gate_kernel, "u1_gate.weight", "u2_gate.weight")
    add("gate_bias", cell.gate_bias, "u1_gate.bias", "u2_gate.bias")
    for name in ("alpha", "mu", "kappa", "gamma"):
        add(name, getattr(cell, name), name)
    add("omega", cell.omega, "w")
    for index, norm in enumerate(cell.norms):
        add(f"norm_{index}.gamma", norm.gamma, f"bn.{index}.weight")
        add(f"norm_{index}.beta", norm.beta, f"bn.{index}.bias")
        if cell.normalization == "batch":
            add(f"norm_{index}.moving_mean", norm.moving_mean, f"bn.{index}.running_mean")
            add(f"norm_{index}.moving_variance", norm.moving_variance, f"bn.{index}.running_var")
    return found


def _merged(parts: list[np.ndarray]) -> np.ndarray:
    """Gates of the original one after the other, as our variables have them."""
    if parts[0].ndim == 4:
        parts = [part.transpose(2, 3, 1, 0) for part in parts]
    merged = np.concatenate(parts, axis=-1) if parts[0].ndim != 3 else parts[0].ravel()
    return merged[0, 0] if merged.shape[:2] == (1, 1) else merged


class FromState(keras.layers.Layer):
    """A cell over time; the first state is in the last channels of the inputs."""

    def __init__(self, cell: HGRUCell, timesteps: int):
        super().__init__(dtype=cell.dtype_policy)
        self.unroll = Unroll(cell, timesteps)
        self.unroll.built = True

    def call(self, inputs, training=None):
        image, state = keras.ops.split(inputs, 2, axis=-1)
        return self.unroll(image, initial_state=[state, 0 * state], training=training)


def inputs_and_state(case: str) -> tuple[np.ndarray, np.ndarray]:
    """What drives the hGRU itself, and its first state."""
    _, arrays = load_case(case)
    inputs = arrays["input"]
    if "h0" in arrays:
        return inputs, arrays["h0"]
    # The wrapper's convolution, of one pixel, and the state of the golden data's recipe.
    inputs = inputs @ arrays["weight/conv.weight"][:, :, 0, 0].T + arrays["weight/conv.bias"]
    images, height, width, channels = inputs.shape
    drawn = np.random.default_rng([1, zlib.crc32(b"h0/0")]).standard_normal(
        (images, channels, height, width)
    )
    state = drawn * np.sqrt(2 / ((images + channels) * height * width))
    return inputs, state.transpose(0, 2, 3, 1).astype("float32")


def errors(case: str, **arguments: Any) -> dict[str, float]:
    """Relative errors of the output of all time steps and of every gradient.

    Args:
        case: one of `CASES`.
        **arguments: of the cell; without `symmetric_updates`, the kernels' gradients are compared
            with those before the original's hook.
    """
    config, arrays = load_case(case)
    cell = make_cell(case, **arguments)
    inputs, state = inputs_and_state(case)
    theirs = {
        **variables_of(cell, arrays, "grad"),
        **({} if cell.symmetric_updates else variables_of(cell, arrays, "grad_raw")),
    }
    layer = FromState(cell, config["timesteps"])
    layer.built = True
    output, (of_inputs, *gradients) = forward_and_backward(
        layer,
        [variable for variable, _ in theirs.values()],
        np.concatenate([inputs, state], axis=-1),
        np.moveaxis(arrays["cotangent"], 0, 1),
        training=config["mode"] == "train",
    )
    found = {"output": relative_error(np.moveaxis(output, 1, 0), arrays["output"])}
    of_drive, of_state = np.split(of_inputs, 2, axis=-1)
    if "h0" in arrays:
        found["input"] = relative_error(of_drive, arrays["grad_input"])
        found["h0"] = relative_error(of_state, arrays["grad_h0"])
    else:
        wrapper = arrays["weight/conv.weight"][:, :, 0, 0]
        of_wrapper = np.einsum("nhwo,nhwi->oi", of_drive, arrays["input"])[:, :, None, None]
        found["input"] = relative_error(of_drive @ wrapper, arrays["grad_input"])
        found["conv.weight"] = relative_error(of_wrapper, arrays["grad/conv.weight"])
        found["conv.bias"] = relative_error(of_drive.sum((0, 1, 2)), arrays["grad/conv.bias"])
    assert len(theirs) == len(cell.trainable_weights)
    largest = max(np.abs(array).max() for _, array in theirs.values())
    for (name, (_, array)), gradient in zip(theirs.items(), gradients, strict=True):
        assert gradient.shape == array.shape, name
        if zero_gradient(config, name):
            found[name] = float(np.abs(gradient - array).max() / largest)
        else:
            found[name] = relative_error(gradient, array)
    return found


def tolerance(case: str, name: str) -> float:
    """1e-5; more for what is rounding noise, in the original, too."""
    if (case, name) == ("hgru_cell_layernorm", "norm_0.gamma"):
        # 1.0e-5 from the golden number in double precision as well.
        return 2e-5
    return 2e-5 if zero_gradient(load_case(case)[0], name) else 1e-5


def zero_gradient(config: dict, name: str) -> bool:
    """A bias right before batch statistics has no gradient."""
    of_batch = config["normalization"] == "batchnorm" and config["mode"] == "train"
    return of_batch and name == "gate_bias"
