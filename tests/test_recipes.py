"""Every recipe is read by the real command; small versions of them run from end to end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfbio
from tfbio._configuration import options_of
from tfbio.cli import evaluate, export, train
from tfbio.cli.flags import given, given_arguments
from tfbio.cli.train import TrainFlags
from tfbio.datasets import decode_image, resize_and_crop
from tfbio.framing import Framing
from tfbio.training.api import training_config
from tfbio.training.run_directory import RunDirectory

RECIPES = Path(__file__).parent.parent / "recipes"
IMAGENET = RECIPES / "resnet50_imagenet64.flags"
TINY_IMAGENET = RECIPES / "resnet50_tiny_imagenet_finetune.flags"
VONENET = RECIPES / "vonenet_imagenet.flags"
# After the recipe, and so in place of what it says.
SMALL = ["--model=b_cnn", "--width=0.03125", "--epochs=1", "--batch_size=4"]
CLASSES = ("n01443537", "n01629819", "n01641577")


def _run(command, *arguments):
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    assert stopped.value.code == 0


@pytest.fixture
def in_a_folder(tmp_path, monkeypatch):
    """Three classes of twelve photographs of several sizes."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        folder = tmp_path / "photographs" / name
        folder.mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 100, (60 + 5 * number, 90, 3), dtype=np.uint8)
            pixels[..., label] += 150
            Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=95)
    return tmp_path


def _tiny_imagenet_as_published(root):
    rng = np.random.default_rng(1)

    def save(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)

    lines = []
    for label in CLASSES[:2]:
        for number in range(8):
            save(root / "train" / label / "images" / f"{label}_{number}.JPEG")
        (root / "train" / label / f"{label}_boxes.txt").write_text("a_0.JPEG\t0\t0\t63\t63\n")
        for _ in range(2):
            name = f"val_{len(lines)}.JPEG"
            save(root / "val" / "images" / name)
            lines.append(f"{name}\t{label}\t0\t0\t63\t63\n")
    (root / "val" / "val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("".join(f"{label}\n" for label in CLASSES[:2]))
    (root / "words.txt").write_text(f"{CLASSES[0]}\tgoldfish\n")
    save(root / "test" / "images" / "test_0.JPEG")


@pytest.mark.parametrize("recipe", sorted(RECIPES.glob("*.flags")), ids=lambda path: path.name)
def test_a_recipe_is_headed_and_read(recipe):
    head = recipe.read_text().split("\n\n")[0]
    assert all(line.startswith("#") for line in head.splitlines())
    for what in ("Reproduces:", "doi:10.", "Expected result:", "Cost:", "Data:"):
        assert what in head
    command = re.search(r"^#   (python train\.py .*)$", head, re.MULTILINE)[1].split()
    assert command[2] == f"--flagfile=recipes/{recipe.name}"
    values, _ = train.COMMAND.define()
    values(["train.py", f"--flagfile={recipe}", *command[3:]])
    config = training_config(
        {**given(values, options_of(TrainFlags)), **given_arguments(values, TrainFlags)}
    )
    assert config.model.name in head
    assert recipe.name in (RECIPES / "README.md").read_text()
    for name in tfbio.list_models():
        known = tfbio.model_info(name).recipe
        assert known is None or (RECIPES.parent / known).is_file(), name


def test_the_published_training_of_the_resnets():
    settings = {
        recipe: dict(
            line.removeprefix("--").split("=", 1)
            for line in recipe.read_text().splitlines()
            if line.startswith("--")
        )
        for recipe in (IMAGENET, TINY_IMAGENET)
    }
    both = {
        "image_size": "64",
        "optimizer": "sgd",
        "momentum": "0.9",
        "weight_decay": "1e-5",
        "learning_rate": "0.1",
        "schedule": "step",
        "milestones": "60,80",
        "decay_factor": "0.1",
        "epochs": "100",
        "batch_size": "128",
        "precision": "mixed_float16",
    }
    for each in settings.values():
        assert both.items() <= each.items()
    assert settings[IMAGENET]["augment"] == "random_resized_crop,flip"
    assert settings[IMAGENET]["resize_through"] == "224"
    assert float(settings[IMAGENET]["crop_ratio"]) * 256 == 224
    assert "mode" not in settings[IMAGENET]
    assert settings[TINY_IMAGENET]["mode"] == "finetune"
    assert settings[TINY_IMAGENET]["augment"] == "flip"
    assert "resize_through" not in settings[TINY_IMAGENET]


def test_the_published_training_of_the_vonenets():
    settings = dict(
        line.removeprefix("--").split("=", 1)
        for line in VONENET.read_text().splitlines()
        if line.startswith("--")
    )
    published = {
        "image_size": "224",
        "optimizer": "sgd",
        "momentum": "0.9",
        "weight_decay": "1e-4",
        "learning_rate": "0.1",
        "schedule": "step",
        "milestones": "20,40,60",
        "epochs": "70",
        "decay_factor": "0.1",
        "batch_size": "256",
        "noise_mode": "neuronal",
        "noise_scale": "0.35",
        "noise_level": "0.07",
        "augment": "random_resized_crop,flip",
    }
    assert published.items() <= settings.items()
    assert float(settings["crop_ratio"]) * 256 == 224


@pytest.mark.parametrize("condition", ["colour", "grayscale", "noise", "blur"])
def test_the_published_training_of_satbench(condition):
    recipe = RECIPES / f"bl_rcnn_imagenet16_{condition}.flags"
    settings = dict(
        line.removeprefix("--").split("=", 1)
        for line in recipe.read_text().splitlines()
        if line.startswith("--")
    )
    published = {
        "model": "bl_rcnn",
        "mode": "readout",
        "dataset": "imagenet16",
        "condition": condition,
        "class_weights": "balanced",
        "image_size": "128",
        "resize_through": "224",
        "optimizer": "adam",
        "learning_rate": "0.005",
        "schedule": "constant",
        "epochs": "100",
        "batch_size": "128",
    }
    assert published.items() <= settings.items()
    assert "condition_level" not in settings


def test_small_versions_run_from_end_to_end(in_a_folder, capsys):
    data = ["--dataset=image_folder", "--data_dir=photographs"]
    _run(train, f"--flagfile={IMAGENET}", *data, *SMALL)
    output = capsys.readouterr().out
    assert "augmented by random_resized_crop and flip" in output
    run = RunDirectory(in_a_folder / "runs" / "b_cnn-image_folder")
    settings = run.settings()
    assert settings["milestones"] == "60,80"
    assert settings["weight_decay"] == "1e-05"
    assert settings["resize_through"] == "224"
    assert settings["mode"] == "train"
    assert run.read_history()[-1]["learning_rate"] == pytest.approx(0.1)

    # Evaluation and export bring images to 64 x 64 as the run did.
    _run(evaluate)
    results = json.loads(
        (run.path / "evaluations" / "image_folder-validation" / "results.json").read_text()
    )
    assert (results["crop_ratio"], results["resize_through"]) == (0.875, [224, 224])
    assert results["time_steps"] == json.loads(run.summary.read_text())["time_steps"]
    _run(evaluate, "--crop_ratio=1", "--resize_through=64", "--output=otherwise")
    otherwise = json.loads((in_a_folder / "otherwise" / "results.json").read_text())
    assert (otherwise["crop_ratio"], otherwise["resize_through"]) == (1.0, [64, 64])
    assert otherwise["time_steps"] != results["time_steps"]
    _run(export)
    saved = tf.saved_model.load(in_a_folder / "exported" / "b_cnn" / "1")
    picture = (in_a_folder / "photographs" / CLASSES[1] / "7.jpg").read_bytes()
    answer = saved.signatures["serving_bytes"](tf.constant([picture]))
    model = keras.saving.load_model(run.model)
    image = resize_and_crop(decode_image(picture), (64, 64), Framing(0.875, 224))
    np.testing.assert_allclose(answer["probabilities"], model(image[None]), atol=1e-3)

    _tiny_imagenet_as_published(in_a_folder / "downloads" / "tiny-imagenet-200")
    arguments = ["--data_dir=downloads", f"--weights={run.model}", "--runs_dir=fine_tuned"]
    _run(train, f"--flagfile={TINY_IMAGENET}", *arguments, *SMALL)
    output = capsys.readouterr().out
    assert "130 of them trained; 2 classes" in output
    assert "16 training images, 4 for validation" in output
    tuned = keras.saving.load_model(in_a_folder / "fine_tuned" / "b_cnn-tiny_imagenet/model.keras")
    for before, after in zip(model.weights, tuned.weights, strict=True):
        frozen = "Readout" not in before.path and "moving_" not in before.path
        assert (before.shape == after.shape and np.array_equal(before, after)) == frozen, after.path
