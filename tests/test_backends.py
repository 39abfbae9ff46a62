"""tfbio's layers, models and weights on JAX and PyTorch, on a machine without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "without_tensorflow.py"
FAMILIES = (
    "bl_rcnn",
    "v1_components",
    "vonenet",
    "divisive_normalization",
    "shape_selective_rnns",
)
# Most of JAX's time is spent on compiling each operation for each shape.
QUICKLY_COMPILED = "--xla_backend_optimization_level=0"


def _run(family, backend, folder, *flags):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    settings = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICKLY_COMPILED}
    answer = subprocess.run(
        [sys.executable, str(SCRIPT), family, *flags],
        cwd=folder,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.strip() == "as on TensorFlow"


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_works_without_tensorflow(family, backend, tmp_path):
    """At least one golden case of every layer, with all gradients, and one model."""
    _run(family, backend, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_golden_case_without_tensorflow(family, backend, tmp_path):
    _run(family, backend, tmp_path, "--all")
