"""Flags of the optimizer: each arrives, and a mistake gets a sentence."""

from __future__ import annotations

import pytest
from absl import flags
from tfbio.cli.optimization import chosen_optimizer, define_optimizer_flags, stopping_metric

from tfbio.errors import InputError
from tfbio.training import Adam, RMSprop


def _values(*arguments):
    values = flags.FlagValues()
    define_optimizer_flags(values)
    flags.DEFINE_integer("epochs", 8, "Of the training.", flag_values=values)
    values(["train.py", *arguments])
    return values


def _optimizer(*arguments):
    return chosen_optimizer(_values(*arguments), steps_per_epoch=10)


def test_the_training_of_the_shape_selective_networks():
    optimizer = _optimizer(
        "--optimizer=rmsprop", "--learning_rate=0.5", "--weight_decay=1e-4", "--momentum=0.9",
        "--clip_value=0.7", "--accumulate_steps=4", "--schedule=step", "--decay_every=2",
    )  # fmt: skip
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
    ],
)
def test_a_mistake_is_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        _optimizer(*arguments)


def test_the_metric_of_early_stopping():
    assert stopping_metric(_values()) == "accuracy"
    assert stopping_metric(_values("--early_stopping=5", "--early_stopping_metric=loss")) == "loss"
    with pytest.raises(InputError, match="--early_stopping with --early_stopping_metric"):
        stopping_metric(_values("--early_stopping_metric=loss"))
