from __future__ import annotations

import numpy as np
import pytest
from training.small_runs import make_learning_rate, make_optimizer

from tfbio.errors import InputError


def test_the_rate_falls_at_the_first_step_of_each_milestone():
    rate = make_learning_rate(
        0.1, "step", milestones=(2, 3), steps_per_epoch=7, total_steps=35, decay_factor=0.5
    )
    rates = np.array([float(rate(step)) for step in range(35)])
    # Epochs 0 and 1, epoch 2, epochs 3 and 4: 7 steps each.
    np.testing.assert_allclose(rates, [0.1] * 14 + [0.05] * 7 + [0.025] * 14, rtol=1e-6)


def test_the_rate_falls_every_so_many_epochs():
    rate = make_learning_rate(0.1, "step", decay_every=2, steps_per_epoch=7, decay_factor=0.5)
    rates = np.array([float(rate(step)) for step in range(35)])
    expected = [0.1 * 0.5 ** (step // 7 // 2) for step in range(35)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    rate = make_learning_rate(0.1, "step", decay_every=1)
    assert [float(rate(step)) for step in (0, 2)] == pytest.approx([0.1, 0.001])


def test_the_factor_is_a_tenth_and_milestones_may_lie_beyond_the_end():
    rate = make_learning_rate(0.1, "step", milestones=[60], total_steps=10)
    assert [float(rate(step)) for step in (59, 60)] == pytest.approx([0.1, 0.01])


def test_the_optimizer_steps_with_the_rate_of_its_step():
    optimizer = make_optimizer("sgd", 0.1, "step", milestones=[1], steps_per_epoch=2)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.iterations.assign(1)
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.iterations.assign(2)
    assert float(optimizer.learning_rate) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "Expected milestones with the schedule step, received none"),
        ({"milestones": (80, 60)}, "each later than the one before, received 80, 60"),
        ({"milestones": (60, 60)}, "each later than the one before, received 60, 60"),
        ({"milestones": (0, 60)}, "milestones above 0, each later than .*, received 0, 60"),
        ({"milestones": (60,), "decay_factor": 0.0}, "decay factor above 0 .*, received 0.0"),
        ({"milestones": (60,), "decay_factor": 1.5}, "decay factor above 0 .*, received 1.5"),
        ({"decay_every": 0}, "decay_every to be at least 1 epoch, received 0"),
        ({"decay_every": 30, "decay_factor": 1.5}, "decay factor above 0 .*, received 1.5"),
        ({"milestones": (60,), "decay_every": 30}, "milestones or decay_every=30, received both"),
    ],
)
def test_bad_steps_are_named(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        make_learning_rate(0.1, "step", **arguments)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "step"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"patience": 2}, "patience"), ({"plateau_threshold": 0.1}, "plateau_threshold")],
)
def test_what_belongs_to_a_plateau_is_refused_elsewhere(schedule, arguments, sentence):
    with pytest.raises(InputError, match=f"{sentence} with the .* only, received .* {schedule}"):
        make_learning_rate(0.1, schedule, **arguments)


def test_a_plateau_begins_with_the_rate_and_has_no_milestones():
    assert make_learning_rate(0.1, "plateau", patience=2, decay_factor=0.5) == 0.1
    with pytest.raises(InputError, match=r"Expected milestones with .*, received .* plateau"):
        make_learning_rate(0.1, "plateau", milestones=(60,))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_what_belongs_to_steps_is_refused_elsewhere(schedule):
    with pytest.raises(InputError, match=f"Expected milestones with .*, received .* {schedule}"):
        make_learning_rate(0.1, schedule, milestones=(60,))
    with pytest.raises(InputError, match=f"Expected decay_every with .*, received .* {schedule}"):
        make_learning_rate(0.1, schedule, decay_every=30)
    with pytest.raises(InputError, match=f"Expected decay_factor with .*, received .* {schedule}"):
        make_learning_rate(0.1, schedule, decay_factor=0.1)
