"""The original's divisive normalizations, forward and for every gradient."""

from __future__ import annotations

import pytest
from layers.divnorm_golden import CASES, errors, tolerance


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_are_the_originals(case):
    for name, error in errors(case).items():
        assert error < tolerance(case, name), name
