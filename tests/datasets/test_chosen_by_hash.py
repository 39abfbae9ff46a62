from __future__ import annotations

import numpy as np

from tfbio.datasets.chosen_by_hash import chosen_by_hash

NAMES = [f"n01440764_{number}.JPEG" for number in range(1000)]


def test_so_many_in_any_order_and_evenly():
    chosen = chosen_by_hash(NAMES, 200)
    assert chosen == chosen_by_hash(NAMES[::-1], 200)
    assert len(chosen) == 200
    counts = np.histogram([NAMES.index(name) for name in chosen], bins=10)[0]
    # Of hundred names twenty, with a standard deviation of 4 but for the total.
    assert np.abs(counts - 20).max() <= 12


def test_a_name_more_or_less_moves_one_at_most():
    chosen = chosen_by_hash(NAMES, 200)
    for names in (NAMES[1:], [*NAMES, "another.JPEG"]):
        assert len(chosen - chosen_by_hash(names, 200)) <= 1


def test_names_that_are_not_utf8():
    assert chosen_by_hash(["caf\udce9.png"], 1) == {"caf\udce9.png"}
