"""Loading is all or nothing, and every complaint names every tensor."""

from __future__ import annotations

import json
import logging

import h5py
import keras
import numpy as np
import pytest
from golden_data import GOLDEN, write_native_h5

import tfbio
from tfbio.weights import TensorRole, WeightsError, read_tensors

ARGUMENTS = {"input_shape": (32, 32, 3), "width": 1 / 32, "timesteps": 3}


def _model(classes=6, **arguments):
    return tfbio.create_model("bl_rcnn", classes=classes, **{**ARGUMENTS, **arguments})


def _arrays(model):
    rng = np.random.default_rng(0)
    return {
        f"{weight.path}:0": rng.uniform(0.5, 1, weight.shape).astype("float32")
        for weight in model.weights
    }


def _write(path, arrays, **arguments):
    layers: dict[str, list[str]] = {"input_1": []}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name)
    return write_native_h5(path, list(layers.items()), arrays, **arguments)


@pytest.fixture
def model():
    return _model()


@pytest.fixture
def arrays(model):
    return _arrays(model)


def _assert_refused(model, source, *fragments, **arguments):
    """The error has every fragment, and the model its old weights."""
    before = [np.array(weight) for weight in model.weights]
    with pytest.raises(WeightsError) as caught:
        tfbio.load_weights(model, source, **arguments)
    for fragment in fragments:
        assert fragment in str(caught.value)
    for old, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, weight)
    return caught.value


@pytest.mark.parametrize("tensorflow_113", [False, True])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_every_tensor_arrives(model, arrays, tmp_path, tensorflow_113, kind):
    arrays = {name: array.astype(kind) for name, array in arrays.items()}
    path = _write(tmp_path / "bl.h5", arrays, tensorflow_113=tensorflow_113)
    report = tfbio.load_weights(model, path)
    assert sorted(report.loaded) == sorted(weight.path for weight in model.weights)
    assert not report.skipped
    assert set(report.roles.values()) == {TensorRole.LOADED}
    for weight in model.weights:
        np.testing.assert_array_equal(weight, arrays[f"{weight.path}:0"].astype("float32"))


def test_a_whole_model_file_and_long_attributes_in_pieces(model, arrays, tmp_path):
    """`save` nests the weights; Keras cuts attributes above 64 kB into numbered pieces."""
    _write(tmp_path / "weights.h5", arrays)
    with (
        h5py.File(tmp_path / "weights.h5") as flat,
        h5py.File(tmp_path / "whole.h5", "w") as whole,
    ):
        flat.copy(flat, whole, "model_weights")
        root = whole["model_weights"]
        names = list(root.attrs["layer_names"])
        del root.attrs["layer_names"]
        root.attrs["layer_names0"], root.attrs["layer_names1"] = names[:5], names[5:]
    assert len(tfbio.load_weights(model, tmp_path / "whole.h5").loaded) == len(model.weights)


def test_a_dict_of_arrays_loads_without_a_file(model, arrays):
    assert "a dict of arrays" in tfbio.load_weights(model, arrays).source
    np.testing.assert_array_equal(
        model.get_layer("RCL_2_LConv").kernel, arrays["RCL_2_LConv/kernel:0"]
    )


def test_every_problem_is_named_at_once(model, arrays):
    del arrays["RCL_1_BConv/kernel:0"]
    del arrays["BatchNorm_Layer_2_Time_1/beta:0"]
    arrays["Conv_Layer_0/kernel:0"] = np.zeros((3, 3, 3, 3), "float32")
    arrays["RCL_3_LConv/kernel:0"] = np.zeros((5, 5, 8, 8), "float32")
    arrays["RCL_4_LConv/kernel:0"] = arrays["RCL_4_LConv/kernel:0"].astype("int64")
    arrays["BatchNorm_Layer_0_Time_0/gamma:0"][0] = np.nan
    arrays["BatchNorm_Layer_0_Time_1/gamma:0"][1] = np.inf
    overflow = arrays["ReadoutDense/kernel:0"].astype("float64")
    overflow[0, 0] = 1e300
    arrays["ReadoutDense/kernel:0"] = overflow
    error = _assert_refused(model, arrays, "is left as it was")
    assert error.missing == ("RCL_1_BConv/kernel", "BatchNorm_Layer_2_Time_1/beta")
    assert error.unexpected == ("Conv_Layer_0/kernel",)
    assert error.mismatched == {"RCL_3_LConv/kernel": ((3, 3, 8, 8), (5, 5, 8, 8))}
    assert error.not_float == ("RCL_4_LConv/kernel",)
    assert set(error.not_finite) == {
        "BatchNorm_Layer_0_Time_0/gamma",
        "BatchNorm_Layer_0_Time_1/gamma",
        "ReadoutDense/kernel",
    }
    for names in (error.missing, error.unexpected, error.mismatched, error.not_finite):
        assert all(name in str(error) for name in names)


def test_an_unlisted_dataset_in_the_file_is_unexpected(model, arrays, tmp_path):
    path = _write(tmp_path / "bl.h5", arrays)
    with h5py.File(path, "a") as file:
        file["extra/kernel:0"] = np.zeros(3, "float32")
    assert _assert_refused(model, path).unexpected == ("extra/kernel",)


def test_two_tensors_of_a_layer_whose_names_end_alike_are_kept_apart(model, arrays, tmp_path):
    arrays["RCL_0_BConv/branch/kernel:0"] = 9 + arrays["RCL_0_BConv/kernel:0"]
    path = _write(tmp_path / "bl.h5", arrays)
    error = _assert_refused(model, path)
    assert error.unexpected == ("RCL_0_BConv/RCL_0_BConv/branch/kernel",)


def test_swapped_layers_of_one_shape_are_told_apart(model, arrays, tmp_path):
    """Stock Keras loads by position and would swap them."""
    names = list(arrays)
    first = names.index("BatchNorm_Layer_0_Time_0/gamma:0")
    second = names.index("BatchNorm_Layer_0_Time_1/gamma:0")
    reordered = names[:first] + names[second : second + 4] + names[first:second]
    reordered += names[second + 4 :]
    path = _write(tmp_path / "bl.h5", {name: arrays[name] for name in reordered})
    tfbio.load_weights(model, path)
    np.testing.assert_array_equal(
        model.get_layer("BatchNorm_Layer_0_Time_1").gamma,
        arrays["BatchNorm_Layer_0_Time_1/gamma:0"],
    )


@pytest.mark.parametrize("timesteps", [1, 2])
def test_fewer_time_steps_use_the_first_of_the_file(arrays, timesteps):
    model = _model(timesteps=timesteps)
    report = tfbio.load_weights(model, arrays)
    later = report.of_role(TensorRole.LATER_STEP)
    assert len(report.loaded) + len(later) == len(arrays)
    assert all("_Time_" in name or "_LConv" in name for name in later)
    assert "later time steps are not used" in str(report)


def test_more_time_steps_than_the_file_has_are_refused(arrays):
    _assert_refused(
        _model(timesteps=4),
        arrays,
        "The file has 3 time steps",
        "BatchNorm_Layer_0_Time_3/gamma",
        "and 16 more",
    )


def test_another_number_of_classes_is_refused_unless_asked_for(arrays, caplog):
    model = _model(classes=9)
    initial = np.array(model.get_layer("ReadoutDense").kernel)
    error = _assert_refused(model, arrays, "classes=6", "skip_mismatch=True")
    assert set(error.mismatched) == {"ReadoutDense/kernel", "ReadoutDense/bias"}

    logging.getLogger("tfbio").propagate = True
    with caplog.at_level(logging.WARNING, "tfbio"):
        report = tfbio.load_weights(model, arrays, skip_mismatch=True)
    assert set(report.skipped) == {"ReadoutDense/kernel", "ReadoutDense/bias"}
    assert "the readout keeps its initial values" in caplog.text
    np.testing.assert_array_equal(model.get_layer("ReadoutDense").kernel, initial)
    assert set(report.loaded) == {
        name.removesuffix(":0") for name in arrays if not name.startswith("Readout")
    }


@pytest.mark.parametrize("cumulative_readout", [False, True])
def test_skip_mismatch_skips_the_readout_and_nothing_else(arrays, cumulative_readout):
    model = _model(classes=9, cumulative_readout=cumulative_readout)
    arrays["RCL_0_BConv/kernel:0"] = np.zeros((5, 5, 3, 3), "float32")
    error = _assert_refused(model, arrays, skip_mismatch=True)
    assert set(error.mismatched) == {"RCL_0_BConv/kernel"}


def test_another_model_is_refused(arrays):
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), width=1 / 32, classes=6)
    error = _assert_refused(model, arrays)
    assert "Conv_Layer_0/kernel" in error.missing
    assert "RCL_0_BConv/kernel" in error.unexpected


def test_create_model_takes_the_number_of_classes_from_the_file(arrays):
    assert tfbio.create_model("bl_rcnn", weights=arrays, **ARGUMENTS).output_shape == (None, 6)
    fine_tuning = tfbio.create_model("bl_rcnn", weights=arrays, classes=2, **ARGUMENTS)
    assert fine_tuning.output_shape == (None, 2)


def test_files_that_are_none(model, arrays, tmp_path):
    _assert_refused(model, tmp_path / "none.h5", "Expected a weights file at", "found nothing")
    _assert_refused(model, tmp_path, "found a folder")
    empty = tmp_path / "empty.h5"
    empty.write_bytes(b"")
    _assert_refused(model, empty, "which is empty")
    text = tmp_path / "text.h5"
    text.write_text("<html>404</html>")
    _assert_refused(
        model, text, "Expected an HDF5 file of legacy Keras, a .keras file or a file of PyTorch"
    )


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(model, arrays, tmp_path, part):
    contents = _write(tmp_path / "whole.h5", arrays).read_bytes()
    cut = tmp_path / "cut.h5"
    cut.write_bytes(contents[: int(part * len(contents))])
    _assert_refused(model, cut, "damaged or truncated HDF5 file")


def test_a_keras_3_weights_file_is_pointed_to_keras(model, tmp_path):
    model.save_weights(tmp_path / "model.weights.h5")
    _assert_refused(model, tmp_path / "model.weights.h5", "is read by `model.load_weights`")


def test_a_damaged_keras_file_is_refused(model, tmp_path):
    model.save(tmp_path / "model.keras")
    contents = bytearray((tmp_path / "model.keras").read_bytes())
    contents[300:900] = bytes(600)
    (tmp_path / "model.keras").write_bytes(contents)
    _assert_refused(model, tmp_path / "model.keras", "cannot be read as a Keras model")


def test_a_model_read_back_from_disk_loads_too(model, arrays, tmp_path):
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(tfbio.load_weights(reloaded, arrays).loaded) == len(arrays)


@pytest.mark.parametrize(("classes", "variant"), [(565, "ecoset"), (1000, "ImageNet")])
def test_the_published_variants_are_told_by_their_readouts(classes, variant):
    tensors = read_tensors({"ReadoutDense/bias:0": np.zeros(classes)})
    assert tensors.classes == classes
    assert f"{classes} readouts, the {variant} variant" in tensors.description


@pytest.mark.parametrize("implementation", [1, 2, 3])
def test_files_of_keras_2s_locally_connected_layer_are_read(implementation):
    """Its three implementations stored three shapes of the same kernel."""
    with np.load(GOLDEN / "keras2_locally_connected.npz", allow_pickle=False) as cases:
        configs = {n: json.loads(str(cases[f"config_{n}"])) for n in range(1, 12)}
        n = next(n for n, config in configs.items() if config["implementation"] == implementation)
        image, expected = cases[f"input_{n}"], cases[f"output_{n}"]
    layer = tfbio.layers.LocallyConnected2D.from_config(configs[n])
    inputs = keras.Input(image.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    report = tfbio.load_weights(model, GOLDEN / f"keras2_locally_connected_{n}.h5")
    assert len(report.loaded) == 2
    np.testing.assert_allclose(model(image), expected, rtol=1e-5, atol=1e-6)
