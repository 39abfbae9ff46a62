"""tfbio's layers, models and weights on another backend, in a process that has no TensorFlow.

    KERAS_BACKEND=jax python without_tensorflow.py FAMILY [--all]

One family of checks is run, on at least one golden case of each layer and one model; with `--all`,
on every golden case. `test_backends.py` starts it.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent


class NoTensorFlow:
    """Lets TensorFlow be found, since PyTorch looks for it; importing it fails."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tensorflow_datasets"):
            return ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is not installed here")

    def exec_module(self, module):
        raise AssertionError("never reached: no module is made")


sys.meta_path.insert(0, NoTensorFlow())
sys.path[:0] = [str(HERE.parent), str(HERE)]

import keras
import numpy as np
from golden_data import load_case, model_weights, relative_error
from keras.src.initializers import random_initializers

import tfbio


def _draw_initial_weights_with_numpy() -> None:
    """Spare JAX the drawing of weights that golden ones replace at once.

    It compiles its generator for every shape of a weight, which takes longer than all else here.
    """
    generator = np.random.default_rng(0)

    def tensor(drawn, dtype):
        return keras.ops.convert_to_tensor(drawn.astype(dtype or keras.config.floatx()))

    def normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        return tensor(generator.normal(mean, stddev, shape), dtype)

    def truncated_normal(shape, mean=0.0, stddev=1.0, dtype=None, seed=None):
        drawn = np.clip(generator.standard_normal(shape), -2, 2)
        return tensor(mean + stddev * drawn, dtype)

    def uniform(shape, minval=0.0, maxval=1.0, dtype=None, seed=None):
        return tensor(generator.uniform(minval, maxval, shape), dtype)

    draws = {"normal": normal, "truncated_normal": truncated_normal, "uniform": uniform}
    random_initializers.random = SimpleNamespace(**{**vars(random_initializers.random), **draws})


def _check(errors: dict[str, float], tolerance, case: str) -> None:
    for name, error in errors.items():
        limit = tolerance(case, name)
        assert error < limit, (case, name, error, limit)
    assert errors


def bl_rcnn(every: bool) -> None:
    """The layer over time, a whole model, and activations of another."""
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

    config, arrays = load_case("bl_b_net")
    model = tfbio.create_model("b_cnn", weights=model_weights("bl_b_net"))
    answer = keras.ops.convert_to_numpy(model(arrays["image_uint8"], training=False))
    assert relative_error(answer, arrays["output"]) < 1e-4

    model = tfbio.create_model(
        "bl_rcnn",
        input_shape=(32, 32, 3),
        classes=3,
        width=1 / 16,
        timesteps=2,
        return_sequences=True,
    )
    found = tfbio.features(model, arrays["image_uint8"][:, :32, :32], ["ReLU_Layer_6_*"])
    assert [activity.shape for activity in found.values()] == [(2, 1, 1, 128)] * 2
    assert tfbio.models.logits_model(model).output_shape == (None, 2, 3)


def v1_components(every: bool) -> None:
    """Layers with all gradients, and ResNet50s."""
    from layers import v1_golden as of_layers
    from models import v1_golden as of_models

    one_of_each = (
        "dog_conv_02_k2_bias_rect",
        "dog_layer_01_partial",
        "local_02_stride2_bias",
        "cirincione_02_k5",
        "opponent_01_c8",
        "polar_02_small_linear",
    )
    for case in of_layers.CASES if every else one_of_each:
        _check(of_layers.errors(case), of_layers.tolerance, case)
    for case in of_models.CASES if every else ("composite_a",):
        assert of_models.logits_error(case) < 1e-4, case


def vonenet(every: bool) -> None:
    """The front end from its seeds, with its gradient; its noise; whole networks."""
    from layers import vone_golden as of_layers
    from models import vone_golden as of_models

    for case in of_layers.CASES if every else of_layers.CASES[:1]:
        _check(of_layers.errors(case), lambda case, name: 1e-5, case)
    for case in ("vone_cornets", "vone_resnet50") if every else ("vone_cornets",):
        assert of_models.logits_error(case) < 1e-4, case

    model = tfbio.create_model(
        "vone_block",
        input_shape=(32, 32, 3),
        simple_channels=4,
        complex_channels=4,
        noise_seed=0,
    )
    image = np.zeros((2, 32, 32, 3), "float32")
    first, second = (keras.ops.convert_to_numpy(model(image)) for _ in range(2))
    assert (first != second).any()
    tfbio.models.set_noise(model, "fixed")
    first, second = (keras.ops.convert_to_numpy(model(each)) for each in (image, image[:1]))
    assert np.abs(first[1:] - second).max() < 1e-5


def divisive_normalization(every: bool) -> None:
    """Layers with all gradients, and networks."""
    from layers import divnorm_golden as of_layers
    from models import divnorm_golden as of_models

    one_of_each = ("heeger_01_c16_p05", "divnorm2d_02_power3_relu", "ken_02_beta")
    for case in of_layers.CASES if every else one_of_each:
        _check(of_layers.errors(case), of_layers.tolerance, case)
    models = ("alexnet_cifar100_ken", "resnet18_imagenet_ours_p05", "resnet50_imagenet_ours_p1")
    for case in models if every else models[:1]:
        assert of_models.logits_error(case) < 1e-4, case


def shape_selective_rnns(every: bool) -> None:
    """Cells at every time step, with all gradients, and a tower."""
    from layers import cells_golden, fgru_golden, hgru_golden
    from models import towers_golden

    for case in cells_golden.CASES:
        _check(cells_golden.errors(case), lambda case, name: 1e-5, case)
    for case in hgru_golden.CASES if every else ("hgru_cell_train",):
        _check(hgru_golden.errors(case), hgru_golden.tolerance, case)
    for case in fgru_golden.CASES if every else ("fgru_gala", "fgru_topdown"):
        _check(fgru_golden.errors(case), lambda case, name: fgru_golden.tolerance(name), case)
    case = "shaperec_tower_rnn"
    errors = towers_golden.errors(case, towers_golden.make_model(case))
    _check(errors, lambda case, name: 1e-4, case)


FAMILIES = {
    check.__name__: check
    for check in (bl_rcnn, v1_components, vonenet, divisive_normalization, shape_selective_rnns)
}


def main(family: str, *flags: str) -> None:
    assert keras.backend.backend() == os.environ["KERAS_BACKEND"] != "tensorflow"
    assert "tensorflow" not in sys.modules
    if keras.backend.backend() == "jax":
        _draw_initial_weights_with_numpy()
    FAMILIES[family]("--all" in flags)
    assert "tensorflow" not in sys.modules
    print("as on TensorFlow")


if __name__ == "__main__":
    main(*sys.argv[1:])
