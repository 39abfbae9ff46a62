import json
import logging
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfbio
from tfbio.datasets.images import decode_image, resize_and_crop
from tfbio.errors import InputError
from tfbio.export import export_saved_model, load_labels
from tfbio.framing import Framing

HERE = Path(__file__).parent
SIZE = (32, 32)
LABELS = ["gato", "perro grande", "pájaro", "coche"]
CROP_RATIO = 0.8
OUTPUTS = ("probabilities", "probabilities_by_time", "label")


def small_model(name="bl_rcnn", **arguments):
    """A model whose weights and statistics are far from their initial values."""
    if name == "bl_rcnn":
        arguments = {"timesteps": 3, "return_sequences": True, **arguments}
    model = tfbio.create_model(
        name, **{"input_shape": (*SIZE, 3), "classes": 4, "width": 0.125, **arguments}
    )
    rng = np.random.default_rng(7)
    for variable in model.variables:
        if variable.path.endswith("moving_variance"):
            values = rng.uniform(0.5, 2.0, variable.shape)
        elif variable.path.endswith("kernel"):
            gain = 0.5 if variable.path.startswith("ReadoutDense") else 2.0
            values = rng.normal(0, gain / np.sqrt(np.prod(variable.shape[:-1])), variable.shape)
        else:
            values = variable + rng.normal(0, 0.3, variable.shape)
        variable.assign(values)
    return model


def random_images(count, size=SIZE):
    """Noise on a colour of its own for every image, so that the predictions differ."""
    rng = np.random.default_rng(count)
    colour = rng.uniform(0, 255, (count, 1, 1, 3))
    noise = rng.uniform(-60, 60, (count, *size, 3))
    return np.clip(colour + noise, 0, 255).astype(np.float32)


def teach(model, images):
    """Set the readout so that image n is taken for class n modulo 4."""
    pooled = model.get_layer("GlobalAvgPool_Time_2").output
    features = np.array(keras.Model(model.input, pooled)(images, training=False))
    mean, wanted = features.mean(0), 2 * np.eye(4)[np.arange(len(images)) % 4]
    kernel = np.linalg.lstsq(features - mean, wanted - wanted.mean(0), rcond=1e-1)[0]
    model.get_layer("ReadoutDense").set_weights([kernel, wanted.mean(0) - mean @ kernel])


def image_files():
    """Files of other sizes than the model's: RGB and gray, PNG and JPEG, large and small."""
    wide, tall, tiny = (
        tf.constant(random_images(1, size)[0].astype(np.uint8))
        for size in ((40, 90), (80, 48), (20, 24))
    )
    encoded = [
        tf.io.encode_png(wide),
        tf.io.encode_jpeg(tall, quality=95),
        tf.io.encode_png(tall[..., :1]),
        tf.io.encode_jpeg(wide[..., :1]),
        tf.io.encode_png(tiny),
    ]
    return np.array([contents.numpy() for contents in encoded])


@dataclass
class Exported:
    """An export, moved from where it was written, and what Keras says to some inputs."""

    path: Path
    model: keras.Model
    inputs: dict[str, np.ndarray]
    expected: dict[str, np.ndarray]

    def assert_outputs(self, outputs_file):
        with np.load(outputs_file) as outputs:
            assert set(outputs) == {f"{case}/{name}" for case in self.inputs for name in OUTPUTS}
            for case, expected in self.expected.items():
                by_time = outputs[f"{case}/probabilities_by_time"]
                np.testing.assert_allclose(by_time, expected, rtol=0, atol=1e-5, err_msg=case)
                last = outputs[f"{case}/probabilities"]
                np.testing.assert_array_equal(last, by_time[:, -1], err_msg=case)
                labels = [text.decode() for text in outputs[f"{case}/label"]]
                assert labels == [LABELS[index] for index in expected[:, -1].argmax(-1)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    files = image_files()
    inputs, prepared = {}, {}
    for count in (1, 3):
        images = random_images(count)
        inputs[f"serving_default/{count}"] = prepared[f"serving_default/{count}"] = images
        inputs[f"serving_uint8/{count}"] = images.astype(np.uint8)
        prepared[f"serving_uint8/{count}"] = images.astype(np.uint8).astype(np.float32)
    for count in (1, 3, len(files)):
        inputs[f"serving_bytes/{count}"] = files[-count:]
        prepared[f"serving_bytes/{count}"] = np.stack(
            [
                resize_and_crop(decode_image(file), SIZE, Framing(CROP_RATIO))
                for file in files[-count:]
            ]
        )

    model = small_model()
    teach(model, np.concatenate([prepared["serving_default/3"], prepared["serving_bytes/5"]]))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    expected = {case: np.array(model(images, training=False)) for case, images in prepared.items()}
    predicted = [
        set(expected[f"serving_{kind}"][:, -1].argmax(-1)) for kind in ("uint8/3", "bytes/5")
    ]
    assert predicted == [{0, 1, 2}, {3, 0, 1, 2}]

    written = export_saved_model(
        model, tmp_path_factory.mktemp("written"), labels=LABELS, framing=Framing(CROP_RATIO)
    )
    path = Path(shutil.move(written, tmp_path_factory.mktemp("moved") / "5"))
    return Exported(path, model, inputs, expected)


def run_script(script, *arguments, cwd):
    """Run a helper in a process that sees neither this checkout nor the environment of Python."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    finished = subprocess.run(
        [sys.executable, "-I", str(HERE / script), *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def signature_tensors(path):
    """The tensor names of every signature, from the SavedModel's own description."""
    description = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    (meta_graph,) = description.meta_graphs
    assert list(meta_graph.meta_info_def.tags) == ["serve"]
    return {
        name: {
            "inputs": {key: tensor.name for key, tensor in signature.inputs.items()},
            "outputs": {key: tensor.name for key, tensor in signature.outputs.items()},
        }
        for name, signature in meta_graph.signature_def.items()
        if signature.method_name == "tensorflow/serving/predict"
    }


def serve(path, signature, **inputs):
    outputs = tf.saved_model.load(str(path)).signatures[signature](
        **{name: tf.constant(batch) for name, batch in inputs.items()}
    )
    return {name: value.numpy() for name, value in outputs.items()}


def everything_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# === What is written ===


def test_layout(exported):
    assert everything_in(exported.path) == [
        "assets",
        "assets/labels.txt",
        "fingerprint.pb",
        "saved_model.pb",
        "variables",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    assert load_labels(exported.path / "assets" / "labels.txt") == LABELS


def test_signatures(exported):
    signatures = tf.saved_model.load(str(exported.path)).signatures
    inputs = {
        name: signature.structured_input_signature[1] for name, signature in signatures.items()
    }
    images = (None, *SIZE, 3)
    assert inputs == {
        "serving_default": {"images": tf.TensorSpec(images, tf.float32, name="images")},
        "serving_uint8": {"images": tf.TensorSpec(images, tf.uint8, name="images")},
        "serving_bytes": {"image_bytes": tf.TensorSpec((None,), tf.string, name="image_bytes")},
    }
    for signature in signatures.values():
        outputs = signature.structured_outputs
        assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in outputs.items()} == {
            "probabilities": (tf.float32, [None, 4]),
            "probabilities_by_time": (tf.float32, [None, 3, 4]),
            "label": (tf.string, [None]),
        }


def test_every_weight_is_stored_once_and_the_optimizer_not_at_all(exported):
    weights = sum(variable.numpy().nbytes for variable in exported.model.variables)
    (data,) = (exported.path / "variables").glob("variables.data-*")
    assert weights < data.stat().st_size <= 1.05 * weights + 4096


def test_the_folder_it_was_written_to_is_not_in_it(exported):
    description = (exported.path / "saved_model.pb").read_bytes()
    assert b"written" not in description
    assert b".export-" not in description


def test_folder_permissions_follow_the_umask(tmp_path):
    (tmp_path / "plain").mkdir()
    path = export_saved_model(small_model("b_cnn"), tmp_path)
    # A staging folder is private; TensorFlow Serving often runs as another user.
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


# === What it answers ===


def test_served_without_keras_after_a_move(exported, tmp_path):
    np.savez(tmp_path / "inputs.npz", **exported.inputs)
    run_script(
        "serve_without_keras.py",
        exported.path,
        tmp_path / "inputs.npz",
        tmp_path / "outputs.npz",
        cwd=tmp_path,
    )
    exported.assert_outputs(tmp_path / "outputs.npz")


def test_served_through_the_c_api(exported, tmp_path):
    found = sorted(Path(tf.__file__).parent.glob("libtensorflow_cc.*"))
    if not found:
        pytest.skip("this TensorFlow comes without libtensorflow_cc")
    np.savez(tmp_path / "inputs.npz", **exported.inputs)
    (tmp_path / "signatures.json").write_text(json.dumps(signature_tensors(exported.path)))
    run_script(
        "serve_with_c_api.py",
        found[0],
        exported.path,
        tmp_path / "signatures.json",
        tmp_path / "inputs.npz",
        tmp_path / "outputs.npz",
        cwd=tmp_path,
    )
    exported.assert_outputs(tmp_path / "outputs.npz")


def test_labels_are_read_from_the_asset(exported, tmp_path):
    path = Path(shutil.copytree(exported.path, tmp_path / "relabelled"))
    (path / "assets" / "labels.txt").write_text("0\n1\n2\n3\n")
    images = exported.inputs["serving_default/3"]
    outputs = serve(path, "serving_default", images=images)
    assert [int(text) for text in outputs["label"]] == list(outputs["probabilities"].argmax(-1))


def test_a_broken_image_is_refused(exported):
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve(exported.path, "serving_bytes", image_bytes=[b"no image"])


def test_model_without_time_and_without_labels(tmp_path):
    model = small_model("b_cnn", classes=11)
    path = export_saved_model(model, tmp_path)
    assert path == tmp_path / "b_cnn" / "1"
    images = random_images(3)
    outputs = serve(path, "serving_default", images=images)
    expected = np.array(model(images, training=False))
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(outputs["probabilities_by_time"][:, 0], outputs["probabilities"])
    assert list(outputs["label"]) == [str(index).encode() for index in expected.argmax(-1)]


def test_logits_of_a_saved_model_become_probabilities(tmp_path):
    small_model(timesteps=2, classifier_activation=None).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    outputs = serve(
        export_saved_model(model, tmp_path, labels=LABELS),
        "serving_default",
        images=random_images(3),
    )
    logits = model(random_images(3), training=False)
    expected = np.array(keras.ops.softmax(logits))
    np.testing.assert_allclose(outputs["probabilities_by_time"], expected, rtol=0, atol=1e-5)
    assert np.abs(logits).max() > 1


def test_mixed_precision_gives_float32(tmp_path):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_model(timesteps=2)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    images = random_images(3)
    outputs = serve(export_saved_model(model, tmp_path), "serving_default", images=images)
    assert outputs["probabilities"].dtype == np.float32
    np.testing.assert_allclose(outputs["probabilities"].sum(-1), 1, rtol=0, atol=1e-6)
    # The order of operations that the graph optimizer chooses shows in bfloat16's eight bits.
    expected = np.array(model(images, training=False))
    np.testing.assert_allclose(outputs["probabilities_by_time"], expected, rtol=0, atol=0.03)


def test_any_image_size_has_no_bytes_signature(tmp_path):
    image = keras.Input((None, 16, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    scores = keras.layers.Dense(2, activation="softmax", name="predictions")(pooled)
    path = export_saved_model(keras.Model(image, scores), tmp_path, name="any_size")
    loaded = tf.saved_model.load(str(path))
    assert set(loaded.signatures) == {"serving_default", "serving_uint8"}
    images = tf.zeros((2, 7, 16, 3))
    assert loaded.signatures["serving_default"](images=images)["probabilities"].shape == (2, 2)


# === How it is written ===


@pytest.fixture(scope="module")
def model():
    return small_model("b_cnn")


def test_versions_count_up(model, tmp_path):
    (tmp_path / "other" / "41").mkdir(parents=True)
    (tmp_path / "other" / "not_a_version").mkdir()
    assert export_saved_model(model, tmp_path, name="other") == tmp_path / "other" / "42"
    path = export_saved_model(model, str(tmp_path / "new"), version=7)
    assert path == tmp_path / "new" / "b_cnn" / "7"


def test_version_appears_when_it_is_complete(model, tmp_path, monkeypatch):
    seen = []
    save = tf.saved_model.save

    def watched_save(*arguments, **options):
        save(*arguments, **options)
        seen.extend(path.name for path in (tmp_path / "b_cnn").iterdir())

    monkeypatch.setattr(tf.saved_model, "save", watched_save)
    export_saved_model(model, tmp_path)
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert [path.name for path in (tmp_path / "b_cnn").iterdir()] == ["1"]


def test_a_failure_leaves_nothing(model, tmp_path, monkeypatch):
    def half_a_save(trackable, path, **options):
        Path(path).mkdir()
        (Path(path) / "saved_model.pb").write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(tf.saved_model, "save", half_a_save)
    with pytest.raises(OSError, match="No space left"):
        export_saved_model(model, tmp_path / "new")
    assert everything_in(tmp_path) == []


def test_two_exports_of_one_version_at_once(model, tmp_path, monkeypatch):
    save = tf.saved_model.save

    def overtaken_save(*arguments, **options):
        save(*arguments, **options)
        (tmp_path / "b_cnn" / "1").mkdir()
        (tmp_path / "b_cnn" / "1" / "theirs").touch()

    monkeypatch.setattr(tf.saved_model, "save", overtaken_save)
    with pytest.raises(InputError, match=r"does not exist yet, received 1"):
        export_saved_model(model, tmp_path)
    assert everything_in(tmp_path / "b_cnn") == ["1", "1/theirs"]


def test_silence(model, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO)
    level = tf.get_logger().level
    export_saved_model(model, tmp_path)
    assert capsys.readouterr() == ("", "")
    assert caplog.records == []
    assert tf.get_logger().level == level


# === Errors ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["a", "b"]}, r"Expected 4 labels, one for each class, received 2: give one"),
        ({"labels": ["a", "b", "c\nd", "e"]}, r"one line .* received 'c\\nd' for class 2: change"),
        ({"version": 0}, r"Expected a version that is a positive integer, received 0: give 1"),
        ({"version": "2"}, r"Expected a version that is a positive integer, received '2': give 1"),
        ({"version": True}, r"Expected a version that is a positive integer, received True: give"),
        ({"framing": Framing(1, 16)}, r"through at least the 32 x 32 pixels .* received 16 x 16"),
        ({"name": "a/b"}, r"Expected a name that can be that of a folder, received 'a/b': give"),
        ({"name": ".."}, r"Expected a name that can be that of a folder, received '\.\.': give"),
        ({"name": ""}, r"Expected a name that can be that of a folder, received '': give"),
    ],
)
def test_arguments_out_of_range(model, tmp_path, arguments, message):
    with pytest.raises(InputError, match=message):
        export_saved_model(model, tmp_path / "new", **arguments)
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize("crop_ratio", [0, 1.5, float("nan")])
def test_framing_out_of_range(crop_ratio):
    with pytest.raises(InputError, match=f"above 0 and at most 1, received {crop_ratio}: 1 crops"):
        Framing(crop_ratio)


def test_existing_version(model, tmp_path):
    (tmp_path / "b_cnn" / "3").mkdir(parents=True)
    with pytest.raises(InputError, match=r"does not exist yet, received 3, .* give another vers"):
        export_saved_model(model, tmp_path, version=3)
    assert everything_in(tmp_path) == ["b_cnn", "b_cnn/3"]


def test_output_dir_is_a_file(model, tmp_path):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"Expected a folder .*Not a directory; give another out"):
        export_saved_model(model, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder root cannot write")
def test_output_dir_not_writable(model):
    with pytest.raises(InputError, match=r"Expected a folder that can be written, received '/proc"):
        export_saved_model(model, "/proc/self/exported")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [("jax", "'jax', whose XLA calls TensorFlow Serving refuses on a CPU: "), ("torch", "'torch'")],
)
def test_other_backends(model, tmp_path, monkeypatch, backend, reason):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(InputError, match=rf"Expected Keras on TensorFlow, received .*{reason}"):
        export_saved_model(model, tmp_path / "new")
    assert everything_in(tmp_path) == []


def other_models():
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    sigmoid = keras.layers.Dense(2, activation="sigmoid", name="predictions")(flat)
    pixels = keras.layers.Activation("softmax", name="predictions")(image)
    gray = keras.Input((8, 8, 1))
    end = "activation: give it a last layer"
    yield keras.Model(image, flat), f"ends in 'flatten.*' with no {end}"
    yield keras.Model(image, sigmoid), f"ends in 'predictions' with sigmoid {end}"
    dropped = keras.layers.Dropout(0.5, name="dropped")(sigmoid)
    yield keras.Model(image, dropped), f"ends in 'dropped' with sigmoid {end}"
    yield keras.Model(image, pixels), r"gives \(None, 8, 8, 3\): give a classifier"
    flat_gray = keras.layers.Flatten()(gray)
    both = keras.layers.Concatenate()([flat, flat_gray])
    yield keras.Model(gray, flat_gray), r"image input .* with \[\(None, 8, 8, 1\)\]: give a class"
    yield keras.Model([image, gray], both), r"image input .* 8, 3\), \(None, 8, 8, 1\)\]: give"
    vector = keras.Input((12,))
    dense = keras.layers.Dense(2, activation="softmax")(vector)
    yield keras.Model(vector, dense), r"image input .* with \[\(None, 12\)\]: give a classifier"
    two = [keras.layers.Dense(2, activation="softmax")(flat) for _ in range(2)]
    yield keras.Model(image, two), r"Expected a model with one output, received .* with 2: give `k"
    yield keras.Model(image, {"a": two[0], "b": two[1]}), "with one output, .* with 2: give `keras"
    unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(2)])
    yield unbuilt, r"one image input .* 'sequential.*' with \[\]: .* built with a `keras.Input`"

    class Subclassed(keras.Model):
        pass

    yield Subclassed(), r"functional or Sequential model .* 'subclassed.*' with \[\]: give"


@pytest.mark.parametrize("kind", range(11))
def test_other_models(tmp_path, kind):
    model, message = list(other_models())[kind]
    with pytest.raises(InputError, match=message):
        export_saved_model(model, tmp_path / "new")
    assert everything_in(tmp_path) == []
