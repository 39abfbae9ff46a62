"""One object per family: what it declares holds both ways, and nothing else knows a family."""

from __future__ import annotations

import ast
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import tfbio
from tfbio.errors import InputError
from tfbio.layers import PolarTransform, TunedDivNorm
from tfbio.weights import (
    Origin,
    PublishedWeights,
    TensorRole,
    WeightsError,
    load_weights,
    origin,
    published_weights,
    read_tensors,
    register_origin,
    to_torch_checkpoint,
    to_torch_state_dict,
)
from tfbio.weights.tensor_map import Constant, Target

FOLDER = Path(tfbio.weights.__file__).parent
# Whatever else stands in the folder is the file of one family.
SHARED = {
    "__init__",
    "errors",
    "loading",
    "model_tensors",
    "origin",
    "pytorch",
    "reading",
    "readout",
    "state_dict",
    "tensor_map",
}
FAMILIES = sorted({path.stem for path in FOLDER.glob("*.py")} - SHARED)


def _imports(module):
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


# === Where knowledge stands ===


@pytest.mark.parametrize("module", sorted(SHARED - {"__init__"}))
def test_what_is_shared_knows_no_family_and_no_layer(module):
    families = tuple(f"tfbio.weights.{name}" for name in FAMILIES)
    for name in _imports(module):
        assert not name.startswith(("tfbio.layers", "tfbio.models", "tensorflow", *families)), name


def test_every_other_file_registers_one_family():
    assert len(FAMILIES) == len(origin.registered_origins()) >= 7
    for module in FAMILIES:
        assert (FOLDER / f"{module}.py").read_text().count("register_origin(\n") == 1


# === Published files ===


def test_published_files_are_of_registered_models_with_whole_addresses():
    published = published_weights()
    assert {"vone_resnet50", "vone_resnet50_at", "cornet_s", "bl_rcnn_ecoset"} <= set(published)
    for name, each in published.items():
        assert each.name == name
        assert each.model in tfbio.list_models()
        assert each.url.startswith("https://")
        assert each.doi.startswith("10.")
        assert each.classes in (565, 1000)
        assert (each.sha256_prefix or "") in each.url
    assert len({each.url for each in published.values()}) == len(published)


# === Recognition ===


@pytest.mark.parametrize("name", ["bl_rcnn", "b_cnn", "b_k_cnn", "b_f_cnn", "b_d_cnn"])
def test_files_of_the_bl_family_are_told_apart(name):
    model = tfbio.create_model(name, input_shape=(32, 32, 3), classes=3)
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    assert origin.origin_of(shapes).recognise(shapes) == (name,)
    assert origin.origin_of(shapes).classes(shapes) == 3
    other = "b_cnn" if name != "b_cnn" else "bl_rcnn"
    held = tfbio.create_model(other, input_shape=(32, 32, 3), classes=3, width=1 / 32)
    arrays = {path: np.zeros(shape, "float32") for path, shape in shapes.items()}
    with pytest.raises(WeightsError, match=f"It is a checkpoint of {name}: build that model"):
        load_weights(held, arrays)


def _own_names(model):
    return to_torch_state_dict(model, as_arrays=True)


@pytest.mark.parametrize(
    "name",
    [
        *(f"vone_{back_end}" for back_end in ("resnet50", "alexnet", "cornet_s")),
        "cornet_s",
        *(f"{network}_divnorm" for network in ("alexnet", "vgg16", "resnet18", "resnet50")),
        *(f"{kind}_tower" for kind in ("conv", "rnn", "gru", "lstm", "reciprocal", "hgru")),
        "hconvgru",
        "gammanet",
    ],
)
def test_what_we_write_is_recognised_with_its_classes(name):
    small = {"input_shape": (64, 64, 3), "width": 1 / 16, "blocks": (1, 1, 1, 1), "timesteps": 2}
    if name.endswith("_divnorm"):
        small |= {"width": 1 / 8, "input_shape": (32, 32, 3)}
    if name.startswith("vone_"):
        small |= {"simple_channels": 4, "complex_channels": 4, "visual_degrees": 2.0}
    arguments = tfbio.model_info(name).arguments
    model = tfbio.create_model(
        name, classes=3, **{key: value for key, value in small.items() if key in arguments}
    )
    tensors = read_tensors(_own_names(model))
    assert tensors.family.recognise(tensors.shapes) == (name,)
    assert tensors.classes == 3


# === Models of no family ===


def _polar_model(polar="polar"):
    """A user's own: a polar map between layers of Keras."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 3, padding="same", name="filters"),
            PolarTransform((16, 16), radius_bins=[0, 4, 8, 16], angle_bins=8, name=polar),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(3, name="head"),
        ]
    )


@pytest.mark.parametrize("polar", ["polar", "lpp"])
@pytest.mark.parametrize("with_constants", [True, False])
def test_a_polar_map_alone_makes_no_cortical_magnification_network(polar, with_constants):
    model = _polar_model(polar)
    arrays = to_torch_state_dict(model, as_arrays=True)
    constants = {f"{polar}.pooling_masks", f"{polar}.pooling_mask_counts"}
    assert set(arrays) == constants | {"filters.weight", "filters.bias", "head.weight", "head.bias"}
    if not with_constants:
        arrays = {name: array for name, array in arrays.items() if name not in constants}
    other = _polar_model(polar)
    report = load_weights(other, arrays)
    assert len(report.loaded) == 4
    assert report.could_be == ()
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_polar_map_of_another_size_is_refused_in_a_model_of_no_family():
    model = _polar_model()
    arrays = to_torch_state_dict(model, as_arrays=True)
    arrays["polar.pooling_masks"] = arrays["polar.pooling_masks"][:, ::-1]
    with pytest.raises(WeightsError) as caught:
        load_weights(_polar_model(), arrays)
    assert caught.value.differing == ("polar.pooling_masks",)


def test_a_normalization_alone_brings_no_masks():
    """Those of the V1 components' networks are their own."""
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, TunedDivNorm(name="dn")(inputs))
    arrays = to_torch_state_dict(model, as_arrays=True)
    assert set(arrays) == {"dn.channel_distances", "dn.sigmas"}
    assert len(load_weights(model, arrays).loaded) == 1


def test_another_head_on_the_cortical_magnification_network_keeps_its_numbers():
    base = tfbio.create_model(
        "resnet50_cortical_magnification", width=1 / 16, blocks=(1, 1, 1, 1), classes=3
    )
    pooled = base.get_layer("avgpool").output
    model = keras.Model(base.input, layers.Dense(7, name="head")(pooled))
    arrays = to_torch_state_dict(model, as_arrays=True)
    assert "4.0.conv1.weight" in arrays
    assert arrays["head.weight"].shape == (7, 128)
    assert len(load_weights(model, arrays).loaded) == len(model.weights)


def test_layers_of_several_families_in_one_model():
    inputs = keras.Input((16, 16, 3))
    maps = tfbio.layers.DoGConv2D(4, 5, padding="same", name="retina")(inputs)
    maps = tfbio.layers.PooledDivNorm(p=0.5, name="gain_control")(maps)
    cell = tfbio.layers.ConvGRUCell(4, 3, name="cell")
    outputs = tfbio.layers.Unroll(cell, timesteps=2, name="v2")(maps)
    model = keras.Model(inputs, outputs)
    arrays = to_torch_state_dict(model, as_arrays=True)
    assert {"retina.sigma1", "gain.control.gamma", "v2.wr.weight"} <= set(arrays)
    before = model.get_weights()
    model.set_weights([0 * weight for weight in before])
    load_weights(model, arrays)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_two_layers_that_a_state_dict_would_call_alike_are_refused():
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Conv2D(2, 1, name="a.b")(layers.Conv2D(3, 1, name="a_b")(inputs))
    with pytest.raises(ValueError, match=r"has two whose tensors are called 'a.b.weight'"):
        to_torch_state_dict(keras.Model(inputs, outputs))


def test_a_layer_of_the_users_own_loads_from_keras_and_is_named_for_pytorch():
    model = keras.Sequential([keras.Input((8, 2)), layers.Conv1D(2, 3, name="strange")])
    arrays = {variable.path: np.ones(variable.shape) for variable in model.weights}
    assert len(load_weights(model, arrays).loaded) == 2
    with pytest.raises(InputError, match="can hold, received 'strange', a Conv1D"):
        to_torch_state_dict(model)


# === A family of the user's own ===


class Scale(layers.Layer):
    """One factor a channel."""

    def build(self, inputs_shape):
        self.factor = self.add_weight(name="factor", shape=(inputs_shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor


class OwnOrigin(Origin):
    """Everything that an origin can say."""

    def file_names(self, expected):
        return {"gain.control.scale": "control.scale"}

    def renamed(self, name):
        return "control.scale" if name == "old_scale" else name

    def beside(self, expected):
        return {
            "forgotten": Constant(np.ones(2, np.float32), TensorRole.UNUSED),
            "optimizer_state": Constant(None, TensorRole.OBSOLETE),
        }

    def role_of_other(self, name, expected):
        return TensorRole.LATER_STEP if name.startswith("later.") else None

    def advice(self, expected, received):
        return " Read the manual."

    def settings(self, model):
        return {"depth": len(model.layers)}

    def check_settings(self, model, tensors):
        if tensors.settings.get("depth", len(model.layers)) != len(model.layers):
            raise WeightsError(f"Expected a depth of {len(model.layers)}.")


@pytest.fixture
def own_family():
    def scale(layer):
        yield "scale", Target(layer.factor, lambda a: a.reshape(-1), lambda a: a.reshape(-1, 1, 1))

    made = register_origin(
        OwnOrigin(
            "own",
            tensor_maps={Scale: scale},
            module_names=("last_layer",),
            recognised_by={"control.scale": "own_net"},
            settings_key="options",
            published={
                "own_net": PublishedWeights(
                    "own_net", "own_net", "https://example.org/own.pth", 3, "ImageNet", "10.1/own"
                )
            },
        )
    )
    yield made
    del origin._ORIGINS["own"]


def _own_model(classes=3):
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            Scale(name="gain_control"),
            layers.Flatten(),
            layers.Dense(classes, name="last_layer"),
        ]
    )


def test_a_family_of_the_users_own_loads_and_is_written(own_family):
    model = _own_model()
    model.get_layer("gain_control").factor.assign([2.0, 3.0])
    arrays = to_torch_state_dict(model, as_arrays=True)
    assert set(arrays) == {"control.scale", "last_layer.weight", "last_layer.bias", "forgotten"}
    assert arrays["control.scale"].shape == (2, 1, 1)
    assert read_tensors(arrays).family is own_family
    assert read_tensors(arrays).classes == 3

    old = {"old_scale" if name == "control.scale" else name: each for name, each in arrays.items()}
    old |= {"optimizer_state": np.zeros(9), "later.scale": np.zeros(2)}
    other = _own_model()
    report = load_weights(other, old)
    assert set(report.loaded) == {"control.scale", "last_layer.weight", "last_layer.bias"}
    assert report.of_role(TensorRole.UNUSED) == ("forgotten",)
    assert report.of_role(TensorRole.OBSOLETE) == ("optimizer_state",)
    assert report.of_role(TensorRole.LATER_STEP) == ("later.scale",)
    np.testing.assert_array_equal(other.get_layer("gain_control").factor, [2.0, 3.0])

    with pytest.raises(WeightsError, match=r"left as it was. Read the manual."):
        load_weights(other, {**arrays, "strange": np.zeros(2, "float32")})
    assert "own_net" in published_weights()


def test_settings_of_the_users_own_family(own_family):
    checkpoint = to_torch_checkpoint(_own_model(), as_arrays=True)
    assert checkpoint["options"] == {"depth": 3}
    assert set(checkpoint) == {"options", "state_dict"}
    assert load_weights(_own_model(), checkpoint).loaded
    with pytest.raises(WeightsError, match="a depth of 3"):
        load_weights(_own_model(), {**checkpoint, "options": {"depth": 4}})


def test_a_family_is_registered_once(own_family):
    with pytest.raises(ValueError, match="received 'own', registered already"):
        register_origin(Origin("own"))


def test_without_settings_there_is_no_checkpoint():
    with pytest.raises(ValueError, match="Expected a model with a VOneBlock, received"):
        to_torch_checkpoint(_polar_model(), as_arrays=True)
