"""Towers: the original's logits, activity and weights, and every choice they have."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import load_case, torch_state_dict
from models.towers_golden import CASES, errors, make_model

import tfbio
from tfbio.errors import InputError
from tfbio.layers import FGRUCell, HGRUCell
from tfbio.models import logits_model, unrolled_layers
from tfbio.models._tower_network import TOWERS
from tfbio.training.losses import TimeAveragedCrossentropy
from tfbio.weights import WeightsError, to_torch_state_dict

RECURRENT = ("rnn", "gru", "lstm", "reciprocal", "hgru", "fgru")
IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 48, 48, 3)).astype("float32")
LABELS = np.array([0, 1, 2, 1])


def _small(kind="rnn", **arguments):
    return tfbio.create_model(
        f"{kind}_tower",
        **{"input_shape": (48, 48, 3), "classes": 3, "width": 1 / 16, **arguments},
    )


# === The original's numbers ===


@pytest.mark.parametrize("case", CASES)
def test_logits_and_activity_are_the_originals_and_the_way_back_to_pytorch(case):
    model = make_model(case)
    for name, error in errors(case, model).items():
        assert error < 1e-4, name
    theirs = torch_state_dict(case)
    ours = to_torch_state_dict(model, as_arrays=True)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor)


@pytest.mark.parametrize(
    ("kind", "millions"),
    [
        ("conv", 6.76),
        ("rnn", 10.4),
        ("gru", 22.1),
        ("lstm", 39.0),
        ("reciprocal", 19.6),
        ("hgru", 13.1),
    ],
)
def test_numbers_of_parameters_are_the_thesis(kind, millions):
    model = tfbio.create_model(f"{kind}_tower")
    trainable = sum(np.prod(variable.shape) for variable in model.trainable_variables)
    assert trainable == pytest.approx(millions * 1e6, rel=0.005)


def test_a_gate_of_another_shape_is_named():
    weights = torch_state_dict("shaperec_tower_gru")
    weights["cell_blocks.2.wz.weight"] = weights["cell_blocks.2.wz.weight"][:, :, :1]
    with pytest.raises(WeightsError, match=r"cell_blocks.2.wz.weight"):
        make_model("shaperec_tower_gru", weights=weights)


# === What is right and what is the original's ===


def test_weights_of_the_original_decide_for_its_equations():
    """Its GRU mixes with z on both sides: without that the logits are others."""
    case = "shaperec_tower_gru"
    _, arrays = load_case(case)
    right = make_model(case, upstream_exact=False)(arrays["input"], training=False)
    assert np.abs(right - arrays["output"]).max() > 0.1 * np.abs(arrays["output"]).max()


@pytest.mark.parametrize("kind", ["fgru", "gru"])
def test_a_state_dict_of_ours_comes_back(kind):
    """Of the right equations, for which the original has no name."""
    size = {"input_shape": (101, 101, 3)} if kind == "fgru" else {}
    model = _small(kind, **size)
    weights = to_torch_state_dict(model, as_arrays=True)
    exact = {} if kind == "fgru" else {"upstream_exact": False}
    again = _small(kind, weights=weights, **size, **exact)
    for ours, theirs in zip(again.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_equations_than_the_originals_are_said(caplog):
    model = make_model("shaperec_tower_gru", upstream_exact=False)
    assert "ConvGRUCell computes the textbook form" in caplog.text
    report = tfbio.load_weights(model, torch_state_dict("shaperec_tower_gru"))
    assert report.equations == (
        "ConvGRUCell computes the textbook form: upstream_exact=True is the original"
    )


@pytest.mark.parametrize("kind", ["conv", "rnn", "lstm", "reciprocal", "hgru"])
def test_a_checkpoint_of_another_tower_is_named(kind):
    weights = torch_state_dict(f"shaperec_tower_{kind}")
    with pytest.raises(WeightsError, match=f"It is a checkpoint of {kind}_tower: build that model"):
        _small("gru", input_shape=(197, 197, 3), width=1.0, classes=20, weights=weights)


def test_the_tower_named_fgru_has_fgru_cells():
    size = {"input_shape": (112, 112, 3)}
    cells = [type(layer.cell) for layer in unrolled_layers(_small("fgru", **size))]
    assert cells == [FGRUCell] * 4
    cells = [type(each.cell) for each in unrolled_layers(_small("fgru", upstream_exact=True))]
    assert cells == [HGRUCell] * 4
    model = make_model("shaperec_tower_hgru")
    weights = torch_state_dict("shaperec_tower_hgru")
    same = tfbio.create_model("fgru_tower", weights=weights)
    for ours, theirs in zip(same.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_averages_of_the_first_block_move_as_if_it_were_computed_at_every_step():
    """By the same statistics each time: 0.9^T of the average stays."""
    for timesteps in (1, 3):
        model = _small(timesteps=timesteps)
        model(IMAGES, training=True)
        norm = model.get_layer("cell_blocks_0_norm")
        convolution = keras.Model(model.input, model.get_layer("cell_blocks_0_conv").output)
        statistics = np.asarray(convolution(IMAGES), np.float64).mean(axis=(0, 1, 2))
        expected = (1 - 0.9**timesteps) * statistics
        np.testing.assert_allclose(norm.moving_mean, expected, rtol=1e-4, atol=1e-7)


# === Choices ===


CHOICES = {
    "more": {"tower_type": "more"},
    "wider": {"tower_type": "wider", "width": 1 / 32},
    "deeper": {"tower_type": "deeper"},
    "layer normalization": {"normalization": "layer"},
    "no normalization": {"normalization": None},
    "tanh": {"activation": "tanh"},
    "elu": {"activation": "elu"},
    "recurrent from the image on": {"skip_first": False},
    "kernels": {"cell_kernel": 5, "preconv_kernel": 3},
    "dropout": {"dropout": 0.3},
    "recurrent dropout": {"dropout": 0.3, "recurrent_dropout": True},
    "all time steps": {"return_sequences": True},
    "as the original": {"upstream_exact": True},
}


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("kind", ["conv", "lstm", "hgru"])
def test_every_choice_trains_a_step_with_finite_gradients_and_is_saved(kind, choice, tmp_path):
    taken = tfbio.model_info(f"{kind}_tower").arguments
    arguments = {name: value for name, value in CHOICES[choice].items() if name in taken}
    if arguments == {}:
        pytest.skip("a tower of convolutions has no such choice")
    timesteps = {} if kind == "conv" else {"timesteps": 2}
    model = _small(kind, **timesteps, **arguments)
    trainer = logits_model(model)
    trainer.compile(keras.optimizers.SGD(1e-3), TimeAveragedCrossentropy(), run_eagerly=True)
    before = [weight.numpy() for weight in model.trainable_weights]
    assert np.isfinite(trainer.train_on_batch(IMAGES, LABELS))
    after = [weight.numpy() for weight in model.trainable_weights]
    assert all(np.isfinite(weight).all() for weight in after)
    # Gates without a normalization behind them may be of no effect at the first step.
    moved = [(one != other).any() for one, other in zip(before, after, strict=True)]
    assert np.mean(moved) > 0.5
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(reloaded(IMAGES), model(IMAGES), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("tower_type", TOWERS)
def test_blocks_and_poolings(tower_type):
    names = [layer.name for layer in _small(tower_type=tower_type, width=1 / 64).layers]
    filters, pooled = TOWERS[tower_type]
    for number, pool in enumerate(pooled):
        assert (f"cell_blocks_{number}_pool" in names) == (pool == "p")
    assert f"cell_blocks_{len(filters)}" not in names


def test_without_a_convolution_in_front_channels_have_to_agree():
    with pytest.raises(InputError, match="received preconv=False"):
        _small("hgru", preconv=False)
    model = _small("hgru", preconv=True)
    assert "cell_blocks_1_conv" in [layer.name for layer in model.layers]


def test_larger_images_have_several_positions_and_their_mean_is_read_out():
    model = tfbio.create_model(
        "conv_tower", classes=3, width=1 / 16, input_shape=(261, 225, 3), classifier_activation=None
    )
    assert model.get_layer("last_conv").output.shape == (None, 2, 1, 3)
    image = np.random.default_rng(0).uniform(0, 255, (1, 261, 225, 3))
    positions = tfbio.features(model, image, "last_conv")["last_conv"]
    np.testing.assert_allclose(model(image), positions.mean(axis=(1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        ("rnn", {"timesteps": 0}, "at least 1 time step, received timesteps=0"),
        ("rnn", {"tower_type": "small"}, "one of normal, more, wider, deeper, received 'small'"),
        ("rnn", {"normalization": "group"}, "one of batch, layer, or None, received 'group'"),
        ("rnn", {"dropout": 1.0}, "`dropout` from 0 to below 1, received 1.0"),
        ("rnn", {"width": -1}, "a width above 0, received -1"),
        ("rnn", {"input_shape": (31, 48, 3)}, "at least 32 x 32 pixels, received 31 x 48"),
        ("hgru", {"cell_kernel": 4}, "odd int"),
        ("rnn", {"cell_kernel": 0}, "`cell_kernel` of 1 or more, received 0"),
        ("hgru", {"preconv_kernel": 0}, "`preconv_kernel` of 1 or more, received 0"),
        ("conv", {"timesteps": 3}, "takes no argument 'timesteps'"),
        ("rnn", {"preconv": True}, "takes no argument 'preconv'"),
    ],
)
def test_bad_arguments_are_one_sentence(kind, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        _small(kind, **arguments)
