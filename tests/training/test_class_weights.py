from __future__ import annotations

import numpy as np
import pytest

from tfbio.errors import InputError
from tfbio.training.class_weights import balanced_class_weights


def test_every_class_weighs_the_same_and_an_image_1_on_average():
    counts = np.array([700, 20, 3])
    weights = balanced_class_weights(counts)
    np.testing.assert_allclose(weights * counts, np.full(3, 723 / 3), rtol=1e-12)
    np.testing.assert_allclose(np.repeat(weights, counts).mean(), 1, rtol=1e-12)


@pytest.mark.parametrize("counts", [[3, 0], [], [[1, 2]]])
def test_a_class_without_images(counts):
    with pytest.raises(InputError, match="Expected images of every class"):
        balanced_class_weights(counts)
