"""The names that a configuration chooses from, and what is known without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest

from tfbio.datasets import conditions, corruptions, names, stimuli
from tfbio.datasets.augmentation import AUGMENTATIONS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("choices", "implemented"),
    [
        (names.ConditionName, conditions._CHANGES),
        (names.StimulusName, stimuli._MAKERS),
        (names.AugmentationName, AUGMENTATIONS),
        (names.CorruptionName, corruptions._CORRUPTING),
        (
            names.CorruptionName,
            [name for group in corruptions.CORRUPTION_GROUPS.values() for name in group],
        ),
    ],
    ids=["conditions", "stimuli", "augmentations", "corruptions", "groups"],
)
def test_each_name_is_implemented_and_no_other(choices, implemented):
    assert list(implemented) == list(get_args(choices))


SCRIPT = """
import sys
from importlib.machinery import ModuleSpec

class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            return ModuleSpec(name, self)

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is not installed here")

    def exec_module(self, module):
        raise AssertionError("never reached: no module is made")

sys.meta_path.insert(0, NoTensorFlow())
sys.path.insert(0, ROOT)
import dataclasses
import tfbio.datasets
from tfbio.datasets import DatasetInfo, Presentation, ViewingCondition, register_dataset
from tfbio.datasets.corruptions import Corruption
from tfbio.datasets.names import AugmentationName, CONDITIONS, CORRUPTIONS, STIMULI
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.registry import canonical_name, dataset_info, list_datasets
from tfbio.datasets.stimuli import Stimulus

shown = Presentation("silhouette", ViewingCondition("blur", 2.0))
print(dataclasses.asdict(shown))
try:
    Presentation("silhouete")
except ValueError as error:
    print(error)
# Of every data set of tfbio, by all of its names.
for name in list_datasets():
    info = dataset_info(name)
    assert all(canonical_name(each) == name for each in (name, name.upper(), *info.aliases))
print(dataset_info("ImageFolder").kind, dataset_info("pathfinder").smallest_size)
register_dataset(DatasetInfo("birds", "folder", "Birds.", loader=print))
assert "birds" in list_datasets("b*")
assert not {"tensorflow", "tensorflow_datasets"} & set(sys.modules)
try:
    tfbio.datasets.load_dataset
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_what_a_configuration_needs_is_there_without_tensorflow(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("ROOT", repr(str(ROOT)))],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    lines = answer.stdout.strip().splitlines()
    assert lines[0] == (
        "{'stimulus': 'silhouette', 'condition': {'name': 'blur', 'level': 2.0}, "
        "'corruption': None}"
    )
    assert lines[1].startswith("Unknown stimulus 'silhouete'. Nearest: silhouette")
    assert lines[2] == "folder 64"
    assert "tensorflow" in lines[3]
