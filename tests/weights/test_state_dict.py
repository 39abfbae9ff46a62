"""State dicts of the V1 components' ResNet50s, in and out, without PyTorch."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from golden_data import load_case
from models.v1_golden import CASES, REGISTERED, registered_name

import tfbio
from tfbio.weights import TensorRole, WeightsError, to_torch_state_dict

CLASSES = 5
# Models whose files have the tensors of another's.
AMBIGUOUS = {
    *(f"resnet50_composite_{letter}" for letter in "abdeg"),
    "resnet50_tuned_norm",
}


def _small(name, **arguments):
    return tfbio.create_model(
        name, **{"classes": CLASSES, "width": 1 / 16, "blocks": (2, 1, 1, 1), **arguments}
    )


@pytest.mark.parametrize("case", CASES)
def test_the_whole_network_has_the_originals_names_shapes_and_constants(case):
    """At full size, against the state dict of the original; the values go round unchanged."""
    _, golden = load_case(f"model_bionic_{case}")
    shapes = json.loads(str(golden["shapes"]))
    sums = json.loads(str(golden["checksums"]))
    model = tfbio.create_model(registered_name(case), classes=200)
    arrays = to_torch_state_dict(model, as_arrays=True)
    assert {name: list(array.shape) for name, array in arrays.items()} == shapes
    for name in golden["derived"].tolist():
        np.testing.assert_allclose(arrays[name].sum(dtype=np.float64), sums[name][1], rtol=1e-9)
    for name, array in arrays.items():
        assert array.dtype == {
            "pooling_masks": "float16",
            "pooling_mask_counts": "float16",
            "num_batches_tracked": "int64",
        }.get(name.rsplit(".")[-1], "float32")


@pytest.mark.parametrize("name", REGISTERED)
@pytest.mark.parametrize("with_constants", [True, False])
def test_there_and_back(name, with_constants):
    model = _small(name)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(1, 2, weight.shape))
    arrays = to_torch_state_dict(model, as_arrays=True)
    constants = [key for key in arrays if not _is_trained(key)]
    if not with_constants:
        arrays = {key: array for key, array in arrays.items() if key not in constants}
    other = _small(name)
    report = tfbio.load_weights(other, arrays)
    assert len(report.loaded) == len(model.weights)
    for ours, theirs in zip(other.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    has_unused = with_constants and "lpp.pooling_masks" in arrays and not _has_polar_map(model)
    assert ("not used, as in the original" in str(report)) == has_unused
    assert ("nothing in it tells" in str(report)) == (name in AMBIGUOUS)


def _is_trained(name):
    derived = (
        "kernel_dists",
        "channel_distances",
        "x_coords",
        "y_coords",
        "pooling_masks",
        "pooling_mask_counts",
        "num_batches_tracked",
        "dog_conv.bias",
    )
    return not name.endswith(derived)


def _has_polar_map(model):
    return any(isinstance(layer, tfbio.layers.PolarTransform) for layer in model.layers)


def _refused(model, arrays):
    before = [np.array(weight) for weight in model.weights]
    with pytest.raises(WeightsError) as caught:
        tfbio.load_weights(model, arrays)
    for weight, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    return caught.value


@pytest.mark.parametrize(
    ("held", "of", "told"),
    [
        ("resnet50", "resnet50_center_surround", "resnet50_center_surround"),
        ("resnet50_composite_a", "resnet50_composite_b", "resnet50_composite_b or resnet50_compos"),
        ("resnet50_composite_f", "resnet50", "resnet50: "),
        ("resnet50_composite_f", "resnet50_local_rf", "resnet50_local_rf"),
        ("resnet50_local_rf", "resnet50_composite_f", "resnet50_composite_f"),
        ("resnet50_tuned_norm", "resnet50_div_norm", "resnet50_div_norm"),
        ("resnet50_div_norm", "resnet50_tuned_norm", "resnet50_composite_e or resnet50_tuned_norm"),
        ("resnet50_composite_c", "resnet50_cortical_magnification", "resnet50_cortical_magn"),
        ("resnet50_center_surround", "resnet50_composite_c", "resnet50_composite_c"),
    ],
)
def test_a_checkpoint_of_another_variant_is_named(held, of, told):
    error = _refused(_small(held), to_torch_state_dict(_small(of), as_arrays=True))
    assert f"It is a checkpoint of {told}" in str(error)
    assert f"does not fit the model '{held}', which is left as it was" in str(error)


def test_files_that_differ_in_the_polar_map_alone_fit_one_another():
    """Nothing in the files tells composite d from composite a: documented, not hidden."""
    arrays = to_torch_state_dict(_small("resnet50_composite_a"), as_arrays=True)
    report = tfbio.load_weights(_small("resnet50_composite_d"), arrays)
    assert report.of_role(TensorRole.UNUSED) == ("lpp.pooling_masks", "lpp.pooling_mask_counts")
    assert report.could_be == ("resnet50_composite_a", "resnet50_composite_d")
    assert "nothing in it tells whether it is of resnet50_composite_a or" in str(report)


def test_another_number_of_classes_is_told_and_can_be_skipped():
    arrays = to_torch_state_dict(_small("resnet50"), as_arrays=True)
    model = _small("resnet50", classes=3)
    error = _refused(model, arrays)
    assert error.mismatched == {
        "fc.weight": ((3, 128), (CLASSES, 128)),
        "fc.bias": ((3,), (CLASSES,)),
    }
    assert f"Build it with classes={CLASSES}" in str(error)
    report = tfbio.load_weights(model, arrays, skip_mismatch=True)
    assert set(report.skipped) == {"fc.weight", "fc.bias"}
    built = tfbio.create_model("resnet50", width=1 / 16, blocks=(2, 1, 1, 1), weights=arrays)
    assert built.output_shape == (None, CLASSES)


def test_constants_of_other_values_are_refused():
    """Masks of another polar map: the tensors fit, the network would not be the same."""
    model = _small("resnet50_composite_f")
    arrays = to_torch_state_dict(model, as_arrays=True)
    arrays["lpp.pooling_masks"] = arrays["lpp.pooling_masks"][:, ::-1]
    error = _refused(model, arrays)
    assert error.differing == ("lpp.pooling_masks",)
    assert "constants of other values (1): lpp.pooling_masks" in str(error)
    model = _small("resnet50_center_surround")
    arrays = to_torch_state_dict(model, as_arrays=True)
    arrays["layer1.0.conv2.1.dog_conv.bias"] = np.ones(1, "float32")
    assert _refused(model, arrays).differing == ("layer1.0.conv2.1.dog_conv.bias",)


@pytest.mark.parametrize(
    "name",
    [
        "resnet50_cortical_magnification",
        "resnet50_composite_a",
        "resnet50_local_rf",
        "resnet50_composite_e",
    ],
)
def test_a_checkpoint_of_another_image_size_is_told(name):
    arrays = to_torch_state_dict(_small(name, input_shape=(96, 128, 3)), as_arrays=True)
    error = _refused(_small(name), arrays)
    assert "made for images of 96 x 128 pixels: build the model with input_shape=(96, 128, 3)" in (
        str(error)
    )
    assert set(error.differing) <= {"3.pooling_mask_counts", "lpp.pooling_mask_counts"}


def test_a_network_of_another_depth_is_no_variant():
    arrays = to_torch_state_dict(_small("resnet50"), as_arrays=True)
    resnet18 = {name: array for name, array in arrays.items() if "conv3" not in name}
    assert "It is a checkpoint" not in str(_refused(_small("resnet50_composite_a"), resnet18))


def test_names_that_are_no_text_are_reported():
    assert _refused(_small("resnet50"), {0: np.zeros(3)}).unexpected == ("0",)


def test_what_is_missing_misshapen_or_strange_is_listed():
    model = _small("resnet50_tuned_norm")
    arrays = to_torch_state_dict(model, as_arrays=True)
    del arrays["bn1.weight"]
    arrays["layer1.0.dn.sigmas"] = np.ones(3, "float32")
    arrays["layer9.weight"] = np.ones(3, "float32")
    arrays["bn1.bias"] = np.full_like(arrays["bn1.bias"], np.nan)
    arrays["fc.bias"] = arrays["fc.bias"].astype(int)
    error = _refused(model, arrays)
    assert error.missing == ("bn1.weight",)
    assert error.unexpected == ("layer9.weight",)
    assert error.mismatched == {"layer1.0.dn.sigmas": ((16,), (3,))}
    assert error.not_finite == ("bn1.bias",)
    assert error.not_float == ("fc.bias",)


def test_weights_from_several_devices_and_whole_checkpoints_are_unwrapped():
    model = _small("resnet50")
    arrays = to_torch_state_dict(model, as_arrays=True)
    checkpoint = {
        "model": {f"module.{name}": array for name, array in arrays.items()},
        "current_epoch": 83,
    }
    report = tfbio.load_weights(_small("resnet50"), checkpoint)
    assert len(report.loaded) == len(model.weights)


def test_a_layer_that_no_original_has_is_refused():
    model = keras.Sequential([keras.Input((8, 1)), keras.layers.Conv1D(2, 3, name="strange")])
    with pytest.raises(ValueError, match="can hold, received 'strange', a Conv1D"):
        to_torch_state_dict(model)
