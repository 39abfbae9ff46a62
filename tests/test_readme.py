"""Every command and every Python block of the README runs, and prints what the README says."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tfbio.cli import evaluate, export, train

COMMANDS = {"train.py": train, "evaluate.py": evaluate, "export.py": export}
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def _section(title):
    body = README.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL)


def _commands(block):
    return [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]


# One interpreter for several examples, each with names of its own: most of an example's time is
# the import of TensorFlow.
EACH_BY_ITSELF = """
import sys

end, *examples = sys.argv[1:]
for number, example in enumerate(examples):
    exec(compile(example, f"<example {number}>", "exec"), {"__name__": "__main__"})
    print(end)
"""
END = "=== the end of an example ==="


def _run(arguments, folder):
    """Run Python as a user would: in a folder of their own, with nothing of the tests."""
    answer = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / ".cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def _run_command(command, folder):
    python, script, *arguments = shlex.split(command)
    assert python == "python"
    return _run([str(ROOT / script), *arguments], folder)


def test_the_digits_are_learnt_exported_and_read_from_their_png_bytes(tmp_path):
    """Real images through all three commands, word for word as the README has them."""
    write, commands, predict, printed = (block for _, block in _section("Your own images"))
    _run(["-c", write], tmp_path)
    assert len(list((tmp_path / "digits").glob("*/*.png"))) == 1797
    three = _commands(commands)
    assert [command.split()[1] for command in three] == ["train.py", "evaluate.py", "export.py"]
    for command in three:
        _run_command(command, tmp_path)
    run = tmp_path / "digit_runs" / "bl_rcnn-image_folder"
    results = run / "evaluations" / "image_folder-validation" / "results.json"
    results = json.loads(results.read_text())
    assert results["images"] == 359
    assert results["time_steps"][-1]["top1"] >= 0.95
    summary = json.loads((run / "summary.json").read_text())
    for key in ("time_steps", "versions", "seed", "git_revision", "hardware"):
        assert key in summary
    assert summary["time_steps"] == results["time_steps"]
    assert _run(["-c", predict], tmp_path).strip() == printed.strip()


def test_the_python_examples_print_what_they_say(tmp_path):
    blocks = [block for _, block in _section("In Python")]
    assert len(blocks) == 16
    printed = _run(["-c", EACH_BY_ITSELF, END, *blocks[::2]], tmp_path).split(f"{END}\n")
    assert printed.pop() == ""
    for found, expected in zip(printed, blocks[1::2], strict=True):
        assert found.strip() == expected.strip()


@pytest.mark.slow
def test_the_demo_reaches_what_it_promises(tmp_path):
    """The default run: 80 % of the test images are right at the last time step, rising."""
    _, commands = _section("The three commands")[0]
    for command in _commands(commands):
        _run_command(command, tmp_path)
    run = tmp_path / "runs" / "bl_rcnn-shapes"
    results = json.loads((run / "evaluations" / "shapes-test" / "results.json").read_text())
    top1 = [row["top1"] for row in results["time_steps"]]
    assert results["images"] == 1600
    assert top1[-1] >= 0.8
    assert top1[-1] > top1[0]
    assert (tmp_path / "exported" / "bl_rcnn" / "1" / "saved_model.pb").is_file()


def test_every_command_takes_the_flags_it_is_shown_with():
    makefile = (ROOT / "Makefile").read_text()
    shown = [_commands(block) for language, block in BLOCKS if not language]
    for command in itertools.chain(*shown):
        first, *rest = shlex.split(command)
        if first == "make":
            assert f"\n{rest[0]}:" in makefile
        elif first == "python":
            script, *arguments = rest
            values, _ = COMMANDS[script].COMMAND.define([script, *arguments])
            assert values([script, *arguments]) == [script]


def test_every_link_to_a_file_leads_somewhere():
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*.md")]
    for page in pages:
        text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), (page, target)
