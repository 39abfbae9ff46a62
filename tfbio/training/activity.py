"""Statistics of a layer's activity: mean, sparsity, zeros, correlation between channels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Channels whose correlations with all others are in memory at once.
_BLOCK = 1024

STATISTICS = ("mean", "sparsity", "zeros", "correlation", "absolute_correlation")


def mean_activity(activity: Any) -> float:
    """The mean over images and units; signs count.

    Equation: mean = sum of r / number of r.

    Args:
        activity: array (N, H, W, C) or (N, C), or any other with images first and channels last.

    Returns:
        The mean; NaN if some activity is not finite.

    Raises:
        ValueError: there is no image, place or channel.

    Example:
        >>> mean_activity([[0.0, 1.0], [-1.0, 4.0]])
        1.0
    """
    return _Responses().update(_checked(activity)).mean()


def sparsity(activity: Any) -> float:
    """How few of a layer's units answer to an image: 0 if all do alike, 1 if a single one does.

    Equation, with the sums over the n units (places and channels) of one image, and then the mean
    over images:

        S = (1 - (sum |r| / n)^2 / (sum r^2 / n)) / (1 - 1 / n)

    The measure is one of rates, which have no sign; of signed activity the magnitudes are taken.
    Images that leave the whole layer silent have no sparsity and are left out. If all do, or if
    the layer has a single unit, S is 0.

    Args:
        activity: array (N, H, W, C) or (N, C), or any other with images first.

    Returns:
        The sparsity, 0 to 1; NaN if some activity is not finite.

    Raises:
        ValueError: there is no image, place or channel.

    Reference:
        Vinje, Gallant (2000), "Sparse coding and decorrelation in primary visual cortex during
        natural vision", doi:10.1126/science.287.5456.1273.

    Example:
        >>> sparsity([[1.0, 1.0, 1.0, 1.0]]), sparsity([[0.0, 0.0, 3.0, 0.0]])
        (0.0, 1.0)
        >>> round(sparsity([[1.0, -1.0, 0.0, 0.0]]), 4)
        0.6667
    """
    return _Responses().update(_checked(activity)).sparsity()


def fraction_of_zeros(activity: Any) -> float:
    """The fraction of responses that are exactly 0.

    Equation: zeros = number of r with r = 0 / number of r.

    Args:
        activity: array (N, H, W, C) or (N, C), or any other with images first.

    Returns:
        The fraction, 0 to 1; NaN if some activity is not finite.

    Raises:
        ValueError: there is no image, place or channel.

    Example:
        >>> fraction_of_zeros([[0.0, 1.0], [0.0, -2.0]])
        0.5
    """
    return _Responses().update(_checked(activity)).zeros()


def channel_correlation(activity: Any, absolute: bool = False) -> float:
    """The mean correlation between two channels, over images and places.

    Equation, with means over images and places, and the sum over all pairs of K channels:

        rho_ij = mean((r_i - mean r_i) (r_j - mean r_j)) / (std r_i  std r_j)
        correlation = sum over i != j of rho_ij / (K (K - 1))

    A channel that always answers alike is correlated with nothing and left out.

    Args:
        activity: array (N, H, W, C) or (N, C), or any other with the channels last.
        absolute: take the mean of |rho_ij|.

    Returns:
        The mean correlation, -1 to 1; NaN if fewer than two channels vary, or if some activity is
        not finite.

    Raises:
        ValueError: there is no image, place or channel.

    Reference:
        Vinje, Gallant (2000), doi:10.1126/science.287.5456.1273, on decorrelation.

    Example:
        >>> responses = [[0.0, 1.0, 5.0], [1.0, 0.0, 5.0], [2.0, -1.0, 5.0]]
        >>> [round(channel_correlation(responses, absolute), 6) for absolute in (False, True)]
        [-1.0, 1.0]
    """
    return _Channels().update(_checked(activity)).correlation(absolute)


class ActivityStatistics:
    """The statistics of activity that comes in batches of images, in float64.

    They are those of all batches as one array; moments are merged as by Chan et al.

    Reference:
        Chan, Golub, LeVeque (1983), "Algorithms for computing the sample variance",
        doi:10.1080/00031305.1983.10483115.

    Example:
        >>> batches = ActivityStatistics()
        >>> for batch in ([[0.0, 1.0]], [[0.0, 0.0], [3.0, 0.0]]):
        ...     _ = batches.update(batch)
        >>> {name: round(value, 4) for name, value in batches.all().items()}
        {'mean': 0.6667, 'sparsity': 1.0, 'zeros': 0.6667, 'correlation': -0.5,
         'absolute_correlation': 0.5}
    """

    def __init__(self) -> None:
        self._responses = _Responses()
        self._channels = _Channels()

    def update(self, activity: Any) -> ActivityStatistics:
        """Add a batch.

        Args:
            activity: array (N, ..., C).

        Returns:
            Itself.

        Raises:
            ValueError: there is no image, place or channel.
        """
        activity = _checked(activity)
        self._responses.update(activity)
        self._channels.update(activity)
        return self

    def all(self) -> dict[str, float]:
        """Every statistic by its name in `STATISTICS`."""
        values = (
            self._responses.mean(),
            self._responses.sparsity(),
            self._responses.zeros(),
            self._channels.correlation(),
            self._channels.correlation(absolute=True),
        )
        return dict(zip(STATISTICS, values, strict=True))


def _checked(activity: Any) -> np.ndarray:
    activity = np.asarray(activity).astype(np.float64)
    if activity.ndim < 2 or activity.size == 0:
        raise ValueError(
            "Expected activity of shape (N, H, W, C) or (N, C) with at least one image and unit, "
            f"received {activity.shape}."
        )
    return activity


class _Responses:
    """What needs no channels: mean, sparsity, zeros."""

    def __init__(self) -> None:
        self._finite = True
        self._count = 0
        self._sum = 0.0
        self._zeros = 0
        self._active_images = 0
        self._sum_of_sparsities = 0.0

    def update(self, activity: np.ndarray) -> _Responses:
        self._finite = self._finite and bool(np.isfinite(activity).all())
        if not self._finite:
            return self
        responses = activity.reshape(len(activity), -1)
        self._count += responses.size
        self._sum += float(responses.sum())
        self._zeros += responses.size - int(np.count_nonzero(responses))
        magnitudes = np.abs(responses)
        peak = magnitudes.max(axis=1, keepdims=True)
        active = peak[:, 0] > 0
        self._active_images += int(active.sum())
        units = responses.shape[1]
        if units > 1:
            # Relative to the peak, no square overflows or vanishes.
            relative = magnitudes[active] / peak[active]
            evenness = relative.mean(axis=1) ** 2 / (relative * relative).mean(axis=1)
            sparsities = np.clip((1 - evenness) / (1 - 1 / units), 0, 1)
            self._sum_of_sparsities += float(sparsities.sum())
        return self

    def mean(self) -> float:
        return self._sum / self._count if self._measurable() else math.nan

    def sparsity(self) -> float:
        if not self._measurable():
            return math.nan
        return self._sum_of_sparsities / max(self._active_images, 1)

    def zeros(self) -> float:
        return self._zeros / self._count if self._measurable() else math.nan

    def _measurable(self) -> bool:
        return self._finite and self._count > 0


class _Channels:
    """Moments of channels over images and places.

    Rows, one an image and place, are merged into a matrix (C, C) of comoments once there are as
    many of them as channels; a wide layer without places never needs that matrix.
    """

    def __init__(self) -> None:
        self._finite = True
        self._rows: list[np.ndarray] = []
        self._merged = 0
        self._mean: Any = 0.0
        self._comoment: Any = 0.0
        self._smallest: Any = math.inf
        self._largest: Any = -math.inf

    def update(self, activity: np.ndarray) -> _Channels:
        self._finite = self._finite and bool(np.isfinite(activity).all())
        if not self._finite:
            return self
        rows = activity.reshape(-1, activity.shape[-1])
        self._smallest = np.minimum(self._smallest, rows.min(axis=0))
        self._largest = np.maximum(self._largest, rows.max(axis=0))
        self._rows.append(rows)
        if sum(map(len, self._rows)) >= rows.shape[1]:
            self._merge()
        return self

    def correlation(self, absolute: bool = False) -> float:
        varying = np.asarray(self._largest > self._smallest)
        if not self._finite or varying.sum() < 2:
            return math.nan
        if self._merged:
            self._merge()
            comoment = self._comoment[np.ix_(varying, varying)]
            variance = np.diagonal(comoment).copy()
        else:
            rows = np.concatenate(self._rows)[:, varying]
            rows -= rows.mean(axis=0)
            variance = (rows * rows).sum(axis=0)
        channels = len(variance)
        deviation = np.sqrt(variance)
        total = 0.0
        for start in range(0, channels, _BLOCK):
            block = slice(start, start + _BLOCK)
            products = comoment[block] if self._merged else rows[:, block].T @ rows
            correlations = products / deviation / deviation[block, None]
            np.clip(correlations, -1, 1, out=correlations)
            np.fill_diagonal(correlations[:, block], 0)
            total += float(np.abs(correlations).sum() if absolute else correlations.sum())
        return total / (channels * (channels - 1))

    def _merge(self) -> None:
        """Chan et al.: the means' difference is one more deviation."""
        if not self._rows:
            return
        rows = np.concatenate(self._rows) if len(self._rows) > 1 else self._rows[0]
        self._rows = []
        before, self._merged = self._merged, self._merged + len(rows)
        mean = rows.mean(axis=0)
        difference = mean - self._mean
        deviations = np.empty((len(rows) + 1, rows.shape[1]))
        np.subtract(rows, mean, out=deviations[:-1])
        deviations[-1] = difference * math.sqrt(before * len(rows) / self._merged)
        self._comoment = self._comoment + deviations.T @ deviations
        self._mean = self._mean + difference * (len(rows) / self._merged)
