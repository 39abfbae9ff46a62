"""What CONTRIBUTING counts is true: each addition takes the files that it says, and works."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfbio
from tfbio._configuration import as_json, from_json, option
from tfbio.cli import evaluate, export, train
from tfbio.cli.command import Command
from tfbio.cli.flags import given
from tfbio.datasets.registry import unregister_dataset
from tfbio.evaluation import protocol
from tfbio.export import signature
from tfbio.models import registry
from tfbio.training import TrainingConfig
from tfbio.weights import origin, to_torch_state_dict

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "tests" / "worked_example"
IMPORT = "--import=worked_example"


@pytest.fixture(scope="module")
def example():
    """The example, registered while these tests run and forgotten then."""
    import worked_example

    yield worked_example
    del registry._REGISTRY["gain_net"], origin._ORIGINS["worked example"]
    del protocol._PROTOCOLS["most_confused"], signature._SIGNATURES["serving_top2"]
    unregister_dataset("stripes")
    for name in [name for name in sys.modules if name.split(".")[0] == "worked_example"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def run(example, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    arguments = ["--model=gain_net", "--dataset=stripes", "--channels=8", "--epochs=6"]
    _run(train, IMPORT, *arguments, "--batch_size=12", f"--runs_dir={runs}", "--learning_rate=0.03")
    return runs / "gain_net-stripes"


def _run(command, *arguments):
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    assert stopped.value.code == 0


def test_a_family_of_its_own_is_trained_on_a_data_set_of_its_own(run):
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["model"], summary["dataset"]) == ("gain_net", "stripes")
    assert summary["time_steps"][-1]["top1"] > 0.8
    assert "--channels=8\n" in (run / "flags").read_text()
    assert f"{IMPORT}\n" in (run / "flags").read_text()
    assert tfbio.load_run(run).class_names == ("standing", "lying")


def test_arguments_of_the_model_are_flags(example, capsys):
    _run(train, IMPORT, "--model=gain_net", "--help")
    output = capsys.readouterr().out
    assert re.search(r"--channels +Number of filters of a gain network. Default: 16.", output)


def test_weights_go_both_ways(run):
    trained = tfbio.load_run(run).model
    arrays = to_torch_state_dict(trained, as_arrays=True)
    assert arrays["features.gain.weight"].shape == (8, 1, 1)
    model = tfbio.create_model("gain_net", channels=8, weights=arrays)
    images = np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(model(images), trained(images), rtol=1e-5)


def test_a_protocol_of_its_own(run, capsys):
    _run(evaluate, IMPORT, f"--run={run}", "--protocol=most_confused", "--pairs=1")
    table = tfbio.evaluate(run, "most_confused", "stripes", split="train", pairs=2)
    assert len(table.rows()) <= 2
    (folder,) = (run / "evaluations").iterdir()
    assert {"results.json", "results.csv", "results.png"} <= {
        each.name for each in folder.iterdir()
    }


def test_a_signature_of_its_own(run, tmp_path):
    _run(export, IMPORT, f"--run={run}", f"--output={tmp_path}", "--signatures=top2")
    saved = tf.saved_model.load(tmp_path / "gain_net" / "1")
    assert "serving_top2" in saved.signatures
    answer = saved.signatures["serving_top2"](images=tf.zeros((1, 32, 32, 3)))
    assert set(answer["labels"].numpy()[0]) == {b"standing", b"lying"}


@dataclass(frozen=True)
class WithOneMore(TrainingConfig):
    """Training.

    Args:
        coffee: cups a day.
    """

    coffee: int = option(3, minimum=1)


def test_a_flag_is_one_field(capsys):
    command = Command("train", "Train.", WithOneMore, lambda values: None)
    values, shown = command.define()
    values(["train.py", "--coffee=5"])
    (known,) = [each for each in shown if each.name == "coffee"]
    assert given(values, {"coffee": known}) == {"coffee": 5}
    with pytest.raises(SystemExit):
        command.main(["train.py", "--help"])
    assert re.search(r"--coffee +Cups a day. Default: 3.", capsys.readouterr().out)
    # It is in config.json, and a run of before has its default.
    content = as_json(WithOneMore(coffee=5))
    assert content["coffee"] == 5
    del content["coffee"]
    assert from_json(WithOneMore, content).coffee == 3


def test_the_numbers_of_files_are_those_of_the_example():
    table = {
        cells[0]: int(cells[1])
        for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines()
        if line.startswith("| ") and (cells := line.strip("| ").split(" | "))[1].isdigit()
    }
    files = {
        "a layer": ["gain_control.py"],
        "a family of models with its weights": ["gain_net.py", "gain_net_weights.py"],
        "a data set": ["stripes.py"],
        "an evaluation protocol": ["most_confused.py"],
        "an export signature": ["top2.py"],
    }
    assert table == {**{name: len(each) for name, each in files.items()}, "a flag": 1}
    there = {path.name for path in EXAMPLE.glob("*.py")} - {"__init__.py"}
    assert there == {name for each in files.values() for name in each}
    # One line each: what the others import is in the package's file.
    lines = (EXAMPLE / "__init__.py").read_text().splitlines()
    assert len([line for line in lines if line.startswith("from ")]) == len(there)
