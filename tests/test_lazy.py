"""Public names that are imported when they are first used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tfbio._lazy import attach, lazy_module

# Packages that give their public names this way.
PACKAGES = [
    "tfbio.datasets",
    "tfbio.datasets.imagenet16",
    "tfbio.datasets.pascal_voc_stimuli",
    "tfbio.datasets.pathfinder",
    "tfbio.datasets.sat_human",
    "tfbio.datasets.shapes",
    "tfbio.datasets.tiny_imagenet",
    "tfbio.datasets.tiny_imagenet_c",
]


@pytest.fixture
def package(monkeypatch):
    module = types.ModuleType("zoo")
    monkeypatch.setitem(sys.modules, "zoo", module)
    module.__getattr__, module.__dir__, module.__all__ = attach(
        "zoo", {"Fraction": "fractions", "gone": "fractions", "lost": "zoo.nowhere"}
    )
    return module


def test_a_name_is_imported_when_it_is_asked_for_and_kept(package):
    assert "Fraction" not in vars(package)
    assert "Fraction" in dir(package)
    assert package.Fraction is importlib.import_module("fractions").Fraction
    assert vars(package)["Fraction"] is package.Fraction
    assert package.__all__ == ["Fraction", "gone", "lost"]


def test_unknown_names_and_missing_modules(package):
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'fraction'"):
        _ = package.fraction
    with pytest.raises(AttributeError, match="module 'fractions' has no attribute 'gone'"):
        _ = package.gone
    with pytest.raises(ModuleNotFoundError):
        _ = package.lost


def test_a_name_that_its_module_would_take_is_refused():
    with pytest.raises(ValueError, match="another name than that of its module, received 'lion'"):
        attach("zoo", {"lion": "zoo.lion"})


def test_a_lazy_module_is_imported_by_its_first_attribute(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "slow_module.py").write_text("answer = 42")
    module = lazy_module("slow_module")
    assert not hasattr(module, "__wrapped__")
    assert "slow_module" not in sys.modules
    assert module.answer == 42
    assert sys.modules.pop("slow_module").answer == 42
    with pytest.raises(ModuleNotFoundError):
        _ = lazy_module("no_such_module_anywhere").answer


@pytest.mark.parametrize("name", PACKAGES)
def test_editors_see_what_is_there_at_run_time(name):
    """Each public name is imported in the source, from the module that it comes from."""
    package = importlib.import_module(name)
    shown, eager = {}, {}
    for node in ast.parse(Path(package.__file__).read_text()).body:
        under_type_checking = (
            isinstance(node, ast.If) and getattr(node.test, "id", None) == "TYPE_CHECKING"
        )
        for statement in node.body if under_type_checking else [node]:
            if isinstance(statement, ast.ImportFrom):
                found = {alias.asname: statement.module for alias in statement.names}
                (shown if under_type_checking else eager).update(found)
    assert len(set(package.__all__)) == len(package.__all__)
    assert set(shown) <= set(package.__all__) <= {*shown, *eager}
    for public in package.__all__:
        module = importlib.import_module({**eager, **shown}[public])
        assert getattr(package, public) is getattr(module, public)


def test_all_of_a_package_can_be_imported():
    script = "from tfbio.datasets import *; print(image_folder.__name__, load_dataset.__name__)"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["image_folder", "load_dataset"]
