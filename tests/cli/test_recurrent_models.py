"""Shape-selective recurrent models through all commands: train, more time steps, serve."""

from __future__ import annotations

import csv
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfbio
from tfbio.cli import evaluate, export, train

SMALL = {
    "fgru_tower": ["--image_size=112", "--width=0.0625"],
    "gammanet": ["--image_size=48", "--width=0.0625"],
    "hgru": ["--image_size=32", "--filters=4", "--kernel_size=5"],
}
# All of them take two minutes.
SLOW = (
    "conv_tower",
    "rnn_tower",
    "lstm_tower",
    "reciprocal_tower",
    "hgru_tower",
    "fgru_tower",
    "gammanet",
    "hgru",
)


def _run(command, *arguments):
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    return stopped.value.code


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (root / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels + 120 * (name == "light")).save(root / name / f"{number}.png")
    return root


@pytest.mark.parametrize(
    "name", ["gru_tower", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def test_trains_saves_reloads_and_exports(name, pictures, tmp_path, capsys):
    runs = f"--runs_dir={tmp_path / 'runs'}"
    recurrent = tfbio.model_info(name).recurrent
    small = SMALL.get(name, ["--image_size=48", "--width=0.0625"])
    steps = ["--timesteps=2"] if recurrent else []
    assert (
        _run(
            train,
            f"--model={name}",
            "--dataset=image_folder",
            f"--data_dir={pictures}",
            runs,
            "--epochs=1",
            "--batch_size=8",
            "--clip_value=0.7",
            *small,
            *steps,
        )
        == 0
    )
    run = tmp_path / "runs" / f"{name}-image_folder"
    model = keras.saving.load_model(run / "model.keras")
    # Trained on the last time step, as the originals.
    assert model.output_shape == (None, 2)

    longer = ["--timesteps=5"] if recurrent else []
    assert _run(evaluate, runs, *longer) == 0
    label = "image_folder-validation" + ("-timesteps_5" if recurrent else "")
    with (run / "evaluations" / label / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["time_step"]) for row in rows] == list(range(5 if recurrent else 1))

    assert _run(export, runs, f"--output={tmp_path / 'exported'}", *longer) == 0
    served = tf.saved_model.load(tmp_path / "exported" / name / "1")
    image = np.zeros((1, *model.input_shape[1:]), np.float32)
    answer = served.signatures["serving_default"](tf.constant(image))
    if recurrent:
        expected = tfbio.with_timesteps(model, 5, return_sequences=True)(image)
        np.testing.assert_allclose(answer["probabilities_by_time"], expected, rtol=1e-4)
    else:
        np.testing.assert_allclose(answer["probabilities"], model(image), rtol=1e-4)


def test_training_on_every_time_step(pictures, tmp_path):
    assert (
        _run(
            train,
            "--model=rnn_tower",
            "--dataset=image_folder",
            f"--data_dir={pictures}",
            f"--runs_dir={tmp_path}",
            "--image_size=32",
            "--width=0.03125",
            "--timesteps=2",
            "--epochs=1",
            "--batch_size=8",
            "--return_sequences",
        )
        == 0
    )
    run = tmp_path / "rnn_tower-image_folder"
    assert keras.saving.load_model(run / "model.keras").output_shape == (None, 2, 2)
    assert len(json.loads((run / "summary.json").read_text())["time_steps"]) == 2


def test_the_number_of_time_steps_of_some_models_is_fixed(pictures, tmp_path, capsys):
    assert (
        _run(
            train,
            "--model=b_cnn",
            "--dataset=image_folder",
            f"--data_dir={pictures}",
            f"--runs_dir={tmp_path}",
            "--image_size=32",
            "--width=0.03125",
            "--max_steps=1",
            "--batch_size=8",
        )
        == 0
    )
    assert _run(evaluate, f"--runs_dir={tmp_path}", "--timesteps=5") == 2
    error = capsys.readouterr().err
    assert "Expected a model whose number of time steps can change, received 'b_cnn'" in error
    assert "gives one answer: take one of" in error
    assert "hgru" in error
