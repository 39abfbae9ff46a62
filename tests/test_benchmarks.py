"""The benchmark's command runs, and says what it lacks; its figures are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


HAS_PYTORCH = find_spec("torch") is not None


def _run(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "layers.py"), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not HAS_PYTORCH, reason="PyTorch is an extra")
def test_both_sides_agree_and_are_timed(tmp_path):
    answer = _run(
        "--cases", "TunedDivNorm,CenterSurround", "--repeats", "1",
        "--output", str(tmp_path / "figures.json"),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert "| forward " in answer.stdout
    assert "| peak memory" in answer.stdout
    cases = json.loads((tmp_path / "figures.json").read_text())["cases"]
    assert sorted(case["case"] for case in cases) == ["CenterSurround", "TunedDivNorm"]


def test_an_unknown_case_is_a_users_mistake():
    answer = _run("--cases", "Nothing")
    assert answer.returncode == 2
    assert answer.stderr.startswith("No case matches 'Nothing'. Cases: LocallyConnected2D, ")


@pytest.mark.skipif(HAS_PYTORCH, reason="PyTorch is installed")
def test_without_pytorch_one_sentence_says_what_to_install():
    answer = _run()
    assert answer.returncode == 2
    assert "pip install 'tfbio[torch]'" in answer.stderr
