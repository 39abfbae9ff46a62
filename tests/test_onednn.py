"""oneDNN is enabled before TensorFlow is imported, where the CPU can run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tfbio import onednn

ROOT = Path(__file__).parent.parent
AVX2 = "processor\t: 0\nflags\t\t: fpu sse4_2 avx avx2 fma\npower management:\n"
AVX = "processor\t: 0\nflags\t\t: fpu sse4_2 avx\nmodel name\t: made up, without avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd sve\n"


@pytest.fixture
def cpu(monkeypatch, tmp_path):
    """A function that makes this look like a machine with another CPU, and nothing set."""
    monkeypatch.delenv(onednn.VARIABLE, raising=False)

    def look_like(information, *, tensorflow=False):
        path = tmp_path / "cpuinfo"
        if information is not None:
            path.write_text(information)
        monkeypatch.setattr(onednn, "_CPU_INFORMATION", path)
        if not tensorflow:
            monkeypatch.delitem(sys.modules, "tensorflow", raising=False)

    return look_like


def _after_enabling():
    onednn.enable_onednn()
    return os.environ.get(onednn.VARIABLE)


@pytest.mark.parametrize(("information", "value"), [(AVX2, "1"), (AVX, None), (ARM, None)])
def test_it_is_enabled_where_the_cpu_has_avx2(cpu, information, value):
    cpu(information)
    assert _after_enabling() == value


def test_a_system_that_is_not_linux_is_left_alone(cpu):
    cpu(None)
    assert _after_enabling() is None


@pytest.mark.parametrize("value", ["0", "1", ""])
def test_the_users_own_value_wins(cpu, monkeypatch, value):
    cpu(AVX2)
    monkeypatch.setenv(onednn.VARIABLE, value)
    assert _after_enabling() == value


def test_after_tensorflow_it_is_too_late_and_one_sentence_says_so(cpu, monkeypatch):
    cpu(AVX2, tensorflow=True)
    monkeypatch.setattr(onednn, "_is_enabled", lambda: False)
    with pytest.warns(UserWarning, match="before Keras and TensorFlow are imported, or set TF_"):
        assert _after_enabling() is None


@pytest.mark.parametrize(("information", "enabled"), [(AVX2, True), (AVX2, None), (AVX, False)])
def test_after_tensorflow_nothing_is_said_where_nothing_is_lost(
    cpu, monkeypatch, information, enabled
):
    cpu(information, tensorflow=True)
    monkeypatch.setattr(onednn, "_is_enabled", lambda: enabled)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _after_enabling() is None


def _python(code, **environment):
    """What a fresh process prints, in which the variable is not set unless it is given."""
    inherited = {name: value for name, value in os.environ.items() if name != onednn.VARIABLE}
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


@pytest.mark.parametrize("value", ["0", "1"])
def test_tensorflow_says_what_it_uses(value):
    """The environment of the process decides, and not a later change of it."""
    code = (
        "import json, os, tensorflow; from tfbio.onednn import VARIABLE, onednn_setting\n"
        "first = onednn_setting(); del os.environ[VARIABLE]\n"
        "print(json.dumps([first, onednn_setting()]))"
    )
    first, later = json.loads(_python(code, **{onednn.VARIABLE: value}))
    # False where TensorFlow was built without oneDNN.
    assert first["enabled"] in ((False,) if value == "0" else (True, False))
    assert first["decided_by"] == f"TF_ENABLE_ONEDNN_OPTS={value}"
    assert later == {
        "enabled": first["enabled"],
        "decided_by": "TensorFlow's default for this CPU",
    }


def test_importing_tfbio_changes_nothing_and_loads_no_keras():
    code = (
        "import os, sys; before = dict(os.environ); import tfbio\n"
        "print(dict(os.environ) == before, 'keras' in sys.modules, 'tensorflow' in sys.modules)\n"
        "tfbio.enable_onednn(); print('tensorflow' in sys.modules)"
    )
    assert _python(code).split() == ["True", "False", "False", "False"]


@pytest.mark.parametrize("command", ["train.py", "evaluate.py", "export.py"])
def test_a_command_enables_it_before_tensorflow_is_imported(command):
    """The command's file is executed, asked for help, with a CPU that has AVX2."""
    code = f"""
import os, pathlib, runpy, sys, tempfile
from tfbio import onednn
with tempfile.TemporaryDirectory() as folder:
    onednn._CPU_INFORMATION = pathlib.Path(folder, "cpuinfo")
    onednn._CPU_INFORMATION.write_text({AVX2!r})
    sys.argv = [{command!r}, "--help"]
    try:
        runpy.run_path({str(ROOT / command)!r}, run_name="__main__")
    except SystemExit as stopped:
        assert stopped.code == 0
print(onednn.onednn_setting()["decided_by"])
"""
    assert _python(code).strip().splitlines()[-1] == "TF_ENABLE_ONEDNN_OPTS=1"
