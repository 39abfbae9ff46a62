"""What `summary.json` says of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfbio.evaluation.accuracy import AccuracyTable
from tfbio.training.best_epoch import best_key
from tfbio.training.config import TrainingConfig
from tfbio.training.provenance import peak_memory, provenance


def summary(
    config: TrainingConfig,
    model: keras.Model,
    history: Sequence[dict[str, float]],
    table: AccuracyTable,
    split: str,
    seconds: float,
) -> dict[str, Any]:
    """Metrics, versions, seed, git revision and hardware.

    Args:
        config: what was trained.
        model: the trained model.
        history: a row for each epoch.
        table: the best model's accuracy.
        split: on which split.
        seconds: how long the last session took.

    Returns:
        Names to values that JSON can hold.
    """
    return {
        "model": model.name,
        "dataset": config.data.name,
        "split": split,
        "images": table.images,
        "unreadable_images": table.unreadable,
        "time_steps": table.rows(),
        "best_epoch": int(max(history, key=best_key)["epoch"]),
        "best_epoch_chosen_on": "validation",
        "epochs": len(history),
        "parameters": model.count_params(),
        "seed": config.seed,
        "seconds_of_last_session": round(seconds, 1),
        "peak_memory_gib": round(peak_memory(), 2),
        **provenance(),
    }
