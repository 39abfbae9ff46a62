"""A saved model can be loaded after `import tfbio` alone, before or after Keras."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import tfbio

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, tfbio.layers.BLConv2D(2, 3)(inputs))
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path


@pytest.mark.parametrize(
    "imports",
    [
        "import keras, tfbio",
        "import tfbio, keras",
        # Whoever asks whether Keras is installed does not import it.
        "import importlib.util, tfbio; importlib.util.find_spec('keras'); import keras",
        "from tfbio.models.registry import create_model; import keras",
        "from tfbio.weights.loading import load_weights; import keras",
    ],
)
def test_import_tfbio_is_enough_to_load_a_saved_model(saved, imports):
    code = f"{imports}; print(type(keras.saving.load_model({str(saved)!r}).layers[-1]).__name__)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        # The backend that is imported fastest.
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "numpy"},
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.strip() == "BLConv2D"


def test_all_that_a_saved_model_consists_of_is_in_layers():
    package = ROOT / "tfbio"
    mentioned = {
        path.relative_to(package).parts[0]
        for path in package.rglob("*.py")
        if "@keras.saving.register_keras_serializable" in path.read_text()
    }
    # Optimizers and losses: what a run saves is not compiled.
    assert mentioned == {"layers", "training"}


def test_layers_import_nothing_of_tfbio_but_errors():
    """They are imported in the middle of whatever imports Keras."""
    lines = [
        line
        for path in (ROOT / "tfbio" / "layers").rglob("*.py")
        for line in path.read_text().splitlines()
    ]
    imported = {
        match[1] for line in lines if (match := re.match(r"\s*(?:from|import) (tfbio\S*)", line))
    }
    others = {name for name in imported if not name.startswith("tfbio.layers")}
    assert others == {"tfbio.errors"}


def test_everything_public_is_there():
    for name in tfbio.__all__:
        assert getattr(tfbio, name) is not None
        assert name in dir(tfbio)
    with pytest.raises(AttributeError, match="module 'tfbio' has no attribute 'create_modle'"):
        tfbio.create_modle  # noqa: B018
