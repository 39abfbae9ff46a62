"""The benchmarks' commands run, and say what they lack; their figures are not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


HAS_PYTORCH = find_spec("torch") is not None
# Both sides in one process, with a small image: here nothing is timed.
_SMALL_NOISY_CASE = """
from dataclasses import replace

import numpy as np
from measurement import compare
from sides import make_side
from vone_block import CASES

case = next(case for case in CASES if case.noisy)
case = replace(case, input_shape=(2, 32, 32, 3))
ours, theirs = (make_side(name, case, threads=1) for name in ("tfbio", "PyTorch"))
theirs.load(ours.state())
compare(case.name, ours.output(), theirs.output(), 1e-5)
for side in (ours, theirs):
    if np.array_equal(side.forward().numpy(), side.forward().numpy()):
        raise SystemExit(f"{side.version} draws no noise.")
"""


def _run(*arguments, command="layers.py"):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / command), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(not HAS_PYTORCH, reason="PyTorch is an extra")
def test_both_sides_agree_and_are_timed(tmp_path):
    answer = _run(
        "--cases",
        "TunedDivNorm,CenterSurround",
        "--repeats",
        "1",
        "--output",
        str(tmp_path / "figures.json"),
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "| forward " in answer.stdout
    assert "| peak memory" in answer.stdout
    cases = json.loads((tmp_path / "figures.json").read_text())["cases"]
    assert sorted(case["case"] for case in cases) == ["CenterSurround", "TunedDivNorm"]


@pytest.mark.skipif(not HAS_PYTORCH, reason="PyTorch is an extra")
def test_both_sides_add_the_same_noise_and_draw_their_own():
    path = os.pathsep.join(
        [str(ROOT / "benchmarks"), str(ROOT), os.environ.get("PYTHONPATH", "")],
    )
    answer = subprocess.run(
        [sys.executable, "-c", _SMALL_NOISY_CASE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert answer.returncode == 0, answer.stderr[-3000:]


@pytest.mark.parametrize(
    ("command", "first"),
    [
        ("layers.py", "LocallyConnected2D"),
        ("vone_block.py", "VOneBlock"),
        ("divisive_normalization.py", "ExponentialDivNorm"),
        ("tiny_imagenet_c.py", "resnet50 75 x 40"),
    ],
)
def test_an_unknown_case_is_a_users_mistake(command, first):
    answer = _run("--cases", "Nothing", command=command)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"No case matches 'Nothing'. Cases: {first}, ")


def test_onednn_is_measured_without_pytorch(tmp_path):
    output = tmp_path / "figures.json"
    answer = _run(
        "--cases=CenterSurround", "--repeats=1", f"--output={output}", command="onednn.py"
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    rows = [line.split("|")[1:3] for line in answer.stdout.splitlines() if "CenterSurround" in line]
    assert [row[1].strip() for row in rows] == ["forward", "forward+backward"]
    milliseconds = json.loads(output.read_text())["milliseconds"]["CenterSurround"]
    for mode in ("forward", "forward+backward"):
        assert all(milliseconds[mode][side][0] > 0 for side in ("with", "without"))


def test_onednn_of_an_unknown_case_is_a_users_mistake():
    answer = _run("--cases=Nothing", command="onednn.py")
    assert answer.returncode == 2
    assert "LocallyConnected2D" in answer.stderr


@pytest.mark.skipif(HAS_PYTORCH, reason="PyTorch is installed")
def test_without_pytorch_one_sentence_says_what_to_install():
    answer = _run()
    assert answer.returncode == 2
    assert "pip install 'tfbio[torch]'" in answer.stderr
