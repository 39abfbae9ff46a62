"""The rate of a plateau: by hand, and as PyTorch has it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfbio.errors import InputError
from tfbio.training import Plateau, PlateauDecay


def _rates(decay, losses):
    """The rate of every epoch, and of the one after the last."""
    return [decay(losses[:epoch]) for epoch in range(len(losses) + 1)]


def test_by_hand():
    decay = PlateauDecay(0.5, patience=1, decay_factor=0.5, threshold=0.1)
    # 1.9 is less than 2.0, but not by a tenth. Two epochs in a row like this, and the rate falls;
    # so it does again after the next two. 1.7 is better, and the count begins again.
    losses = [2.0, 1.9, 1.9, 1.9, 1.9, 1.7, 1.6, 1.5, 1.6, 1.6]
    assert _rates(decay, losses) == [0.5] * 3 + [0.25] * 2 + [0.125] * 5 + [0.0625]


def test_no_patience_is_none():
    assert _rates(PlateauDecay(0.5, 0, 0.5), [1.0, 1.0, 0.5, 0.5]) == [0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_rate_of_nearly_nothing_stays():
    assert PlateauDecay(1e-8, 0, 0.5)([1.0] * 9) == 1e-8


def test_a_loss_that_is_not_a_number_is_not_better():
    assert PlateauDecay(0.5, 0, 0.5)([1.0, math.nan]) == 0.25
    assert PlateauDecay(0.5, 0, 0.5)([math.inf]) == 0.25


@pytest.mark.parametrize("seed", range(8))
def test_it_does_what_pytorch_does(seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    patience, factor = int(rng.integers(0, 6)), float(rng.uniform(0.05, 0.95))
    threshold = float(rng.choice([0.0, 1e-4, 0.05]))
    # It falls, is noisy, and has ties.
    losses = np.round(4 * 0.97 ** np.arange(120) * rng.uniform(0.8, 1.2, 120), 2).tolist()
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.05)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=factor, patience=patience, threshold=threshold
    )
    expected = [0.05]
    for loss in losses:
        schedule.step(loss)
        expected.append(optimizer.param_groups[0]["lr"])
    assert _rates(PlateauDecay(0.05, patience, factor, threshold), losses) == expected
    assert len(set(expected)) > 2


def test_the_defaults_are_those_of_the_divisive_normalization_project():
    assert Plateau().decay(0.05) == PlateauDecay(0.05, patience=5, decay_factor=0.1, threshold=1e-4)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"learning_rate": 0.0}, "a learning rate above 0, received 0.0"),
        ({"learning_rate": math.inf}, "a learning rate above 0, received inf"),
        ({"patience": -1}, "a patience of 0 epochs or more, received -1"),
        ({"decay_factor": 1.0}, "above 0 and below 1 with the schedule plateau, received 1.0"),
        ({"decay_factor": 0.0}, "above 0 and below 1 with the schedule plateau, received 0.0"),
        ({"threshold": 1.0}, "a plateau threshold of 0 or more and below 1, received 1.0"),
        ({"threshold": -0.1}, "a plateau threshold of 0 or more and below 1, received -0.1"),
        ({"threshold": math.nan}, "a plateau threshold of 0 or more and below 1, received nan"),
    ],
)
def test_bad_values_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        PlateauDecay(**{"learning_rate": 0.1, **arguments})
