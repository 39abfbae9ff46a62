from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import load_case, relative_error
from layers.layer_checks import check_layer

from tfbio.layers import BLConv2D


def _unroll(layer, norms, inputs, config):
    """The original's layer over time: batch normalization and rectification after the drive."""
    activities, activity = [], None
    for t, norm in enumerate(norms):
        now = inputs[t] if config["feed_every_step"] else inputs
        drive = layer(now) if activity is None else layer(now, activity)
        activity = keras.ops.relu(norm(drive, training=config["training"]))
        activities.append(activity)
    return keras.ops.stack(activities)


@pytest.mark.parametrize("case", ["bl_layer_a", "bl_layer_b"])
def test_golden_outputs_gradients_and_statistics(case):
    config, arrays = load_case(case)
    layer = BLConv2D(config["filters"], config["kernel_size"], name="RCL_0")
    norms = [
        keras.layers.BatchNormalization(
            epsilon=1e-3, momentum=0.99, name=f"BatchNorm_Layer_0_Time_{t}"
        )
        for t in range(config["timesteps"])
    ]
    inputs = tf.constant(arrays["input"])
    _unroll(layer, norms, inputs, {**config, "training": False})
    variables = {
        "RCL_0_BConv/kernel": layer.bottom_up.kernel,
        "RCL_0_LConv/kernel": layer.recurrent.kernel,
    }
    for norm in norms:
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            variables[f"{norm.name}/{name}"] = getattr(norm, name)
    for name, variable in variables.items():
        variable.assign(arrays[f"weight/{name}:0"])

    trained = {name: variable for name, variable in variables.items() if variable.trainable}
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = _unroll(layer, norms, inputs, config)
        loss = tf.reduce_sum(output * arrays["cotangent"])
    gradients = tape.gradient(
        loss, {"input": inputs, **{name: v.value for name, v in trained.items()}}
    )
    assert relative_error(output, arrays["output"]) < 1e-5
    assert relative_error(gradients["input"], arrays["grad_input"]) < 1e-5
    for name in trained:
        assert relative_error(gradients[name], arrays[f"grad/{name}:0"]) < 1e-5, name
    examples = np.prod(inputs.shape[-4:-1])
    for name in set(variables) - set(trained):
        if f"after/{name}:0" in arrays:
            theirs = arrays[f"after/{name}:0"]
            if name.endswith("variance"):
                # Legacy Keras adds the unbiased variance to the average, Keras 3 the biased one.
                kept = 0.99 * arrays[f"weight/{name}:0"]
                theirs = kept + (theirs - kept) * (examples - 1) / examples
            assert relative_error(variables[name], theirs) < 1e-5, name


def _naive_convolution(image, kernel):
    """Same padding, stride 1, by loops over pixels, float64."""
    size = kernel.shape[0]
    before = (size - 1) // 2
    padded = np.pad(
        image, ((0, 0), (before, size - 1 - before), (before, size - 1 - before), (0, 0))
    )
    output = np.zeros((*image.shape[:3], kernel.shape[-1]))
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            window = padded[:, i : i + size, j : j + size]
            output[:, i, j] = np.einsum("nhwc,hwco->no", window, kernel)
    return output


@pytest.mark.parametrize("kernel_size", [3, 4])
def test_equals_the_equation_in_float64(kernel_size):
    rng = np.random.default_rng(1)
    image, lateral = rng.standard_normal((2, 7, 5, 3)), rng.standard_normal((2, 7, 5, 4))
    layer = BLConv2D(4, kernel_size, dtype="float64")
    output = layer(image, lateral)
    bottom_up, recurrent = (np.asarray(conv.kernel) for conv in (layer.bottom_up, layer.recurrent))
    expected = _naive_convolution(image, bottom_up) + _naive_convolution(lateral, recurrent)
    assert relative_error(output, expected) < 1e-10
    assert relative_error(layer(image), _naive_convolution(image, bottom_up)) < 1e-10


def test_passes_the_checks_of_every_layer(tmp_path):
    def make():
        return BLConv2D(4, 3, kernel_regularizer=keras.regularizers.L2(1e-6), name="RCL_0")

    check_layer(make, [(8, 8, 3), (5, 7, 2), (1, 1, 3)], trainable=2, tmp_path=tmp_path)


def test_lateral_input_of_another_shape_is_refused():
    layer = BLConv2D(4, 3)
    with pytest.raises(ValueError, match=r"Expected `lateral` to have 4 channels.*received shape"):
        layer(np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8, 3)))
    layer = BLConv2D(4, 3)
    with pytest.raises(ValueError, match=r"Expected `lateral` of shape \(1, 8, 8, 4\)"):
        layer(np.zeros((1, 8, 8, 3)), np.zeros((1, 4, 4, 4)))
