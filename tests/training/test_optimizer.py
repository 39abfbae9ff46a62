from __future__ import annotations

import math

import numpy as np
import pytest

from tfbio.errors import InputError, UnknownNameError
from tfbio.training import OPTIMIZERS, make_optimizer


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


def test_bad_values_are_named():
    with pytest.raises(UnknownNameError, match=r"Unknown optimizer 'adm'. Nearest: adam"):
        make_optimizer("adm")
    with pytest.raises(UnknownNameError, match="Unknown schedule 'cosin'"):
        make_optimizer("adam", schedule="cosin")
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="a learning rate above 0, received"):
            make_optimizer("adam", rate)
