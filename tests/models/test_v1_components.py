"""The thirteen ResNet50s against the originals, and what they refuse."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from golden_data import load_case, relative_error
from models.v1_golden import CASES, REGISTERED, logits_error, make_model, registered_name

import tfbio
from tfbio.errors import InputError


def test_every_model_has_its_case():
    assert [registered_name(case) for case in CASES] == sorted(
        REGISTERED, key=lambda name: name.removeprefix("resnet50_")
    )


@pytest.mark.parametrize("case", CASES)
def test_logits_activations_and_parameters_are_the_originals(case):
    config, arrays = load_case(f"model_bionic_{case}")
    model = make_model(case)
    assert logits_error(case, model) < 1e-4
    trained = sum(np.prod(weight.shape) for weight in model.trainable_weights)
    assert trained == config["n_trainable"]
    expected = json.loads(str(arrays["activations"]))
    layers = {_our_layer(model, module): facts for module, facts in expected.items()}
    found = tfbio.features(model, arrays["input"], list(layers))
    for name, facts in layers.items():
        activity = found[name].reshape(facts["shape_nhwc"]).astype(np.float64)
        assert activity.mean() == pytest.approx(facts["mean"], rel=1e-5)
        assert activity.std() == pytest.approx(facts["std"], rel=1e-5)
        np.testing.assert_allclose(
            activity.ravel()[:8], facts["first8"], rtol=1e-4, atol=1e-5 * activity.max()
        )


# Modules of the cortical magnification network, which the original numbers.
_NUMBERED = {
    "2": "relu",
    "3": "lpp",
    "4": "layer1",
    "5": "layer2",
    "6": "layer3",
    "7": "layer4",
    "8": "avgpool",
}


def _our_layer(model, module):
    """The layer whose output is the output of a module of the original."""
    names = [layer.name for layer in model.layers]
    module = _NUMBERED.get(module, module).replace(".", "_")
    if module in names:
        return module
    blocks = [name for name in names if name.startswith(f"{module}_")]
    outputs = [name for name in blocks if name.endswith(("_relu", "_dn"))]
    return outputs[-1]


def test_the_older_resize_without_anti_aliasing():
    """torchvision before 0.17: the golden data hold its logits too."""
    case = "composite_e"
    _, arrays = load_case(f"model_bionic_{case}")

    def without_anti_aliasing(layer):
        if isinstance(layer, tfbio.layers.PolarTransform):
            return tfbio.layers.PolarTransform.from_config(
                {**layer.get_config(), "antialias": False}
            )
        return layer.__class__.from_config(layer.get_config())

    ours = make_model(case)
    older = keras.models.clone_model(ours, clone_function=without_anti_aliasing)
    older.set_weights(ours.get_weights())
    logits = keras.ops.convert_to_numpy(older(arrays["input"], training=False))
    assert relative_error(logits, arrays["output_antialias_false"]) < 1e-4


def test_pixels_are_normalized_inside():
    arguments = {"width": 1 / 16, "blocks": (1, 1, 1, 1), "classes": 3}
    inside = tfbio.create_model("resnet50", **arguments)
    outside = tfbio.create_model("resnet50", include_preprocessing=False, **arguments)
    torchvision = {"pixel_mean": (0.485, 0.456, 0.406), "pixel_std": (0.229, 0.224, 0.225)}
    other = tfbio.create_model("resnet50", **arguments, **torchvision)
    for model in (outside, other):
        model.set_weights(inside.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(inside(image), outside(image / 127.5 - 1), rtol=1e-4)
    normalized = (image / 255 - np.array(torchvision["pixel_mean"])) / torchvision["pixel_std"]
    np.testing.assert_allclose(other(image), outside(normalized), rtol=1e-4)


@pytest.mark.parametrize("name", REGISTERED)
def test_other_sizes_are_taken(name):
    model = tfbio.create_model(
        name, input_shape=(96, 130, 3), classes=3, width=1 / 16, blocks=(2, 1, 1, 1)
    )
    assert model(np.zeros((1, 96, 130, 3))).shape == (1, 3)


def test_any_size_where_no_component_is_made_for_one():
    model = tfbio.create_model(
        "resnet50_div_norm", input_shape=(None, None, 3), width=1 / 16, blocks=(1, 1, 1, 1)
    )
    for size in (40, 65):
        assert model(np.zeros((1, size, size, 3))).shape == (1, 1000)


@pytest.mark.parametrize("name", ["resnet50_local_rf", "resnet50_cortical_magnification"])
def test_any_size_is_refused_where_a_component_is_made_for_one(name):
    with pytest.raises(InputError, match=r"Expected an input shape of known height and width, whi"):
        tfbio.create_model(name, input_shape=(None, None, 3))


def test_an_image_too_small_for_the_innermost_rings_is_refused():
    with pytest.raises(InputError, match="ring"):
        tfbio.create_model("resnet50_cortical_magnification", input_shape=(32, 32, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (16, 64, 3)}, "an input of at least 32 x 32 pixels, received 16 x 64"),
        (
            {"input_shape": (64, 64, 1)},
            r"an input shape \(height, width, 3\), received \(64, 64, 1",
        ),
        ({"blocks": (3, 4, 6)}, r"numbers of blocks for four stages, such as \(3, 4, 6, 3\), rec"),
        ({"blocks": (3, 0, 6, 3)}, r"numbers of blocks for four stages"),
        ({"blocks": 3}, "numbers of blocks for four stages"),
        ({"pixel_mean": (0.5, 0.5)}, "`pixel_mean` and `pixel_std` of three colours, the second"),
        ({"pixel_std": 0.5}, "`pixel_mean` and `pixel_std` of three colours, the second above 0"),
        ({"pixel_std": (0.5, 0.5, 0.0)}, "`pixel_mean` and `pixel_std` of three colours, the sec"),
        ({"width": 0.0}, "a width above 0, received 0.0"),
        ({"classes": 0}, "at least 1 class, received classes=0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        tfbio.create_model("resnet50", **arguments)


def test_models_do_not_depend_on_keras_image_data_format():
    keras.config.set_image_data_format("channels_first")
    try:
        model = tfbio.create_model("resnet50_composite_a", width=1 / 16, blocks=(2, 1, 1, 1))
        assert model(np.zeros((1, 64, 64, 3))).shape == (1, 1000)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_textbook_forms_can_be_asked_for():
    model = tfbio.create_model(
        "resnet50_composite_d", width=1 / 16, blocks=(2, 1, 1, 1), upstream_exact=False
    )
    assert not model.get_layer("layer1_0_conv2_dog").dog_conv.upstream_exact
    # He's rule with the fans of one position: 9 pixels of 4 channels.
    local = np.asarray(model.get_layer("layer1_1_conv2").kernel)
    assert local.std() == pytest.approx((2 / 36) ** 0.5, rel=0.05)


def test_initial_weights_are_drawn_as_the_originals():
    keras.utils.set_random_seed(0)
    model = tfbio.create_model("resnet50_center_surround")

    def kernel(name):
        return np.asarray(model.get_layer(name).kernel)

    assert kernel("layer2_0_conv2").std() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)
    limit = (9 * 64) ** -0.5
    assert np.abs(kernel("layer1_0_conv2_0")).max() == pytest.approx(limit, rel=0.01)
    assert np.abs(kernel("fc")).max() == pytest.approx(2048**-0.5, rel=0.01)
    assert np.abs(np.asarray(model.get_layer("fc").bias)).max() <= 2048**-0.5
    model = tfbio.create_model("resnet50_composite_g")
    assert np.asarray(model.get_layer("layer1_2_conv2").kernel).std() == pytest.approx(1, rel=0.01)
