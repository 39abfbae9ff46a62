"""The pictures of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_learning_curve(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and accuracy over epochs.

    Args:
        history: rows with `epoch`, `loss`, `accuracy`, `val_loss`, `val_top1`.
        path: the PNG to write.
    """
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    lines = [
        *loss_axes.plot(epochs, [row["loss"] for row in history], "o-", label="training"),
        *loss_axes.plot(epochs, [row["val_loss"] for row in history], "s-", label="validation"),
    ]
    # The loss of training has the penalties of the model's weights in it, where there are any.
    loss_axes.set(xlabel="epoch", ylabel="loss, mean over time steps")
    accuracy_axes.plot(epochs, [100 * row["accuracy"] for row in history], "o-")
    accuracy_axes.plot(epochs, [100 * row["val_top1"] for row in history], "s-")
    accuracy_axes.set(xlabel="epoch", ylabel="top-1 at the last time step (%)", ylim=(-3, 103))
    for axes in (loss_axes, accuracy_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    # Below the curves, where it covers no point.
    figure.legend(handles=lines, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


# More lines are still drawn; names beyond these would cover each other.
_NAMED_LAYERS = 20
_DRAWN_POINTS = 400


def plot_activity(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw sparsity, mean and correlation of layers over epochs, from dark to light by depth.

    Args:
        rows: of `ActivityRecorder`, one an epoch and layer, the layers in the order of the model.
        path: the PNG to write.
    """
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    colours = matplotlib.colormaps["viridis"]
    # Points help to tell a few layers apart, and hide each other where there are many.
    many = len(rows) > _DRAWN_POINTS
    markers = "," if many else "osD^v"
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, 3)
    lines = []
    for number, layer in enumerate(layers):
        own = [row for row in rows if row["layer"] == layer]
        epochs = [row["epoch"] for row in own]
        for axes, statistic in zip(panels, ("sparsity", "mean", "correlation"), strict=True):
            (line,) = axes.plot(
                epochs,
                [row[statistic] for row in own],
                marker=markers[number % len(markers)],
                color=colours(0.92 * number / max(len(layers) - 1, 1)),
                markersize=4,
                linewidth=0.8 if many else 1.5,
                label=layer,
            )
        lines.append(line)
    panels[0].set(ylabel="sparsity", ylim=(0, 1))
    panels[1].set(ylabel="mean activity")
    panels[2].set(ylabel="mean correlation between channels")
    for axes in panels:
        axes.set(xlabel="epoch", xlim=(0.5, max(row["epoch"] for row in rows) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)
    every = -(-len(lines) // _NAMED_LAYERS)
    title = "layer" if every == 1 else f"one layer in {every}"
    figure.legend(handles=lines[::every], loc="outside right upper", fontsize=8, title=title)
    figure.savefig(path, dpi=120)
