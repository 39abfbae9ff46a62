from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.naive_cells import draw_weights

from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.conv_rnn_cell import ConvRNNCell
from tfbio.layers.over_time import OverTime
from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.unroll import Unroll
from tfbio.training.random_state import random_state, set_random_state
from tfbio.training.strategy import choose_strategy

CELLS = [ConvRNNCell, ConvGRUCell, ConvLSTMCell, ReciprocalGatedCell]


def _maps(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


# === Time ===


@pytest.mark.parametrize("cell_class", CELLS)
def test_a_static_image_is_a_sequence_of_itself(cell_class):
    layer = Unroll(cell_class(4, 3, normalization="layer"), timesteps=4)
    image = _maps(2, 6, 7, 3)
    sequence = np.repeat(image[:, np.newaxis], 4, axis=1)
    expected = np.asarray(layer(sequence))
    np.testing.assert_allclose(layer(image), expected, rtol=1e-5, atol=1e-6)
    # Something happens over time.
    assert (expected[:, 0] != expected[:, 1]).any()
    for name, maps in layer.states(image).items():
        for ours, theirs in zip(maps, layer.states(sequence)[name], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("second_class", CELLS)
@pytest.mark.parametrize("static", [True, False])
def test_a_chain_is_one_loop_over_time_around_all_cells(second_class, static):
    """As the original has it: all cells at one time step, then all at the next."""
    first, second = ConvGRUCell(4, 3, strides=2), second_class(5, 3)
    pool = keras.layers.MaxPooling2D(2)
    sequence = _maps(2, 3, 15, 16, 3)
    if static:
        sequence[:] = sequence[:, :1]
    inputs = sequence[:, 0] if static else sequence
    below = OverTime(pool)(Unroll(first, timesteps=3)(inputs))
    chain = np.asarray(Unroll(second)(below))
    of_first = of_second = None
    for t in range(3):
        output, of_first = first(sequence[:, t], of_first)
        output, of_second = second(pool(output), of_second)
        np.testing.assert_allclose(chain[:, t], output, rtol=1e-5, atol=1e-6)
    last = Unroll(second, return_sequences=False)
    np.testing.assert_allclose(last(below), output, rtol=1e-5, atol=1e-6)
    assert last.compute_output_shape(below.shape) == output.shape


@pytest.mark.parametrize("cell_class", CELLS)
def test_a_sequence_goes_on_from_given_states(cell_class):
    layer = Unroll(cell_class(4, 3))
    sequence = _maps(2, 5, 6, 6, 3)
    whole = np.asarray(layer(sequence))
    states = layer.states(sequence[:, :2])
    halfway = [maps[-1] for maps in states.values()]
    np.testing.assert_allclose(
        layer(sequence[:, 2:], initial_state=halfway), whole[:, 2:], rtol=1e-5, atol=1e-6
    )
    later = layer.states(sequence[:, 2:], initial_state=halfway)
    np.testing.assert_allclose(later["h"][-1], whole[:, -1], rtol=1e-5, atol=1e-6)


def test_the_initial_state_has_a_gradient():
    layer = Unroll(ConvLSTMCell(4, 3), timesteps=2)
    image, h, c = (tf.constant(_maps(1, 6, 6, 4)) for _ in range(3))
    with tf.GradientTape() as tape:
        tape.watch([h, c])
        loss = tf.reduce_sum(layer(image, initial_state=[h, c]))
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, [h, c]))


def test_the_initial_state_may_be_an_input_of_a_model(tmp_path):
    layer = Unroll(ConvLSTMCell(4, 3), timesteps=2)
    image, h, c = (keras.Input((6, 6, channels)) for channels in (3, 4, 4))
    model = keras.Model([image, h, c], layer(image, initial_state=[h, c]))
    assert model.output_shape == (None, 2, 6, 6, 4)
    values = [_maps(2, 6, 6, channels) for channels in (3, 4, 4)]
    expected = layer(values[0], initial_state=values[1:])
    np.testing.assert_allclose(model(values), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(reloaded(values), model(values))


@pytest.mark.parametrize("shape", [(None, None, 3), (4, None, None, 3)])
def test_sizes_of_maps_may_be_unknown(shape):
    inputs = keras.Input(shape)
    outputs = Unroll(ConvGRUCell(4, 3, strides=2), timesteps=4)(inputs)
    outputs = Unroll(ConvLSTMCell(2, 3, normalization="layer"))(outputs)
    assert outputs.shape == (None, 4, None, None, 2)
    model = keras.Model(inputs, outputs)
    maps = _maps(2, *[9 if each is None else each for each in shape])
    output = model.predict(maps, verbose=0)
    assert output.shape == (2, 4, 4, 4, 2)
    np.testing.assert_allclose(output, model(maps), rtol=1e-5, atol=1e-6)


def test_statistics_of_batch_normalization_move_at_every_time_step():
    """As PyTorch's of a module that is called T times, but for n / (n - 1)."""
    layer = Unroll(ConvRNNCell(4, 3, normalization="batch"), timesteps=3)
    image = _maps(2, 6, 7, 3)
    layer.build(image.shape)
    draw_weights(layer)
    norm = layer.cell.norm
    norm.moving_mean.assign(np.full(4, 0.5))
    norm.moving_variance.assign(np.full(4, 2.0))
    gamma, beta = np.asarray(norm.gamma), np.asarray(norm.beta)
    mean, variance = np.full(4, 0.5), np.full(4, 2.0)
    # What is normalized, from the outputs: mean beta and standard deviation gamma at every step.
    output = np.asarray(layer(image, training=True), "float64")
    h = np.zeros((2, 6, 7, 4))
    for t in range(3):
        lateral = keras.ops.conv(h.astype("float32"), layer.cell.recurrent_kernel, padding="same")
        before = np.maximum(np.asarray(layer.cell.drive(image) + lateral, "float64"), 0)
        mean = 0.9 * mean + 0.1 * before.mean(axis=(0, 1, 2))
        variance = 0.9 * variance + 0.1 * before.var(axis=(0, 1, 2))
        h = (before - before.mean(axis=(0, 1, 2))) / np.sqrt(before.var(axis=(0, 1, 2)) + 1e-5)
        h = gamma * h + beta
        assert relative_error(output[:, t], h) < 1e-5
    assert relative_error(norm.moving_mean, mean) < 1e-5
    assert relative_error(norm.moving_variance, variance) < 1e-5
    # In inference they stay.
    before = norm.moving_mean.numpy()
    layer(image)
    np.testing.assert_array_equal(norm.moving_mean, before)


# === Dropout ===


class _Passing(ConvRNNCell):
    """Output and state: the inputs and the state together, so that masks are seen."""

    state_names = ("h", "c")

    def build(self, inputs_shape, states_shape=None):
        pass

    def drive(self, inputs):
        return inputs

    def step(self, drive, states, constants=None, training=None):
        h, c = states
        return drive, [h + drive, c + drive]


def _passing(**arguments):
    return Unroll(_Passing(16, 1), **{"timesteps": 3, "dropout": 0.25, "seed": 1, **arguments})


def test_a_mask_is_of_whole_channels_and_of_the_whole_time():
    output = np.asarray(_passing()(np.ones((8, 5, 4, 16)), training=True))
    masks = output[:, 0, 0, 0]
    np.testing.assert_array_equal(output, np.broadcast_to(masks[:, None, None, None], output.shape))
    np.testing.assert_allclose(np.unique(masks), [0, 4 / 3], rtol=1e-6)
    # Each image has its own.
    assert len({tuple(mask) for mask in masks}) == 8


def test_the_mask_of_a_sequence_too_is_one():
    layer = _passing()
    sequence = np.ones((8, 4, 5, 4, 16))
    output = np.asarray(layer(sequence, training=True))
    np.testing.assert_array_equal(output, np.broadcast_to(output[:, :1], output.shape))
    assert len({tuple(mask) for mask in output[:, 0, 0, 0]}) == 8


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_over_masks_is_one(rate):
    masks = np.asarray(_passing(dropout=rate)(np.ones((20_000, 1, 1, 16)), training=True))[:, 0]
    count = masks.size
    # Of count draws, the fraction of zeros has a standard deviation of sqrt(p (1 - p) / count).
    deviation = np.sqrt(rate * (1 - rate) / count)
    assert abs(np.mean(masks == 0) - rate) < 5 * deviation
    assert abs(masks.mean() - 1) < 5 * deviation / (1 - rate)


@pytest.mark.parametrize("training", [False, None])
@pytest.mark.parametrize("recurrent", [False, True])
def test_there_is_no_mask_in_inference(training, recurrent):
    layer = _passing(recurrent_dropout=recurrent)
    maps = _maps(2, 5, 4, 16)
    expected = np.repeat(maps[:, np.newaxis], 3, axis=1)
    np.testing.assert_array_equal(layer(maps, training=training), expected)
    np.testing.assert_array_equal(layer.seed_generator.state, [1, 0])


def test_a_call_has_its_own_mask_and_a_seed_its_own_masks():
    ones = np.ones((4, 1, 1, 16))
    first, again, other = _passing(), _passing(), _passing(seed=2)
    seen = [np.asarray(first(ones, training=True)) for _ in range(3)]
    for masks in seen:
        np.testing.assert_array_equal(again(ones, training=True), masks)
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()
    assert (np.asarray(other(ones, training=True)) != seen[0]).any()


def test_a_compiled_function_draws_masks_anew():
    layer = _passing()
    compiled = tf.function(lambda maps: layer(maps, training=True))
    ones = tf.ones((4, 1, 1, 16))
    seen = [np.asarray(compiled(ones)) for _ in range(3)]
    assert (seen[0] != seen[1]).any()
    assert (seen[1] != seen[2]).any()
    again = _passing()
    for masks in seen:
        np.testing.assert_array_equal(again(ones, training=True), masks)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("cell_class", CELLS)
def test_recurrent_dropout_masks_every_state(cell_class, recurrent):
    """A loop over the cell with the same mask: of the output, or of h and c as well."""
    cell = cell_class(16, 3)
    layer = Unroll(cell, 3, dropout=0.5, recurrent_dropout=recurrent, seed=1)
    image = _maps(2, 5, 4, 3)
    output = np.asarray(layer(image, training=True))
    mask = np.asarray(_passing(dropout=0.5, timesteps=1)(np.ones((2, 1, 1, 16)), training=True))
    mask = mask[:, 0]
    states = None
    for t in range(3):
        expected, states = cell(image, states, training=True)
        np.testing.assert_allclose(output[:, t], expected * mask, rtol=1e-4, atol=1e-5)
        if recurrent:
            states = [state * mask for state in states]
    # Masks of states change what comes out, not only what is shown.
    other = Unroll(cell, 3, dropout=0.5, recurrent_dropout=not recurrent, seed=1)
    difference = np.asarray(other(image, training=True)) - output
    np.testing.assert_array_equal(difference[:, 0], 0)
    assert np.abs(difference[:, 2]).max() > 1e-3


def test_replicas_draw_different_masks():
    strategy = choose_strategy("mirrored", 2)
    with strategy.scope():
        layer = _passing(dropout=0.5)
    step = tf.function(lambda maps: layer(maps, training=True))
    ones = tf.ones((1000, 1, 1, 16))
    masks = []
    for _ in range(2):
        parts = strategy.experimental_local_results(strategy.run(step, args=(ones,)))
        masks += [part.numpy()[:, 0].ravel() for part in parts]
    assert all(set(np.unique(each)) == {0, 2} for each in masks)
    assert all(abs(each.mean() - 1) < 5 / np.sqrt(each.size) for each in masks)
    assert np.abs(np.corrcoef(masks) - np.eye(4)).max() < 5 / np.sqrt(masks[0].size)


# === Saving ===


def _model(seed):
    layer = Unroll(ConvLSTMCell(4, 3), 2, dropout=0.5, recurrent_dropout=True, seed=seed)
    return keras.Sequential([keras.Input((6, 5, 3)), layer])


@pytest.mark.parametrize("seed", [8, None])
def test_a_saved_layer_goes_on_where_it_stood(seed, tmp_path):
    model, image = _model(seed), _maps(3, 6, 5, 3)
    for _ in range(3):
        model(image, training=True)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    keras.utils.set_random_seed(99)
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    fresh = keras.models.clone_model(model)
    fresh.load_weights(tmp_path / "model.weights.h5")
    for _ in range(3):
        expected = np.asarray(model(image, training=True))
        np.testing.assert_array_equal(reloaded(image, training=True), expected)
        np.testing.assert_array_equal(fresh(image, training=True), expected)


def test_weights_go_between_layers_with_and_without_dropout(tmp_path):
    silent = _model(1)
    plain = keras.Sequential([keras.Input((6, 5, 3)), Unroll(ConvLSTMCell(4, 3), 2)])
    image = _maps(2, 6, 5, 3)
    for one, other in ((silent, plain), (plain, silent)):
        one.save_weights(tmp_path / "model.weights.h5")
        draw_weights(other.layers[0])
        other.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_array_equal(one(image), other(image))


def test_an_interrupted_run_finds_the_masks():
    """What a run's checkpoint holds of random draws."""
    model, image = _model(8), _maps(3, 6, 5, 3)
    model(image, training=True)
    state = random_state(model)
    np.testing.assert_array_equal(state, [[8, 1]])
    expected = np.asarray(model(image, training=True))
    set_random_state(model, state)
    np.testing.assert_array_equal(model(image, training=True), expected)
    assert model.weights == model.layers[0].cell.weights


@pytest.mark.parametrize("cell_class", CELLS)
def test_a_saved_model_rebuilds_its_cell(cell_class, tmp_path):
    layer = Unroll(cell_class(4, 3, normalization="batch"), 3, return_sequences=False, name="loop")
    inputs = keras.Input((6, 5, 3))
    model = keras.Model(inputs, layer(inputs))
    draw_weights(layer, 0.2)
    for norm in (each for each in layer.cell._layers if each.name.startswith("norm")):
        norm.moving_variance.assign(np.ones(4))
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    copy = reloaded.get_layer("loop")
    assert type(copy.cell) is cell_class
    # A file has no tuples.
    assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
    paths = [each.path for each in layer.weights]
    assert all(path.startswith(f"loop/{layer.cell.name}/") for path in paths)
    assert [each.path for each in copy.weights] == paths
    image = _maps(2, 6, 5, 3)
    np.testing.assert_array_equal(reloaded(image), model(image))


def test_precision_is_that_of_the_cell():
    layer = Unroll(ConvRNNCell(4, 3, dtype="mixed_bfloat16"), dropout=0.5)
    output = layer(_maps(1, 6, 6, 3), training=True)
    assert output.dtype == tf.bfloat16
    assert layer.cell.kernel.dtype == "float32"


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timesteps": 0}, "Expected `timesteps` to be an int of 1 or more, received 0"),
        ({"timesteps": 2.5}, "Expected `timesteps` to be an int of 1 or more, received 2.5"),
        ({"dropout": 1}, "Expected `dropout` from 0 to below 1, received 1"),
        ({"dropout": -0.1}, "Expected `dropout` from 0 to below 1, received -0.1"),
        ({"seed": -1}, "Expected `seed` to be an int from 0"),
        ({"cell": keras.layers.SimpleRNNCell(3)}, "Expected a `ConvCell` to unroll, received <Sim"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Unroll(**{"cell": ConvRNNCell(4, 3), **arguments})


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 2, 3, 8, 8, 3)])
def test_other_shapes_are_refused(shape):
    layer = Unroll(ConvRNNCell(4, 3), name="loop")
    message = r"Expected inputs of 'loop' of shape \(N, H, W, C\), or \(N, T, H, W, C\)"
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape))
    layer(np.zeros((1, 8, 8, 3)))
    for call in (layer, layer.states):
        with pytest.raises(ValueError, match=message):
            call(np.zeros(shape))


def test_an_unknown_number_of_time_steps_is_refused():
    message = "with a known number of time steps T, 1 or more; received"
    layer = Unroll(ConvRNNCell(4, 3))
    with pytest.raises(ValueError, match=message):
        layer(keras.Input((None, 8, 8, 3)))
    layer(np.zeros((1, 2, 8, 8, 3)))
    with pytest.raises(ValueError, match=message):
        tf.function(layer).get_concrete_function(tf.TensorSpec((1, None, 8, 8, 3)))


def test_a_sequence_has_a_time_step():
    layer = Unroll(ConvRNNCell(4, 3))
    layer(np.zeros((1, 2, 8, 8, 3)))
    for call in (layer, layer.states):
        with pytest.raises(ValueError, match=r"1 or more; received \(1, 0, 8, 8, 3\)"):
            call(np.zeros((1, 0, 8, 8, 3)))


def test_channels_must_be_known():
    with pytest.raises(ValueError, match="Expected inputs of a known number of channels"):
        Unroll(ConvRNNCell(4, 3))(keras.Input((8, 8, None)))


def test_as_many_states_as_the_cell_has():
    layer = Unroll(ConvLSTMCell(4, 3), name="loop")
    image, h = _maps(1, 6, 6, 3), _maps(1, 6, 6, 4)
    message = r"Expected `initial_state` of 'loop' to be a list of as many .* \(h, c\), received"
    for given in ([h], [h, h, h], h):
        with pytest.raises(ValueError, match=message):
            layer(image, initial_state=given)
        with pytest.raises(ValueError, match=message):
            layer.states(image, initial_state=given)


def test_masks_of_states_of_other_channels_are_refused():
    class Uneven(ConvRNNCell):
        state_size = (4, 6)

    with pytest.raises(ValueError, match=r"states have the channels of its output"):
        Unroll(Uneven(4, 3), dropout=0.3, recurrent_dropout=True)
