"""Tables of accuracy on corrupted images: on the screen, as JSON, CSV and a picture."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from tfbio.evaluation.corruption_robustness import RobustnessTable

_NOT_MEASURED = "-"
# Inches from a panel to its legend: the numbers and the label of the axis are between.
_LEGEND_BELOW = 0.5
_CE, _RELATIVE_CE = "CE", "relative CE"


def format_robustness(table: RobustnessTable, reference: Mapping[str, float] | None = None) -> str:
    """The table as text: a line for each corruption, group, and the whole, at the last time step.

    A mean is over the lines or columns that are there; one that lacks a figure is not given.
    Groups that are not whole say how much of them there is.

    Args:
        table: the figures.
        reference: errors of a reference model, see `RobustnessTable.corruption_error`; with them
            the table has CE and, if clean images were measured, relative CE.

    Example:
        >>> import numpy as np
        >>> top1 = np.array([[[0.75], [0.25]]])
        >>> count = np.full((1, 2), 8)
        >>> print(format_robustness(
        ...     RobustnessTable(("fog",), (1, 5), top1, top1, top1, count, 0 * count)))
        top-1 accuracy in % by severity
                                      1      5   mean
        fog                        75.0   25.0   50.0
        mean of weather (1 of 4)   75.0   25.0   50.0
        mean of all (1 of 15)      75.0   25.0   50.0
    """
    from tfbio.datasets.corruptions import CORRUPTION_GROUPS, CORRUPTIONS

    by_severity = dict(zip(table.corruptions, table.top1[..., -1], strict=True))
    errors = _corruption_errors(table, reference)
    rows = [["", *map(str, table.severities), "mean", *errors]]
    rows += [
        [name, *_with_mean(top1), *(_percent(of_kind[name]) for of_kind in errors.values())]
        for name, top1 in by_severity.items()
    ]
    wholes = {group: (names, CORRUPTION_GROUPS[group]) for group, names in table.groups.items()}
    wholes["all"] = (table.corruptions, CORRUPTIONS)
    for group, (present, whole) in wholes.items():
        part = "" if len(present) == len(whole) else f" ({len(present)} of {len(whole)})"
        rows.append(
            [
                f"mean of {group}{part}",
                *_with_mean(np.mean([by_severity[name] for name in present], axis=0)),
            ]
        )
    if table.clean is not None:
        blank = [""] * len(table.severities)
        rows.append(["clean", *blank, _percent(table.clean.top1[-1])])
    lines = [_title(table), *_aligned(rows)]
    if reference is not None:
        lines.append(_mean_corruption_errors(table, reference))
    return "\n".join(lines)


def write_robustness(
    table: RobustnessTable,
    folder: Path,
    facts: Mapping[str, Any],
    reference: Mapping[str, float] | None = None,
) -> None:
    """Write `results.json`, `results.csv`, `corruption_table.csv`, `corruption_robustness.png`.

    `corruption_table.csv` is the table of Pogoncheff et al. (2023): corruption_type, difficulty,
    accuracy (top-1 at the last time step, a fraction).

    Args:
        table: the figures.
        folder: where to; made if it is not there.
        facts: what was evaluated on what, kept in the JSON; at least `model` and `dataset`.
        reference: see `format_robustness`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = {**facts, **_summary(table, reference)}
    (folder / "results.json").write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
    rows = table.rows()
    _write_csv(folder / "results.csv", rows)
    last = table.top1.shape[-1] - 1
    originals = [
        {
            "corruption_type": row["corruption"],
            "difficulty": row["severity"],
            "accuracy": row["top1"],
        }
        for row in rows
        if row["time_step"] == last
    ]
    _write_csv(folder / "corruption_table.csv", originals)
    _plot(table, folder / "corruption_robustness.png", f"{facts['model']} on {facts['dataset']}")


# === Text ===


def _title(table: RobustnessTable) -> str:
    steps = table.top1.shape[-1]
    when = f", at the last of {steps} time steps" if steps > 1 else ""
    return f"top-1 accuracy in % by severity{when}"


def _with_mean(top1: np.ndarray) -> list[str]:
    return [*map(_percent, top1), _percent(top1.mean())]


def _percent(fraction: float) -> str:
    return _NOT_MEASURED if np.isnan(fraction) else f"{100 * fraction:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names to the left, figures to the right."""
    name_width = max(len(row[0]) for row in rows)
    widths = [max(5, len(title)) for title in rows[0][1:]]
    return [
        "  ".join(
            [
                row[0].ljust(name_width),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths, strict=False)),
            ]
        ).rstrip()
        for row in rows
    ]


def _corruption_errors(
    table: RobustnessTable, reference: Mapping[str, float] | None
) -> dict[str, dict[str, float]]:
    """CE, and relative CE if there is any, by corruption, at the last time step."""
    if reference is None:
        return {}
    kinds = {_CE: table.corruption_error(reference)}
    if table.clean is not None:
        kinds[_RELATIVE_CE] = table.relative_corruption_error(reference)
    return {
        kind: dict(zip(table.corruptions, errors[:, -1].tolist(), strict=True))
        for kind, errors in kinds.items()
    }


def _mean_corruption_errors(table: RobustnessTable, reference: Mapping[str, float]) -> str:
    mean = table.mean_corruption_error(reference)[-1]
    if np.isnan(mean):
        return "mCE needs all corruptions at all severities"
    if table.clean is None:
        return f"mCE {_percent(mean)} %"
    relative = table.mean_relative_corruption_error(reference)[-1]
    return f"mCE {_percent(mean)} %, relative mCE {_percent(relative)} %"


# === Files ===


def _summary(table: RobustnessTable, reference: Mapping[str, float] | None) -> dict[str, Any]:
    """What the JSON says beside the facts; figures by time step are lists."""
    summary: dict[str, Any] = {
        "images": int(table.images.sum()),
        "unreadable_images": int(table.unreadable.sum()),
        "corruptions": table.corruptions,
        "severities": table.severities,
        "mean_top1": _numbers(table.mean_top1),
        "group_top1": {group: _numbers(top1) for group, top1 in table.group_top1.items()},
        "corruption_top1": _by_corruption(table, table.corruption_top1),
        "sets": table.rows(),
    }
    if table.clean is not None:
        summary["clean"] = {
            "images": table.clean.images,
            "unreadable_images": table.clean.unreadable,
            "time_steps": table.clean.rows(),
        }
    if reference is not None:
        summary["mean_corruption_error"] = _numbers(table.mean_corruption_error(reference))
        summary["corruption_error"] = _by_corruption(table, table.corruption_error(reference))
    if reference is not None and table.clean is not None:
        summary["mean_relative_corruption_error"] = _numbers(
            table.mean_relative_corruption_error(reference)
        )
        summary["relative_corruption_error"] = _by_corruption(
            table, table.relative_corruption_error(reference)
        )
    return summary


def _by_corruption(table: RobustnessTable, figures: np.ndarray) -> dict[str, Any]:
    return {name: _numbers(figure) for name, figure in zip(table.corruptions, figures, strict=True)}


def _numbers(figures: np.ndarray) -> list[float | None]:
    """For JSON, which knows no NaN."""
    return [None if np.isnan(figure) else float(figure) for figure in figures]


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _plot(table: RobustnessTable, path: Path, title: str) -> None:
    """Accuracy over severity at the last time step, a panel for each group."""
    groups = table.groups
    figure = Figure(figsize=(max(4, 0.6 + 2.6 * len(groups)), 4), layout="constrained")
    panels = figure.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
    by_severity = dict(zip(table.corruptions, 100 * table.top1[..., -1], strict=True))
    # Legends stand below the labels of the axes: in the panels, lines run everywhere.
    below = ScaledTranslation(0, -_LEGEND_BELOW, figure.dpi_scale_trans)
    for axes, (group, names) in zip(panels, groups.items(), strict=True):
        for name in names:
            axes.plot(table.severities, by_severity[name], "o-", markersize=4, label=_words(name))
        if len(names) > 1:
            mean = np.mean([by_severity[name] for name in names], axis=0)
            axes.plot(table.severities, mean, color="0.7", linewidth=6, zorder=1, label="mean")
        if table.clean is not None:
            clean = 100 * table.clean.top1[-1]
            axes.axhline(clean, color="black", linestyle=":", label="clean")
        axes.set(title=group, xlabel="severity", ylim=(0, 102), xticks=table.severities)
        axes.grid(alpha=0.3)
        axes.legend(
            fontsize="small",
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=axes.transAxes + below,
        )
    panels[0].set_ylabel("top-1 accuracy (%)")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def _words(name: str) -> str:
    return name.replace("_", " ").replace("jpeg", "JPEG")
