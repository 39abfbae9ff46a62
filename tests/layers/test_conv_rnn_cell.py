from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.cells_golden import CELLS, errors
from layers.layer_checks import check_layer
from layers.naive_cells import check_against_loop, convolution, draw_weights, layer_norm

from tfbio.layers.conv_cell import ConvCell, normalization_layer
from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.gates import drawn_apart, kaiming_fan_out
from tfbio.layers.unroll import Unroll


def _naive(weights, sequence, strides, normalization):
    h, outputs = None, []
    for t in range(sequence.shape[1]):
        drive = convolution(sequence[:, t], weights["kernel"], strides) + weights["bias"]
        h = np.zeros_like(drive) if h is None else h
        lateral = convolution(h, weights["recurrent_kernel"]) + weights["recurrent_bias"]
        h = np.tanh(drive + lateral)
        if normalization:
            h = layer_norm(h, weights["norm.gamma"], weights["norm.beta"])
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "normalization"),
    [(3, 1, None), ((4, 2), 1, "layer"), (3, 2, None), ((2, 3), (1, 2), "layer")],
)
def test_equals_a_loop(kernel_size, strides, normalization):
    steps = (strides, strides) if isinstance(strides, int) else strides
    check_against_loop(
        lambda: ConvRNNCell(3, kernel_size, strides, "tanh", normalization),
        lambda weights, sequence: _naive(weights, sequence, steps, normalization),
    )


def test_equals_the_original():
    for name, error in errors("shaperec_cell_rnn").items():
        assert error < 1e-5, (name, error)


@pytest.mark.parametrize(("kernel_size", "strides"), [(3, 1), (4, 2)])
def test_passes_the_checks_of_every_layer(kernel_size, strides, tmp_path):
    check_layer(
        lambda: Unroll(ConvRNNCell(4, kernel_size, strides, normalization="layer"), timesteps=2),
        [(6, 6, 3), (5, 7, 2)],
        trainable=6,
        tmp_path=tmp_path,
    )


# === What all cells share ===

ALL_CELLS = sorted(CELLS.values(), key=lambda cell: cell.__name__)


@pytest.mark.parametrize("cell_class", ALL_CELLS)
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
def test_a_cell_alone_goes_one_step_as_in_keras(cell_class, normalization):
    """Its protocol is that of Keras' cells: output and states of inputs and states."""
    cell = cell_class(4, 3, normalization=normalization)
    layer = Unroll(cell, timesteps=3)
    image = np.random.default_rng(0).standard_normal((2, 6, 5, 3)).astype("float32")
    expected, over_time = layer(image), layer.states(image)
    assert list(over_time) == list(cell.state_names)
    assert cell.state_size == [4] * len(cell.state_names)
    assert cell.output_size == 4
    states = None
    for t in range(3):
        output, states = cell(image, states)
        np.testing.assert_allclose(output, expected[:, t], rtol=1e-5, atol=1e-6)
        for name, state in zip(cell.state_names, states, strict=True):
            np.testing.assert_array_equal(state, over_time[name][t])
    np.testing.assert_array_equal(states[0], output)


@pytest.mark.parametrize("cell_class", ALL_CELLS)
def test_a_cell_rebuilds_from_its_configuration(cell_class):
    """From JSON, which has no tuples."""
    cell = cell_class(4, (3, 2), (2, 1), "elu", "batch", kernel_initializer="glorot_uniform")
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(cell))
    assert copy.get_config() == cell.get_config()
    assert copy.padding == cell.padding == "valid"
    ours, theirs = Unroll(cell, 2), Unroll(copy, 2)
    image = np.ones((1, 8, 9, 3), "float32")
    shape = ours(image).shape
    assert theirs(image).shape == shape
    copy.set_weights(cell.get_weights())
    np.testing.assert_array_equal(ours(image), theirs(image))


def test_batch_normalization_is_pytorch_s():
    norm = normalization_layer("batch", "norm", "float32")
    assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "Expected `filters` to be an int of 1 or more, received 0"),
        ({"kernel_size": 0}, "Expected `kernel_size` to be an int or two ints of 1 or more"),
        ({"strides": (1, 0)}, "Expected `strides` to be an int or two ints of 1 or more"),
        ({"normalization": "instance"}, "Expected `normalization` to be one of batch, layer, or N"),
    ],
)
@pytest.mark.parametrize("cell_class", ALL_CELLS)
def test_arguments_out_of_range_are_refused(cell_class, arguments, message):
    with pytest.raises(ValueError, match=message):
        cell_class(**{"filters": 4, "kernel_size": 3, **arguments})


def test_a_map_smaller_than_the_window_is_refused():
    with pytest.raises(ValueError, match="Expected inputs no smaller than the window"):
        Unroll(ConvRNNCell(4, 7, strides=2))(np.zeros((1, 6, 6, 3)))


def test_a_cell_without_a_step_is_none():
    with pytest.raises(NotImplementedError):
        ConvCell(4, 3).step(None, [], None)


# === How kernels are drawn ===


@pytest.mark.parametrize(
    ("activation", "gain"),
    [("relu", 2**0.5), ("tanh", 5 / 3), ("sigmoid", 1), ("linear", 1)],
)
@pytest.mark.parametrize("cell_class", ALL_CELLS)
def test_every_gate_is_drawn_by_its_own_fan_out(cell_class, activation, gain):
    """PyTorch's kaiming_normal_(mode="fan_out"), whatever number of gates share a variable."""
    filters, channels = 32, 64
    cell = cell_class(filters, 3, activation=activation)
    Unroll(cell).build((None, 8, 8, channels))
    for kernel in (weight for weight in cell.weights if len(weight.shape) == 4):
        gates = np.split(kernel.numpy(), kernel.shape[-1] // filters, axis=-1)
        size = kernel.shape[0] * kernel.shape[1]
        for gate in gates:
            expected = gain / np.sqrt(size * filters)
            # Of n numbers, the standard deviation has a relative error of 1 / sqrt(2 n).
            assert abs(gate.std() / expected - 1) < 5 / np.sqrt(2 * gate.size)
            assert abs(gate.mean()) < 5 * expected / np.sqrt(gate.size)
        for one, other in itertools.pairwise(gates):
            assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 5 / np.sqrt(one.size)
    for bias in (weight for weight in cell.weights if weight.path.endswith("bias")):
        np.testing.assert_array_equal(bias, 0)


def _kernels(initializer, cell_class=ConvGRUCell):
    cell = cell_class(8, 3, kernel_initializer=initializer)
    Unroll(cell).build((None, 8, 8, 8))
    kernels = [weight.numpy() for weight in cell.weights if len(weight.shape) == 4]
    return [part for kernel in kernels for part in np.split(kernel, kernel.shape[-1] // 8, -1)]


@pytest.mark.parametrize(
    "initializer",
    [
        keras.initializers.GlorotNormal(seed=5),
        keras.initializers.Orthogonal(),
        keras.initializers.HeNormal(seed=keras.random.SeedGenerator(5)),
        lambda shape, dtype=None: keras.random.normal(shape, dtype=dtype),
    ],
)
def test_no_two_gates_are_drawn_alike(initializer):
    gates = [part.ravel() for part in _kernels(initializer)]
    assert len(gates) == 6
    correlations = np.corrcoef(gates) - np.eye(6)
    assert np.abs(correlations).max() < 5 / np.sqrt(gates[0].size)


def test_one_seed_gives_the_same_kernels():
    for cell_class in ALL_CELLS:
        first, again, other = (
            _kernels(keras.initializers.GlorotNormal(seed=seed), cell_class) for seed in (5, 5, 6)
        )
        for one, same, another in zip(first, again, other, strict=True):
            np.testing.assert_array_equal(one, same)
            assert (one != another).all()


def test_an_orthogonal_kernel_is_orthogonal_for_every_gate():
    kernel = np.asarray(drawn_apart(keras.initializers.Orthogonal(), 2)((3, 3, 4, 12)))
    for gate in np.split(kernel, 2, axis=-1):
        columns = gate.reshape(-1, 6)
        np.testing.assert_allclose(columns.T @ columns, np.eye(6), atol=1e-5)


def test_an_initializer_without_chance_stays_as_it_is():
    np.testing.assert_array_equal(
        drawn_apart(keras.initializers.Constant(0.5), 3)((1, 1, 2, 6)), np.full((1, 1, 2, 6), 0.5)
    )


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_the_gain_keeps_the_variance_of_activity(activation):
    """He's: E f(x)^2 = 1 / gain^2 for x from the standard normal."""
    x = np.random.default_rng(0).standard_normal(1_000_000).astype("float32")
    energy = float(np.mean(np.asarray(keras.activations.get(activation)(x)) ** 2))
    assert abs(energy * kaiming_fan_out(activation).scale - 1) < 1e-2


@pytest.mark.parametrize("cell_class", ALL_CELLS)
def test_half_precision(cell_class):
    """Steps, gradients and states; kernels stay in single precision."""
    exact = Unroll(cell_class(4, 3, normalization="batch"), 2)
    half = Unroll(cell_class(4, 3, normalization="batch", dtype="mixed_bfloat16"), 2)
    image = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype("float32")
    for layer in (exact, half):
        layer.build(image.shape)
        draw_weights(layer, 0.1)
    with tf.GradientTape() as tape:
        output = half(image, training=True)
        loss = tf.reduce_sum(output)
    assert output.dtype == tf.bfloat16
    for gradient in tape.gradient(loss, half.trainable_variables):
        assert gradient.dtype == tf.float32
        assert np.isfinite(gradient).all()
    assert relative_error(output, exact(image, training=True)) < 5e-2
    for maps in half.states(tf.cast(image, "bfloat16")).values():
        assert all(each.dtype == tf.bfloat16 for each in maps)
