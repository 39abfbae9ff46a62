"""The golden cases of the V1 components' layers, on whichever backend Keras has."""

from __future__ import annotations

import keras
import numpy as np
from golden_data import GOLDEN, load_case, relative_error
from layers.gradients import forward_and_backward

from tfbio import layers
from tfbio.weights.origin import tensors_of
from tfbio.weights.tensor_map import Target, TensorRole

CASES = sorted(
    path.stem
    for kind in ("dog", "local", "cirincione", "opponent", "polar")
    for path in GOLDEN.glob(f"{kind}_*.npz")
)


def make_layer(case: str) -> keras.layers.Layer:
    """Our layer with the arguments of a case of the original."""
    config, arrays = load_case(case)
    init = config["init"]
    match config["component"]:
        case "DoGConv2D":
            return layers.DoGConv2D(
                init["out_channels"],
                2 * init["k"] + 1,
                init["stride"],
                init["padding"],
                use_bias=init["bias"],
                upstream_exact=True,
            )
        case "DoGConv2DLayer":
            return layers.CenterSurround(
                init["dog_channels"],
                2 * init["k"] + 1,
                init["stride"],
                init["padding"],
                use_bias=init["bias"],
                upstream_exact=True,
            )
        case "LocallyConnected2d":
            return layers.LocallyConnected2D(
                init["out_channels"],
                init["kernel_size"],
                init["stride"],
                init["padding"],
                use_bias=init["bias"],
            )
        case "DivisiveNormalizationCirincione":
            return layers.GaussianDivNorm(init["gaussian_kernel_size"], upstream_exact=True)
        case "OpponentChannelInhibition":
            return layers.TunedDivNorm()
        case "PolarTransform":
            return layers.PolarTransform(
                (init["output_h"], init["output_w"]),
                arrays["radius_bins"].tolist(),
                arrays["angle_bins"].tolist(),
                init["interpolation"],
            )
    raise KeyError(config["component"])


def errors(case: str) -> dict[str, float]:
    """Relative error of the output and of every gradient; constants are compared on the way."""
    _, arrays = load_case(case)
    layer = make_layer(case)
    layer.build(arrays["input"].shape)
    variables: dict[str, Target] = {}
    for name, tensor in tensors_of(layer):
        theirs = arrays[f"weight/{name}"]
        if isinstance(tensor, Target):
            assert tensor.file_shape == theirs.shape, name
            tensor.variable.assign(tensor.from_file(theirs))
            np.testing.assert_array_equal(tensor.value(), theirs)
            variables[name] = tensor
        elif tensor.role is TensorRole.DERIVED:
            assert tensor.value().dtype == theirs.dtype, name
            np.testing.assert_array_equal(tensor.value(), theirs)
    assert {f"grad/{name}" for name in variables} == {k for k in arrays if k.startswith("grad/")}
    trained = [target.variable for target in variables.values()]
    assert {id(v) for v in layer.weights} == {id(v) for v in trained}
    output, gradients = forward_and_backward(layer, trained, arrays["input"], arrays["cotangent"])
    found = {
        "output": relative_error(output, arrays["output"]),
        "grad_input": relative_error(gradients[0], arrays["grad_input"]),
    }
    for (name, target), gradient in zip(variables.items(), gradients[1:], strict=True):
        found[name] = relative_error(target.to_file(gradient), arrays[f"grad/{name}"])
    return found


def tolerance(case: str, name: str) -> float:
    """1e-5, or twenty times what the original loses in float32 (the golden data's README)."""
    config, _ = load_case(case)
    key = name if name in ("output", "grad_input") else f"grad/{name}"
    return max(1e-5, 20 * config["fp32_vs_fp64_max_abs_err_over_max_abs"][key])
