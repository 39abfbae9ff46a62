"""Training: the loss falls, a kill costs nothing, and files are whole."""

from __future__ import annotations

import csv
import logging

import keras
import numpy as np
import pytest
from training.small_runs import Kill, KilledError, TwoColours, make_optimizer

import tfbio
import tfbio.training.loop as loop
from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.training import DivergedError, choose_strategy, fit, open_run
from tfbio.training.strategy import strategy_scope

STEPS = 4
EPOCHS = 2


BL_RCNN = {"name": "bl_rcnn", "width": 1 / 32, "timesteps": 2, "return_sequences": True}
# Half of some channels are dropped in training.
WITH_DROPOUT = {"name": "resnet50_local_rf", "width": 1 / 16, "blocks": (1, 1, 1, 1)}
# The noise of the front end is drawn anew at every step.
WITH_NOISE = {
    "name": "vone_alexnet",
    "width": 1 / 16,
    "simple_channels": 4,
    "complex_channels": 4,
    "visual_degrees": 1.0,
    "dropout": 0.0,
}


def _train(
    run,
    *,
    model_of=BL_RCNN,
    strategy=None,
    callbacks=(),
    split=None,
    precision="float64",
    **arguments,
):
    """A small run in float64, so that equal means equal."""
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(3)
    batches = TrainingBatches(split or TwoColours(), 32 // STEPS, (32, 32), 3, ("crop", "flip"))
    with strategy_scope(strategy):
        own = {key: value for key, value in model_of.items() if key != "name"}
        model = tfbio.create_model(model_of["name"], input_shape=(32, 32, 3), classes=2, **own)
        optimizer = make_optimizer("adam", 0.01, "cosine", EPOCHS * STEPS)
    validations = iter([0.25, 0.5] * 4)

    def validate():
        return {"val_loss": 1.0, "val_top1": next(validations), "val_top5": 1.0}

    history = fit(
        model, batches, EPOCHS, optimizer, run, validate, strategy, callbacks=callbacks, **arguments
    )
    return model, history


def _weights(model):
    return [np.array(weight) for weight in model.weights]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    run, _ = open_run(tmp_path_factory.mktemp("runs"), "whole")
    model, history = _train(run)
    return run, _weights(model), history


def test_a_run_leaves_what_the_design_lists(uninterrupted):
    run, weights, history = uninterrupted
    assert [row["epoch"] for row in history] == [1, 2]
    assert history[1]["loss"] < history[0]["loss"]
    for name in ("flags", "history.csv", "learning_curve.png", "model.keras", "labels.txt"):
        assert (run.path / name).is_file(), name
    assert list((run.path / "tensorboard").iterdir())
    with run.history.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == [row["loss"] for row in history]
    # The best epoch is the last here: the saved model is the trained one.
    best = keras.saving.load_model(run.model)
    for saved, weight in zip(best.weights, weights, strict=True):
        np.testing.assert_array_equal(saved, weight)
    assert not any(path.name.startswith(".") for path in run.path.rglob("*"))


@pytest.mark.parametrize("steps_before_the_kill", [0, 1, 3, 4, 6, 7])
def test_a_killed_run_goes_on_to_the_same_weights(uninterrupted, tmp_path, steps_before_the_kill):
    run, _ = open_run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _train(run, callbacks=[Kill(steps_before_the_kill)], checkpoint_steps=2)
    model, history = _train(run, checkpoint_steps=2)
    _, expected, whole = uninterrupted
    for weight, same in zip(_weights(model), expected, strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-12)
    assert [row["epoch"] for row in history] == [row["epoch"] for row in whole]
    for row, same in zip(history, whole, strict=True):
        # The figures are those of whole epochs, whatever part of one came after the kill.
        for name in ("loss", "accuracy", "learning_rate"):
            assert row[name] == pytest.approx(same[name], rel=1e-6), name


def test_the_scale_of_the_loss_in_half_precision_goes_on_too(tmp_path):
    """With it lost, the first steps after a resume overflow and are skipped."""
    runs = [open_run(tmp_path, name)[0] for name in ("whole", "killed")]
    whole, _ = _train(runs[0], precision="mixed_float16")
    with pytest.raises(KilledError):
        _train(runs[1], callbacks=[Kill(5)], precision="mixed_float16", checkpoint_steps=2)
    resumed, _ = _train(runs[1], precision="mixed_float16", checkpoint_steps=2)
    for weight, same in zip(_weights(resumed), _weights(whole), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize("model_of", [WITH_DROPOUT, WITH_NOISE], ids=["dropout", "noise"])
def test_random_draws_of_layers_go_on_too(model_of, tmp_path):
    """Keras keeps the state of dropout in no file: with it lost, other channels are dropped."""
    runs = [open_run(tmp_path, name)[0] for name in ("whole", "killed")]
    whole, _ = _train(runs[0], model_of=model_of)
    with pytest.raises(KilledError):
        _train(runs[1], model_of=model_of, callbacks=[Kill(5)], checkpoint_steps=2)
    # Names of Keras' generators count up over the process: those of the resumed run are others.
    keras.layers.Dropout(0.5)
    resumed, _ = _train(runs[1], model_of=model_of, checkpoint_steps=2)
    for weight, same in zip(_weights(resumed), _weights(whole), strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-10)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(uninterrupted, tmp_path, caplog):
    logging.getLogger("tfbio").propagate = True
    run, _ = open_run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _train(run, callbacks=[Kill(7)], checkpoint_steps=2)
    _, newest = run.checkpoints()
    newest.path.write_bytes(newest.path.read_bytes()[:5000])
    model, _ = _train(run, checkpoint_steps=2)
    assert f"The checkpoint {newest.path} cannot be read" in caplog.text
    for weight, same in zip(_weights(model), uninterrupted[1], strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-12)

    for checkpoint in run.checkpoints():
        checkpoint.path.write_bytes(b"")
    with pytest.raises(InputError, match="found damaged ones only: remove them to begin again"):
        _train(run)


def test_a_finished_run_is_not_trained_again(uninterrupted):
    run, weights, _ = uninterrupted
    model, history = _train(run, callbacks=[Kill(0)])
    assert len(history) == EPOCHS
    for weight, same in zip(_weights(model), weights, strict=True):
        np.testing.assert_array_equal(weight, same)


def test_two_replicas_give_the_weights_that_one_gives(uninterrupted, tmp_path):
    run, _ = open_run(tmp_path, "mirrored")
    model, _ = _train(run, strategy=choose_strategy("mirrored", 2))
    for weight, same in zip(_weights(model), uninterrupted[1], strict=True):
        np.testing.assert_allclose(weight, same, rtol=0, atol=1e-9)
    # Only TensorFlow has synchronised batch normalization: a saved model must not ask for it.
    saved = keras.saving.load_model(run.model)
    assert not any(getattr(layer, "synchronized", False) for layer in saved.layers)


def test_max_steps_stops_without_validation(tmp_path):
    run, _ = open_run(tmp_path, "short")
    _, history = _train(run, max_steps=2)
    assert history == []
    assert run.model.is_file()
    # What was trained is kept, and the rest of the run goes on from there.
    assert (run.checkpoints()[-1].epoch, run.checkpoints()[-1].step) == (0, 2)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    run, _ = open_run(tmp_path, "nan")
    with pytest.raises(DivergedError, match=r"The loss is nan in epoch 1 at step \d: lower the"):
        _train(run, split=TwoColours(broken=True))


def test_a_batch_that_replicas_cannot_share_is_refused(tmp_path):
    run, _ = open_run(tmp_path, "odd")
    batches = TrainingBatches(TwoColours(), 7, (32, 32))
    with pytest.raises(InputError, match="a batch size that 2 replicas divide, received 7"):
        fit(None, batches, 1, None, run, dict, choose_strategy("mirrored", 2))


@pytest.mark.parametrize(
    ("step", "steps", "sentence"),
    [
        (90.0, 300, "A step takes 2 min, an epoch of 300 steps about 7.5 h: --width=0.5 helps."),
        (0.5, 1000, "A step takes 0.5 s, an epoch of 1,000 steps about 8 min: --width=0.5 helps."),
        (0.1, 1000, ""),
    ],
)
def test_a_long_epoch_is_foretold_after_the_first_steps(step, steps, sentence, monkeypatch, caplog):
    logging.getLogger("tfbio").propagate = True
    # The clock is asked twice in these steps: after the first, which traces, and after the third.
    clock = loop._ExpectedTime(steps, "--width=0.5 helps")
    clock_steps = iter([0.0, 2 * step])
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock_steps))
    for batch in range(5):
        clock.on_train_batch_end(batch)
    assert caplog.messages == ([sentence] if sentence else [])
