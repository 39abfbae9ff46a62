import base64
import json
import re
import runpy
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfbio
from tfbio.datasets import resize_and_crop
from tfbio.errors import InputError, UnknownNameError
from tfbio.export import (
    ExportContext,
    export_saved_model,
    list_signatures,
    load_labels,
    register_signature,
    signature,
    signature_info,
    signature_table,
)
from tfbio.export.signature import chosen_signatures
from tfbio.framing import Framing
from tfbio.models import add_v1_front_end, set_noise

DOCS = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
NOISE = {f"serving_noise_{sampling}" for sampling in ("sample", "fixed", "mean", "off")}
EVERY = {"serving_default", "serving_uint8", "serving_bytes"}
SIZE = (6, 10)
LABELS = ["cat", "dog", "bird"]


def some_images(count=4, size=SIZE):
    return np.random.default_rng(count).uniform(0, 255, (count, *size, 3)).astype(np.float32)


def classifier(*last, size=SIZE, noise=False):
    """Images to three numbers that differ from image to image, then the layers given."""
    kernel = keras.initializers.RandomNormal(stddev=0.2, seed=4)
    return keras.Sequential(
        [
            keras.Input((*size, 3)),
            keras.layers.Rescaling(1 / 64, -2),
            *([tfbio.layers.NeuronalNoise(seed=1)] if noise else []),
            keras.layers.Conv2D(8, 3, activation="relu", kernel_initializer=kernel),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, kernel_initializer=keras.initializers.Orthogonal(4, seed=2)),
            *last,
        ],
        name="small",
    )


def signatures_of(path):
    return tf.saved_model.load(str(path)).signatures


def possible(model):
    """The signatures that an export of a model has, unless it is asked for some."""
    return {each.name for each in chosen_signatures(ExportContext(model, label_table=None))}


# === The registry ===


def test_names():
    assert set(list_signatures()) == EVERY | NOISE
    assert list_signatures("*_b*") == ["serving_bytes"]
    assert signature_info("bytes") is signature_info("serving_bytes")
    with pytest.raises(
        UnknownNameError, match=r"Unknown signature 'serving_byte'\. Nearest: serving_by"
    ):
        signature_info("serving_byte")
    with pytest.raises(InputError, match="a new name of a signature, received 'serving_bytes', wh"):
        register_signature(signature_info("bytes"))


@pytest.fixture(scope="module")
def with_noise(tmp_path_factory):
    return signatures_of(export_saved_model(classifier(noise=True), tmp_path_factory.mktemp("all")))


@pytest.mark.parametrize("name", sorted(EVERY | NOISE))
def test_each_takes_and_gives_what_it_says(name, with_noise):
    info = signature_info(name)
    sizes = {"H": SIZE[0], "W": SIZE[1], "classes": 3, "time": 1}

    def described(tensors):
        return {
            key: (
                each.dtype,
                [sizes.get(side) if isinstance(side, str) else side for side in each.shape],
            )
            for key, each in tensors.items()
        }

    def found(specs):
        return {key: (spec.dtype.name, spec.shape.as_list()) for key, spec in specs.items()}

    assert re.fullmatch(r"[A-Z].*\.", info.description)
    assert found(with_noise[name].structured_input_signature[1]) == described(info.inputs)
    assert found(with_noise[name].structured_outputs) == described(info.outputs)


# === Which an export has ===


def test_all_that_apply(with_noise):
    assert set(with_noise) == EVERY | NOISE
    assert possible(classifier(noise=True)) == EVERY | NOISE
    assert possible(classifier()) == EVERY
    without = {"serving_bytes", "serving_noise_fixed"}
    assert possible(classifier(size=(6, None), noise=True)) == (EVERY | NOISE) - without


@pytest.mark.parametrize(
    ("names", "served"),
    [
        (["default"], {"serving_default"}),
        (["uint8", "serving_default", "serving_uint8"], {"serving_default", "serving_uint8"}),
        (("bytes", "noise_off"), {"serving_bytes", "serving_noise_off", "serving_default"}),
        (["noise_off", "bytes"], {"serving_bytes", "serving_noise_off", "serving_default"}),
    ],
)
def test_those_that_were_asked_for(names, served, tmp_path):
    model = classifier(noise=True)
    path = export_saved_model(model, tmp_path, signatures=names)
    signatures = signatures_of(path)
    assert set(signatures) == served
    # TensorFlow Serving wants a default: without one, it is the first.
    first = "default" if "serving_default" in names or "default" in names else names[0]
    inputs = signatures["serving_default"].structured_input_signature[1]
    assert list(inputs) == list(signature_info(first).inputs)


def test_without_the_default_the_others_answer_the_same(tmp_path):
    model = classifier(noise=True)
    images = some_images()
    pngs = np.array([tf.io.encode_png(image).numpy() for image in images.astype(np.uint8)])
    set_noise(model, "fixed")
    framing = Framing(0.5)
    path = export_saved_model(model, tmp_path, framing=framing, signatures=["bytes", "noise_off"])
    # Every weight is there once, though the default does not bring it.
    (data,) = (path / "variables").glob("variables.data-*")
    weights = sum(variable.numpy().nbytes for variable in model.variables)
    assert weights < data.stat().st_size <= 1.05 * weights + 4096
    served = signatures_of(path)
    from_bytes = served["serving_bytes"](image_bytes=pngs)["probabilities"]
    without_noise = served["serving_noise_off"](images=images)["probabilities"]
    prepared = tf.stack([resize_and_crop(tf.io.decode_png(png), SIZE, framing) for png in pngs])
    expected = tf.nn.softmax(model(prepared))
    np.testing.assert_allclose(from_bytes, expected, rtol=0, atol=1e-5)
    set_noise(model, "off")
    assert np.abs(tf.nn.softmax(model(prepared)) - expected).max() > 1e-3
    np.testing.assert_allclose(without_noise, tf.nn.softmax(model(images)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "noise", "names", "message"),
    [
        (
            (6, None),
            False,
            ["bytes"],
            r"can have \(serving_default, serving_uint8\), received "
            r"'serving_bytes', which scales images .* of which one is not known: leave it out",
        ),
        (SIZE, False, ["default", "noise_off"], "'serving_noise_off', which is for a model with"),
        ((None, 10), True, ["noise_fixed"], "'serving_noise_fixed', which draws noise for every"),
        (SIZE, False, [], r"Expected a list of one or more signatures, received \[\]: give names"),
        (SIZE, False, "bytes", "a list of one or more signatures, received 'bytes': give names"),
        (SIZE, False, ["nonsense"], "Unknown signature 'nonsense'"),
    ],
)
def test_those_that_cannot_be_had(size, noise, names, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_saved_model(classifier(size=size, noise=noise), tmp_path / "new", signatures=names)
    assert list(tmp_path.iterdir()) == []


# === One of one's own ===


def test_a_signature_is_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(signature, "_SIGNATURES", dict(signature._SIGNATURES))
    (tmp_path / "mine.py").write_text(re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[0])
    runpy.run_path(str(tmp_path / "mine.py"))
    row = "| `serving_top3` | `images` | `labels`, `probabilities` | Gives the three likeliest"
    assert row in signature_table()

    model = classifier()
    assert possible(model) == {*EVERY, "serving_top3"}
    path = export_saved_model(model, tmp_path, labels=LABELS, signatures=["top3"])
    answer = signatures_of(path)["serving_top3"](images=some_images())
    expected = tf.nn.softmax(model(some_images())).numpy()
    best = np.argsort(-expected)
    assert answer["labels"].numpy().tolist() == [
        [LABELS[number].encode() for number in row] for row in best
    ]
    assert len(np.unique(best, axis=0)) > 1
    found, expected = answer["probabilities"], np.take_along_axis(expected, best, axis=1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)

    two = keras.Model(model.inputs, keras.layers.Dense(2)(model.outputs[0]), name="two")
    assert possible(two) == EVERY
    with pytest.raises(InputError, match="'serving_top3', which needs three classes: leave it out"):
        export_saved_model(two, tmp_path, signatures=["top3"])


# === Whose models ===


def within_a_model():
    rescaling = keras.layers.Rescaling(0.5)
    return keras.Sequential(
        [keras.Input((*SIZE, 3)), rescaling, classifier(keras.layers.Activation("softmax"))]
    )


def from_a_dictionary_to_a_dictionary():
    image = keras.Input((*SIZE, 3), name="image")
    return keras.Model({"image": image}, {"scores": classifier()(image)})


def over_time():
    image = keras.Input((*SIZE, 3))
    rows = keras.layers.Reshape((SIZE[0], -1))(keras.layers.Rescaling(1 / 255)(image))
    states = keras.layers.SimpleRNN(4, return_sequences=True)(rows)
    readout = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax"))
    return keras.Model(image, readout(states))


def last_layer_called_twice():
    model = classifier()
    dense = keras.layers.Dense(3)
    return keras.Model(model.inputs[0], dense(keras.layers.ReLU()(dense(model.outputs[0]))))


def without_preprocessing():
    return tfbio.create_model(
        "b_cnn", input_shape=(32, 32, 3), classes=3, width=0.125, include_preprocessing=False
    )


def front_end_before_a_sequential():
    back_end = [keras.Input((16, 16, 8)), keras.layers.Flatten(), keras.layers.Dense(3)]
    return add_v1_front_end(
        keras.Sequential(back_end),
        (64, 64, 3),
        simple_channels=4,
        complex_channels=4,
        noise_mode=None,
    )


PASSED_ON = (keras.layers.Dropout, 0.5), (keras.layers.Activation, "linear")
# Name to a function that builds a classifier, and whether what it gives are logits.
CLASSIFIERS = {
    "logits": (classifier, True),
    "a softmax within the last layer": (
        lambda: classifier(keras.layers.Dense(3, activation="softmax")),
        False,
    ),
    "an activation layer": (lambda: classifier(keras.layers.Activation("softmax")), False),
    "a softmax layer": (lambda: classifier(keras.layers.Softmax()), False),
    "a log-softmax": (lambda: classifier(keras.layers.Activation("log_softmax")), True),
    "a softmax, and what passes it on": (
        lambda: classifier(keras.layers.Softmax(), *(layer(it) for layer, it in PASSED_ON)),
        False,
    ),
    "logits, and what passes them on": (
        lambda: classifier(*(layer(it) for layer, it in PASSED_ON), keras.layers.Reshape((3,))),
        True,
    ),
    "a model within a model": (within_a_model, False),
    "a dictionary in, a dictionary out": (from_a_dictionary_to_a_dictionary, True),
    "a time axis": (over_time, False),
    "a last layer that is called twice": (last_layer_called_twice, True),
    "no preprocessing": (without_preprocessing, False),
    "a V1 front end before a Sequential": (front_end_before_a_sequential, True),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_any_classifier(name, tmp_path):
    build, gives_logits = CLASSIFIERS[name]
    model = build()
    images = some_images(4, model.inputs[0].shape[1:3])
    path = export_saved_model(model, tmp_path, name="any", labels=LABELS, signatures=["default"])
    answer = signatures_of(path)["serving_default"](images=images)
    given = images if name != "a dictionary in, a dictionary out" else {"image": images}
    (expected,) = keras.tree.flatten(model(given, training=False))
    expected = tf.nn.softmax(expected) if gives_logits else expected
    expected = expected if expected.shape.rank == 3 else expected[:, tf.newaxis]
    np.testing.assert_allclose(answer["probabilities_by_time"], expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(answer["probabilities"], answer["probabilities_by_time"][:, -1])
    np.testing.assert_allclose(tf.reduce_sum(answer["probabilities"], -1), 1, rtol=0, atol=1e-5)
    best = np.argmax(answer["probabilities"], -1)
    assert [label.decode() for label in answer["label"].numpy()] == [LABELS[n] for n in best]


# === tfbio.export ===


@pytest.fixture
def trained(monkeypatch):
    """What a run is to the function: a model, its class names and its framing."""
    asked = []
    known = types.SimpleNamespace(
        model=classifier(), class_names=tuple(LABELS), framing=Framing(0.5), asked=asked
    )
    module = types.ModuleType("tfbio.training.trained")
    module.as_trained = lambda given: asked.append(given) or known
    monkeypatch.setitem(sys.modules, "tfbio.training.trained", module)
    return known


def test_a_run_is_exported_with_its_class_names_and_framing(trained, tmp_path):
    path = tfbio.export("runs/mine", tmp_path, name="served", version=3, signatures=["bytes"])
    assert trained.asked == ["runs/mine"]
    assert path == tmp_path / "served" / "3"
    assert load_labels(path / "assets" / "labels.txt") == LABELS
    image = some_images(1, (20, 20))[0].astype(np.uint8)
    answer = signatures_of(path)["serving_bytes"](
        image_bytes=tf.constant([tf.io.encode_png(image).numpy()])
    )
    prepared = resize_and_crop(tf.constant(image), SIZE, trained.framing)
    expected = tf.nn.softmax(trained.model(prepared[tf.newaxis]))
    np.testing.assert_allclose(answer["probabilities"], expected, rtol=0, atol=1e-5)


def test_labels_of_ones_own_and_no_class_names(trained, tmp_path):
    path = tfbio.export(trained, tmp_path, labels=["a", "b", "c"], signatures=["default"])
    assert load_labels(path / "assets" / "labels.txt") == ["a", "b", "c"]
    trained.class_names = ()
    path = tfbio.export(trained, tmp_path, signatures=["default"])
    assert path == tmp_path / "small" / "2"
    assert load_labels(path / "assets" / "labels.txt") == ["0", "1", "2"]


def test_a_model_that_no_run_knows(tmp_path):
    path = tfbio.export(classifier(), tmp_path, name="mine", signatures=["default"])
    assert path == tmp_path / "mine" / "1"
    assert load_labels(path / "assets" / "labels.txt") == ["0", "1", "2"]


def test_an_unwritable_folder_is_refused_before_the_model_is_read(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(
        InputError, match=r"a folder that can be written, received .*file/x': Not a"
    ):
        tfbio.export("runs/mine", tmp_path / "file" / "x")
    assert trained.asked == []


# === docs/export.md ===


def test_the_docs_have_the_signatures():
    assert signature_table() in DOCS, (
        "python -c 'import tfbio.export as e; print(e.signature_table())'"
    )


def test_the_docs_request_is_answered_as_they_say(tmp_path):
    request, answer = map(json.loads, re.findall(r"```json\n(.*?)```", DOCS, flags=re.DOTALL))
    path = export_saved_model(
        classifier(), tmp_path, labels=LABELS, signatures=[request["signature_name"]]
    )
    info = signature_info(request["signature_name"])
    (instance,) = request["instances"]
    assert list(instance) == list(info.inputs)
    # TensorFlow Serving replaces {"b64": ...} by the bytes, and stacks the instances.
    batch = {
        name: tf.constant([base64.b64decode(value["b64"], validate=True)])
        for name, value in instance.items()
    }
    outputs = signatures_of(path)[request["signature_name"]](**batch)
    (prediction,) = answer["predictions"]
    assert sorted(prediction) == sorted(outputs)
    assert [np.ndim(prediction[name]) + 1 for name in outputs] == [
        value.shape.rank for value in outputs.values()
    ]
