"""Several seeds: each run is the one of its seed alone; and a training that stops early."""

from __future__ import annotations

import csv
import json
import os
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from tfbio.cli import evaluate, train

SMALL = [
    "--model=b_cnn",
    "--image_size=32",
    "--width=0.03125",
    "--batch_size=4",
    "--precision=float64",
    "--learning_rate=0.01",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Flags of a small folder: two classes of ten pictures of noise."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return ["--dataset=image_folder", f"--data_dir={root}", *SMALL]


def _run(command, *arguments):
    """Run a command in this process; its exit code."""
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    return stopped.value.code


def _weights(run):
    return keras.saving.load_model(run / "model.keras", compile=False).get_weights()


@pytest.fixture(scope="module")
def seeds(data, tmp_path_factory):
    """The runs of two seeds; the first command is cut short, the second goes on."""
    runs = tmp_path_factory.mktemp("runs")
    how = [*data, "--epochs=1", "--seeds=3,5", f"--runs_dir={runs}"]
    assert _run(train, *how, "--max_steps=2") == 0
    assert sorted(os.listdir(runs)) == ["b_cnn-image_folder-seed3", "b_cnn-image_folder-seed5"]
    assert _run(train, *how) == 0
    return runs


def test_each_seed_has_its_run_and_all_have_a_table(seeds):
    assert sorted(os.listdir(seeds)) == [
        "b_cnn-image_folder-seed3",
        "b_cnn-image_folder-seed5",
        "b_cnn-image_folder-seeds.csv",
        "b_cnn-image_folder-seeds.json",
    ]
    results = json.loads((seeds / "b_cnn-image_folder-seeds.json").read_text())
    by_seed = {}
    for row in results["seeds"]:
        summary = json.loads((seeds / row["run"] / "summary.json").read_text())
        assert summary["seed"] == row["seed"]
        by_seed[row["seed"]] = summary["time_steps"][-1]
        assert summary["time_steps"][-1].items() <= row.items()
    assert list(by_seed) == [3, 5]
    for name in ("top1", "top5", "loss"):
        values = [row[name] for row in by_seed.values()]
        assert results["mean"][name] == pytest.approx(np.mean(values))
        assert results["standard_deviation"][name] == pytest.approx(np.std(values, ddof=1))
    assert results["standard_deviation"]["loss"] > 0
    with (seeds / "b_cnn-image_folder-seeds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seed"] for row in rows] == ["3", "5", "mean", "standard_deviation"]
    assert float(rows[2]["loss"]) == results["mean"]["loss"]


def test_the_second_run_is_that_of_its_seed_alone(seeds, data, tmp_path):
    assert _run(train, *data, "--epochs=1", "--seed=5", f"--runs_dir={tmp_path}") == 0
    alone = tmp_path / "b_cnn-image_folder"
    among = seeds / "b_cnn-image_folder-seed5"
    assert (alone / "flags").read_text() == (among / "flags").read_text()
    for one, other in zip(_weights(alone), _weights(among), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


def test_the_same_command_trains_nothing_again(seeds, data, tmp_path, capsys):
    runs = shutil.copytree(seeds, tmp_path / "runs")
    again = [*data, "--epochs=1", f"--runs_dir={runs}"]
    table = runs / "b_cnn-image_folder-seeds.json"
    before = table.read_text()
    assert _run(train, *again, "--seeds=3,5") == 0
    output = capsys.readouterr().out
    assert f"{runs / 'b_cnn-image_folder-seed5'} is finished." in output
    lines = output.splitlines()
    header = lines.index("      seed    top-1    loss")
    loss = json.loads(before)["mean"]["loss"]
    assert [line.split()[0] for line in lines[header + 1 : header + 5]] == ["3", "5", "mean", "+-"]
    assert lines[header + 3].endswith(f"{loss:.3f}")
    assert table.read_text() == before

    # The table of other seeds does not take this one's place.
    assert _run(train, *again, "--seeds=5,3") == 0
    assert table.read_text() == before
    other = json.loads((runs / "b_cnn-image_folder-seeds-2.json").read_text())
    assert [row["seed"] for row in other["seeds"]] == [5, 3]
    assert other["mean"] == pytest.approx(json.loads(before)["mean"])


def test_a_training_that_stops_early_is_finished(data, tmp_path, capsys):
    # Noise cannot be told apart: no accuracy grows for long.
    how = [
        *data,
        "--epochs=40",
        "--optimizer=sgd",
        "--nesterov",
        "--learning_rate=0.05",
        "--schedule=plateau",
        "--patience=0",
        "--plateau_threshold=0.5",
        "--early_stopping=1",
        f"--runs_dir={tmp_path}",
    ]
    assert _run(train, *how) == 0
    run = tmp_path / "b_cnn-image_folder"
    summary = json.loads((run / "summary.json").read_text())
    epochs = summary["epochs"]
    assert 2 <= epochs < 40
    assert summary["best_epoch"] == epochs - 1
    assert (
        f"Stopped early, after epoch {epochs} of 40: epoch {epochs - 1} stayed the best for "
        "--early_stopping=1." in capsys.readouterr().out
    )
    assert "--nesterov=true\n" in (run / "flags").read_text()
    assert _run(evaluate, f"--run={run}") == 0
    assert "not finished" not in capsys.readouterr().out

    # Killed before its summary was written, it stays stopped.
    (run / "summary.json").unlink()
    assert _run(train, *how) == 0
    assert json.loads((run / "summary.json").read_text())["epochs"] == epochs
