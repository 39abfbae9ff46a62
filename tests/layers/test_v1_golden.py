"""The V1 components' layers against the numbers of the originals."""

from __future__ import annotations

import pytest
from layers.v1_golden import CASES, errors, tolerance


def test_all_cases_are_there():
    assert len(CASES) == 15


@pytest.mark.parametrize("case", CASES)
def test_output_and_every_gradient(case):
    for name, error in errors(case).items():
        assert error < tolerance(case, name), (name, error)
