"""The README's way to install without TensorFlow, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PROGRAM = """
import importlib.util
import numpy as np
import tfbio

assert importlib.util.find_spec("tensorflow") is None
model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
features = tfbio.features(model, np.zeros((1, 32, 32, 3)), ["ReLU_Layer_6"])
print(features["ReLU_Layer_6"].shape, len(tfbio.list_models()) > 30)
try:
    tfbio.train
except ImportError as error:
    print(error.name)
"""


@pytest.mark.slow
def test_the_readme_installs_without_tensorflow(tmp_path):
    section = (ROOT / "README.md").read_text().split("\n## Without TensorFlow")[1]
    lines = re.search(r"```\n(.*?)```", section, re.DOTALL)[1].splitlines()
    commands = [line.split("    #")[0] for line in lines if line.startswith("pip install")]
    assert len(commands) == 2
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    for command in commands:
        subprocess.run(f"{python} -m {command}", shell=True, cwd=ROOT, check=True)
    answer = subprocess.run(
        [python, "-c", PROGRAM],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    features, missing = answer.stdout.splitlines()
    assert features == "(1, 1, 1, 256) True"
    assert missing in ("tensorflow", "tensorflow_datasets")
