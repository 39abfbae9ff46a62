"""The golden cases of the recurrent cells, at every time step, on whichever backend Keras has."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from golden_data import load_case, relative_error
from layers.gradients import forward_and_backward

from tfbio.layers.conv_cell import ConvCell
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.unroll import Unroll

CASES = tuple(f"shaperec_cell_{kind}" for kind in ("rnn", "gru", "lstm", "reciprocal"))
CELLS = {
    "ConvRNNCell": ConvRNNCell,
    "ConvGruCell": ConvGRUCell,
    "ConvLSTMCell": ConvLSTMCell,
    "ReciprocalGatedCell": ReciprocalGatedCell,
}
NORMALIZATIONS = {"batchnorm": "batch", "layernorm": "layer", None: None}

# Variables of ours: the convolutions of the original that they hold, gate by gate.
GATES = {
    "ConvRNNCell": {("kernel", "bias"): ["x2h"], ("recurrent_kernel", "recurrent_bias"): ["h2h"]},
    "ConvGruCell": {
        ("kernel", "bias"): ["wr", "wz", "wcan"],
        ("recurrent_kernel", "recurrent_bias"): ["ur", "uz", "ucan"],
    },
    "ConvLSTMCell": {
        ("kernel", "bias"): ["wf", "wi", "wo", "wcan"],
        ("recurrent_kernel", "recurrent_bias"): ["uf", "ui", "uo", "ucan"],
        ("memory_kernel", "memory_bias"): ["vf", "vi", "vo"],
    },
    "ReciprocalGatedCell": {
        ("kernel", "bias"): ["preconv"],
        ("recurrent_kernel", "recurrent_bias"): ["whh", "whc", "wch", "wcc"],
    },
}
NORMS = {"norm": "norm", "norm1": "norm_h", "norm2": "norm_c"}


def make_cell(config: dict, **arguments: Any) -> ConvCell:
    """Our cell with the arguments of a case of the original."""
    cell = CELLS[config["cell"]]
    if cell in (ConvGRUCell, ConvLSTMCell):
        arguments["upstream_exact"] = True
    if cell is ReciprocalGatedCell:
        arguments["preconv_kernel_size"] = (
            config["preconv_kernel"] if config["do_preconv"] else None
        )
    return cell(
        config["out_channels"],
        config["kernel_size"],
        config["stride"],
        config["activation"],
        NORMALIZATIONS[config["normalization"]],
        **arguments,
    )


def in_our_layout(config: dict, theirs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights, or their gradients, of the original, under the names of a cell's variables."""
    ours = {}
    for (kernel, bias), gates in GATES[config["cell"]].items():
        kernels = [theirs[f"{gate}.weight"].transpose(2, 3, 1, 0) for gate in gates]
        ours[kernel] = np.concatenate(kernels, axis=-1)
        ours[bias] = np.concatenate([theirs[f"{gate}.bias"] for gate in gates])
    for name, norm in NORMS.items():
        if f"{name}.weight" in theirs:
            ours[f"{norm}.gamma"] = theirs[f"{name}.weight"]
            ours[f"{norm}.beta"] = theirs[f"{name}.bias"]
        if f"{name}.running_mean" in theirs:
            ours[f"{norm}.moving_mean"] = theirs[f"{name}.running_mean"]
            ours[f"{norm}.moving_variance"] = theirs[f"{name}.running_var"]
    return ours


def variable_of(cell: ConvCell, name: str) -> keras.Variable:
    """`kernel`, or `norm.gamma`."""
    *layer, variable = name.split(".")
    return getattr(getattr(cell, layer[0]) if layer else cell, variable)


def give_all_states(cell: ConvCell) -> ConvCell:
    """Let a cell's output be its states one after the other, as the golden cases have them."""
    step = cell.step

    def all_states(*arguments: Any, **keywords: Any) -> Any:
        _, states = step(*arguments, **keywords)
        return keras.ops.concatenate(states, axis=-1), states

    cell.step = all_states
    return cell


def errors(case: str) -> dict[str, float]:
    """Relative error of the states at every time step, and of every gradient."""
    config, arrays = load_case(case)
    cell = give_all_states(make_cell(config))
    layer = Unroll(cell, timesteps=config["timesteps"])
    layer.build(arrays["input"].shape)
    kinds: dict[str, dict[str, np.ndarray]] = {"weight": {}, "grad": {}, "after": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        if kind in kinds:
            kinds[kind][name] = array
    weights = in_our_layout(config, kinds["weight"])
    gradients = in_our_layout(config, kinds["grad"])
    variables = {name: variable_of(cell, name) for name in weights}
    assert {id(each) for each in variables.values()} == {id(each) for each in layer.weights}
    assert set(gradients) == {name for name in variables if variables[name].trainable}

    def assign() -> None:
        for name, variable in variables.items():
            assert tuple(variable.shape) == weights[name].shape, name
            variable.assign(weights[name])

    assign()
    output, ours = forward_and_backward(
        layer,
        [variables[name] for name in gradients],
        arrays["input"],
        np.ascontiguousarray(arrays["cotangent"].swapaxes(0, 1)),
        training=config["mode"] == "train",
    )
    steps = zip(output.swapaxes(0, 1), arrays["output"], strict=True)
    found = {f"output {t}": relative_error(*each) for t, each in enumerate(steps)}
    found["grad_input"] = relative_error(ours[0], arrays["grad_input"])
    for name, gradient in zip(gradients, ours[1:], strict=True):
        found[name] = relative_error(gradient, gradients[name])
    if "norm.moving_mean" in weights:
        assign()
        layer(arrays["input"], training=True)
        after = in_our_layout(config, {**kinds["weight"], **kinds["after"]})
        # PyTorch's variance over n values, of a running one, is divided by n - 1.
        count = np.prod(arrays["output"].shape[1:-1])
        kept = 0.9 ** config["timesteps"] * weights["norm.moving_variance"]
        after["norm.moving_variance"] = kept + (after["norm.moving_variance"] - kept) * (
            (count - 1) / count
        )
        for name in ("norm.moving_mean", "norm.moving_variance"):
            value = keras.ops.convert_to_numpy(variables[name])
            found[name] = relative_error(value, after[name])
    return found
