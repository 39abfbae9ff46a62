"""`tfbio.evaluate`: any model, any data, nothing written unless it is asked for."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfbio
from tfbio.datasets import Presentation, ViewingCondition, as_data_source
from tfbio.datasets.corruptions import CORRUPTIONS
from tfbio.datasets.source import UnreadableImage
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation import AccuracyOverTime, prepare_evaluation
from tfbio.framing import Framing
from tfbio.training.config import DataConfig, TrainingConfig
from tfbio.training.trained import TrainedModel

SIZE = 32


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (30, SIZE, SIZE, 3), np.uint8), np.arange(30) % 6


@pytest.fixture(scope="module")
def source(images):
    parts = {"train": images, "test": (images[0][:12], images[1][:12])}
    return as_data_source(parts, ["a", "b", "c", "d", "e", "f"], name="noise")


def _model(size=SIZE, classes=6, name="mine", activation="softmax"):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.AveragePooling2D(2),
            keras.layers.GlobalMaxPooling2D(),
            keras.layers.Dense(classes, activation=activation),
        ],
        name=name,
    )


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    return _model()


@pytest.fixture
def trained(model, tmp_path):
    """As a run that was trained on an image folder, under blur."""
    data = DataConfig("image_folder", data_dir="pictures", condition="blur", condition_level=1.0)
    return TrainedModel(
        model,
        "runs/mine",
        ("a", "b", "c", "d", "e", "f"),
        folder=tmp_path / "run",
        config=TrainingConfig(data=data),
    )


# === Models and data ===


def test_arrays_data_sets_and_sources_are_the_same_to_it(model, images, source):
    assert source.split("train").size == 27
    expected = tfbio.evaluate(model, data=tfbio.datasets.as_data_source({"test": images}))
    assert expected.images == 30  # all of what is given
    batches = tf.data.Dataset.from_tensor_slices(images)
    for data in ({"test": images}, images, batches.batch(7), batches):
        found = tfbio.evaluate(model, data=data, batch_size=8)
        np.testing.assert_array_equal(np.sort(found.labels), np.sort(expected.labels))
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
        assert found.rows()[0]["top1"] == expected.rows()[0]["top1"]


def test_numbers_are_those_of_keras(model, images, source):
    table = tfbio.evaluate(model, "accuracy", source)
    pixels, labels = images[0][:12].astype("float32"), images[1][:12]
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(pixels, labels, verbose=0)
    assert table.images == 12
    assert table.top1[0] == pytest.approx(accuracy)
    assert table.loss[0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize("activation", ["softmax", None])
def test_a_model_may_end_in_probabilities_or_logits(activation, model, source):
    other = _model(activation=activation)
    other.set_weights(model.get_weights())
    found, expected = (tfbio.evaluate(each, data=source) for each in (other, model))
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    np.testing.assert_array_equal(found.predictions, expected.predictions)


def test_a_keras_file_is_a_model(model, source, tmp_path):
    model.save(tmp_path / "mine.keras")
    found = tfbio.evaluate(tmp_path / "mine.keras", data=source)
    np.testing.assert_allclose(found.loss, tfbio.evaluate(model, data=source).loss, rtol=1e-6)


def test_a_recurrent_model_is_evaluated_at_all_its_time_steps_and_more(source):
    model = tfbio.create_model(
        "rnn_tower", input_shape=(32, 32, 3), classes=6, width=1 / 64, timesteps=2
    )
    assert model.output_shape == (None, 6)
    assert len(tfbio.evaluate(model, data=source).rows()) == 2
    evaluation = prepare_evaluation(model, data=source, timesteps=4)
    assert len(evaluation.run().rows()) == 4


def test_an_input_of_any_size_needs_one(source):
    model = _model(None)
    with pytest.raises(InputError, match="Expected image_size with 'mine', whose input has no fix"):
        tfbio.evaluate(model, data=source)
    evaluation = prepare_evaluation(model, data=source, image_size=24)
    assert next(iter(evaluation.data.batches()))[0].shape[1:] == (24, 24, 3)
    assert evaluation.description == "mine at 24 x 24 on noise, test split, 12 images"
    with pytest.raises(InputError, match=r"Expected images of 32 x 32 pixels.*of 24 x 24: leave"):
        tfbio.evaluate(_model(), data=source, image_size=24)


def test_own_images_are_corrupted_as_they_are_read(model, source):
    found = tfbio.evaluate(model, "corruptions", source, corruptions=["fog"], severities=[1, 5])
    assert found.corruptions == ("fog",)
    assert found.severities == (1, 5)
    assert found.clean.images == 12
    np.testing.assert_allclose(found.clean.loss, tfbio.evaluate(model, data=source).loss)
    # By hand, of the strongest.
    from tfbio.datasets import Corruption

    batches = prepare_evaluation(model, "accuracy", source).data.batches(
        presentation=Presentation(corruption=Corruption("fog", 5))
    )
    assert found.loss[0, 1] == pytest.approx(AccuracyOverTime(model)(batches).loss)
    everything = prepare_evaluation(model, "corruptions", source)
    assert len(everything.data.sets) == len(CORRUPTIONS) * 5
    assert everything.images == 12 * 76
    assert "in each of 75 sets" in everything.description


# === What is said, and what is written ===


def test_nothing_is_written_unless_asked_for(trained, source, tmp_path):
    table = tfbio.evaluate(trained, data=source)
    assert list(tmp_path.iterdir()) == []
    evaluation = prepare_evaluation(trained, data=source)
    assert evaluation.folder == tmp_path / "run" / "evaluations" / "noise-test"
    files = table.write(tmp_path / "mine")
    results = json.loads((tmp_path / "mine" / "results.json").read_text())
    assert results["dataset"] == "noise"
    tfbio.evaluate(trained, data=source, output=tmp_path / "again")
    for name in files:
        assert (tmp_path / "mine" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_facts_are_those_that_results_have_always_had(trained, source):
    evaluation = prepare_evaluation(trained, data=source, framing=Framing(0.875))
    assert evaluation.facts == {
        "model": "mine",
        "weights": "runs/mine",
        "dataset": "noise",
        "data_dir": None,
        "split": "test",
        "image_size": [SIZE, SIZE],
        "crop_ratio": 0.875,
        "resize_through": None,
        "noise": None,
        "stimulus": None,
        "condition": None,
        "condition_level": None,
    }


def test_every_choice_has_a_folder_of_its_own(trained, source):
    def name(protocol=None, **changes):
        return prepare_evaluation(trained, protocol, source, **changes).folder.name

    blur = Presentation(condition=ViewingCondition("blur", 1.5))
    assert name() == "noise-test"
    assert name(split="train") == "noise-train"
    assert name(presentation=blur) == "noise-test-blur_1.5"
    assert name("corruptions") == "noise-test-corruptions"
    assert name("corruptions", corruptions=["snow", "fog"], severities=[5, 1]) == (
        "noise-test-corruptions-snow_fog-5_1"
    )


def test_a_model_is_evaluated_as_it_was_trained_on_the_data_of_its_training(trained, tmp_path):
    keras.utils.set_random_seed(0)
    for name in trained.class_names:
        for split in ("train", "val"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            keras.utils.save_img(folder / "1.png", np.full((SIZE, SIZE, 3), 99), scale=False)
    where = {"data_dir": tmp_path / "pictures"}
    evaluation = prepare_evaluation(trained, **where)
    assert evaluation.data.presentation.condition == ViewingCondition("blur", 1.0)
    # Another folder than that of the training goes by its name.
    assert evaluation.data.label == "pictures"
    assert evaluation.folder.name == "pictures-validation-blur_1"
    assert evaluation.description.endswith("6 images, condition blur at 1")
    plain = prepare_evaluation(trained, presentation=Presentation(), **where)
    assert plain.folder.name == "pictures-validation"
    # Its corruptions are other data, in the same place.
    corrupted = prepare_evaluation(trained, data="image_folder_c", severities=[1], **where)
    assert corrupted.protocol.name == "corruptions"
    assert corrupted.data.presentation.condition is None
    assert corrupted.folder.name == "pictures_c-validation-1"


def test_unreadable_images_count_as_wrong_and_are_named(model, source):
    split = source.split("test")
    split.unreadable = (UnreadableImage("broken.png", "not an image"),) * 4
    try:
        noted = source.__class__("noise", source.class_names, source.splits, ("Left out: broken.",))
        whole, table = (tfbio.evaluate(model, data=each) for each in (source, noted))
        sets = tfbio.evaluate(model, "corruptions", noted, corruptions=["fog"], severities=[1])
    finally:
        split.unreadable = ()
    assert table.images == 16
    assert table.top1[0] == pytest.approx(tfbio.evaluate(model, data=source).top1[0] * 12 / 16)
    assert str(table).startswith("Left out: broken.\ntime step")
    assert str(table).endswith("4 of 16 images could not be read and count as wrong.")
    assert not str(whole).startswith("Left out")
    assert str(sets).count("Left out: broken.") == 1


def test_progress_comes_to_the_number_of_images(model, source):
    for protocol, options in (("accuracy", {}), ("corruptions", {"severities": [2]})):
        done = []
        evaluation = prepare_evaluation(model, protocol, source, batch_size=5, **options)
        evaluation.run(done.append)
        assert sum(done) == evaluation.images
        assert max(done) == 5


# === Noise ===


def test_noise_is_drawn_as_asked_and_left_as_it_was(source):
    model = tfbio.create_model(
        "vone_alexnet",
        input_shape=(32, 32, 3),
        classes=6,
        width=1 / 16,
        simple_channels=4,
        complex_channels=4,
        visual_degrees=1.0,
    )
    layer = model.get_layer("vone_block").noise
    state = np.array(layer.seed_generator.state)
    still, again = (tfbio.evaluate(model, data=source, noise="off") for _ in range(2))
    np.testing.assert_array_equal(still.loss, again.loss)
    assert still.facts["noise"]["sampling"] == "off"
    drawn, same = (tfbio.evaluate(model, data=source, noise="sample", noise_seed=3) for _ in "12")
    np.testing.assert_array_equal(drawn.loss, same.loss)
    assert not np.array_equal(drawn.loss, still.loss)
    assert layer.sampling == "sample"
    np.testing.assert_array_equal(layer.seed_generator.state, state)
    with pytest.raises(InputError, match=r"Expected .*noise with .*noise_seed"):
        tfbio.evaluate(model, data=source, noise_seed=3)
    with pytest.raises(InputError, match="Expected a model with noise, received 'mine'"):
        tfbio.evaluate(_model(), data=source, noise="off")


# === Mistakes ===


def test_an_output_that_cannot_be_written_is_refused_before_the_work(model, source, tmp_path):
    (tmp_path / "file").write_text("")
    done = []
    with pytest.raises(InputError, match=r"The results cannot be written to .* that is writable"):
        tfbio.evaluate(
            model, data=source, output=tmp_path / "file" / "results", progress=done.append
        )
    assert done == []
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_mistake_gets_one_sentence(model, trained, source, images):
    two = as_data_source((images[0], images[1] % 2), name="two")
    gray = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()], name="gray")
    for sentence, call in (
        ("Expected data to evaluate mine on, received none", lambda: tfbio.evaluate(model)),
        ("Unknown protocol 'acc'. Nearest: acc", lambda: tfbio.evaluate(model, "acc", source)),
        ("Unknown data set 'shape'", lambda: tfbio.evaluate(model, data="shape")),
        (
            "of the 6 classes of runs/mine (a, b, c, d, ...), received two with 2 (0, 1).",
            lambda: tfbio.evaluate(trained, data=two),
        ),
        (
            "Unknown split of noise 'val'",
            lambda: tfbio.evaluate(model, data=source, split="val"),
        ),
        (
            "Expected a data set of one kind of image, received 'shapes_c'",
            lambda: tfbio.evaluate(model, "accuracy", "shapes_c"),
        ),
        (
            "Expected a data set of corrupted images, such as shapes_c, received 'shapes'",
            lambda: tfbio.evaluate(model, "corruptions", "shapes"),
        ),
        (
            "Expected --corruptions with --protocol=corruptions only",
            lambda: tfbio.evaluate(model, data=source, corruptions=["fog"]),
        ),
        (
            "Expected a data set with masks for the stimulus",
            lambda: tfbio.evaluate(model, data=source, presentation=Presentation("silhouette")),
        ),
        (
            "Expected a model whose number of time steps can change",
            lambda: tfbio.evaluate(model, data=source, timesteps=3),
        ),
        (
            "received 'gray' with 1 input of shape (None, 8, 8, 1), 1 output of shape (None, 64)",
            lambda: tfbio.evaluate(gray, data=source),
        ),
        (
            "Expected an image of at least 32 x 32 pixels to corrupt, received 24 x 24",
            lambda: tfbio.evaluate(_model(24), "corruptions", source),
        ),
        ("Expected a run, its folder", lambda: tfbio.evaluate(3, data=source)),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert sentence in str(caught.value)
    with pytest.raises(UnknownNameError):
        tfbio.evaluate(model, data=source, severity=1)
