"""HGRUCell: the golden numbers, a plain loop, gradients, and what users can set."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import load_case, relative_error
from layers import hgru_golden
from layers.layer_checks import check_layer

from tfbio.layers import Unroll
from tfbio.layers.hgru_cell import HGRUCell


def _draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# === The original's numbers ===


@pytest.mark.parametrize(
    ("case", "convolution"),
    [*((case, "direct") for case in hgru_golden.CASES), ("hgru_cell_train", "fourier")],
)
def test_golden_output_and_every_gradient(case, convolution):
    for name, error in hgru_golden.errors(case, convolution=convolution).items():
        assert error < hgru_golden.tolerance(case, name), (name, error)


def test_without_symmetric_updates_gradients_are_those_before_the_hook():
    case = "hgru_cell_train"
    _, arrays = load_case(case)
    hook = relative_error(arrays["grad/w_gate_inh"], arrays["grad_raw/w_gate_inh"])
    assert hook > 0.1
    errors = hgru_golden.errors(case, symmetric_updates=False)
    assert errors["recurrent_kernel"] < 1e-5


@pytest.mark.parametrize("case", hgru_golden.CASES[:3])
def test_golden_first_stage_and_running_statistics(case):
    config, arrays = load_case(case)
    cell = hgru_golden.make_cell(case)
    training = config["mode"] == "train"
    drive, state = cell.drive(arrays["input"]), [arrays["h0"]]
    for first, second in zip(arrays["h1"], arrays["output"], strict=True):
        output, state = cell.step(drive, state, cell.constants(drive), training)
        assert relative_error(output, second) < 1e-5
        assert relative_error(state[1], first) < 1e-5
        assert state[0] is output
    before = hgru_golden.variables_of(cell, arrays, "weight")
    after = hgru_golden.variables_of(cell, arrays, "after")
    assert len(after) == (8 if case == "hgru_cell_train" else 0)
    for name, (variable, theirs) in after.items():
        if name.endswith("moving_variance"):
            # PyTorch adds a tenth of the unbiased variance at every time step, Keras of the
            # biased one.
            values = np.prod(arrays["input"].shape[:3])
            kept = 0.9 ** config["timesteps"] * before[name][1]
            theirs = kept + (theirs - kept) * (values - 1) / values
        assert relative_error(variable.numpy(), theirs) < 2e-6, name


# === A plain loop ===


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _convolve(inputs, kernel):
    side, (height, width) = len(kernel), inputs.shape[1:3]
    padded = np.pad(inputs, [(0, 0), *[(side // 2, side // 2)] * 2, (0, 0)])
    return sum(
        padded[:, i : i + height, j : j + width] @ kernel[i, j]
        for i in range(side)
        for j in range(side)
    )


def _loop(cell, inputs, h, timesteps):
    """The equations of the docstring, without normalization."""
    kernel, gates, biases, alpha, mu, kappa, gamma, omega = (
        variable.numpy()
        for variable in (
            cell.recurrent_kernel,
            cell.gate_kernel,
            cell.gate_bias,
            cell.alpha,
            cell.mu,
            cell.kappa,
            cell.gamma,
            cell.omega,
        )
    )
    n, outputs = cell.filters, []
    for _ in range(timesteps):
        c1 = _convolve(_sigmoid(h @ gates[:, :n] + biases[:n]) * h, kernel[..., :n])
        suppression = c1 * (alpha * h + mu)
        if cell.activation == "relu":
            h1 = np.maximum(inputs - np.maximum(suppression, 0), 0)
        else:
            h1 = np.tanh(inputs - suppression)
        mix = _sigmoid(h1 @ gates[:, n:] + biases[n:])
        c2 = _convolve(h1, kernel[..., -n:])
        new = kappa * h1 + gamma * c2 + omega * h1 * c2
        new = np.maximum(new, 0) if cell.activation == "relu" else np.tanh(new)
        h = (1 - mix) * h + mix * new
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("convolution", ["direct", "fourier"])
@pytest.mark.parametrize("shared_kernel", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_equations(activation, shared_kernel, convolution):
    cell = HGRUCell(3, 5, activation, None, shared_kernel, convolution=convolution, dtype="float64")
    inputs, h = _draw(2, 7, 9, 3), _draw(2, 7, 9, 3, seed=1)
    layer = Unroll(cell, timesteps=3)
    output = layer(tf.constant(inputs), initial_state=[tf.constant(h), tf.zeros_like(h)])
    expected = _loop(cell, inputs, h, 3)
    assert np.abs(np.diff(expected, axis=1)).max() > 0.1
    assert relative_error(output, expected) < 1e-10
    silent = layer(tf.constant(inputs))
    assert relative_error(silent, _loop(cell, inputs, 0 * h, 3)) < 1e-10


def test_gradients_of_the_kernels_are_the_mean_of_both_ways():
    inputs = tf.constant(_draw(2, 6, 5, 3))
    gradients = {}
    for symmetric in (True, False):
        keras.utils.set_random_seed(0)
        cell = HGRUCell(3, 3, symmetric_updates=symmetric, normalization=None, dtype="float64")
        layer = Unroll(cell, timesteps=2)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        gradient = tape.gradient(loss, cell.recurrent_kernel.value).numpy()
        gradients[symmetric] = gradient.reshape(3, 3, 3, 2, 3)
    plain = gradients[False]
    swapped = plain.transpose(0, 1, 4, 3, 2)
    assert relative_error(plain, swapped) > 0.1
    assert relative_error(gradients[True], (plain + swapped) / 2) < 1e-12


# === Where it begins ===


@pytest.mark.parametrize("upstream_exact", [False, True])
def test_initial_weights(upstream_exact):
    keras.utils.set_random_seed(0)
    cell = HGRUCell(200, 1, max_timesteps=12, upstream_exact=upstream_exact)
    cell.build((None, 8, 8, 200))
    gain, mix = np.split(cell.gate_bias.numpy(), 2)
    np.testing.assert_array_equal(gain, -mix)
    times = gain if upstream_exact else np.exp(gain)
    # Of 200 draws, one is in each tenth at either end but for a chance of 1e-9.
    longest = 7 if upstream_exact else 11
    tenth = (longest - 1) / 10
    assert 1 <= times.min() < 1 + tenth
    assert longest - tenth < times.max() <= longest
    for kernels in (cell.recurrent_kernel.numpy()[0, 0], cell.gate_kernel.numpy()):
        first, second = np.split(kernels, 2, axis=-1)
        for kernel in (first, second):
            np.testing.assert_allclose(kernel.T @ kernel, np.eye(200), atol=2e-5)
        assert np.abs(first - second).max() > 0.1
    values = {"alpha": 0.1, "mu": 1, "kappa": 0.5, "gamma": 1, "omega": 0.5}
    for name, value in values.items():
        np.testing.assert_allclose(getattr(cell, name).numpy(), value)
    assert [float(norm.gamma[0]) for norm in cell.norms] == pytest.approx([0.1] * 4)
    assert [norm.name for norm in cell.norms] == [f"norm_{index}" for index in range(4)]
    layer_norm = HGRUCell(4, 3, normalization="layer")
    layer_norm.build((None, 8, 8, 4))
    assert [float(norm.gamma[0]) for norm in layer_norm.norms] == [1] * 4


def test_noise_is_drawn_at_every_call_and_its_place_is_kept(tmp_path):
    layer = Unroll(HGRUCell(4, 3, hidden_init="noise", seed=3), timesteps=2)
    model = keras.Sequential([keras.Input((40, 50, 4)), layer])
    image = _draw(3, 40, 50, 4).astype("float32")
    noise, _ = layer.cell.get_initial_state(tf.constant(image))
    # 24,000 draws: a standard error of 0.5 %.
    assert float(tf.math.reduce_std(noise)) == pytest.approx(
        np.sqrt(2 / ((3 + 4) * 40 * 50)), rel=0.02
    )
    first, second = model(image).numpy(), model(image).numpy()
    assert np.any(first != second)
    model.save(tmp_path / "noisy.keras")
    reloaded = keras.saving.load_model(tmp_path / "noisy.keras")
    np.testing.assert_array_equal(reloaded(image), model(image))


# === As a layer ===


@pytest.mark.parametrize(
    ("arguments", "trainable"),
    [
        ({"kernel_size": 5, "normalization": "layer", "convolution": "fourier"}, 16),
        ({"kernel_size": 3, "activation": "tanh", "normalization": None}, 8),
    ],
)
def test_over_time_as_a_layer(arguments, trainable, tmp_path):
    check_layer(
        lambda: Unroll(HGRUCell(3, **arguments), timesteps=2),
        [(7, 9, 3), (10, 10, 3)],
        trainable,
        tmp_path=tmp_path,
    )


def test_one_state_is_enough_for_a_step():
    cell = HGRUCell(3, 3)
    image, h = (tf.constant(_draw(1, 6, 6, 3, seed=seed), "float32") for seed in (0, 1))
    alone, _ = cell(image, [h])
    both, states = cell(image, [h, h])
    np.testing.assert_array_equal(alone, both)
    assert len(states) == len(cell.state_names)


def test_a_map_of_unknown_size_is_convolved_directly():
    layer = Unroll(HGRUCell(3, 15), timesteps=2)
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    image = _draw(1, 20, 21, 3).astype("float32")
    assert relative_error(model(image), layer(image)) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kernel_size": 4}, "one odd int"),
        ({"activation": "elu"}, "relu, tanh, received 'elu'"),
        ({"normalization": "group"}, "'group'"),
        ({"hidden_init": "ones"}, "zeros, noise, received 'ones'"),
        ({"convolution": "fft"}, "auto, direct, fourier, received 'fft'"),
        ({"max_timesteps": 0}, "max_timesteps"),
        ({"seed": -1}, "seed"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        HGRUCell(4, **arguments)


def test_inputs_that_do_not_fit():
    with pytest.raises(ValueError, match="4 channels, as many as it has filters"):
        HGRUCell(4).build((None, 8, 8, 3))
    with pytest.raises(ValueError, match="known height and width"):
        HGRUCell(4, convolution="fourier").build((None, None, 8, 4))
