"""Every way to start a command; what is asked about commands needs no TensorFlow."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tfbio
from tfbio.cli.main import COMMANDS, main

ROOT = Path(__file__).parent.parent.parent

WITHOUT_TENSORFLOW = """
import sys

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, NoTensorFlow())
from tfbio.cli.main import main
main(["tfbio", *sys.argv[1:]])
"""


def _python(*arguments, folder=None):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["train", "--help"], "--learning_rate"),
        (["train", "--model=hgru", "--help"], "Arguments of hgru:"),
        (["evaluate", "--help"], "--protocol"),
        (["export", "--help"], "--signatures"),
        (["models", "*hgru*"], "vgg16_hgru"),
        (["--help"], "usage: tfbio COMMAND"),
        (["--version"], tfbio.__version__),
    ],
)
def test_what_is_asked_about_commands_needs_no_tensorflow(arguments, shown, tmp_path):
    answer = _python("-c", WITHOUT_TENSORFLOW, *arguments, folder=tmp_path)
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert shown in answer.stdout
    assert answer.stderr == ""
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "tfbio", "train"],
        ["-m", "tfbio.cli.main", "train"],
        ["-m", "tfbio.cli.train"],
        [ROOT / "train.py"],
    ],
    ids=str,
)
def test_every_entry_fails_where_it_should(arguments, tmp_path):
    answer = _python(*arguments, "--model=nonsense", folder=tmp_path)
    assert answer.returncode == 2
    assert "Unknown model 'nonsense'" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.iterdir())


def test_the_command_of_the_wheel_is_this_one():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert "tfbio = tfbio.cli.main:main" in config["options.entry_points"]["console_scripts"]


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (["trian"], 2, "Unknown command 'trian'. Nearest: train"),
        (["models", "nothing*"], 2, "a pattern that a model's name matches, received 'nothing*'"),
        (["models", "--all"], 2, "one pattern of names, such as '*hgru*', received '--all'"),
        ([], 2, ""),
        (["help"], 0, ""),
    ],
)
def test_names_and_patterns(arguments, code, shown, capsys, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(SystemExit) as stopped:
        main(["tfbio", *arguments])
    assert stopped.value.code == code
    assert shown in capsys.readouterr().err


def test_usage_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["tfbio", "--help"])
    output = capsys.readouterr().out
    for name in COMMANDS:
        assert f"  {name} " in output
        assert (ROOT / "tfbio" / "cli" / f"{name}.py").is_file()
