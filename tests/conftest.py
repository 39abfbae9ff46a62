"""What all tests share: a quiet TensorFlow, two CPU devices, a cache of their own, their order."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tfbio.onednn import enable_onednn

# TensorFlow reads both when it is imported; the commands that a test starts inherit them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
enable_onednn()

import keras
import pytest
import tensorflow as tf

# Modules beside the tests, such as golden_data, are imported by name.
sys.path.insert(0, str(Path(__file__).parent))

# Importing them, as the search for examples would, hides TensorFlow, and registers what one test
# registers.
collect_ignore = ["without_tensorflow.py", "worked_example"]

# Replicas are tested on two logical devices; they must be made before TensorFlow is used.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# Files whose tests share nothing but what is built for one model, or nothing at all: each part of
# them can go to another worker. They take longest, and so they come first: a long test at the
# end would leave the other worker without work.
SPREAD = {"test_readme.py": None, "test_backends.py": None, "test_every_model.py": "name"}


def _file(item):
    return item.nodeid.partition("::")[0].rpartition("/")[2]


def pytest_collection_modifyitems(items):
    """Say which tests stay together (`--dist loadgroup`), and put the longest first."""
    for item in items:
        path = item.nodeid.partition("::")[0]
        if _file(item) in SPREAD:
            parameters = getattr(getattr(item, "callspec", None), "params", {})
            group = f"{path}:{parameters.get(SPREAD[_file(item)], item.name)}"
        else:
            group = path
        item.add_marker(pytest.mark.xdist_group(group))
    order = list(SPREAD)
    items.sort(key=lambda item: order.index(_file(item)) if _file(item) in order else len(order))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _global_state():
    """Seed every test, and put back what a test changed in Keras."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
