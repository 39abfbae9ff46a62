"""Which framing an image gets: the flags', or else the run's, or else the publication's."""

from __future__ import annotations

import pytest

import tfbio
from tfbio.cli import evaluate
from tfbio.cli.trained import find_trained
from tfbio.framing import Framing
from tfbio.training import TrainingConfig, open_run


@pytest.fixture(scope="module")
def resnet():
    name = "resnet50_center_surround"
    return tfbio.create_model(
        name, input_shape=(32, 32, 3), classes=2, width=1 / 16, blocks=(1, 1, 1, 1)
    )


def _framing(*arguments):
    values, _ = evaluate.COMMAND.define(["evaluate.py", *arguments])
    values(["evaluate.py", *arguments])
    return find_trained(values).framing


@pytest.fixture(scope="module")
def weights(resnet, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "weights.keras"
    resnet.save(path)
    return [f"--model={resnet.name}", f"--weights={path}"]


@pytest.fixture
def run_of(resnet, tmp_path):
    def make(framing):
        config = TrainingConfig(tfbio.ModelConfig(resnet.name), tfbio.DataConfig(framing=framing))
        run, _ = open_run(tmp_path, "run", config, ["a", "b"])
        run.save_model(resnet)
        return f"--run={run.path}"

    return make


def test_published_weights_see_images_as_published(weights):
    assert _framing(*weights) == Framing(0.875, (224, 224))


def test_a_run_sees_whole_images_unless_it_says_otherwise(run_of):
    assert _framing(run_of(Framing())) == Framing(1.0, None)
    assert _framing(run_of(Framing(0.5, 96))) == Framing(0.5, (96, 96))


def test_flags_come_first(weights, run_of):
    given = ["--crop_ratio=1", "--resize_through=64"]
    assert _framing(*weights, *given) == Framing(1.0, (64, 64))
    assert _framing(run_of(Framing(0.5)), *given) == Framing(1.0, (64, 64))
    assert _framing(run_of(Framing(0.5, 96)), "--resize_through=64,48") == Framing(0.5, (64, 48))
