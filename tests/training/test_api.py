"""`tfbio.train` and `tfbio.load_run`: trainings in Python, of registered and of own models."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import Kill, KilledError

import tfbio
from tfbio.errors import InputError, UnknownNameError
from tfbio.training import as_trained
from tfbio.training.api import settled, training_config

SMALL = {"image_size": 32, "width": 1 / 32, "batch_size": 4, "precision": "float64"}


@pytest.fixture(scope="module")
def pictures():
    """Noise in two colours: red is class 0, blue is class 1."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = rng.uniform(0, 120, (40, 32, 32, 3))
    images[np.arange(40), :, :, 2 * labels] += 120
    return images.astype("uint8"), labels


def _weights(run):
    model = keras.saving.load_model(run.path / "model.keras", compile=False)
    return [np.array(weight) for weight in model.weights]


def _last_weights(run):
    """All that a resume goes on from: weights, optimizer, random states."""
    import h5py

    found = {}
    with h5py.File(run.checkpoints()[-1].path) as file:
        file.visititems(
            lambda name, item: (
                found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
            )
        )
    return found


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    return tfbio.train(
        "b_cnn",
        pictures,
        class_names=["red", "blue"],
        epochs=2,
        learning_rate=0.01,
        runs_dir=tmp_path_factory.mktemp("runs"),
        **SMALL,
    )


def test_a_run_knows_what_it_is(run):
    assert run.finished
    assert [row["epoch"] for row in run.read_history()] == [1, 2]
    trained = tfbio.load_run(run.path)
    assert trained.class_names == ("red", "blue")
    assert trained.info.name == "b_cnn"
    assert trained.config.optimizer.learning_rate == 0.01
    assert trained.config.model.arguments == {"width": 1 / 32}
    content = json.loads((run.path / "config.json").read_text())
    assert content["version"] == 1
    assert content["model"]["name"] == "b_cnn"
    assert trained.dataset is None  # these data have no name


def test_the_same_call_after_a_kill_goes_on_to_the_same_weights(run, pictures, tmp_path):
    def again(**arguments):
        return tfbio.train(
            "b_cnn",
            pictures,
            class_names=["red", "blue"],
            epochs=2,
            learning_rate=0.01,
            checkpoint_steps=2,
            runs_dir=tmp_path,
            **SMALL,
            **arguments,
        )

    with pytest.raises(KilledError):
        again(callbacks=[Kill(12)])
    resumed = again()
    assert [path.name for path in tmp_path.iterdir()] == [run.path.name]
    expected = _last_weights(run)
    for name, value in _last_weights(resumed).items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-12, err_msg=name)
    # Another setting is another run; the finished one is not gone on with either.
    other = tfbio.train("b_cnn", pictures, epochs=1, max_steps=1, runs_dir=tmp_path, **SMALL)
    assert other.path.name == f"{run.path.name}-2"
    assert not other.finished


def _own_model():
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("data", ["arrays", "dataset"])
def test_a_model_and_data_of_ones_own(data, pictures, tmp_path):
    keras.utils.set_random_seed(4)
    own = pictures if data == "arrays" else tf.data.Dataset.from_tensor_slices(pictures).batch(8)
    model = _own_model()
    before = [np.array(weight) for weight in model.weights]
    arguments = {"epochs": 3, "batch_size": 4, "learning_rate": 0.05, "runs_dir": tmp_path}
    run = tfbio.train(model, own, **arguments)
    history = run.read_history()
    assert history[-1]["loss"] < history[0]["loss"]
    # The model itself is the trained one.
    assert any((a != b).any() for a, b in zip(before, map(np.array, model.weights), strict=True))
    trained = as_trained(run)
    assert trained.info is None
    assert trained.model.output_shape == (None, 2)
    # Keras numbers the layers of a second model otherwise: it is the same architecture.
    unfinished = tfbio.train(_own_model(), own, max_steps=2, **{**arguments, "epochs": 4})
    assert tfbio.train(_own_model(), own, **{**arguments, "epochs": 4}).path == unfinished.path


def test_replicas_take_a_function_that_builds_the_model(pictures, tmp_path):
    arguments = {"epochs": 1, "batch_size": 4, "strategy": "mirrored", "devices": 2}
    with pytest.raises(InputError, match="a function that builds the model where several devices"):
        tfbio.train(_own_model(), pictures, runs_dir=tmp_path, **arguments)
    assert tfbio.train(_own_model, pictures, runs_dir=tmp_path, **arguments).finished


def test_global_settings_are_as_they_were(pictures, tmp_path):
    tfbio.train("b_cnn", pictures, max_steps=1, runs_dir=tmp_path, **SMALL)
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_a_configuration_in_parts_is_the_same_as_keywords():
    parts = tfbio.TrainingConfig(
        model=tfbio.ModelConfig("bl_rcnn", timesteps=4, width=0.125),
        data=tfbio.DataConfig(
            "shapes", augment=("crop", "flip"), framing=tfbio.Framing(crop_ratio=0.875)
        ),
        optimizer=tfbio.OptimizerConfig("sgd", 0.1, tfbio.Step(milestones=(20, 40))),
        epochs=8,
    )
    keywords = training_config(
        {
            "model": "bl_rcnn",
            "timesteps": 4,
            "width": 0.125,
            "dataset": "shapes",
            "augment": ("crop", "flip"),
            "crop_ratio": 0.875,
            "optimizer": "sgd",
            "learning_rate": 0.1,
            "schedule": "step",
            "milestones": (20, 40),
            "epochs": 8,
        }
    )
    assert keywords == parts
    whole = training_config({"optimizer": parts.optimizer, "data": parts.data})
    assert (whole.optimizer, whole.data) == (parts.optimizer, parts.data)


def test_numbers_of_numpy_are_written_as_pythons(pictures, tmp_path):
    arguments = {**SMALL, "learning_rate": np.float32(0.25), "epochs": np.int64(2), "max_steps": 1}
    run = tfbio.train("b_cnn", pictures, runs_dir=tmp_path, **arguments)
    assert run.config().optimizer.learning_rate == 0.25
    assert tfbio.train("b_cnn", pictures, runs_dir=tmp_path, **arguments).path == run.path


def test_another_model_or_other_images_are_another_run(pictures, tmp_path):
    def model(activation):
        return keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Flatten(),
                keras.layers.Dense(2, activation=activation),
                keras.layers.Softmax(),
            ],
            name="mine",
        )

    images, labels = pictures
    arguments = {"batch_size": 4, "max_steps": 1, "runs_dir": tmp_path, "learning_rate": 1e-3}
    paths = [
        tfbio.train(model(activation), data, **arguments).path.name
        for activation, data in (
            ("relu", pictures),
            ("tanh", pictures),
            ("relu", (255 - images, labels)),
            ("relu", pictures),
        )
    ]
    assert paths == ["mine-own_data", "mine-own_data-2", "mine-own_data-3", "mine-own_data"]


def test_options_go_beside_whole_parts():
    config = training_config(
        {
            "model": tfbio.ModelConfig("bl_rcnn", timesteps=4),
            "width": 0.5,
            "weights": "bl.h5",
            "data": tfbio.DataConfig("shapes", augment=("flip",)),
            "framing": tfbio.Framing(0.9),
            "optimizer": tfbio.OptimizerConfig("sgd"),
            "learning_rate": 0.5,
        }
    )
    assert config.model == tfbio.ModelConfig("bl_rcnn", timesteps=4, width=0.5, weights="bl.h5")
    assert config.data == tfbio.DataConfig("shapes", augment=("flip",), framing=tfbio.Framing(0.9))
    assert config.optimizer == tfbio.OptimizerConfig("sgd", 0.5)


def test_a_configuration_goes_with_data_of_ones_own(pictures, tmp_path):
    config = tfbio.TrainingConfig(
        tfbio.ModelConfig("b_cnn", image_size=32, width=1 / 32),
        batch_size=4,
        max_steps=1,
        runs_dir=str(tmp_path),
    )
    assert tfbio.train(config, pictures).path.name == "b_cnn-own_data"


def test_embedded_data_have_their_quick_size_unless_it_is_said_otherwise(caplog):
    logging.getLogger("tfbio").propagate = True
    quick = settled(tfbio.TrainingConfig())
    assert (quick.model.image_size, quick.model.arguments) == (32, {"width": 0.125, "timesteps": 4})
    assert "Quick size for shapes: --image_size=32 --width=0.125 --timesteps=4." in caplog.text
    caplog.clear()
    full = settled(tfbio.TrainingConfig(tfbio.ModelConfig(full_size=True)))
    assert (full.model.image_size, full.model.arguments) == (128, {"width": 1.0, "timesteps": 8})
    half = settled(tfbio.TrainingConfig(tfbio.ModelConfig(width=0.5)))
    assert half.model.arguments == {"width": 0.5, "timesteps": 4}
    other = settled(tfbio.TrainingConfig(data=tfbio.DataConfig("cifar10")))
    assert other.model == tfbio.ModelConfig()
    hgru = tfbio.TrainingConfig(tfbio.ModelConfig("hgru"), tfbio.DataConfig("pathfinder"))
    assert settled(hgru).model.image_size >= 64
    assert settled(quick) == quick


# === Going on from a run ===


def test_weights_of_a_run_bring_its_architecture_and_framing(run, pictures, tmp_path, caplog):
    logging.getLogger("tfbio").propagate = True
    for weights in (run.path, run.path / "model.keras"):
        config = training_config({"weights": weights, "epochs": 1})
        assert config.model.name == "b_cnn"
        assert config.model.arguments == {"width": 1 / 32}
        assert config.model.image_size == 32
    images, _ = pictures
    three = (images, np.arange(40) % 3)
    again = tfbio.train(
        weights=run.path,
        data=three,
        epochs=1,
        batch_size=4,
        runs_dir=tmp_path,
        mode="readout",
        learning_rate=1e-9,
    )
    assert "the readout keeps its initial values" in caplog.text
    for before, after in zip(_weights(run)[:-2], _weights(again)[:-2], strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-6)


def test_a_model_of_another_name_than_the_runs_is_refused(run):
    with pytest.raises(InputError, match=r"Expected model=b_cnn, as in .*received model=b_k"):
        training_config({"weights": run.path, "model": "b_k_cnn"})


def test_weights_that_do_not_fit_say_which_argument_differs(run, pictures, tmp_path):
    sentence = r"Expected width=0.03125, as in the run .*, received width=0.5: leave it out"
    with pytest.raises(InputError, match=sentence) as caught:
        tfbio.train(data=pictures, weights=run, width=0.5, batch_size=4, runs_dir=tmp_path / "runs")
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "runs").exists()


def test_what_fits_may_differ_from_the_run(run, pictures, tmp_path):
    """Such as the size of the images."""
    images, labels = pictures
    larger = (images.repeat(2, 1).repeat(2, 2), labels)
    again = tfbio.train(
        data=larger, weights=run, image_size=64, max_steps=1, batch_size=4, runs_dir=tmp_path
    )
    assert tfbio.load_run(again).model.input_shape == (None, 64, 64, 3)


def test_the_framing_of_a_run_is_one_thing(run):
    config = run.config()
    assert training_config({"weights": run}).data.framing == config.data.framing
    assert training_config({"weights": run, "crop_ratio": 0.5}).data.framing == tfbio.Framing(0.5)


# === Mistakes ===


@pytest.mark.parametrize(
    ("model", "data", "options", "sentence"),
    [
        ("bl_rnn", "shapes", {}, "Unknown model 'bl_rnn'. Nearest: bl_rcnn"),
        ("b_cnn", "shape", {}, "Unknown data set 'shape'. Nearest: shapes"),
        ("b_cnn", "shapes", {"epoch": 2}, "Unknown option 'epoch'. Nearest: epochs"),
        ("b_cnn", "shapes", {"timesteps": 2}, "b_cnn takes no --timesteps"),
        ("b_cnn", "shapes", {"epochs": 0}, "epochs to be a whole number of 1 or more, received 0"),
        (
            "b_cnn",
            "shapes",
            {"seed": -1},
            "seed to be a whole number of 0 or more and 42949",
        ),
        ("b_cnn", "shapes", {"schedule": "stp"}, "Unknown schedule 'stp'"),
        ("b_cnn", "shapes", {"patience": 2}, "patience with the schedule plateau only"),
        (
            tfbio.TrainingConfig(),
            None,
            {"epochs": 2},
            "a TrainingConfig alone or with data of your own, received options",
        ),
        (3, "shapes", {}, "the name of a model, a keras.Model, .*, received int"),
        (_own_model(), "shapes", {"precision": "float64"}, "no precision with a model of your own"),
        (lambda: 3, "shapes", {}, "a function that returns a keras.Model, received int"),
        ("b_cnn", 3, {}, "received"),
        ("b_cnn", "shapes", {"mode": "freeze"}, "mode to be one of train, finetune, readout, rec"),
        ("b_cnn", "shapes", {"class_weights": "balance"}, "class_weights to be one of equal, bal"),
        ("b_cnn", "shapes", {"cache": "foo"}, "cache to be one of none, memory, disk, received"),
        ("b_cnn", "shapes", {"precision": "float16"}, "precision to be one of float32, float64"),
        ("b_cnn", "shapes", {"noise": "foo"}, "noise to be one of sample, fixed, mean, off"),
        ("b_cnn", "shapes", {"max_bad_images": -1}, "max_bad_images to be a whole number of 0 or"),
        ("b_cnn", "shapes", {"learning_rate": "0.1"}, "learning_rate to be a number, received '0."),
        (
            "b_cnn",
            "shapes",
            {"augment": "flip"},
            "augment to be a tuple, .*received 'flip'",
        ),
        (
            "b_cnn",
            "shapes",
            {"epochs": True},
            "epochs to be a whole number of 1 or more, received T",
        ),
        (_own_model(), "shapes", {"image_size": 64}, "images of 32 x 32 pixels, the input of"),
        (keras.Sequential([keras.layers.Dense(2)]), "shapes", {}, "a model whose input is known"),
    ],
)
def test_a_mistake_gets_one_sentence(model, data, options, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        tfbio.train(
            model,
            data,
            **options,
            **({} if isinstance(model, tfbio.TrainingConfig) else {"runs_dir": tmp_path}),
        )
    assert not list(tmp_path.iterdir())


def test_another_number_of_outputs_is_refused(pictures, tmp_path):
    images, _ = pictures
    with pytest.raises(
        InputError, match=r"a model of the 4 classes of own_data, .* with 2 outputs"
    ):
        tfbio.train(_own_model(), (images, np.arange(40) % 4), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_stands_for_no_trained_model_is_named(tmp_path):
    for nothing, sentence in (
        (tmp_path, "found no model.keras in"),
        (tmp_path / "nothing.keras", "a weights file at .*nothing.keras, found nothing"),
        (3, "a run, its folder, a .keras file or a keras.Model, received int"),
    ):
        with pytest.raises(InputError, match=sentence):
            as_trained(nothing)


def test_a_keras_file_beside_no_run_is_a_trained_model(tmp_path):
    model = tfbio.create_model("rnn_tower", input_shape=(32, 32, 3), classes=3, width=1 / 64)
    model.save(tmp_path / "mine.keras")
    trained = as_trained(tmp_path / "mine.keras")
    assert trained.info.name == "rnn_tower"
    assert trained.model.output_shape == (None, 4, 3)  # all time steps
    assert replace(trained, folder=None).class_names == ()


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError):
        training_config({"learning_rat": 0.1})
