from __future__ import annotations

import math

import numpy as np
import pytest
from training.small_runs import make_optimizer

from tfbio.errors import InputError, UnknownNameError
from tfbio.training import OPTIMIZERS


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_constant_rate(name):
    assert float(make_optimizer(name, 0.25, "constant").learning_rate) == 0.25


def test_cosine_rises_from_above_zero_then_falls_to_zero():
    schedule = make_optimizer("sgd", 0.1, "cosine", total_steps=200)._learning_rate
    rates = np.array([float(schedule(step)) for step in range(201)])
    warmup, decay = 10, 190
    rising = 0.1 / 11 + (0.1 - 0.1 / 11) * np.arange(warmup) / warmup
    falling = [0.05 * (1 + math.cos(math.pi * step / decay)) for step in range(decay + 1)]
    np.testing.assert_allclose(rates, [*rising, *falling], atol=1e-7)


def test_weight_decay_and_momentum_go_where_they_belong():
    sgd = make_optimizer("sgd", weight_decay=1e-5, momentum=0.5)
    assert (sgd.l2, sgd.weight_decay, sgd.momentum) == (1e-5, None, 0.5)
    assert (make_optimizer("sgd").l2, make_optimizer("sgd").momentum) == (0, 0.9)
    assert make_optimizer("adamw", weight_decay=1e-5).weight_decay == 1e-5
    assert make_optimizer("adamw").weight_decay == 0.004
    for name in ("adam", "rmsprop"):
        assert make_optimizer(name).weight_decay is None
        assert make_optimizer(name).l2 == 0
        assert make_optimizer(name, weight_decay=1e-5).l2 == 1e-5
    assert make_optimizer("rmsprop").momentum == 0
    assert make_optimizer("rmsprop", momentum=0.5).momentum == 0.5
    with pytest.raises(InputError, match=r"with sgd and rmsprop only, received .* with adamw"):
        make_optimizer("adamw", momentum=0.9)
    assert make_optimizer("sgd", nesterov=True).nesterov
    assert not make_optimizer("sgd").nesterov
    for name in ("adam", "adamw", "rmsprop"):
        with pytest.raises(InputError, match=f"momentum with sgd only, received {name}"):
            make_optimizer(name, nesterov=True)
    for decay in (-1e-5, math.nan, math.inf):
        for name in sorted(OPTIMIZERS):
            with pytest.raises(InputError, match="a weight decay of 0 or more, received"):
                make_optimizer(name, weight_decay=decay)


def test_bad_values_are_named():
    with pytest.raises(UnknownNameError, match=r"Unknown optimizer 'adm'. Nearest: adam"):
        make_optimizer("adm")
    with pytest.raises(UnknownNameError, match="Unknown schedule 'cosin'"):
        make_optimizer("adam", schedule="cosin")
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="a learning rate above 0, received"):
            make_optimizer("adam", rate)
