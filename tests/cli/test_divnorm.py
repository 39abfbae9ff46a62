"""Networks with divisive normalization from the command line, in several of their modes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from PIL import Image

from tfbio.cli import train
from tfbio.layers import ExponentialDivNorm, PooledDivNorm

SMALL = ["--image_size=32", "--width=0.125", "--epochs=1", "--batch_size=4"]


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
    ("flags", "kinds", "absent"),
    [
        (["--power=3", "--p=1", "--single_gamma"], {PooledDivNorm}, {ExponentialDivNorm}),
        (
            ["--norelu", "--nobatchnorm", "--weight_init=multivariate_gaussian"],
            {PooledDivNorm},
            {keras.layers.BatchNormalization},
        ),
        (
            ["--divnorm=exponential", "--initial_lambda=2", "--fix_all"],
            {ExponentialDivNorm},
            {PooledDivNorm},
        ),
        (
            ["--divnorm=none", "--l1_weights=0.001"],
            {keras.layers.BatchNormalization},
            {PooledDivNorm, ExponentialDivNorm},
        ),
    ],
)
def test_modes(flags, kinds, absent, pictures, tmp_path):
    arguments = ["--model=alexnet_divnorm", "--dataset=image_folder", f"--data_dir={pictures}"]
    with pytest.raises(SystemExit) as stopped:
        train.main(["train.py", *arguments, *SMALL, *flags, f"--runs_dir={tmp_path}"])
    assert stopped.value.code == 0
    run = tmp_path / "alexnet_divnorm-image_folder"
    model = keras.saving.load_model(run / "model.keras")
    found = {type(layer) for layer in model.layers}
    assert kinds <= found
    assert not absent & found
    rectified = any(layer.name == "features_relu1" for layer in model.layers)
    assert rectified == ("--norelu" not in flags)
    written = (run / "flags").read_text()
    for flag in flags:
        name, _, value = flag.removeprefix("--").partition("=")
        if value:
            assert f"--{name}={value}" in written
        else:
            assert (
                f"--{name.removeprefix('no')}={'false' if name.startswith('no') else 'true'}"
                in (written)
            )
