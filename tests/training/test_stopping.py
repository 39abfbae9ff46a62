"""A rate that waits for the validation loss, an early stop, and a kill: nothing is lost."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from training.small_runs import Kill, KilledError, TwoColours, make_optimizer

from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.training import (
    PlateauDecay,
    choose_strategy,
    epochs_since_best,
    fit,
    open_run,
    strategy_scope,
)

STEPS = 2
# Epochs 1 and 2 are no better than epoch 0: the rate falls before epoch 3, and again before 6.
LOSSES = [2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0]
RATES = [0.5] * 3 + [0.125] * 3 + [0.03125]
EPOCHS = len(LOSSES)
PLATEAU = PlateauDecay(0.5, patience=1, decay_factor=0.25)


def _model():
    pixels = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 3, activation="tanh")(keras.layers.Rescaling(1 / 255)(pixels))
    features = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(features))
    predictions = keras.layers.Activation("softmax", dtype=_float(), name="predictions")
    return keras.Model(pixels, predictions(keras.layers.Dense(2)(features)))


def _float():
    return "float32" if keras.config.dtype_policy().name == "mixed_float16" else "float64"


def _train(run, *, after=0, top1=None, kill=None, precision="float64", strategy=None, **arguments):
    """A small run of the losses above, in float64; `after` epochs of it are in the run already."""
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(3)
    batches = TrainingBatches(TwoColours(16), 16 // STEPS, (32, 32), 3, ("flip",))
    schedule = "plateau" if "plateau" in arguments else "constant"
    with strategy_scope(strategy):
        model = _model()
        optimizer = make_optimizer("sgd", 0.5, schedule, nesterov=True)
    figures = iter(
        {"val_loss": loss, "val_top1": accuracy, "val_top5": 1.0}
        for loss, accuracy in list(zip(LOSSES, top1 or [0.5] * EPOCHS, strict=True))[after:]
    )
    history = fit(
        model,
        batches,
        EPOCHS,
        optimizer,
        run,
        lambda: next(figures),
        strategy,
        callbacks=[Kill(kill)] if kill is not None else [],
        **arguments,
    )
    return [np.array(weight) for weight in model.weights], history


@pytest.fixture(scope="module")
def falling(tmp_path_factory):
    run, _ = open_run(tmp_path_factory.mktemp("runs"), "whole")
    return _train(run, plateau=PLATEAU)


def test_the_rate_falls_after_a_plateau(falling):
    _, history = falling
    assert [row["learning_rate"] for row in history] == RATES


# Killed before the first fall, in the epoch after it, and with the validation that leads to the
# second behind it.
@pytest.mark.parametrize(
    ("steps_before_the_kill", "checkpoint_steps"),
    [(3, None), (7, 1), (12, None)],
)
def test_a_killed_run_goes_on_with_its_rate(
    falling, tmp_path, steps_before_the_kill, checkpoint_steps
):
    run, _ = open_run(tmp_path, "killed")
    how = {"plateau": PLATEAU, "checkpoint_steps": checkpoint_steps}
    with pytest.raises(KilledError):
        _train(run, kill=steps_before_the_kill, **how)
    weights, history = _train(run, after=len(run.read_history()), **how)
    assert [row["learning_rate"] for row in history] == RATES
    for weight, same in zip(weights, falling[0], strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-12)


def test_the_rate_falls_in_half_precision_too(tmp_path):
    run, _ = open_run(tmp_path, "half")
    with pytest.raises(KilledError):
        _train(run, kill=7, precision="mixed_float16", plateau=PLATEAU)
    _, history = _train(run, after=3, precision="mixed_float16", plateau=PLATEAU)
    assert [row["learning_rate"] for row in history] == RATES


def test_two_replicas_have_the_rates_of_one(falling, tmp_path):
    run, _ = open_run(tmp_path, "mirrored")
    weights, history = _train(run, strategy=choose_strategy("mirrored", 2), plateau=PLATEAU)
    assert [row["learning_rate"] for row in history] == RATES
    for weight, same in zip(weights, falling[0], strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-9)


# The loss of epoch 3 is lower at the same accuracy, which makes it the better one.
TOP1 = [0.25, 0.5, 0.25, 0.5, 0.5, 0.25, 1.0]


def test_it_stops_when_the_accuracy_stays(tmp_path):
    run, _ = open_run(tmp_path, "early")
    weights, history = _train(run, top1=TOP1, early_stopping=2)
    # Not after epochs 1 to 3, in which only one in a row is no better.
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5, 6]
    assert epochs_since_best(history) == 2

    # It stays stopped: there is no loss for another epoch, and no step.
    again, history = _train(run, after=EPOCHS, kill=0, top1=TOP1, early_stopping=2)
    assert len(history) == 6
    for weight, same in zip(again, weights, strict=True):
        np.testing.assert_array_equal(weight, same)

    killed, _ = open_run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _train(killed, kill=9, top1=TOP1, early_stopping=2)
    resumed, history = _train(killed, after=4, top1=TOP1, early_stopping=2)
    assert len(history) == 6
    for weight, same in zip(resumed, weights, strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-12)


def test_it_stops_when_the_loss_stays(tmp_path):
    """Not when the accuracy does, which grows here; and every row is passed on."""
    run, _ = open_run(tmp_path, "early")
    rows = []
    arguments = {"early_stopping": 2, "early_stopping_metric": "loss", "record": rows.append}
    _, history = _train(run, top1=[0.1 * epoch for epoch in range(EPOCHS)], **arguments)
    # After epochs 1 and 2, which are no better than epoch 0.
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert (epochs_since_best(history, "loss"), epochs_since_best(history)) == (2, 0)
    assert rows == history


def test_a_metric_is_known():
    with pytest.raises(InputError, match="a metric of accuracy or loss, received 'top5'"):
        epochs_since_best([], "top5")


def test_equal_epochs_are_no_gain():
    rows = [{"val_top1": top1, "val_loss": 1.0} for top1 in (0.5, 0.5, 0.25)]
    assert [epochs_since_best(rows[:length]) for length in range(4)] == [0, 0, 1, 2]
