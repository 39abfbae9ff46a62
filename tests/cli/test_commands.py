"""The commands: exit codes, sentences instead of tracebacks, and what they leave behind."""

from __future__ import annotations

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import write_native_h5
from PIL import Image

import tfbio
from tfbio._configuration import options_of
from tfbio.cli import evaluate, export, train
from tfbio.cli.flags import given, given_arguments
from tfbio.cli.train import TrainFlags
from tfbio.training.api import settled, training_config
from tfbio.training.run_directory import flag_lines

SMALL = ["--image_size=32", "--width=0.03125", "--epochs=1", "--batch_size=4"]
# Exact, so that the same run twice is the same weights.
EXACT = "--precision=float64"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of ten small pictures of different sizes."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for label, name in enumerate(("blue", "green", "red")):
        (root / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 100, (30 + number, 40, 3), dtype=np.uint8)
            pixels[..., 2 - label] += 150
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def _run(command, *arguments):
    """Run a command in this process; its exit code."""
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    return stopped.value.code


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    data = ["--dataset=image_folder", f"--data_dir={pictures}"]
    assert _run(train, *data, *SMALL, EXACT, "--timesteps=2", f"--runs_dir={runs}") == 0
    return runs


def test_train_leaves_a_run(trained, pictures):
    run = trained / "bl_rcnn-image_folder"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["images"] == 6
    assert summary["versions"]["tfbio"] == tfbio.__version__
    assert summary["parameters"] == keras.saving.load_model(run / "model.keras").count_params()
    assert (run / "labels.txt").read_text().split() == ["blue", "green", "red"]
    flags = (run / "flags").read_text()
    assert "--timesteps=2\n" in flags
    assert f"--data_dir={pictures}\n" in flags


def test_the_flag_file_repeats_the_run(trained, tmp_path):
    flags = trained / "bl_rcnn-image_folder" / "flags"
    assert _run(train, f"--flagfile={flags}", f"--runs_dir={tmp_path}") == 0
    again = tmp_path / "bl_rcnn-image_folder"
    assert (again / "flags").read_text() == flags.read_text()
    first, second = (
        keras.saving.load_model(folder / "model.keras").get_weights()
        for folder in (flags.parent, again)
    )
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize("size", ["--nofull_size", "--full_size"])
def test_the_flag_file_holds_the_size_that_was_trained(size, tmp_path):
    def settled_config(*arguments):
        options = {**options_of(TrainFlags)}
        values, _ = train.COMMAND.define(["train.py", *arguments])
        values(["train.py", *arguments])
        return settled(
            training_config({**given(values, options), **given_arguments(values, TrainFlags)})
        )

    first = settled_config(size)
    (tmp_path / "flags").write_text(flag_lines(first))
    again = settled_config(f"--flagfile={tmp_path / 'flags'}")
    assert again.same_settings(first)
    chosen = (again.model.image_size, again.model.arguments)
    assert chosen == (
        (128, {"width": 1.0, "timesteps": 8})
        if size == "--full_size"
        else (32, {"width": 0.125, "timesteps": 4})
    )


def test_evaluate_takes_the_newest_run(trained, capsys):
    assert _run(evaluate, f"--runs_dir={trained}") == 0
    output = capsys.readouterr().out
    # Of three classes, every answer is among the first five.
    assert "time step    top-1    loss" in output
    folder = trained / "bl_rcnn-image_folder" / "evaluations" / "image_folder-validation"
    results = json.loads((folder / "results.json").read_text())
    summary = json.loads((trained / "bl_rcnn-image_folder" / "summary.json").read_text())
    assert results["time_steps"] == summary["time_steps"]
    assert (folder / "results.csv").is_file()
    assert (folder / "accuracy_over_time.png").is_file()


def test_evaluate_takes_a_model_with_weights(trained, pictures, tmp_path, capsys):
    weights = trained / "bl_rcnn-image_folder" / "model.keras"
    assert (
        _run(
            evaluate,
            "--model=bl_rcnn",
            f"--weights={weights}",
            "--dataset=ImageFolder",
            f"--data_dir={pictures}",
            "--split=train",
            f"--output={tmp_path}",
        )
        == 0
    )
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["images"] == 24
    assert results["image_size"] == [32, 32]
    assert results["data_dir"] == str(pictures)
    assert "train split, 24 images" in capsys.readouterr().out


def test_evaluate_takes_a_native_weights_file(pictures, tmp_path, capsys):
    arguments = {"input_shape": (32, 32, 3), "width": 0.03125, "classes": 3}
    model = tfbio.create_model("b_cnn", **arguments)
    weights = {f"{weight.path}:0": np.array(weight) for weight in model.weights}
    layers: dict[str, list[str]] = {}
    for name in weights:
        layers.setdefault(name.split("/")[0], []).append(name)
    path = write_native_h5(tmp_path / "b.h5", list(layers.items()), weights)
    assert (
        _run(
            evaluate,
            "--model=b_cnn",
            f"--weights={path}",
            "--image_size=32",
            "--width=0.03125",
            "--dataset=image_folder",
            f"--data_dir={pictures}",
            f"--runs_dir={tmp_path}",
        )
        == 0
    )
    assert "37 tensors loaded from" in capsys.readouterr().out
    assert list((tmp_path / "b_cnn" / "evaluations").glob("*/results.json"))


def test_export_serves_what_keras_gives(trained, pictures, tmp_path):
    assert _run(export, f"--runs_dir={trained}", f"--output={tmp_path}") == 0
    saved = tf.saved_model.load(tmp_path / "bl_rcnn" / "1")
    picture = pictures / "green" / "2.png"
    answer = saved.signatures["serving_bytes"](tf.constant([picture.read_bytes()]))
    from tfbio.datasets import decode_image, resize_and_crop

    model = keras.saving.load_model(trained / "bl_rcnn-image_folder" / "model.keras")
    image = resize_and_crop(decode_image(picture.read_bytes()), (32, 32))
    expected = np.asarray(model(image[None]))
    np.testing.assert_allclose(answer["probabilities_by_time"], expected, atol=1e-5)
    label = ["blue", "green", "red"][int(np.argmax(expected[0, -1]))]
    assert answer["label"].numpy().tolist() == [label.encode()]


def test_fine_tuning_says_that_the_readout_is_new(trained, tmp_path, capsys):
    data = tmp_path / "two"
    for name in ("one", "two"):
        (data / name).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (32, 32), 99).save(data / name / f"{number}.png")
    weights = trained / "bl_rcnn-image_folder" / "model.keras"
    assert (
        _run(
            train,
            "--dataset=image_folder",
            f"--data_dir={data}",
            *SMALL,
            "--timesteps=2",
            "--max_steps=1",
            f"--weights={weights}",
            f"--runs_dir={tmp_path / 'runs'}",
        )
        == 0
    )
    output = capsys.readouterr().out
    assert "the readout keeps its initial values: ReadoutDense/kernel (model (64, 2)" in output
    assert "Stopped after --max_steps=1" in output


def test_a_run_cut_short_goes_on_without_the_limit(pictures, tmp_path, capsys):
    data = ["--dataset=image_folder", f"--data_dir={pictures}", *SMALL, "--timesteps=2"]
    assert _run(train, *data, f"--runs_dir={tmp_path}", "--max_steps=2") == 0
    assert _run(train, *data, f"--runs_dir={tmp_path}") == 0
    assert "bl_rcnn-image_folder from epoch 1, step 2." in capsys.readouterr().out
    assert os.listdir(tmp_path) == ["bl_rcnn-image_folder"]
    assert (tmp_path / "bl_rcnn-image_folder" / "summary.json").is_file()


def test_unreadable_images_are_named_and_counted(pictures, tmp_path, capsys):
    data = tmp_path / "data"
    for name in ("blue", "green"):
        (data / "train" / name).mkdir(parents=True)
        (data / "val" / name).mkdir(parents=True)
        for number in range(8):
            split = "train" if number < 6 else "val"
            copy = data / split / name / f"{number}.png"
            copy.write_bytes((pictures / name / f"{number}.png").read_bytes())
    bad = data / "val" / "blue" / "broken.jpg"
    bad.write_text("no picture")
    arguments = ["--dataset=image_folder", f"--data_dir={data}", *SMALL, "--timesteps=2"]
    runs = f"--runs_dir={tmp_path / 'runs'}"
    assert _run(train, *arguments, runs) == 2
    error = capsys.readouterr().err
    assert f"{bad}: not an image" in error
    assert "max_bad_images is 0" in error
    assert _run(train, *arguments, runs, "--max_bad_images=1") == 0
    assert _run(evaluate, runs, "--max_bad_images=1") == 0
    output = capsys.readouterr().out
    assert f"Left out, as it cannot be read: {bad}" in output
    assert "1 of 5 images could not be read and count as wrong." in output


@pytest.mark.parametrize("command", [train, evaluate, export])
def test_help_shows_every_flag_with_a_sentence(command, capsys):
    assert _run(command, "--help") == 0
    output = capsys.readouterr().out
    name = command.__name__.split(".")[-1]
    assert f"usage: python {name}.py [flags]" in output
    for flag, option in options_of(command.COMMAND.configuration).items():
        if not option.facts.get("hidden"):
            assert f"  --{flag} " in output or f"  --[no]{flag} " in output, flag
            assert option.description, flag
    # The arguments of models are many: those of one are shown when it is named.
    assert "--gabor_seed" not in output
    assert max(len(line) for line in output.splitlines()) <= 100


def test_help_of_a_model_shows_its_arguments(capsys):
    assert _run(train, "--model=vone_resnet50", "--help") == 0
    output = capsys.readouterr().out
    assert "Arguments of vone_resnet50:" in output
    assert "  --gabor_seed " in output
    assert "--cell_kernel" not in output


@pytest.mark.parametrize(
    ("command", "arguments", "sentence"),
    [
        (train, ["--model=bl_rnn"], "Unknown model 'bl_rnn'. Nearest: bl_rcnn"),
        (train, ["--dataset=shape"], "Unknown data set 'shape'. Nearest: shapes"),
        (train, ["--modl=bl_rcnn"], "Unknown flag '--modl'. Nearest: --model"),
        (train, ["--epochs=many"], "--epochs=many: invalid literal"),
        (train, ["--epochs=0"], "--epochs=0: 0 is not a positive integer"),
        (train, ["--optimizer=adm"], "--optimizer=adm: value should be one of"),
        (train, ["--strategy=tpu"], "--strategy=tpu: value should be one of"),
        (train, ["--flagfile=none.flags"], "No such file or directory: 'none.flags'"),
        (train, ["bl_rcnn"], "Expected flags only, such as --model=bl_rcnn, received 'bl_rcnn'"),
        (train, ["--model=b_cnn", "--timesteps=3"], "b_cnn takes no --timesteps"),
        (
            train,
            ["--model=alexnet_divnorm", "--normalization=none", "@data"],
            "alexnet_divnorm takes no --normalization",
        ),
        (
            train,
            ["--resize_through=abc", "@data"],
            "as one whole number or two, such as 64 or 64,4",
        ),
        (train, ["--weights=", "@data"], "a value behind --weights=, received none"),
        (train, ["--record_activity=", "@data"], "patterns of layer names with --record_activity"),
        (train, ["--dataset=image_folder"], "Expected data_dir with the data set image_folder"),
        (train, ["--dataset=image_folder", "--data_dir=nowhere"], "at nowhere, found nothing"),
        (train, ["--learning_rate=-1", "@data"], "a learning rate above 0, received -1.0"),
        (train, ["--width=-1", "@data"], "a width above 0, received -1.0"),
        (train, ["--image_size=16", "@data"], "at least 32 x 32 pixels, received 16 x 16"),
        (train, ["--augment=flop", "@data"], "Unknown augmentation 'flop'. Nearest: flip"),
        (train, ["--batch_size=1000", "@data"], "one batch of 1000 images in the split 'train'"),
        (train, ["--weights=none.h5", "@data"], "a weights file at none.h5, found nothing"),
        (train, ["--runs_dir=@file", "@data"], "pass a folder of runs that is writable"),
        (
            train,
            ["--batch_size=5", "--strategy=mirrored", "--devices=2", "@data"],
            "a batch size that 2 replicas divide, received 5",
        ),
        (train, ["--mode=finetune", "@data"], "weights to start from with --mode=finetune"),
        (train, ["--mode=tune"], "--mode=tune: value should be one of <train|finetune|readout>"),
        (train, ["--clip_value=1", "--clip_norm=1", "@data"], "one way to clip gradients"),
        (train, ["--early_stopping_metric=loss", "@data"], "Expected --early_stopping with"),
        (train, ["--optimizer=sgd", "--weight_decay=-1", "@data"], "a weight decay of 0 or more"),
        (train, ["--optimizer=sgd", "--momentum=1", "@data"], "a momentum from 0 to below 1"),
        (train, ["--momentum=0.9", "@data"], "with sgd and rmsprop only, received 0.9 with adam"),
        (train, ["--schedule=step", "@data"], "milestones with the schedule step, received none"),
        (train, ["--schedule=step", "--milestones=6,4", "@data"], "received 6, 4"),
        (
            train,
            ["--schedule=step", "--milestones=6,x", "@data"],
            "Expected --milestones that are whole numbers, such as 60,80, received 6,x",
        ),
        (train, ["--milestones=6", "@data"], "milestones with the schedule step only"),
        (
            train,
            ["--decay_factor=0.5", "@data"],
            "decay_factor with the schedule step or plateau only, received the schedule cosine",
        ),
        (train, ["--patience=2", "@data"], "patience with the schedule plateau only"),
        (train, ["--plateau_threshold=0", "@data"], "plateau_threshold with the schedule pla"),
        (train, ["--schedule=plateau", "--patience=-1", "@data"], "a patience of 0 epochs or more"),
        (train, ["--schedule=plateau", "--decay_factor=1", "@data"], "above 0 and below 1 with"),
        (
            train,
            ["--schedule=plateau", "--milestones=6", "@data"],
            "milestones with the schedule step only, received the schedule plateau",
        ),
        (train, ["--nesterov", "@data"], "Nesterov's momentum with sgd only, received adam"),
        (
            train,
            ["--optimizer=sgd", "--nesterov", "--momentum=0", "@data"],
            "a momentum above 0 with Nesterov's momentum",
        ),
        (train, ["--early_stopping=0", "@data"], "--early_stopping=0: 0 is not a positive"),
        (train, ["--seed=0", "--seeds=0,1", "@data"], "--seeds for several, received both"),
        (train, ["--seeds=0,x", "@data"], "--seeds that are whole numbers, such as 0,1,2"),
        (train, ["--seeds=0,-1", "@data"], "--seeds from 0 to 4294967295, received 0,-1"),
        (train, ["--seeds=1,1", "@data"], "none of them twice, received 1,1"),
        (train, ["--seeds=1", "@data"], "two or more --seeds, none of them twice, received 1: p"),
        (train, ["--seeds=", "@data"], "two or more --seeds, none of them twice, received none"),
        (train, ["--seeds=0,1", "--learning_rate=0", "@data"], "a learning rate above 0"),
        (train, ["--seeds=0,1", "--runs_dir=@file", "@data"], "pass a folder of runs that is wri"),
        (train, ["--crop_ratio=2", "@data"], "a crop ratio above 0 and at most 1, received 2.0"),
        (train, ["--resize_through=16", "@data"], "through at least the 32 x 32 pixels"),
        (train, ["--augment=crop,random_resized_crop", "@data"], "received both: leave one out"),
        (evaluate, ["--run=@run", "--crop_ratio=0"], "a crop ratio above 0 and at most 1"),
        (evaluate, ["--run=@run", "--resize_through=16"], "through at least the 32 x 32 pixels"),
        (export, ["--run=@run", "--resize_through=16"], "through at least the 32 x 32 pixels"),
        (train, ["--noise=off", "@data"], "Expected a model with noise, received 'bl_rcnn'"),
        (train, ["--noise_seed=1", "@data"], "Expected --noise with --noise_seed"),
        (train, ["--noise=loud", "@data"], "--noise=loud"),
        (train, ["--model=vone_block", "@data"], "Expected a model with a classifier"),
        (train, ["--model=vone_resnet50", "--kernel_size=24", "@data"], "to be one odd int"),
        (train, ["--sf_max=3", "@data"], "bl_rcnn takes no --sf_max"),
        (evaluate, ["--run=@run", "--noise=off"], "Expected a model with noise"),
        (evaluate, ["--runs_dir=nowhere"], "a trained run in nowhere, found none"),
        (evaluate, ["--run=nowhere"], "found no model.keras in nowhere"),
        (evaluate, ["--model=bl_rcnn"], "received --model alone"),
        (evaluate, ["--weights=w.h5"], "received --weights alone"),
        (evaluate, ["--run=@run", "--model=bl_rcnn", "--weights=w.h5"], "received both"),
        (evaluate, ["--run=@run", "--image_size=64"], "Expected --image_size with --model and"),
        (
            evaluate,
            ["--model=bl_rcnn", "--weights=@run/model.keras", "--width=1"],
            "Expected no --width with",
        ),
        (evaluate, ["--model=b_cnn", "--weights=@run/model.keras"], "pass --model=bl_rcnn"),
        (train, ["--seed=5000000000"], "--seed=5000000000"),
        (train, ["--width=inf", "@data"], "a width above 0, received inf"),
        (evaluate, ["--run=@run", "--split=tset"], "Unknown split of image_folder 'tset'"),
        (evaluate, ["--run=@run", "--output=@file/results"], "pass an --output that is writable"),
        (
            evaluate,
            ["--run=@run", "--dataset=image_folder", "--data_dir=@other"],
            "(blue, green, red), received image_folder with 2 (a, b)",
        ),
        (export, ["--runs_dir=nowhere"], "a trained run in nowhere, found none"),
        (export, ["--run=@run", "--output=@file"], "@file"),
        (export, ["--run=@run", "--labels=none.txt"], "labels, one a line, received 'none.txt'"),
        (export, ["--run=@run", "--version=0"], "received 0"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(
    command, arguments, sentence, trained, pictures, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    for name in ("a", "b"):
        (tmp_path / "other" / name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8)).save(tmp_path / "other" / name / f"{number}.png")
    places = {
        "@run": trained / "bl_rcnn-image_folder",
        "@file": tmp_path / "file",
        "@other": tmp_path / "other",
    }
    given = []
    for argument in arguments:
        if argument == "@data":
            given += ["--dataset=image_folder", f"--data_dir={pictures}"]
            given += [flag for flag in SMALL if flag.split("=")[0] not in "".join(arguments)]
            continue
        for place, path in places.items():
            argument = argument.replace(place, str(path))
        given.append(argument)
    sentence = sentence.replace("@file", str(tmp_path / "file"))
    assert _run(command, *given) == 2
    error = capfd.readouterr().err
    assert sentence in error
    assert "Traceback" not in error
    # Nothing is left behind: no empty run, no half-written result.
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged or truncated"),
        (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "damaged or truncated"),
        (lambda path: path.write_text("PK"), "Expected an HDF5 file of legacy Keras"),
    ],
)
def test_damaged_weights_get_one_sentence(damage, sentence, pictures, tmp_path, capsys):
    arrays = {"RCL_0_BConv/kernel:0": np.full((7, 7, 3, 3), np.nan, "float32")}
    path = write_native_h5(tmp_path / "w.h5", [("RCL_0_BConv", list(arrays))], arrays)
    damage(path)
    data = ["--dataset=image_folder", f"--data_dir={pictures}", *SMALL]
    assert _run(train, *data, f"--weights={path}", f"--runs_dir={tmp_path}") == 2
    assert sentence in capsys.readouterr().err


def test_nan_weights_and_those_of_another_model_are_named(pictures, tmp_path, capsys):
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), width=0.03125, classes=3)
    model.get_layer("Conv_Layer_2").kernel.assign(model.get_layer("Conv_Layer_2").kernel * np.nan)
    model.save(tmp_path / "nan.keras")
    data = ["--dataset=image_folder", f"--data_dir={pictures}", *SMALL]
    weights = f"--weights={tmp_path / 'nan.keras'}"
    assert _run(train, "--model=b_cnn", *data, weights, f"--runs_dir={tmp_path}") == 2
    assert "not finite (1): Conv_Layer_2/kernel" in capsys.readouterr().err
    assert _run(train, "--model=bl_rcnn", *data, weights, f"--runs_dir={tmp_path}") == 2
    assert "unexpected (35): Conv_Layer_0/kernel" in capsys.readouterr().err
