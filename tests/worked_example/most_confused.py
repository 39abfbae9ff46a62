"""A protocol: one file and an import line."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfbio.evaluation import Table, register_protocol


@dataclass(frozen=True)
class MostConfusedOptions:
    """Confusions.

    Args:
        pairs: how many pairs of classes are listed.
    """

    pairs: int = 3


@dataclass(frozen=True)
class MostConfusedTable(Table):
    """Pairs of classes with the number of images that are taken for the other."""

    counts: tuple[tuple[str, str, int], ...]

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each pair."""
        return [
            {"label": label, "taken_for": other, "images": count}
            for label, other, count in self.counts
        ]

    def draw(self, figure: Any) -> None:
        """A bar for each pair."""
        axes = figure.subplots()
        names = [f"{label} for {other}" for label, other, _ in self.counts]
        axes.barh(names, [count for *_, count in self.counts])
        axes.set(xlabel="images")


@register_protocol("most_confused", MostConfusedOptions)
def most_confused(trained: Any, data: Any, options: MostConfusedOptions, work: Any) -> Table:
    """Which classes are taken for which others most often."""
    names = data.source.class_names
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for images, labels in data.batches():
        answers = np.asarray(trained.model(images, training=False)).argmax(-1)
        pairs = zip(np.asarray(labels), answers.reshape(len(labels), -1)[:, -1], strict=True)
        found.update((names[label], names[answer]) for label, answer in pairs if label != answer)
        work.progress(len(labels))
    most = found.most_common(options.pairs)
    return MostConfusedTable(tuple((*pair, count) for pair, count in most))
