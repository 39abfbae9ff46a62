"""The picture of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def plot_learning_curve(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw loss and accuracy over epochs.

    Args:
        history: rows with `epoch`, `loss`, `accuracy`, `val_loss`, `val_top1`.
        path: the PNG to write.
    """
    epochs = [row["epoch"] + 1 for row in history]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    loss_axes.plot(
        epochs, [row["loss"] for row in history], "o-", label="training, with L2 penalty"
    )
    loss_axes.plot(epochs, [row["val_loss"] for row in history], "s-", label="validation")
    loss_axes.set(xlabel="epoch", ylabel="cross-entropy, mean over time steps")
    accuracy_axes.plot(epochs, [100 * row["accuracy"] for row in history], "o-", label="training")
    accuracy_axes.plot(epochs, [100 * row["val_top1"] for row in history], "s-", label="validation")
    accuracy_axes.set(xlabel="epoch", ylabel="top-1 at the last time step (%)", ylim=(0, 100))
    for axes in (loss_axes, accuracy_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
