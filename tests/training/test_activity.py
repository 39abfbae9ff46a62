"""The statistics against loops and closed forms; the recorder against a training without it."""

from __future__ import annotations

import csv
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from training.small_runs import Kill, KilledError, TwoColours, make_optimizer

import tfbio
from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.training import (
    ActivityRecorder,
    ActivityStatistics,
    channel_correlation,
    choose_strategy,
    fit,
    fraction_of_zeros,
    mean_activity,
    open_run,
    sparsity,
)
from tfbio.training.activity import STATISTICS
from tfbio.training.activity_recorder import recorded_outputs
from tfbio.training.curves import plot_activity
from tfbio.training.random_state import random_state
from tfbio.training.strategy import strategy_scope

STEPS = 4
EPOCHS = 2


def _activity(shape, seed=0):
    """Rectified, of channels with different scales and offsets, some of them constant."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=shape) @ rng.normal(size=(shape[-1], shape[-1]))
    activity = np.maximum(mixed, 0) * 10.0 ** rng.integers(-3, 4, shape[-1]) + 1e3
    activity[..., 2] = 0.1
    activity[..., 4] = 0
    activity[0, ..., 1] = 0
    return activity


# === Statistics ===


@pytest.mark.parametrize("shape", [(6, 5, 4, 7), (40, 9), (3, 2, 5), (8, 30)])
def test_every_statistic_is_that_of_a_naive_loop(shape):
    activity = _activity(shape)
    expected = []
    for image in activity:
        magnitudes = [abs(response) for response in image.ravel()]
        n = len(magnitudes)
        evenness = (sum(magnitudes) / n) ** 2 / (sum(r * r for r in magnitudes) / n)
        expected.append((1 - evenness) / (1 - 1 / n))
    assert sparsity(activity) == pytest.approx(np.mean(expected), abs=1e-10)
    responses = activity.ravel().tolist()
    assert mean_activity(activity) == pytest.approx(sum(responses) / len(responses), rel=1e-10)
    assert fraction_of_zeros(activity) == sum(r == 0 for r in responses) / len(responses)

    channels = activity.reshape(-1, shape[-1])
    varying = [c for c in range(shape[-1]) if len(set(channels[:, c])) > 1]
    assert len(varying) == shape[-1] - 2
    pairs = [
        np.corrcoef(channels[:, i], channels[:, j])[0, 1]
        for i, j in itertools.combinations(varying, 2)
    ]
    assert channel_correlation(activity) == pytest.approx(np.mean(pairs), abs=1e-10)
    absolute = channel_correlation(activity, absolute=True)
    assert absolute == pytest.approx(np.mean(np.abs(pairs)), abs=1e-10)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("shape", [(6, 5, 4, 7), (6, 30), (6, 5)])
def test_batches_are_as_one_array(shape, batch_size):
    activity = _activity(shape)
    whole, batches = ActivityStatistics().update(activity).all(), ActivityStatistics()
    for start in range(0, len(activity), batch_size):
        batches.update(activity[start : start + batch_size])
    assert list(whole) == list(STATISTICS)
    assert batches.all() == pytest.approx(whole, rel=1e-12, abs=1e-12)


def test_sparsity_has_its_closed_forms():
    rng = np.random.default_rng(0)
    one_hot = np.zeros((5, 3, 3, 4))
    for image in one_hot:
        image.flat[rng.integers(image.size)] = rng.uniform(0.1, 100)
    assert sparsity(one_hot) == pytest.approx(1, abs=1e-12)
    assert sparsity(np.full((5, 3, 3, 4), 0.1)) == pytest.approx(0, abs=1e-12)
    # k of n units alike: evenness k / n.
    some = np.zeros((2, 10))
    some[:, :4] = -7
    assert sparsity(some) == pytest.approx((1 - 0.4) / (1 - 0.1), abs=1e-12)
    # Exponential rates: mean^2 / mean of squares is a half.
    exponential = rng.exponential(size=(4, 500_000))
    assert sparsity(exponential) == pytest.approx(0.5, abs=0.01)
    # The scale does not count, however small or large.
    for scale in (1e-200, 1e200):
        assert sparsity(scale * one_hot[:, 0, 0]) == pytest.approx(sparsity(one_hot[:, 0, 0]))


def test_silent_images_are_left_out_and_silent_layers_are_finite():
    active = np.array([[1.0, 2.0, 0.0]])
    with_silent = np.concatenate([active, np.zeros((3, 3))])
    assert sparsity(with_silent) == sparsity(active)
    silent = ActivityStatistics().update(np.zeros((4, 2, 2, 3))).all()
    assert (silent["mean"], silent["sparsity"], silent["zeros"]) == (0, 0, 1)
    assert sparsity(np.ones((4, 1))) == 0
    # Undefined, and said so, not 0: no channel varies, or only one does.
    assert np.isnan([silent["correlation"], silent["absolute_correlation"]]).all()
    assert np.isnan(channel_correlation([[1.0, 2.0], [1.0, 3.0]]))


def test_correlation_has_its_closed_forms():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(50, 1))
    assert channel_correlation(signal * [1, 2, 0.5]) == pytest.approx(1, abs=1e-12)
    # One of three turned round: of six pairs four are -1.
    assert channel_correlation(signal * [1, 2, -1]) == pytest.approx(-1 / 3, abs=1e-12)
    assert channel_correlation(signal * [1, 2, -1], absolute=True) == pytest.approx(1, abs=1e-12)
    # A large mean takes nothing from the exactness.
    shared = rng.normal(size=(4000, 1)) + rng.normal(size=(4000, 4))
    expected = (np.corrcoef(shared.T).sum() - 4) / 12
    assert channel_correlation(shared + 1e6) == pytest.approx(expected, abs=1e-8)


def test_a_wide_layer_needs_no_square_matrix():
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(5, 2500))
    expected = np.corrcoef(activity.T)
    np.fill_diagonal(expected, 0)
    pairs = 2500 * 2499
    assert channel_correlation(activity) == pytest.approx(expected.sum() / pairs, abs=1e-10)
    absolute = channel_correlation(activity, absolute=True)
    assert absolute == pytest.approx(np.abs(expected).sum() / pairs, abs=1e-10)


def test_half_precision_is_summed_in_double():
    activity = np.full((2, 64, 64, 3), 100, np.float16)  # its sum overflows
    assert mean_activity(activity) == 100
    assert sparsity(activity) == 0


def test_what_cannot_be_measured():
    for value in (np.nan, np.inf):
        broken = np.ones((2, 3))
        broken[1, 1] = value
        statistics = ActivityStatistics().update(np.ones((2, 3))).update(broken)
        assert np.isnan(list(statistics.all().values())).all()
    assert np.isnan(list(ActivityStatistics().all().values())).all()
    for shape in ((3,), (0, 3), (3, 0)):
        with pytest.raises(ValueError, match="at least one image and unit, received"):
            mean_activity(np.zeros(shape))


# === Recorder ===

IMAGES = TwoColours(6)._images
# All of the small model's layers, the one with noise among them.
LAYERS = ["conv*", "relu*", "divnorm", "noise"]
RECORDED = {"layers": LAYERS, "steps": 3}


def _model():
    """A small model that draws random numbers in training (dropout), and always (noise)."""
    image = keras.Input((32, 32, 3), name="image")
    outputs = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    for number in (1, 2):
        outputs = keras.layers.Conv2D(4 * number, 3, 2, name=f"conv{number}")(outputs)
        outputs = keras.layers.Activation("relu", name=f"relu{number}")(outputs)
    outputs = tfbio.layers.PooledDivNorm(name="divnorm")(outputs)
    outputs = tfbio.layers.NeuronalNoise(name="noise")(outputs)
    outputs = keras.layers.GlobalAveragePooling2D()(outputs)
    outputs = keras.layers.Dropout(0.5)(outputs)
    outputs = keras.layers.Dense(2, name="readout")(outputs)
    return keras.Model(image, keras.layers.Activation("softmax", name="predictions")(outputs))


def _train(run, recorded, kill=None, kill_first=True, strategy=None, **arguments):
    """A small run in float64; with the options of the recorder, or None for no recorder."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(3)
    batches = TrainingBatches(TwoColours(), 32 // STEPS, (32, 32), 3, ("crop", "flip"))
    with strategy_scope(strategy):
        model = _model()
        optimizer = make_optimizer("adam", 0.01, "cosine", EPOCHS * STEPS)
    callbacks = (
        []
        if recorded is None
        else [ActivityRecorder(model, IMAGES, run.path, batch_size=4, **recorded)]
    )
    if kill is not None:
        # First the kill: the step before it is not recorded.
        callbacks.insert(0 if kill_first else 1, Kill(kill))

    def validate():
        return {"val_loss": 1.0, "val_top1": 0.5, "val_top5": 1.0}

    fit(
        model, batches, EPOCHS, optimizer, run, validate, strategy, callbacks=callbacks, **arguments
    )
    return model


def _rows(run):
    with (run.path / "activity.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _places(rows):
    """Epoch and step of every record, each of which has all layers."""
    return [
        (int(epoch), int(step))
        for (epoch, step), _ in itertools.groupby(rows, lambda row: (row["epoch"], row["step"]))
    ]


def _assert_same_rows(rows, expected):
    assert [[*row.values()][:3] for row in rows] == [[*row.values()][:3] for row in expected]
    for row, same in zip(rows, expected, strict=True):
        for name in STATISTICS:
            assert float(row[name]) == pytest.approx(float(same[name]), abs=1e-9, nan_ok=True)


def _assert_measured(rows, model):
    """The rows are of the model as it is."""
    rows = {row["layer"]: row for row in rows if row["layer"] != "noise"}
    for layer, activity in tfbio.features(model, IMAGES, list(rows)).items():
        for name, value in ActivityStatistics().update(activity).all().items():
            assert float(rows[layer][name]) == pytest.approx(value, abs=1e-9), (layer, name)


def test_a_training_is_the_same_with_the_recorder_and_without(tmp_path):
    runs = [open_run(tmp_path, name)[0] for name in ("without", "with")]
    without = _train(runs[0], None)
    with_recorder = _train(runs[1], {"steps": 2})
    for weight, same in zip(with_recorder.weights, without.weights, strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-10)
    for state, same in zip(random_state(with_recorder), random_state(without), strict=True):
        np.testing.assert_array_equal(state, same)
    assert _places(_rows(runs[1])) == [(1, 2), (1, 4), (2, 6), (2, 8)]
    assert not (runs[0].path / "activity.csv").exists()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run, _ = open_run(tmp_path_factory.mktemp("runs"), "whole")
    return run, _train(run, RECORDED)


def test_a_row_holds_the_statistics_of_its_layer(uninterrupted):
    run, model = uninterrupted
    rows = _rows(run)
    assert list(rows[0]) == ["epoch", "step", "layer", *STATISTICS]
    assert _places(rows) == [(1, 3), (1, 4), (2, 6), (2, 8)]
    layers = ["conv1", "conv2", "relu1", "relu2", "divnorm", "noise"]
    assert len(rows) == 4 * len(layers)
    last = rows[-len(layers) :]
    assert [row["layer"] for row in last] == layers
    _assert_measured(last, model)
    assert (run.path / "activity.png").stat().st_size > 10_000
    assert not list(run.path.glob(".*"))


def test_tensorboard_has_every_statistic_over_steps(uninterrupted):
    run, _ = uninterrupted
    found = {}
    for path in sorted((run.path / "tensorboard").iterdir()):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.tag.startswith("activity/"):
                    found[value.tag, event.step] = float(tf.make_ndarray(value.tensor))
    rows = _rows(run)
    assert len(found) == len(rows) * len(STATISTICS)
    for row in rows:
        for name in STATISTICS:
            value = found[f"activity/{row['layer']}/{name}", int(row["step"])]
            assert value == pytest.approx(float(row[name]), rel=1e-6, nan_ok=True)


# The checkpoints are of steps 2, 4, 6; steps 3, 4, 6, 8 are recorded.
@pytest.mark.parametrize(("kill", "kill_first"), [(3, False), (5, True), (5, False)])
def test_a_killed_run_has_the_rows_of_one_that_was_not(uninterrupted, tmp_path, kill, kill_first):
    """Of noise, too: what is measured again is measured with the same draws."""
    run, _ = open_run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _train(run, RECORDED, kill=kill, kill_first=kill_first, checkpoint_steps=2)
    with (run.path / "activity.csv").open("a") as file:
        file.write("1,9,conv1,0.3")  # a line that a kill cut off
    _train(run, RECORDED, checkpoint_steps=2)
    _assert_same_rows(_rows(run), _rows(uninterrupted[0]))


def test_a_run_cut_short_and_gone_on_with_has_no_row_too_many(uninterrupted, tmp_path):
    run, _ = open_run(tmp_path, "short")
    _train(run, RECORDED, max_steps=5)
    assert _places(_rows(run)) == [(1, 3), (1, 4), (2, 5)]
    _train(run, RECORDED)
    _assert_same_rows(_rows(run), _rows(uninterrupted[0]))
    # A finished run is not trained, and nothing is recorded again.
    _train(run, RECORDED)
    _assert_same_rows(_rows(run), _rows(uninterrupted[0]))


def test_two_replicas_are_recorded_as_one(tmp_path):
    run, _ = open_run(tmp_path, "mirrored")
    model = _train(run, RECORDED, strategy=choose_strategy("mirrored", 2), max_steps=2)
    rows = _rows(run)
    assert _places(rows) == [(1, 2)]
    _assert_measured(rows, model)


def test_half_precision_is_recorded(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = _model()
    model.compile("sgd", "sparse_categorical_crossentropy")
    recorder = ActivityRecorder(model, IMAGES, tmp_path, layers="conv1")
    model.fit(IMAGES, np.zeros(len(IMAGES)), verbose=0, callbacks=[recorder])
    (row,) = recorder.rows()
    assert all(np.isfinite(row[name]) for name in STATISTICS)


@pytest.mark.parametrize(("layers", "epochs"), [(1, 1), (10, 20), (45, 12)])
def test_any_number_of_layers_and_epochs_is_drawn(tmp_path, layers, epochs):
    rows = [
        {
            "epoch": epoch,
            "layer": f"layer{layer}",
            "mean": layer,
            "sparsity": 0.5,
            "correlation": np.nan if layer == 0 else 0.1,
        }
        for epoch in range(1, epochs + 1)
        for layer in range(layers)
    ]
    plot_activity(rows, tmp_path / "activity.png")
    assert (tmp_path / "activity.png").read_bytes().startswith(b"\x89PNG")


def test_the_default_takes_convolutions_activations_and_divisive_normalizations():
    model = tfbio.create_model(
        "resnet50_div_norm", input_shape=(32, 32, 3), classes=2, width=1 / 16, blocks=(1, 1, 1, 1)
    )
    chosen = [model.get_layer(key) for key in recorded_outputs(model)]
    kinds = {type(layer).__name__ for layer in chosen}
    assert kinds == {"Conv2D", "Activation", "GaussianDivNorm"}
    assert model.layers[-1] not in chosen
    assert list(recorded_outputs(_model())) == ["conv1", "relu1", "conv2", "relu2", "divnorm"]
    image = keras.Input((32, 32, 3))
    block = tfbio.layers.VOneBlock(4, 4, visual_degrees=1.0, name="vone_block")
    vonenet = keras.Model(image, keras.layers.Flatten()(block(image)))
    assert list(recorded_outputs(vonenet)) == ["vone_block"]


def test_what_cannot_be_recorded_is_refused(tmp_path):
    inputs = keras.Input((4,))
    dense = keras.Model(inputs, keras.layers.Dense(2)(inputs), name="dense")
    with pytest.raises(InputError, match="'dense' has no convolution, activation or divisive"):
        recorded_outputs(dense)
    with pytest.raises(InputError, match="No layer of 'dense' matches 'conv'"):
        recorded_outputs(dense, "conv")
    split = keras.layers.Lambda(lambda x: (x, x), name="split")
    with pytest.raises(InputError, match="received 'split' of 'two', which has 2"):
        recorded_outputs(keras.Model(inputs, split(inputs), name="two"), "split")
    images = np.zeros((1, 4))
    with pytest.raises(InputError, match="at least one image to record on"):
        ActivityRecorder(dense, images[:0], tmp_path, "dense*")
    with pytest.raises(InputError, match="Expected `steps` of 1 or more, received 0"):
        ActivityRecorder(dense, images, tmp_path, "dense*", steps=0)
    assert not list(tmp_path.iterdir())
