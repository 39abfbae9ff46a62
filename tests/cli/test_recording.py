"""`--record_activity`: what it leaves in the run, and how a mistake is answered."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from tfbio.cli import train
from tfbio.datasets.image_folder import image_folder
from tfbio.training.recording import SomeExamples


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (root / name).mkdir()
        for number in range(20):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels + 120 * (name == "light")).save(root / name / f"{number}.png")
    return root


def _train(pictures, runs, *flags):
    with pytest.raises(SystemExit) as stopped:
        train.main(
            [
                "train.py",
                "--model=b_cnn",
                "--dataset=image_folder",
                f"--data_dir={pictures}",
                "--image_size=32",
                "--width=0.03125",
                "--batch_size=8",
                "--epochs=2",
                f"--runs_dir={runs}",
                *flags,
            ]
        )
    return stopped.value.code


def test_activity_is_recorded(pictures, tmp_path):
    assert (
        _train(
            pictures,
            tmp_path,
            "--record_activity=ReLU_*,Conv_Layer_0",
            "--record_images=6",
            "--record_steps=3",
        )
        == 0
    )
    run = tmp_path / "b_cnn-image_folder"
    with (run / "activity.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    places = [(row["epoch"], row["step"]) for row in rows if row["layer"] == "Conv_Layer_0"]
    assert places == [("1", "3"), ("1", "4"), ("2", "6"), ("2", "8")]
    assert len(rows) == 8 * len(places)
    assert (run / "activity.png").is_file()
    assert "--record_activity=ReLU_*,Conv_Layer_0\n" in (run / "flags").read_text()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--record_activity=RELU_Layer_0"], "No layer of 'b_cnn' matches 'RELU_Layer_0'. Nearest"),
        (["--record_images=6"], "Expected --record_activity with --record_images"),
    ],
)
def test_a_mistake_leaves_nothing_behind(pictures, tmp_path, capsys, flags, sentence):
    assert _train(pictures, tmp_path / "runs", *flags) == 2
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_images_are_of_all_classes_and_always_the_same(pictures):
    split = image_folder(pictures).split("train")
    first, again = (
        [int(example["label"]) for example in SomeExamples(split, 12).examples()] for _ in range(2)
    )
    assert len(first) == 12
    assert first == again
    assert 2 < sum(first) < 10
    assert SomeExamples(split, 100).size == split.size
