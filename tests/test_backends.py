"""tfbio's layers, models and weights on JAX and PyTorch, on a machine without TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SCRIPT = """
import sys
from importlib.machinery import ModuleSpec

class NoTensorFlow:
    # Found, since PyTorch looks for it without importing it; importing it fails.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            return ModuleSpec(name, self)

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is not installed here")

    def exec_module(self, module):
        raise AssertionError("never reached: no module is made")

sys.meta_path.insert(0, NoTensorFlow())
sys.path[:0] = [ROOT, ROOT + "/tests"]
import keras
import numpy as np
from golden_data import load_case, model_weights, relative_error
import tfbio

assert keras.backend.backend() == BACKEND
assert "tensorflow" not in sys.modules

# The layer, over time.
config, arrays = load_case("bl_layer_a")
layer = tfbio.layers.BLConv2D(config["filters"], config["kernel_size"], name="RCL_0")
layer.build(arrays["input"].shape)
layer.bottom_up.kernel.assign(arrays["weight/RCL_0_BConv/kernel:0"])
layer.recurrent.kernel.assign(arrays["weight/RCL_0_LConv/kernel:0"])
activity, activities = None, []
for t in range(config["timesteps"]):
    drive = layer(arrays["input"]) if activity is None else layer(arrays["input"], activity)
    norm = keras.layers.BatchNormalization(epsilon=1e-3)
    norm.build(drive.shape)
    for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        getattr(norm, name).assign(arrays[f"weight/BatchNorm_Layer_0_Time_{t}/{name}:0"])
    activity = keras.ops.relu(norm(drive, training=False))
    activities.append(keras.ops.convert_to_numpy(activity))
assert relative_error(np.stack(activities), arrays["output"]) < 1e-5

# A whole model, with its weights and activations.
config, arrays = load_case("bl_b_net")
model = tfbio.create_model("b_cnn", weights=model_weights("bl_b_net"))
answer = keras.ops.convert_to_numpy(model(arrays["image_uint8"], training=False))
assert relative_error(answer, arrays["output"]) < 1e-4
model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=3, width=1 / 16, timesteps=2,
                           return_sequences=True)
found = tfbio.features(model, arrays["image_uint8"][:, :32, :32], ["ReLU_Layer_6_*"])
assert [activity.shape for activity in found.values()] == [(2, 1, 1, 128)] * 2
assert tfbio.models.logits_model(model).output_shape == (None, 2, 3)

# The V1 components: every golden case, layers with all gradients.
import layers.v1_golden, models.v1_golden
for case in layers.v1_golden.CASES:
    for name, error in layers.v1_golden.errors(case).items():
        assert error < layers.v1_golden.tolerance(case, name), (case, name, error)
for case in models.v1_golden.CASES:
    assert models.v1_golden.logits_error(case) < 1e-4, case

# VOneNet: the front end from its seeds, with its gradient, and a whole network.
import layers.vone_golden, models.vone_golden
for case in layers.vone_golden.CASES:
    for name, error in layers.vone_golden.errors(case).items():
        assert error < 1e-5, (case, name, error)
for case in ("vone_cornets", "vone_resnet50"):
    assert models.vone_golden.logits_error(case) < 1e-4, case
model = tfbio.create_model("vone_block", input_shape=(32, 32, 3), simple_channels=4,
                           complex_channels=4, noise_seed=0)
image = np.zeros((2, 32, 32, 3), "float32")
first, second = (keras.ops.convert_to_numpy(model(image)) for _ in range(2))
assert (first != second).any()
tfbio.models.set_noise(model, "fixed")
first, second = (keras.ops.convert_to_numpy(model(each)) for each in (image, image[:1]))
assert np.abs(first[1:] - second).max() < 1e-5

# Learned divisive normalization.
import layers.divnorm_golden, models.divnorm_golden
for case in layers.divnorm_golden.CASES:
    for name, error in layers.divnorm_golden.errors(case).items():
        assert error < layers.divnorm_golden.tolerance(case, name), (case, name, error)
for case in ("alexnet_cifar100_ken", "resnet18_imagenet_ours_p05", "resnet50_imagenet_ours_p1"):
    assert models.divnorm_golden.logits_error(case) < 1e-4, case

# Recurrent cells: every golden case at every time step, with all gradients, and a tower.
import layers.cells_golden, layers.fgru_golden, layers.hgru_golden, models.towers_golden
for case in layers.cells_golden.CASES:
    for name, error in layers.cells_golden.errors(case).items():
        assert error < 1e-5, (case, name, error)
for case in layers.hgru_golden.CASES:
    for name, error in layers.hgru_golden.errors(case).items():
        assert error < layers.hgru_golden.tolerance(case, name), (case, name, error)
for case in layers.fgru_golden.CASES:
    for name, error in layers.fgru_golden.errors(case).items():
        assert error < layers.fgru_golden.tolerance(name), (case, name, error)
case = "shaperec_tower_rnn"
model = models.towers_golden.make_model(case)
for name, error in models.towers_golden.errors(case, model).items():
    assert error < 1e-4, (case, name, error)
assert "tensorflow" not in sys.modules
print("as on TensorFlow")
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layers_models_and_weights_work_without_tensorflow(backend, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = SCRIPT.replace("ROOT", repr(str(ROOT))).replace("BACKEND", repr(backend))
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert answer.stdout.strip() == "as on TensorFlow"
