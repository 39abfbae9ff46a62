"""Downloaded data sets, corruptions, viewing conditions and class weights through the commands."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from datasets.test_tiny_imagenet import write as write_tiny_imagenet
from datasets.test_tiny_imagenet_c import write as write_tiny_imagenet_c
from PIL import Image

from tfbio.cli import evaluate, train
from tfbio.datasets.corruptions import CORRUPTIONS

SMALL = ["--model=b_cnn", "--image_size=32", "--width=0.03125", "--epochs=1", "--batch_size=4"]
ALL = [(name, severity) for name in CORRUPTIONS for severity in range(1, 6)]


def _run(command, *arguments):
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    return stopped.value.code


def _table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    root = tmp_path_factory.mktemp("downloads")
    write_tiny_imagenet(root)
    write_tiny_imagenet_c(root, ALL)
    return root


@pytest.fixture(scope="module")
def run(downloads, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    data = ["--dataset=tinyimagenet", f"--data_dir={downloads}"]
    assert _run(train, *SMALL, *data, f"--runs_dir={runs}") == 0
    return runs / "b_cnn-tiny_imagenet"


def test_tiny_imagenet_c_is_prepared_and_measured(run, downloads, capsys):
    data = ["--dataset", "tinyimagenet_c", "--data_dir", downloads]
    some = ["--corruptions=snow,fog", "--severities=5,1"]
    assert _run(evaluate, "--run", run, *data, *some) == 0
    printed = capsys.readouterr().out
    assert "test split, 6 images in each of 4 sets" in printed
    assert "mean of weather (2 of 4)" in printed
    # Its clean images are other ones.
    assert "clean" not in printed
    folder = run / "evaluations" / "tiny_imagenet_c-test-snow_fog-5_1"
    rows = _table(folder / "corruption_table.csv")
    assert list(rows[0]) == ["corruption_type", "difficulty", "accuracy"]
    found = [(row["corruption_type"], row["difficulty"]) for row in rows]
    assert found == [("snow", "1"), ("snow", "5"), ("fog", "1"), ("fog", "5")]
    # One set alone gives the same figure.
    one = ["--dataset=tiny_imagenet_c/fog_5", f"--data_dir={downloads}"]
    assert _run(evaluate, "--run", run, *one) == 0
    alone = json.loads(
        (run / "evaluations" / "tiny_imagenet_c-fog_5-test/results.json").read_text()
    )
    assert float(rows[3]["accuracy"]) == alone["time_steps"][0]["top1"]


@pytest.mark.slow
def test_all_of_tiny_imagenet_c(run, downloads, tmp_path):
    """75 data sets are prepared; two minutes."""
    data = ["--dataset", "tinyimagenet_c", "--data_dir", downloads, "--output", tmp_path]
    assert _run(evaluate, "--run", run, *data) == 0
    rows = _table(tmp_path / "corruption_table.csv")
    assert [(row["corruption_type"], int(row["difficulty"])) for row in rows] == ALL


def test_what_to_download_is_said(run, tmp_path, capsys):
    for name, archive in (
        ("tinyimagenet", "tiny-imagenet-200.zip"),
        ("tinyimagenet_c", "Tiny-ImageNet-C.tar"),
        ("imagenet16", "ILSVRC2012_img_train.tar"),
        ("pascal_voc_stimuli", "VOCtrainval_11-May-2012.tar"),
    ):
        assert _run(evaluate, "--run", run, "--dataset", name, "--data_dir", tmp_path) == 2
        (sentence,) = capsys.readouterr().err.strip().splitlines()
        assert f"download {archive}" in sentence
        assert str(tmp_path) in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes of eight and four gray pictures, dark and light."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, count, level in (("dark", 8, 40), ("light", 4, 150)):
        (root / name).mkdir()
        for number in range(count):
            pixels = level + rng.integers(0, 60, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def noisy_run(pictures, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    data = ["--dataset=image_folder", f"--data_dir={pictures}", "--class_weights=balanced"]
    assert _run(train, *SMALL, *data, "--condition=noise", f"--runs_dir={runs}") == 0
    return runs / "b_cnn-image_folder"


def test_images_are_corrupted_as_they_are_read(noisy_run, capsys):
    flags = ["--dataset=image_folder_c", "--severities=2"]
    chosen = "--corruptions=brightness,gaussian_noise"
    assert _run(evaluate, "--run", noisy_run, *flags, chosen) == 0
    printed = capsys.readouterr().out
    assert "clean" in printed
    # A choice of sets does not replace the table of all.
    name = "image_folder_c-validation-brightness_gaussian_noise-2"
    folder = noisy_run / "evaluations" / name
    rows = _table(folder / "corruption_table.csv")
    assert [row["corruption_type"] for row in rows] == ["gaussian_noise", "brightness"]
    results = json.loads((folder / "results.json").read_text())
    assert results["dataset"] == "image_folder_c"
    # The run's condition is for the data set it was trained on.
    assert results["condition"] is None
    assert (folder / "corruption_robustness.png").stat().st_size > 1000


def test_corrupted_images_that_cannot_be_read_are_counted(noisy_run, pictures, tmp_path, capsys):
    for split in ("train", "val"):
        shutil.copytree(pictures, tmp_path / "pictures" / split)
    (tmp_path / "pictures" / "val" / "dark" / "0.png").write_bytes(b"")
    flags = [
        "--dataset=image_folder_c",
        f"--data_dir={tmp_path / 'pictures'}",
        "--max_bad_images=1",
        "--corruptions=fog",
        "--severities=1,2",
        f"--output={tmp_path / 'out'}",
    ]
    assert _run(evaluate, "--run", noisy_run, *flags) == 0
    printed = capsys.readouterr().out
    (left_out,) = (line for line in printed.splitlines() if line.startswith("Left out"))
    assert "0.png" in left_out
    assert "2 of 24 images could not be read and count as wrong." in printed
    assert {row["images"] for row in _table(tmp_path / "out" / "results.csv")} == {"12"}


def test_a_run_is_evaluated_as_it_was_trained_unless_flags_say_otherwise(noisy_run, capsys):
    assert _run(evaluate, "--run", noisy_run) == 0
    assert "3 images, condition noise at the levels of training" in capsys.readouterr().out
    flags = ["--condition=blur", "--condition_level=1.5"]
    assert _run(evaluate, "--run", noisy_run, *flags) == 0
    evaluations = noisy_run / "evaluations"
    for folder, condition, level in (
        ("image_folder-validation-noise", "noise", None),
        ("image_folder-validation-blur_1.5", "blur", 1.5),
    ):
        results = json.loads((evaluations / folder / "results.json").read_text())
        assert (results["condition"], results["condition_level"]) == (condition, level)
    # As the training had it.
    summary = json.loads((noisy_run / "summary.json").read_text())
    again = json.loads((evaluations / "image_folder-validation-noise/results.json").read_text())
    assert again["time_steps"] == summary["time_steps"]


def test_a_cache_changes_nothing_but_the_time(pictures, tmp_path, capsys):
    data = ["--dataset=image_folder", f"--data_dir={pictures}", "--precision=float64"]
    histories = []
    for cache in ("none", "memory", "disk", "disk"):
        runs = tmp_path / f"{cache}{len(histories)}"
        flags = [f"--cache={cache}", f"--runs_dir={runs}"]
        assert _run(train, *SMALL, *data, *flags, "--augment=random_resized_crop,flip") == 0
        rows = _table(runs / "b_cnn-image_folder" / "history.csv")
        histories.append([(row["loss"], row["val_loss"]) for row in rows])
    assert histories == [histories[0]] * 4


@pytest.mark.parametrize(
    ("command", "flags", "sentence"),
    [
        (evaluate, ["--corruptions=fog"], "Expected a data set of corrupted images with --corrup"),
        (evaluate, ["--dataset=image_folder_c", "--severities=six"], "numbers from 1 to 5, receiv"),
        (evaluate, ["--dataset=image_folder_c", "--corruptions=fogg"], "Nearest: fog"),
        (evaluate, ["--condition_level=1"], "Expected --condition=noise or --condition=blur with"),
        (evaluate, ["--condition=blur", "--condition_level=-1"], "Expected a level of blur from 0"),
        (evaluate, ["--stimulus=silhouette"], "Expected a data set with masks for the stimulus"),
        (train, ["--stimulus=normal"], "Expected a data set with masks for the stimulus"),
        (train, ["--mode=readout"], "Expected weights to start from with --mode=readout"),
        (train, ["--dataset=image_folder_c"], "corrupted images are for evaluate.py"),
    ],
)
def test_bad_flags_get_one_sentence(
    command, flags, sentence, noisy_run, pictures, tmp_path, capsys
):
    data = [f"--data_dir={pictures}", "--dataset=image_folder"]
    which = ["--run", noisy_run, *data] if command is evaluate else [*SMALL, *data]
    if command is train:
        which.append(f"--runs_dir={tmp_path}")
    assert _run(command, *which, *flags) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
