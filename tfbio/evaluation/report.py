"""Tables of accuracy over time: on the screen, as JSON, CSV and a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfbio.evaluation.accuracy_over_time import AccuracyTable


def format_table(table: AccuracyTable) -> str:
    """The table as text, one line a time step.

    Example:
        >>> import numpy as np
        >>> half = np.array([0.5])
        >>> print(format_table(AccuracyTable(half, half, half, np.zeros((2, 1)), np.zeros(2))))
        time step    top-1    top-5    loss
                0   50.0 %   50.0 %   0.500
    """
    lines = ["time step    top-1    top-5    loss"]
    lines += [
        f"{row['time_step']:9d}  {100 * row['top1']:5.1f} %  {100 * row['top5']:5.1f} %  "
        f"{row['loss']:6.3f}"
        for row in table.rows()
    ]
    return "\n".join(lines)


def write_results(table: AccuracyTable, folder: Path, facts: Mapping[str, Any]) -> None:
    """Write `results.json`, `results.csv` and `accuracy_over_time.png`.

    Args:
        table: the figures.
        folder: where to; made if it is not there.
        facts: what was evaluated on what, kept in the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = table.rows()
    results = {
        **facts,
        "images": table.images,
        "unreadable_images": table.unreadable,
        "time_steps": rows,
    }
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    with (folder / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    _plot(table, folder / "accuracy_over_time.png", f"{facts['model']} on {facts['dataset']}")


def _plot(table: AccuracyTable, path: Path, title: str) -> None:
    figure = Figure(figsize=(4.8, 3.2), layout="constrained")
    axes = figure.subplots()
    steps = range(len(table.top1))
    axes.plot(steps, 100 * table.top1, "o-", label="top-1")
    axes.plot(steps, 100 * table.top5, "s--", label="top-5")
    axes.set(xlabel="time step", ylabel="accuracy (%)", ylim=(0, 102), title=title)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
