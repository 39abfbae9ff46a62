"""Validation accuracy on `pathfinder` over the time of training, of all runs in a folder.

Writes docs/images/pathfinder_curves.png, and prints the table of docs/pathfinder.md:
python docs/figures/pathfinder_curves.py RUNS_DIR
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

PATH = Path(__file__).parents[1] / "images" / "pathfinder_curves.png"
LENGTHS = (6, 9, 14)
COLOURS = {"hgru": "tab:blue", "conv_tower": "tab:orange"}


def main(runs: Path) -> None:
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, len(LENGTHS), sharey=True)
    print("| dashes | model | parameters | epochs | minutes | best validation | test |")
    print("|---|---|---|---|---|---|---|")
    for length, axis in zip(LENGTHS, axes, strict=True):
        for run in sorted(runs.glob(f"*-pathfinder-length_{length}")):
            _draw(run, length, axis)
        axis.axhline(50, color="grey", linestyle=":")
        axis.set(
            title=f"{length} dashes", xlabel="Minutes of training", ylim=(45, 102), xlim=(0, None)
        )
    axes[0].set_ylabel("Right of 1,000 validation images, %")
    axes[0].legend(loc="center right")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").save(PATH, optimize=True)


def _draw(run: Path, length: int, axis) -> None:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    summary = json.loads((run / "summary.json").read_text())
    minutes = list(itertools.accumulate(float(row["seconds"]) / 60 for row in rows))
    right = [100 * float(row["val_top1"]) for row in rows]
    model = summary["model"]
    axis.plot(minutes, right, marker=".", color=COLOURS.get(model), label=model)
    test = 100 * summary["time_steps"][-1]["top1"]
    print(
        f"| {length} | `{model}` | {summary['parameters']:,} | {len(rows)} | {minutes[-1]:.0f} | "
        f"{max(right):.1f} % | {test:.1f} % |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
