"""VOneNets: the original's logits and checkpoints, noise, and other back ends."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import load_case, relative_error
from models.vone_golden import CASES, checkpoint, logits_error, seeded_model, state_dict

import tfbio
from tfbio.errors import InputError
from tfbio.export import export_saved_model
from tfbio.layers import NeuronalNoise, VOneBlock, sample_channels
from tfbio.models import add_v1_front_end, features, logits_model, noise_setting, set_noise
from tfbio.weights import WeightsError, load_weights, to_torch_checkpoint, to_torch_state_dict

SMALL = {
    "input_shape": (64, 64, 3),
    "classes": 4,
    "width": 1 / 16,
    "simple_channels": 5,
    "complex_channels": 3,
    "visual_degrees": 2.0,
}


def _small(**arguments):
    return tfbio.create_model("vone_alexnet", **{**SMALL, **arguments})


def _images(number=2, side=64):
    return np.random.default_rng(0).uniform(0, 255, (number, side, side, 3)).astype("float32")


# === The original's numbers ===


@pytest.mark.parametrize("case", CASES)
def test_logits_are_the_originals(case):
    assert logits_error(case) < 1e-4


def test_filters_come_from_the_seeds_as_in_the_original():
    """The checkpoint's filters, and those that our seeds draw, are the same."""
    model = seeded_model("vone_cornets")
    block = model.get_layer("vone_block")
    tensors = state_dict("vone_cornets")
    for bank in (block.simple_conv_q0, block.simple_conv_q1):
        theirs = tensors[f"vone_block.{bank.name}.weight"]
        ours = np.transpose(bank.kernel, (3, 2, 0, 1))
        assert relative_error(ours, theirs) < 1e-6
    config, arrays = load_case("vone_cornets")
    load_weights(model, tensors)
    assert relative_error(model(arrays["input"], training=False), arrays["output"]) < 1e-4
    assert model.count_params() == config["n_params"] + sum(
        np.prod(v.shape) for k, v in tensors.items() if "running_" in k
    )


# === Checkpoints ===


def test_a_checkpoint_decides_the_front_end():
    theirs = _small(
        strides=2,
        k_exc=10.0,
        kernel_size=15,
        noise_mode="gaussian",
        noise_scale=0.5,
        channel_seed=7,
    )
    tensors = {f"module.{k}": v for k, v in to_torch_state_dict(theirs, as_arrays=True).items()}
    flags = {
        "stride": 2,
        "simple_channels": 5,
        "complex_channels": 3,
        "k_exc": 10.0,
        "noise_mode": "gaussian",
        "noise_scale": 0.5,
        "noise_level": 0.07,
        "arch": "alexnet",
    }
    of_front_end = {"simple_channels", "complex_channels"}
    model = tfbio.create_model(
        "vone_alexnet",
        weights={"flags": flags, "state_dict": tensors},
        **{k: v for k, v in SMALL.items() if k not in of_front_end},
    )
    block = model.get_layer("vone_block")
    assert block.channels == theirs.get_layer("vone_block").channels
    assert (block.strides, block.kernel_size, block.k_exc) == ((2, 2), 15, 10.0)
    assert (block.noise.noise_mode, block.noise.scale) == ("gaussian", 0.5)
    for each in (model, theirs):
        set_noise(each, "off")
    np.testing.assert_array_equal(model(_images()), theirs(_images()))


def test_adversarially_trained_checkpoints_have_no_prefix_and_two_tensors_more():
    theirs = _small(noise_mode=None)
    tensors = to_torch_state_dict(theirs, as_arrays=True)
    assert not any("div_" in name for name in tensors)
    tensors |= {f"vone_block.div_{x}.weight": np.zeros((3, 3)) for x in "ut"}
    model = _small(noise_mode=None, weights=tensors)
    np.testing.assert_array_equal(model(_images()), theirs(_images()))


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is an extra")
def test_a_published_file_is_read(tmp_path):
    import torch

    theirs = _small(noise_mode=None, channel_seed=3)
    torch.save(
        {
            "flags": {
                "stride": 4,
                "simple_channels": 5,
                "complex_channels": 3,
                "k_exc": 25,
                "noise_mode": "neuronal",
                "noise_scale": 0.35,
                "noise_level": 0.07,
            },
            "epoch": 70,
            "state_dict": {f"module.{k}": v for k, v in to_torch_state_dict(theirs).items()},
            "optimizer": {"state": {}, "param_groups": []},
        },
        tmp_path / "vone_alexnet.pth.tar",
    )
    model = _small(weights=tmp_path / "vone_alexnet.pth.tar")
    assert model.get_layer("vone_block").noise.noise_mode == "neuronal"
    set_noise(model, "off")
    np.testing.assert_array_equal(model(_images()), theirs(_images()))
    block = tfbio.create_model(
        "vone_block",
        input_shape=(64, 64, 3),
        visual_degrees=2.0,
        weights=tmp_path / "vone_alexnet.pth.tar",
    )
    set_noise(block, "off")
    (expected,) = features(theirs, _images(), "vone_block").values()
    np.testing.assert_array_equal(block(_images()), expected)


def test_weights_with_other_colours_are_adopted_and_kept(tmp_path):
    """Which colour a filter sees is in its weights, and must follow them everywhere."""
    theirs = _small(noise_mode=None, channel_seed=5)
    expected = np.asarray(theirs(_images()))
    model = _small(noise_mode=None)
    assert model.get_layer("vone_block").channels != theirs.get_layer("vone_block").channels
    before = model.predict(_images(), verbose=0)
    assert np.abs(before - expected).max() > 1e-3
    load_weights(model, to_torch_state_dict(theirs, as_arrays=True))
    np.testing.assert_allclose(model.predict(_images(), verbose=0), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded(_images()), expected, rtol=1e-5)
    np.testing.assert_allclose(
        _small(noise_mode=None, weights=tmp_path / "model.keras")(_images()), expected, rtol=1e-5
    )
    theirs.save_weights(tmp_path / "x.weights.h5")
    by_keras = _small(noise_mode=None)
    by_keras.load_weights(tmp_path / "x.weights.h5")
    np.testing.assert_allclose(by_keras(_images()), expected, rtol=1e-5)


def test_a_checkpoint_with_another_stride_is_refused():
    tensors = to_torch_state_dict(_small(), as_arrays=True)
    model = _small()
    with pytest.raises(
        WeightsError, match=r"trained with strides=\(2, 2\), the model has \(4, 4\)"
    ):
        load_weights(model, {"flags": {"stride": 2}, "state_dict": tensors})


def test_filters_that_see_two_colours_are_refused():
    tensors = to_torch_state_dict(_small(), as_arrays=True)
    tensors["vone_block.simple_conv_q1.weight"] += 1
    model = _small()
    before = model.get_weights()
    with pytest.raises(WeightsError, match="see one channel each"):
        load_weights(model, tensors)
    for ours, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, old)


def test_a_checkpoint_of_another_vonenet_is_named():
    tensors = checkpoint("vone_cornets")
    with pytest.raises(WeightsError, match="It is a checkpoint of vone_cornet_s"):
        tfbio.create_model("vone_resnet50", weights=tensors)


def test_a_checkpoint_with_other_cells_is_refused():
    """Filters of simple and complex cells have one shape."""
    theirs = _small(simple_channels=3, complex_channels=5)
    with pytest.raises(WeightsError, match="trained with simple_channels=3, the model has 5"):
        load_weights(_small(), to_torch_checkpoint(theirs, as_arrays=True))


def test_settings_go_with_a_keras_file_and_with_our_checkpoints(tmp_path):
    theirs = _small(k_exc=10.0, noise_mode=None, strides=2)
    theirs.save(tmp_path / "model.keras")
    of_front_end = ("simple_channels", "complex_channels")
    others = {key: value for key, value in SMALL.items() if key not in of_front_end}
    for weights in (tmp_path / "model.keras", to_torch_checkpoint(theirs, as_arrays=True)):
        model = tfbio.create_model("vone_alexnet", weights=weights, **others)
        np.testing.assert_array_equal(model(_images()), theirs(_images()))
        with pytest.raises(WeightsError, match="trained with"):
            load_weights(_small(), weights)


def test_what_a_file_does_not_say_is_said(caplog):
    logging.getLogger("tfbio").propagate = True
    weights = to_torch_state_dict(_small(), as_arrays=True)
    _small(weights=weights)
    assert "does not say how its front end was trained: strides=4, k_exc=25.0" in caplog.text
    caplog.clear()
    _small(weights=to_torch_checkpoint(_small(), as_arrays=True))
    assert "does not say" not in caplog.text
    with pytest.raises(WeightsError, match="which has none of a VOneBlock"):
        tfbio.create_model("vone_block", weights={"fc.weight": np.zeros((3, 4))})


# === Noise ===


def test_noise_is_there_in_inference_and_can_be_chosen():
    model = _small()
    images = _images()
    first, second = (model.predict(images, verbose=0) for _ in range(2))
    assert (first != second).any()
    set_noise(model, "off")
    off = model.predict(images, verbose=0)
    np.testing.assert_array_equal(off, model.predict(images, verbose=0))
    set_noise(model, "fixed", seed=0)
    fixed = model.predict(images, verbose=0)
    np.testing.assert_array_equal(fixed, model.predict(images, verbose=0))
    np.testing.assert_allclose(fixed[1:], model.predict(images[1:], verbose=0), rtol=1e-5)
    set_noise(model, "fixed", seed=1)
    assert (model.predict(images, verbose=0) != fixed).any()
    set_noise(model, "mean", draws=3)
    assert (model.predict(images, verbose=0) != model.predict(images, verbose=0)).any()
    assert model.get_layer("vone_block").noise.draws == 3


@pytest.mark.parametrize("sampling", ["sample", "fixed", "mean", "off"])
def test_each_way_of_drawing_noise_trains_saves_and_exports(sampling, tmp_path):
    model = _small(noise_sampling=sampling, noise_draws=2, noise_seed=4)
    trainer = logits_model(model)
    trainer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    kernel = model.get_layer("bottleneck").kernel.numpy()
    loss = trainer.evaluate(_images(), np.array([0, 1]), verbose=0)
    trainer.fit(_images(), np.array([0, 1]), verbose=0)
    assert np.isfinite(loss)
    assert (model.get_layer("bottleneck").kernel.numpy() != kernel).any()
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    assert reloaded.get_layer("vone_block").noise.sampling == sampling
    path = export_saved_model(model, tmp_path / "exported")
    # Where the samples stand is part of the file: the same ones come next, in each.
    expected = np.asarray(model(_images()))
    np.testing.assert_allclose(reloaded(_images()), expected, rtol=1e-5)
    served = tf.saved_model.load(str(path))
    probabilities = served.signatures["serving_default"](images=_images())["probabilities"]
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-6)


def test_every_way_of_drawing_noise_has_a_signature(tmp_path):
    model = _small()
    signatures = tf.saved_model.load(str(export_saved_model(model, tmp_path))).signatures

    def served(sampling):
        return signatures[f"serving_noise_{sampling}"](images=_images())["probabilities"].numpy()

    for sampling in ("fixed", "off"):
        set_noise(model, sampling)
        np.testing.assert_allclose(served(sampling), model(_images()), rtol=1e-4, atol=1e-6)
    for sampling in ("sample", "mean"):
        assert (served(sampling) != served(sampling)).any()
    assert model.get_layer("vone_block").noise.sampling == "off"


def test_a_seed_decides_the_samples_and_layers_differ():
    images = _images()
    one, other = _small(), _small()
    for model in (one, other):
        set_noise(model, "sample", seed=3)
    other.set_weights(one.get_weights())
    first = one.predict(images, verbose=0)
    np.testing.assert_array_equal(first, other.predict(images, verbose=0))
    assert (first != one.predict(images, verbose=0)).any()
    assert noise_setting(one)["sampling"] == "sample"
    inputs = keras.Input((4, 4, 2))
    layers = [NeuronalNoise("gaussian", 1.0)(inputs) for _ in range(2)]
    pair = keras.Model(inputs, layers)
    set_noise(pair, "fixed", seed=5)
    first, second = pair(np.zeros((1, 4, 4, 2)))
    assert (np.asarray(first) != np.asarray(second)).any()
    for bad in ({"seed": -1}, {"seed": 1.5}, {"draws": 2.5}, {"draws": 0}):
        with pytest.raises(InputError, match="to be an int from"):
            set_noise(one, "fixed", **bad)


def test_fixed_noise_needs_a_known_size_to_be_exported(tmp_path):
    model = tfbio.create_model(
        "vone_resnet50",
        **{**SMALL, "input_shape": (None, None, 3)},
        blocks=(1, 1, 1, 1),
        noise_sampling="fixed",
    )
    with pytest.raises(InputError, match="known height and width for fixed noise"):
        export_saved_model(model, tmp_path)


def test_models_without_noise_have_no_noise_to_set(tmp_path):
    for model in (_small(noise_mode=None), tfbio.create_model("cornet_s", width=1 / 16)):
        with pytest.raises(InputError, match="Expected a model with noise"):
            set_noise(model, "off")
    with pytest.raises(InputError, match="Expected noise to be one of sample, fixed"):
        set_noise(_small(), "loud")


# === The front end before other models ===


def _back_end():
    return keras.Sequential(
        [
            keras.Input((16, 16, 5)),
            keras.layers.Conv2D(4, 3, name="first"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, name="last"),
        ]
    )


def test_front_end_before_any_model():
    back_end = _back_end()
    model = add_v1_front_end(
        back_end, (64, 61, 3), simple_channels=4, complex_channels=4, noise_mode=None
    )
    assert model.output_shape == (None, 3)
    responses, reduced = features(
        model, _images()[:, :, :61], ["vone_block", "bottleneck"]
    ).values()
    assert responses.shape == (2, 16, 16, 8)
    # The weights are shared with the model that was given.
    np.testing.assert_allclose(back_end(reduced), model(_images()[:, :, :61]), rtol=1e-5, atol=1e-6)
    assert model.get_layer("first") is back_end.get_layer("first")
    with pytest.raises(InputError, match="whose input is 8 x 8"):
        add_v1_front_end(back_end, (32, 32, 3))
    with pytest.raises(
        InputError, match="Expected a functional or Sequential model with one input"
    ):
        add_v1_front_end(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))


def test_the_front_end_of_a_registered_model_keeps_its_logits():
    back_end = tfbio.create_model(
        "resnet50",
        input_shape=(None, None, 3),
        classes=4,
        width=1 / 16,
        blocks=(1, 1, 1, 1),
        include_preprocessing=False,
    )
    model = add_v1_front_end(back_end, (128, 128, 3), simple_channels=4, complex_channels=4)
    assert logits_model(model).output_shape == (None, 4)
    assert isinstance(model.get_layer("vone_block"), VOneBlock)


# === Bad input ===


def test_bad_arguments_are_one_sentence():
    with pytest.raises(InputError, match="Expected `kernel_size` to be one odd int"):
        _small(kernel_size=24)
    with pytest.raises(InputError, match="Expected `noise_mode` to be one of neuronal, gaussian"):
        _small(noise_mode="poisson")
    with pytest.raises(InputError, match="known height and width"):
        tfbio.create_model("vone_alexnet", input_shape=(None, None, 3))
    with pytest.raises(InputError, match="time steps for V2, V4 and IT"):
        tfbio.create_model("cornet_s", times=(1, 2))
    with pytest.raises(InputError, match="takes no argument 'k_ext'"):
        _small(k_ext=3)
    with pytest.raises(InputError, match="The front end takes no argument 'k_ext'"):
        add_v1_front_end(_back_end(), (64, 61, 3), k_ext=3)
    with pytest.raises(InputError, match="`image_size` to be an int of 1 or more, received 0"):
        _small(image_size=0)
    for seed in (None, -1, 1.5):
        with pytest.raises(InputError, match="`seed` to be an int from 0 to"):
            _small(gabor_seed=seed)
    with pytest.raises(InputError, match="Expected `channels` to be the number of a channel"):
        _small(channels=5)
    with pytest.raises(InputError, match="built with include_preprocessing=False"):
        add_v1_front_end(
            tfbio.create_model("resnet50", input_shape=(32, 32, 3), width=1 / 16), (128, 128, 3)
        )


def test_channels_as_an_array():
    channels = sample_channels(8, seed=4)
    model = _small(channels=channels, noise_mode=None)
    assert model.get_layer("vone_block").channels == tuple(map(tuple, channels.tolist()))


def test_any_size_where_nothing_depends_on_it():
    arguments = {**SMALL, "blocks": (1, 1, 1, 1), "input_shape": (None, None, 3)}
    model = tfbio.create_model("vone_resnet50", **arguments, noise_mode=None)
    for side in (64, 75):
        assert model(_images(1, side)).shape == (1, 4)
    assert [type(layer) for layer in model._flatten_layers() if isinstance(layer, NeuronalNoise)]
