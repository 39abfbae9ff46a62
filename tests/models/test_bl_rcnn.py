"""BL-net and its controls against the original's numbers, at the published size."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import (
    bl_net_layers,
    h5_manifest,
    load_case,
    model_weights,
    relative_error,
    write_native_h5,
)

import tfbio
from tfbio.errors import InputError
from tfbio.models import layer_outputs, logits_model


@pytest.fixture(scope="module")
def native_files(tmp_path_factory):
    """The published file, as legacy Keras and as TensorFlow 1.13 write it."""
    folder = tmp_path_factory.mktemp("native")
    weights = model_weights("bl_net_1000")
    layers = bl_net_layers()
    return {
        "legacy Keras": write_native_h5(folder / "bl_imagenet.h5", layers, weights),
        "TensorFlow 1.13": write_native_h5(folder / "bl_1_13.h5", layers, weights, True),
    }


def _activity_statistics(model, image, steps, layers):
    outputs = layer_outputs(model)
    names = [[f"ReLU_Layer_{n}_Time_{t}" for n in range(layers)] for t in range(steps)]
    probe = keras.Model(
        model.input, ([[outputs[name] for name in row] for row in names], model.output)
    )
    activities, output = probe(image, training=False)
    statistics = [[(np.mean(a), np.std(a)) for a in row] for row in activities]
    return np.array(statistics), np.asarray(output)


@pytest.mark.parametrize(
    ("case", "arguments", "written_by"),
    [
        ("bl_net_1000", {}, "legacy Keras"),
        ("bl_net_1000_T4", {"timesteps": 4}, "TensorFlow 1.13"),
        ("bl_net_1000_cum", {"cumulative_readout": True}, "TensorFlow 1.13"),
    ],
)
def test_bl_rcnn_meets_every_time_step_of_the_original(case, arguments, written_by, native_files):
    config, arrays = load_case(case)
    model = tfbio.create_model(
        "bl_rcnn", return_sequences=True, weights=native_files[written_by], **arguments
    )
    assert model.count_params() == config["n_params"]
    statistics, output = _activity_statistics(
        model, arrays["image_uint8"], config["n_timesteps"], layers=7
    )
    ours = output.swapaxes(0, 1)
    for t, (step, original) in enumerate(zip(ours, arrays["output"], strict=True)):
        assert relative_error(step, original) < 1e-4, t
    assert np.abs(ours - arrays["output"]).max() < 1e-4
    assert relative_error(statistics, arrays["layer_stats"]) < 1e-5
    regularization = sum(float(loss) for loss in model.losses)
    assert regularization == pytest.approx(config["l2_loss"], rel=1e-5)
    if not config["cumulative_readout"]:
        logits = np.asarray(logits_model(model)(arrays["image_uint8"], training=False))
        assert relative_error(logits.swapaxes(0, 1), arrays["logits"]) < 1e-4


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("bl_b_net", "b_cnn"),
        ("bl_b_k_net", "b_k_cnn"),
        ("bl_b_f_net", "b_f_cnn"),
        ("bl_b_d_net", "b_d_cnn"),
    ],
)
def test_controls_meet_the_original(case, name):
    config, arrays = load_case(case)
    model = tfbio.create_model(
        name, input_shape=(*config["image_size"], 3), weights=model_weights(case)
    )
    assert model.count_params() == config["n_params"]
    outputs = layer_outputs(model)
    probe = keras.Model(
        model.input, ([outputs[layer] for layer in config["relu_layers"]], model.output)
    )
    activities, output = probe(arrays["image_uint8"], training=False)
    assert relative_error(output, arrays["output"]) < 1e-4
    statistics = np.array([(np.mean(activity), np.std(activity)) for activity in activities])
    assert relative_error(statistics, arrays["layer_stats"]) < 1e-5
    assert sum(float(loss) for loss in model.losses) == pytest.approx(config["l2_loss"], rel=1e-5)


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("cumulative_readout", [True, False])
def test_layers_stand_in_the_order_of_the_native_file(return_sequences, cumulative_readout):
    """Keras loads a legacy file by position: another order would swap weights without a word."""
    model = tfbio.create_model(
        "bl_rcnn",
        width=1 / 32,
        return_sequences=return_sequences,
        cumulative_readout=cumulative_readout,
    )
    ours = [layer.name for layer in model.layers if layer.weights]
    assert ours == [group["layer"] for group in h5_manifest()["groups"] if group["weight_names"]]


@pytest.mark.parametrize("by_name", [False, True])
def test_plain_keras_load_weights_reads_the_native_file(by_name, native_files):
    strict = tfbio.create_model("bl_rcnn", weights=native_files["legacy Keras"])
    plain = tfbio.create_model("bl_rcnn")
    plain.load_weights(native_files["legacy Keras"], by_name=by_name)
    for ours, theirs in zip(strict.weights, plain.weights, strict=True):
        assert ours.path == theirs.path
        np.testing.assert_array_equal(ours, theirs)


def test_the_ecoset_variant_is_recognised_by_its_readouts(tmp_path):
    weights = model_weights("bl_net_1000")
    for kind in ("kernel", "bias"):
        name = f"ReadoutDense/{kind}:0"
        weights[name] = weights[name][..., :565]
    path = write_native_h5(tmp_path / "bl_imagenet.h5", bl_net_layers(), weights)
    model = tfbio.create_model("bl_rcnn", weights=path)
    assert model.output_shape == (None, 565)
    report = tfbio.load_weights(model, path)
    assert "565 readouts, the ecoset variant" in str(report)
    assert len(report.loaded) == 240


def test_last_step_is_what_a_sequence_ends_with():
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    arguments = {"input_shape": (32, 32, 3), "classes": 5, "width": 1 / 16, "timesteps": 3}
    sequence = tfbio.create_model("bl_rcnn", return_sequences=True, **arguments)
    last = tfbio.create_model("bl_rcnn", **arguments)
    last.set_weights(sequence.get_weights())
    np.testing.assert_allclose(sequence(image)[:, -1], last(image), rtol=1e-6)


def test_cumulative_readout_is_the_sum_of_logits():
    image = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    arguments = {
        "input_shape": (32, 32, 3),
        "classes": 5,
        "width": 1 / 16,
        "timesteps": 4,
        "return_sequences": True,
        "classifier_activation": None,
    }
    instant = tfbio.create_model("bl_rcnn", **arguments)
    cumulative = tfbio.create_model("bl_rcnn", cumulative_readout=True, **arguments)
    cumulative.set_weights(instant.get_weights())
    np.testing.assert_allclose(cumulative(image), np.cumsum(instant(image), axis=1), rtol=1e-5)


def test_preprocessing_maps_pixels_to_plus_minus_one():
    image = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    arguments = {"input_shape": (32, 32, 3), "classes": 5, "width": 1 / 16}
    inside = tfbio.create_model("b_cnn", **arguments)
    outside = tfbio.create_model("b_cnn", include_preprocessing=False, **arguments)
    outside.set_weights(inside.get_weights())
    np.testing.assert_allclose(inside(image), outside(image / 127.5 - 1), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (31, 64, 3)}, "at least 32 x 32 pixels, received 31 x 64"),
        ({"input_shape": (64, 64, 1)}, r"\(height, width, 3\), received \(64, 64, 1\)"),
        ({"timesteps": 0}, "at least 1 time step, received timesteps=0"),
        ({"width": 0}, "a width above 0, received 0"),
        ({"classes": 0}, "at least 1 class, received classes=0"),
    ],
)
def test_impossible_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        tfbio.create_model("bl_rcnn", **arguments)
