"""`--wandb_project`: what Weights & Biases is given, and when."""

from __future__ import annotations

import importlib.util
import sys
import time
import types

import keras
import numpy as np
import pytest
from PIL import Image

from tfbio.cli import train
from tfbio.errors import InputError
from tfbio.training import TrainingConfig, open_run
from tfbio.training.tracking import tracked

ROW = {"epoch": 4, "loss": 0.5, "accuracy": 0.75, "learning_rate": 0.1, "val_top1": 0.25}


class _Error(Exception):
    pass


class _Run:
    """Stands for the run that `wandb.init` opens; keeps what it is given."""

    def __init__(self, **arguments):
        self.arguments = arguments
        self.id = arguments["id"] or "abc123"
        self.logged = []
        self.failure = "not closed"

    def log(self, figures):
        self.logged.append(figures)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.failure = kind


@pytest.fixture
def wandb(monkeypatch):
    """A wandb of the parts that are used, which keeps its runs."""
    package, integration = types.ModuleType("wandb"), types.ModuleType("wandb.integration")
    integration.keras = types.ModuleType("wandb.integration.keras")
    package.integration, package.Error, package.runs = integration, _Error, []

    def init(**arguments):
        package.runs.append(_Run(**arguments))
        return package.runs[-1]

    class Logger(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            package.runs[-1].log({"epoch/epoch": epoch, "epoch/loss": logs["loss"]})

    package.init, integration.keras.WandbMetricsLogger = init, Logger
    for module in (package, integration, integration.keras):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    return package


CONFIG = TrainingConfig(batch_size=8)


def _train(tmp_path, *more):
    folder = tmp_path / "pictures"
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels + 120 * (name == "light")).save(folder / name / f"{number}.png")
    with pytest.raises(SystemExit) as stopped:
        train.main(
            [
                "train.py",
                "--model=b_cnn",
                "--dataset=image_folder",
                f"--data_dir={folder}",
                "--image_size=32",
                "--width=0.03125",
                "--batch_size=8",
                "--epochs=2",
                f"--runs_dir={tmp_path / 'runs'}",
                "--wandb_project=vision",
                *more,
            ]
        )
    return stopped.value.code


def test_a_training_is_tracked(tmp_path, wandb):
    assert _train(tmp_path, "--clip_value=0.7", "--early_stopping=9") == 0
    (run,) = wandb.runs
    folder = tmp_path / "runs" / "b_cnn-image_folder"
    assert run.failure is None
    assert (run.arguments["project"], run.arguments["name"]) == ("vision", folder.name)
    assert run.arguments["dir"] == folder
    config = run.arguments["config"]
    assert (config["batch_size"], config["clip_value"], config["model"]) == (8, 0.7, "b_cnn")
    # It is no setting: a run may be tracked from some day on.
    assert "wandb" not in (folder / "flags").read_text()
    # One row an epoch of the callback, and one of what the callback does not see.
    trained, validated = run.logged[::2], run.logged[1::2]
    for rows in (trained, validated):
        assert [row["epoch/epoch"] for row in rows] == [0, 1]
    assert all(set(row) == {"epoch/epoch", "epoch/loss"} for row in trained)
    assert all(
        {"epoch/val_loss", "epoch/val_top1", "epoch/seconds"} < set(row) for row in validated
    )
    assert not any("epoch/loss" in row for row in validated)


def test_a_training_goes_on_as_the_same_run(tmp_path, wandb, monkeypatch):
    run, _ = open_run(tmp_path, "b_cnn-shapes", CONFIG)
    for _ in range(2):
        with tracked("vision", run, CONFIG) as (callbacks, record):
            record(ROW)
            assert [type(callback).__name__ for callback in callbacks] == ["Logger"]
    first, second = wandb.runs
    assert (first.arguments["id"], second.arguments["id"]) == (None, first.id)
    assert second.arguments["resume"] == "allow"
    assert first.arguments["config"]["batch_size"] == 8
    assert first.arguments["config"]["optimizer"] == "adam"
    assert first.logged == [{"epoch/epoch": 3, "epoch/val_top1": 0.25}]

    monkeypatch.setenv("WANDB_RUN_ID", "of-a-sweep")
    with pytest.raises(ZeroDivisionError), tracked("vision", run, CONFIG):
        raise ZeroDivisionError
    assert wandb.runs[-1].arguments["id"] == "of-a-sweep"
    assert wandb.runs[-1].failure is ZeroDivisionError


def test_it_is_off_by_default(tmp_path, wandb):
    run, _ = open_run(tmp_path, "b_cnn-shapes", CONFIG)
    with tracked(None, run, CONFIG) as tracking:
        assert tracking == ([], None)
    assert wandb.runs == []


def test_without_wandb_there_is_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "wandb.integration.keras", None)
    assert _train(tmp_path) == 2
    assert "found none: pip install tfbio[wandb]." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_without_an_account_there_is_a_sentence(tmp_path, wandb):
    def init(**arguments):
        raise _Error("No API key configured.\nLog in.")

    wandb.init = init
    run, _ = open_run(tmp_path, "b_cnn-shapes", CONFIG)
    with (
        pytest.raises(InputError, match=r"not start \(No API key configured\): without an account"),
        tracked("vision", run, CONFIG),
    ):
        pass


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_real_one_works_offline(tmp_path, monkeypatch):
    for name, value in (("MODE", "offline"), ("SILENT", "true"), ("CONSOLE", "off")):
        monkeypatch.setenv(f"WANDB_{name}", value)
    monkeypatch.delenv("WANDB_RUN_ID", raising=False)
    run, _ = open_run(tmp_path, "b_cnn-shapes", CONFIG)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    with tracked("vision", run, CONFIG) as (callbacks, record):
        model.fit(np.eye(2), np.eye(2), initial_epoch=3, epochs=4, verbose=0, callbacks=callbacks)
        record(ROW)
    (kept,) = (run.path / "wandb").glob("offline-run-*/*.wandb")
    assert (run.path / "wandb_id").read_text() in kept.name
    names = (b"epoch/loss", b"epoch/learning_rate", b"epoch/val_top1", b"batch_size")
    # It is written a moment after the run is closed (wandb 0.31).
    deadline = time.monotonic() + 10
    while not all(name in kept.read_bytes() for name in names):
        assert time.monotonic() < deadline, kept.read_bytes()
        time.sleep(0.1)
