"""A model with noise through all commands: noise is chosen, kept and served."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfbio.cli import evaluate, export, train
from tfbio.models import set_noise


def _run(command, *arguments):
    with pytest.raises(SystemExit) as stopped:
        command.main([f"{command.__name__.split('.')[-1]}.py", *map(str, arguments)])
    assert stopped.value.code == 0


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels + 120 * (name == "light")).save(folder / f"{number}.png")
    return tmp_path / "pictures"


def test_noise_is_chosen_kept_and_served(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _run(
        train,
        "--model=vone_alexnet",
        "--dataset=image_folder",
        f"--data_dir={pictures}",
        "--image_size=32",
        "--width=0.0625",
        "--simple_channels=4",
        "--complex_channels=4",
        "--visual_degrees=1",
        "--noise_mode=gaussian",
        "--noise_scale=2",
        "--epochs=1",
        "--batch_size=4",
    )
    run = tmp_path / "runs" / "vone_alexnet-image_folder"
    model = keras.saving.load_model(run / "model.keras")
    noise = model.get_layer("vone_block").noise
    assert (noise.noise_mode, noise.scale, noise.sampling) == ("gaussian", 2.0, "sample")
    assert "--noise_mode=gaussian" in (run / "flags").read_text()

    def losses(*arguments):
        _run(evaluate, *arguments)
        sampling = arguments[0].removeprefix("--noise=") if arguments else ""
        name = f"image_folder-validation{sampling and f'-noise_{sampling}'}"
        results = json.loads((run / "evaluations" / name / "results.json").read_text())
        assert results["noise"]["sampling"] == (sampling or "sample")
        return [row["loss"] for row in results["time_steps"]]

    for still in (
        ["--noise=off"],
        ["--noise=fixed", "--noise_seed=3"],
        ["--noise=sample", "--noise_seed=3"],
    ):
        assert losses(*still) == losses(*still)
    assert losses("--noise=off") != losses("--noise=fixed")
    # Evaluation goes on from where the samples of the run stood: it repeats, too.
    assert losses() == losses()
    assert losses() != losses("--noise=mean", "--noise_draws=2")

    _run(export, "--noise=off")
    served = tf.saved_model.load(tmp_path / "exported" / "vone_alexnet" / "1").signatures
    images = np.random.default_rng(1).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    set_noise(model, "off")
    answer = served["serving_default"](images=images)["probabilities"]
    np.testing.assert_allclose(answer, model(images), rtol=1e-4)
    assert {f"serving_noise_{each}" for each in ("sample", "fixed", "mean", "off")} <= set(served)
