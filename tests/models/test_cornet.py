"""CORnet-S against the numbers of the original."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import fill_torch, load_case, relative_error

import tfbio
from tfbio.errors import InputError
from tfbio.models.cornet import back_end, recurrent_area
from tfbio.weights.origin import module_name, tensors_of
from tfbio.weights.tensor_map import Target

# === One recurrent area ===


def _area(case):
    """Model of an area that returns all time steps, its weights loaded; tensors by their names."""
    config, arrays = load_case(case)
    image = keras.Input(arrays["input"].shape[1:])
    states = recurrent_area(image, config["out_channels"], config["times"], "area")
    model = keras.Model(image, states)
    targets = {}
    for layer in model.layers:
        for suffix, tensor in tensors_of(layer):
            if isinstance(tensor, Target):
                name = module_name(layer.name).removeprefix("area.")
                targets[f"{name}.{suffix}"] = (tensor, layer)
    theirs = {
        key.removeprefix("weight/")
        for key in arrays
        if key.startswith("weight/") and not key.endswith("num_batches_tracked")
    }
    assert set(targets) == theirs
    for name, (target, _) in targets.items():
        assert target.file_shape == arrays[f"weight/{name}"].shape
        target.assign(arrays[f"weight/{name}"])
    return config, arrays, model, targets


@pytest.mark.parametrize("case", ["cornet_block_eval", "cornet_block_train"])
def test_golden_area_over_time_with_all_gradients_and_statistics(case):
    config, arrays, model, targets = _area(case)
    training = config["mode"] == "train"
    trained = {n: t for n, (t, _) in targets.items() if f"grad/{n}" in arrays}
    assert {id(t.variable) for t in trained.values()} == {id(v) for v in model.trainable_variables}
    image = tf.constant(arrays["input"])
    with tf.GradientTape() as tape:
        tape.watch(image)
        output = tf.stack(model(image, training=training))
        loss = tf.reduce_sum(output * arrays["cotangent"])
    of_image, gradients = tape.gradient(
        loss, (image, {name: target.variable.value for name, target in trained.items()})
    )
    assert len(output) == config["times"]
    for ours, theirs in zip(output, arrays["output"], strict=True):
        assert relative_error(ours, theirs) < 1e-5
    assert relative_error(of_image, arrays["grad_input"]) < 1e-5
    for name, target in trained.items():
        gradient = target.to_file(np.asarray(gradients[name]))
        assert relative_error(gradient, arrays[f"grad/{name}"]) < 1e-5, name

    for name, (target, layer) in targets.items():
        if not name.endswith(("running_mean", "running_var")):
            continue
        theirs = before = arrays[f"weight/{name}"]
        if training:
            theirs = arrays[f"after/{name}"]
            assert np.min(np.abs(theirs - before)) > 0
            if name.endswith("running_var"):
                # PyTorch adds a tenth of the unbiased variance, Keras of the biased one.
                values = len(arrays["input"]) * np.prod(layer.output.shape[1:3])
                theirs = 0.9 * before + (theirs - 0.9 * before) * (values - 1) / values
        assert relative_error(target.value(), theirs) < 1e-6, name


def test_an_area_keeps_its_convolutions_and_normalizes_each_time_step_apart():
    image = keras.Input((9, 10, 3))
    states = recurrent_area(image, 4, 3, "V4")
    assert [state.shape for state in states] == [(None, 5, 5, 4)] * 3
    model = keras.Model(image, states[-1])
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("MultiStrideConv2D") == 3
    assert kinds.count("BatchNormalization") == 1 + 3 * 3
    convolutions = 3 * 4 + 4 * 4 + 4 * 16 + 9 * 16 * 16 + 16 * 4
    assert model.count_params() == convolutions + 4 * (4 + 3 * (16 + 16 + 4))


# === The back-end ===


def test_golden_back_end():
    config, arrays = load_case("cornet_s_backend")
    names, shapes = json.loads(str(arrays["names"])), json.loads(str(arrays["shapes"]))
    tensors = {
        n: fill_torch(n, shape, config["salt"]) for n, shape in zip(names, shapes, strict=True)
    }
    image = keras.Input(arrays["input"].shape[1:])
    model = keras.Model(image, back_end(image, config["num_classes"], 1.0, (2, 4, 2)))
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == config["n_params"]
    tfbio.load_weights(model, tensors)
    found = tfbio.features(model, arrays["input"], layers=["*_output_*", "decoder_linear"])
    logits = found.pop("decoder_linear")
    assert relative_error(logits, arrays["output"]) < 1e-4
    # Every area at every time step.
    theirs = {
        f"{area.replace('.', '_')}_{t}": moments
        for area, steps in config["stats"].items()
        for t, moments in enumerate(steps)
    }
    assert set(found) == set(theirs)
    for name, (mean, deviation, (images, channels, height, width)) in theirs.items():
        activity = np.asarray(found[name], "float64")
        assert activity.shape == (images, height, width, channels)
        assert activity.mean() == pytest.approx(mean, rel=1e-5)
        assert activity.std() == pytest.approx(deviation, rel=1e-5)


# === The whole network ===


def test_the_published_network_has_the_published_size():
    """53.4 million weights (Kubilius et al. 2019), and V1 of 64 filters."""
    model = tfbio.create_model("cornet_s")
    v1 = 7 * 7 * 3 * 64 + 3 * 3 * 64 * 64 + 2 * 2 * 64
    assert sum(np.prod(v.shape) for v in model.trainable_variables) == 53370088 + v1
    expected = {
        "V1_output": (56, 64),
        "V2_output_1": (28, 128),
        "V4_output_3": (14, 256),
        "IT_output_1": (7, 512),
    }
    for name, (side, filters) in expected.items():
        assert model.get_layer(name).output.shape == (None, side, side, filters)


def test_the_kernels_start_as_in_the_original():
    """Normal, of standard deviation sqrt(2 / (k^2 filters))."""
    image = keras.Input((8, 8, 64))
    model = keras.Model(image, recurrent_area(image, 64, 1, "V2")[-1])
    for name, deviation in {
        "V2_conv_input": (2 / 64) ** 0.5,
        "V2_conv1": (2 / 256) ** 0.5,
        "V2_conv2": (2 / (9 * 256)) ** 0.5,
        "V2_conv3": (2 / 64) ** 0.5,
    }.items():
        kernel = np.asarray(model.get_layer(name).kernel)
        assert kernel.std() == pytest.approx(deviation, rel=5 / (2 * kernel.size) ** 0.5)


@pytest.mark.parametrize("times", [(1, 1), (2, 4, 2, 1), (2, 0, 2), 3])
def test_time_steps_that_are_not_of_three_areas_are_refused(times):
    with pytest.raises(InputError, match=r"Expected numbers of time steps for V2, V4 and IT, such"):
        tfbio.create_model("cornet_s", input_shape=(32, 32, 3), width=0.125, times=times)
