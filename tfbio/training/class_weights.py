"""Weights that let every class count the same in the loss."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tfbio.errors import InputError


def balanced_class_weights(counts: ArrayLike) -> NDArray[np.float64]:
    """One over the number of a class's images, scaled so that the mean over all images is 1.

    With that mean, learning rates and penalties mean what they mean without weights.

    Args:
        counts: (classes,), number of training images of each class.

    Returns:
        (classes,), in the order of the counts.

    Raises:
        InputError: a class has no images.

    Reference:
        Subramanian et al. (2025), doi:10.1167/jov.25.1.4

    Example:
        >>> balanced_class_weights([4, 2, 2]).tolist()
        [0.6666666666666666, 1.3333333333333333, 1.3333333333333333]
    """
    numbers = np.asarray(counts, dtype=np.float64)
    if numbers.ndim != 1 or numbers.size == 0 or not (numbers > 0).all():
        raise InputError(
            f"Expected images of every class to weigh by their numbers, received "
            f"{numbers.tolist()}: remove the empty classes."
        )
    return numbers.sum() / (len(numbers) * numbers)
