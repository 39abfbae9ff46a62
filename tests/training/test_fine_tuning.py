"""Fine-tuning: what moves, what stays, and that it goes on after a kill."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from training.small_runs import Kill, KilledError, TwoColours, make_optimizer

import tfbio
from tfbio.datasets.pipeline import TrainingBatches
from tfbio.training import choose_strategy, fit, open_run, strategy_scope, train_classifier_only

STEPS = 4
EPOCHS = 2


def _fine_tune(run, *, strategy=None, callbacks=(), precision="float64", **arguments):
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(3)
    batches = TrainingBatches(TwoColours(), 32 // STEPS, (32, 32), 3, ("flip",))
    with strategy_scope(strategy):
        model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
        train_classifier_only(model)
        optimizer = make_optimizer(
            "sgd", 0.1, "step", weight_decay=1e-3, milestones=(1,), steps_per_epoch=STEPS
        )
    before = _weights(model)

    def validate():
        return {"val_loss": 1.0, "val_top1": 0.5, "val_top5": 1.0}

    fit(
        model, batches, EPOCHS, optimizer, run, validate, strategy, callbacks=callbacks, **arguments
    )
    return model, before


def _weights(model):
    return {weight.path: np.array(weight) for weight in model.weights}


def _run(path, name="run"):
    return open_run(path, name)[0]


@pytest.mark.parametrize("name", tfbio.list_models("resnet50*"))
def test_the_classifier_of_every_resnet_is_found(name):
    """By the graph: the original looks for a name, which one of its networks does not have."""
    model = tfbio.create_model(name, width=1 / 16, blocks=(1, 1, 1, 1))
    train_classifier_only(model)
    assert [weight.path for weight in model.trainable_variables] == ["fc/kernel", "fc/bias"]
    norms = (each for each in model.layers if isinstance(each, keras.layers.BatchNormalization))
    assert all(norm.trainable for norm in norms)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    model, _ = _fine_tune(_run(tmp_path_factory.mktemp("runs")))
    return _weights(model)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_the_classifier_and_the_moving_statistics_change_alone(precision, tmp_path):
    model, before = _fine_tune(_run(tmp_path), precision=precision)
    after = _weights(model)
    changed = {path for path in after if not np.array_equal(after[path], before[path])}
    moving = {path for path in after if path.rsplit("/", 1)[-1].startswith("moving_")}
    assert len(moving) == 14
    assert changed == moving | {"ReadoutDense/kernel", "ReadoutDense/bias"}


def test_batch_normalization_normalizes_by_the_batch():
    """In training its output does not depend on the moving statistics."""
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
    train_classifier_only(model)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    answer = np.array(model(images, training=True))
    for variable in model.non_trainable_variables:
        if "moving_" in variable.path:
            variable.assign(variable + 5)
    np.testing.assert_array_equal(model(images, training=True), answer)
    assert np.abs(np.array(model(images, training=False)) - answer).max() > 1e-3


def test_only_variables_are_frozen():
    model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
    train_classifier_only(model)
    assert all(layer.trainable for layer in model.layers)
    assert {variable.path for variable in model.trainable_variables} == {
        "ReadoutDense/kernel",
        "ReadoutDense/bias",
    }


@pytest.mark.parametrize("steps_before_the_kill", [1, 2, 3, 5, 7])
def test_a_killed_run_goes_on_to_the_same_weights(uninterrupted, tmp_path, steps_before_the_kill):
    run = _run(tmp_path)
    with pytest.raises(KilledError):
        _fine_tune(run, callbacks=[Kill(steps_before_the_kill)], checkpoint_steps=2)
    model, _ = _fine_tune(run, checkpoint_steps=2)
    for path, weight in _weights(model).items():
        np.testing.assert_allclose(weight, uninterrupted[path], rtol=0, atol=1e-12, err_msg=path)


def test_half_precision_goes_on_too(tmp_path):
    whole, _ = _fine_tune(_run(tmp_path, "whole"), precision="mixed_float16")
    run = _run(tmp_path, "killed")
    with pytest.raises(KilledError):
        _fine_tune(run, callbacks=[Kill(5)], precision="mixed_float16", checkpoint_steps=2)
    resumed, _ = _fine_tune(run, precision="mixed_float16", checkpoint_steps=2)
    for path, weight in _weights(whole).items():
        np.testing.assert_array_equal(_weights(resumed)[path], weight, err_msg=path)


def test_two_replicas_in_half_precision(tmp_path):
    one, _ = _fine_tune(_run(tmp_path, "one"), precision="mixed_float16")
    strategy = choose_strategy("mirrored", 2)
    two, before = _fine_tune(_run(tmp_path, "two"), precision="mixed_float16", strategy=strategy)
    after = _weights(two)
    assert not np.array_equal(after["ReadoutDense/kernel"], before["ReadoutDense/kernel"])
    for path, weight in _weights(one).items():
        np.testing.assert_allclose(after[path], weight, rtol=0, atol=0.02, err_msg=path)


def test_two_replicas_give_the_weights_that_one_gives(uninterrupted, tmp_path):
    model, _ = _fine_tune(_run(tmp_path), strategy=choose_strategy("mirrored", 2))
    for path, weight in _weights(model).items():
        np.testing.assert_allclose(weight, uninterrupted[path], rtol=0, atol=1e-9, err_msg=path)


@pytest.mark.parametrize("batch_statistics", [True, False])
def test_batch_normalization_is_frozen_if_it_is_to_be(batch_statistics):
    keras.utils.set_random_seed(0)
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
    train_classifier_only(model, batch_statistics)
    before = _weights(model)
    trainer = tfbio.models.logits_model(model)
    images = np.random.default_rng(0).uniform(0, 255, (8, 32, 32, 3))
    inference = np.asarray(trainer(images, training=False))
    assert np.allclose(trainer(images, training=True), inference, atol=1e-6) != batch_statistics
    trainer.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trainer.fit(images, np.arange(8) % 2, verbose=0)
    moved = {path for path, weight in _weights(model).items() if (weight != before[path]).any()}
    statistics = {path for path in before if "moving_" in path} if batch_statistics else set()
    assert moved == {"ReadoutDense/kernel", "ReadoutDense/bias"} | statistics
