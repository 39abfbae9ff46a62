"""Which epoch is the best, and how long ago it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfbio.errors import InputError


def best_key(row: Mapping[str, float]) -> tuple[float, float]:
    """What the best epoch has most of: validation accuracy, then the smaller loss.

    Args:
        row: of a run's history.

    Returns:
        A pair to compare with those of other rows.

    Example:
        >>> low, high = ({"val_top1": 0.5, "val_loss": loss} for loss in (2.0, 3.0))
        >>> best_key(low) > best_key(high)
        True
    """
    return row["val_top1"], -row["val_loss"]


# What `epochs_since_best` knows, each with what the best epoch has most of.
METRICS: dict[str, Callable[[Mapping[str, float]], Any]] = {
    "accuracy": best_key,
    "loss": lambda row: -row["val_loss"],
}


def epochs_since_best(history: Sequence[Mapping[str, float]], metric: str = "accuracy") -> int:
    """The number of epochs after the best one, of equal ones the first.

    Args:
        history: rows of a run's history, one an epoch.
        metric: `accuracy`, validation accuracy, then loss, as in `best_key`; or `loss`, of
            validation alone.

    Returns:
        0 if the newest epoch is the best, or there is none.

    Raises:
        InputError: there is no such metric.

    Example:
        >>> epochs_since_best([{"val_top1": top1, "val_loss": 1.0} for top1 in (0.2, 0.5, 0.5)])
        1
    """
    if metric not in METRICS:
        raise InputError(f"Expected a metric of {' or '.join(METRICS)}, received {metric!r}.")
    if not history:
        return 0
    keys = [METRICS[metric](row) for row in history]
    return len(keys) - 1 - keys.index(max(keys))
