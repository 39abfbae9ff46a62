"""The fGRU: the original's numbers, its equations in NumPy, and every choice it has."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import relative_error
from layers.fgru_golden import CASES, errors, tolerance
from layers.layer_checks import check_layer
from layers.naive import cross_correlate

from tfbio.layers.fgru_cell import FGRUCell
from tfbio.layers.unroll import Unroll

EPSILON = 1e-5


@pytest.mark.parametrize("case", CASES)
def test_states_and_every_gradient_are_the_originals(case):
    for name, error in errors(case).items():
        assert error < tolerance(name), (name, error)


# === The equations, in NumPy ===


def _randomized(cell, shape, seed=0):
    """A built cell whose every weight is drawn."""
    cell.build(shape)
    rng = np.random.default_rng(seed)
    for weight in cell.weights:
        weight.assign(0.5 * rng.standard_normal(weight.shape))
    return cell


def _relu(values):
    return np.maximum(values, 0)


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


def _reflected(maps, window):
    return np.pad(
        maps, [(0, 0), *(((side - 1) // 2, side // 2) for side in window), (0, 0)], mode="reflect"
    )


def _normalized(maps, norm):
    mean, variance = maps.mean((1, 2), keepdims=True), maps.var((1, 2), keepdims=True)
    return (maps - mean) / np.sqrt(variance + EPSILON) * norm.gamma.numpy() + norm.beta.numpy()


def _spatial(maps, kernel):
    return cross_correlate(_reflected(maps, kernel.shape[:2]), kernel)


def _surround(cell, maps, number):
    kernel = np.split(cell.recurrent_kernel.numpy(), 2, axis=-1)[number]
    if cell.tied_kernels:
        full = np.zeros((*kernel.shape[:2], cell.filters, cell.filters))
        for channel in range(cell.filters):
            full[:, :, channel, channel] = kernel[:, :, channel, 0]
        kernel = full
    norm = cell.norms["inhibition" if number == 0 else "excitation"]
    return _normalized(_spatial(maps, kernel), norm)


def _salience(cell, maps):
    if cell.attend is None:
        return maps @ cell.gate_kernel.numpy()[:, : cell.filters]
    channel = place = maps
    for layer in cell.attend.se:
        channel = _relu(channel @ layer.kernel.numpy()[0, 0] + layer.bias.numpy())
    for layer in cell.attend.sa:
        place = _relu(_spatial(place, layer.kernel.numpy()) + layer.bias.numpy())
    if not cell.attend.se:
        return place
    return channel * place if cell.attend.sa else channel


def _gate(cell, maps, number):
    bias = np.split(cell.gate_bias.numpy(), 2)[number]
    if cell.gate_normalization:
        return _sigmoid(_normalized(maps + bias, cell.norms[("gain", "mix")[number]]))
    return _sigmoid(maps if cell.upstream_exact else maps + bias)


def _naive_step(cell, drive, h):
    alpha, mu, kappa, omega = (
        getattr(cell, name).numpy() for name in ("alpha", "mu", "kappa", "omega")
    )
    gain = _gate(cell, _salience(cell, h), 0)
    inhibition = _surround(cell, h * gain, 0)
    first = _relu(drive - _relu((alpha * h + mu) * inhibition))
    mix = _gate(cell, first @ cell.gate_kernel.numpy()[:, -cell.filters :], 1)
    excitation = _surround(cell, first, 1)
    second = _relu(kappa * (first + excitation) + omega * first * excitation)
    before = drive if cell.top_down else h
    return (1 - mix) * before + mix * second, first


CHOICES = [
    {},
    {"kernel_size": 4, "attention": "se", "attention_layers": 3},
    {"kernel_size": (2, 5), "attention": "sa", "saliency_kernel_size": (4, 3)},
    {"kernel_size": 1, "attention": None, "hidden_init": "zeros"},
    {"attention_layers": 1, "top_down": True},
    {"attention_layers": 4, "saliency_kernel_size": 3, "tied_kernels": "depth", "kernel_size": 5},
    {"gate_normalization": False},
    {"gate_normalization": False, "upstream_exact": True, "attention": None},
]


@pytest.mark.parametrize("choice", CHOICES)
def test_follows_its_equations(choice):
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    image = np.random.default_rng(1).standard_normal((2, 5, 7, 4))
    cell = _randomized(FGRUCell(4, **choice), image.shape)
    layer = Unroll(cell, timesteps=3)
    output = np.asarray(layer(image))
    h = np.zeros_like(image) if choice.get("hidden_init") == "zeros" else image
    for step in range(3):
        h, first = _naive_step(cell, image, h)
        assert relative_error(output[:, step], h) < 1e-10
    assert relative_error(layer.states(image)["h1"][-1], first) < 1e-10


def test_a_sequence_drives_each_time_step_and_a_given_state_begins():
    frames = np.random.default_rng(1).standard_normal((2, 2, 5, 6, 3)).astype("float32")
    state = np.random.default_rng(2).standard_normal((2, 5, 6, 3)).astype("float32")
    cell = _randomized(FGRUCell(3), (None, 5, 6, 3))
    output = np.asarray(Unroll(cell)(frames, initial_state=[state, state]))
    h = state
    for step in range(2):
        h, _ = _naive_step(cell, frames[:, step], h)
        assert relative_error(output[:, step], h) < 1e-5


# === Keras ===


@pytest.mark.parametrize(
    ("choice", "trainable", "non_trainable"),
    [
        ({}, 22, 1),
        ({"attention": None, "kernel_size": 4, "hidden_init": "zeros"}, 14, 1),
        ({"attention": "se", "tied_kernels": "depth", "gate_normalization": False}, 15, 0),
    ],
)
def test_is_a_layer(choice, trainable, non_trainable, tmp_path):
    check_layer(
        lambda: Unroll(FGRUCell(4, **choice), timesteps=2),
        [(6, 7, 4), (5, 5, 4)],
        trainable,
        non_trainable,
        tmp_path,
    )
    cell = FGRUCell(4, **choice)
    assert {*cell.get_config()} >= {*choice}


# === Weights ===


def test_attention_halves_and_doubles_channels():
    cell = FGRUCell(8, attention_layers=4)
    cell.build((None, 8, 8, 8))
    assert [layer.filters for layer in cell.attend.se] == [4, 2, 4, 8]
    assert [layer.filters for layer in cell.attend.sa] == [4, 2, 1, 1]


def test_kernels_begin_orthogonal_and_apart():
    cell = FGRUCell(6, kernel_size=5, attention=None)
    cell.build((None, 8, 8, 6))
    for name in ("recurrent_kernel", "gate_kernel"):
        first, second = np.split(getattr(cell, name).numpy().reshape(-1, 12), 2, axis=-1)
        for kernel in (first, second):
            np.testing.assert_allclose(kernel.T @ kernel, np.eye(6), atol=1e-5)
        assert not np.allclose(first, second)
    tied = FGRUCell(6, kernel_size=3, tied_kernels="depth")
    tied.build((None, 8, 8, 6))
    for kernel in np.split(tied.recurrent_kernel.numpy(), 2, axis=-1):
        windows = kernel.reshape(9, 6)
        np.testing.assert_allclose(windows.T @ windows, np.eye(6), atol=1e-5)


def test_biases_begin_at_logarithms_of_times():
    cell = FGRUCell(64, attention=None, max_timesteps=9)
    cell.build((None, 8, 8, 64))
    gain, mix = np.split(cell.gate_bias.numpy(), 2)
    np.testing.assert_array_equal(mix, -gain)
    assert 0 <= gain.min() < 0.5
    assert 1.5 < gain.max() <= np.log(8)
    for longest, value in ((None, 1), (1, 0), (2, 0)):
        cell = FGRUCell(4, max_timesteps=longest)
        cell.build((None, 8, 8, 4))
        np.testing.assert_array_equal(np.abs(cell.gate_bias.numpy()), value)


# === First states ===


def test_noise_has_its_variance_is_new_at_every_call_and_is_saved(tmp_path):
    drive = np.zeros((4, 16, 16, 12), "float32")

    def make():
        model = keras.Sequential(
            [keras.Input((16, 16, 12)), Unroll(FGRUCell(12, hidden_init="noise", seed=3))]
        )
        return model, model.layers[-1].cell

    model, cell = make()
    first, second = (np.asarray(cell.get_initial_state(drive)[0]) for _ in range(2))
    expected = 2 / ((4 + 12) * 16 * 16)
    # 12288 draws: five standard errors.
    assert abs(first.var() / expected - 1) < 5 * np.sqrt(2 / first.size)
    assert np.abs(first - second).max() > 0
    model.save(tmp_path / "noise.keras")
    again = keras.saving.load_model(tmp_path / "noise.keras").layers[-1].cell
    np.testing.assert_array_equal(
        again.get_initial_state(drive)[0], cell.get_initial_state(drive)[0]
    )


# === Errors ===


@pytest.mark.parametrize(
    ("shape", "choice", "message"),
    [
        ((None, 8, 8, 3), {}, "4 channels"),
        ((None, 2, 8, 4), {}, "at least 3 x 3 pixels"),
        ((None, 3, 8, 4), {"kernel_size": 6}, "at least 4 x 4 pixels"),
        ((None, 1, 1, 4), {"kernel_size": 1, "attention": None}, "more than one pixel"),
    ],
)
def test_refuses_maps(shape, choice, message):
    with pytest.raises(ValueError, match=message):
        FGRUCell(4, **choice).build(shape)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"attention": "gate"}, "one of gala, se, sa, or None"),
        ({"attention_layers": 0}, "`attention_layers`"),
        ({"saliency_kernel_size": 0}, "`saliency_kernel_size`"),
        ({"tied_kernels": "channel"}, "'depth' or None"),
        ({"hidden_init": "zero"}, "one of identity, zeros, noise"),
        ({"max_timesteps": 0}, "`max_timesteps`"),
    ],
)
def test_refuses_choices(choice, message):
    with pytest.raises(ValueError, match=message):
        FGRUCell(4, **choice)
