"""Flags of the optimizer: each arrives, and a mistake gets a sentence."""

from __future__ import annotations

import pytest

from tfbio._configuration import options_of
from tfbio.cli.flags import given
from tfbio.cli.train import COMMAND, TrainFlags
from tfbio.errors import InputError
from tfbio.training import Adam, RMSprop
from tfbio.training.api import training_config


def _config(*arguments):
    values, _ = COMMAND.define()
    values(["train.py", *arguments])
    return training_config(given(values, options_of(TrainFlags)))


def _optimizer(*arguments):
    return _config(*arguments).optimizer.make(total_steps=80, steps_per_epoch=10)


def test_the_training_of_the_shape_selective_networks():
    optimizer = _optimizer(
        "--optimizer=rmsprop",
        "--learning_rate=0.5",
        "--weight_decay=1e-4",
        "--momentum=0.9",
        "--clip_value=0.7",
        "--accumulate_steps=4",
        "--schedule=step",
        "--decay_every=2",
    )
    assert isinstance(optimizer, RMSprop)
    assert (optimizer.l2, optimizer.momentum, optimizer.clipvalue) == (1e-4, 0.9, 0.7)
    assert (optimizer.rho, optimizer.epsilon) == (0.99, 1e-8)
    assert optimizer.gradient_accumulation_steps == 4
    rates = [float(optimizer._learning_rate(step)) for step in (0, 19, 20, 39, 40)]
    assert rates == pytest.approx([0.5, 0.5, 0.05, 0.05, 0.005])


def test_the_defaults_clip_and_accumulate_nothing():
    optimizer = _optimizer("--clip_norm=0.7")
    assert (optimizer.clipvalue, optimizer.global_clipnorm) == (None, 0.7)
    optimizer = _optimizer()
    assert isinstance(optimizer, Adam)
    assert (optimizer.clipvalue, optimizer.global_clipnorm) == (None, None)
    assert (optimizer.l2, optimizer.gradient_accumulation_steps) == (0, None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--clip_value=1", "--clip_norm=1"], "one way to clip gradients"),
        (["--clip_value=-1"], "gradients clipped at a size above 0, received -1.0"),
        (["--decay_every=3"], "decay_every with the schedule step only, received .* cosine"),
        (["--momentum=0.9"], "momentum with sgd and rmsprop only, received 0.9 with adam"),
        (["--warmup_fraction=1"], "a warm-up of 0 or more and below 1 of all steps"),
    ],
)
def test_a_mistake_is_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        _config(*arguments)


def test_the_metric_of_early_stopping():
    assert _config().stopping_metric == "accuracy"
    stopped = _config("--early_stopping=5", "--early_stopping_metric=loss")
    assert stopped.stopping_metric == "loss"
    with pytest.raises(InputError, match="--early_stopping with --early_stopping_metric"):
        _config("--early_stopping_metric=loss")
