"""Divisive normalization as the activation of a block: the original's names, in and out."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from golden_data import load_case, relative_error
from models.v1_golden import fill

import tfbio
from tfbio.weights import WeightsError, load_weights, to_torch_state_dict

CASE = "train_dn_resnet18_p05_asact"


@pytest.fixture(scope="module")
def state_dict():
    """The tensors of the original, by RECIPE_A."""
    _, arrays = load_case(CASE)
    shapes = json.loads(str(arrays["shapes"]))
    return {name: fill(name, shapes[name]) for name in json.loads(str(arrays["names"]))}


@pytest.fixture(scope="module")
def model(state_dict):
    specs = load_case(CASE)[0]["arguments"]["args_model"]["divnorm_specs"]
    return tfbio.create_model(
        "resnet18_divnorm",
        input_shape=(64, 64, 3),
        variant="imagenet",
        weights=state_dict,
        divnorm_as_activation=specs["asact"],
        p=specs["p"],
        power=specs["power"],
        epsilon=specs["eps"],
        include_preprocessing=False,
        classifier_activation=None,
    )


def _empty(model):
    """The same network, with other weights."""
    other = keras.models.clone_model(model)
    assert any(
        (np.asarray(ours) != np.asarray(theirs)).any()
        for ours, theirs in zip(other.weights, model.weights, strict=True)
    )
    return other


def test_logits_and_loss_in_training_are_the_originals(model):
    """Before the first of three steps, in float32 against float64.

    The golden data's tolerance for it: rounding flips a few rectifications.
    """
    _, arrays = load_case(CASE)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    logits = keras.ops.convert_to_numpy(twin(arrays["input"], training=True))
    assert relative_error(logits, arrays["logits"][0]) < 2e-4
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(arrays["labels"], logits)
    assert float(loss) == pytest.approx(arrays["loss"][0], rel=1e-5)


def test_the_way_back_has_the_originals_names(model, state_dict):
    ours = to_torch_state_dict(model, as_arrays=True)
    assert "layer1.0.activation.dn.gamma" in ours
    assert set(ours) == set(state_dict)
    for name, tensor in state_dict.items():
        np.testing.assert_array_equal(ours[name], tensor)


def test_files_of_older_versions_load(model, state_dict):
    older = {name.replace(".activation.dn.", ".dn."): each for name, each in state_dict.items()}
    assert set(older) != set(state_dict)
    other = _empty(model)
    report = load_weights(other, older)
    assert "layer1.0.activation.dn.gamma" in report.loaded
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tensor_under_both_names_is_refused(model, state_dict):
    both = {**state_dict, "layer1.0.dn.gamma": state_dict["layer1.0.activation.dn.gamma"]}
    with pytest.raises(WeightsError) as caught:
        load_weights(_empty(model), both)
    assert caught.value.unexpected == ("layer1.0.dn.gamma",)


def test_files_of_keras_have_the_names_of_our_layers(model, tmp_path):
    """They did before, and do."""
    model.save(tmp_path / "model.keras")
    other = _empty(model)
    report = load_weights(other, tmp_path / "model.keras")
    assert "layer1_0_dn/gamma" in report.loaded
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_modules_named_dn_keep_their_names():
    """Of the V1 components, whose normalization follows a block outside of it."""
    model = tfbio.create_model("resnet50_tuned_norm", width=1 / 16, blocks=(1, 1, 1, 1))
    assert "layer1.0.dn.sigmas" in to_torch_state_dict(model, as_arrays=True)
