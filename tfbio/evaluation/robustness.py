"""Accuracy on corrupted images by corruption and severity, its means and its errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from tfbio.datasets.names import CORRUPTIONS, SEVERITIES
from tfbio.errors import InputError
from tfbio.evaluation.accuracy import AccuracyTable
from tfbio.evaluation.table import Table

_NOT_MEASURED = "-"
# Inches from a panel to its legend: the numbers and the label of the axis are between.
_LEGEND_BELOW = 0.5
_CE, _RELATIVE_CE = "CE", "relative CE"


@dataclass(frozen=True)
class RobustnessTable(Table):
    """Accuracy and loss for every corruption, severity and time step, as fractions.

    What was not measured is NaN, and so is every mean over it: a mean is over all corruptions and
    severities that the table names, or not a number.

    Attributes:
        corruptions: the C corruptions of which at least one severity was measured, in ImageNet-C's
            order.
        severities: the S severities that were measured of at least one corruption, ascending.
        top1: (C, S, T) fraction of images whose largest readout is the true class.
        top5: (C, S, T) fraction whose true class is among the five largest readouts.
        loss: (C, S, T) mean cross-entropy, nats, over the images that could be read.
        images: (C, S) number of images that the accuracies are fractions of.
        unreadable: (C, S) number of those that could not be read; they count as wrong.
        clean: accuracy on the images without corruption, where it was measured.
        reference: errors of a reference model, see `corruption_error`; with them the text and the
            files have CE and, if clean images were measured, relative CE. None for neither.

    Example:
        >>> import numpy as np
        >>> top1 = np.array([[[0.75], [0.25]]])
        >>> count = np.full((1, 2), 8)
        >>> table = RobustnessTable(("fog",), (1, 5), top1, top1, top1, count, 0 * count)
        >>> table.mean_top1, table.group_top1
        (array([0.5]), {'weather': array([0.5])})
        >>> print(table)
        top-1 accuracy in % by severity
                                      1      5   mean
        fog                        75.0   25.0   50.0
        mean of weather (1 of 4)   75.0   25.0   50.0
        mean of all (1 of 15)      75.0   25.0   50.0
    """

    figure_file: ClassVar[str] = "corruption_robustness.png"

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    top1: np.ndarray
    top5: np.ndarray
    loss: np.ndarray
    images: np.ndarray
    unreadable: np.ndarray
    clean: AccuracyTable | None = None
    reference: Mapping[str, float] | None = None

    @property
    def error(self) -> np.ndarray:
        """(C, S, T) fraction of images that the top-1 answer is wrong for."""
        return 1 - self.top1

    @property
    def corruption_top1(self) -> np.ndarray:
        """(C, T) mean of top-1 over the severities."""
        return self.top1.mean(axis=1)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The corruptions of the table by group: noise, blur, weather, digital."""
        from tfbio.datasets.corruptions import CORRUPTION_GROUPS

        groups = {
            group: tuple(name for name in self.corruptions if name in members)
            for group, members in CORRUPTION_GROUPS.items()
        }
        return {group: members for group, members in groups.items() if members}

    @property
    def group_top1(self) -> dict[str, np.ndarray]:
        """(T,) mean of top-1 over the severities and the table's corruptions of each group."""
        of_corruption = dict(zip(self.corruptions, self.corruption_top1, strict=True))
        return {
            group: np.mean([of_corruption[name] for name in members], axis=0)
            for group, members in self.groups.items()
        }

    @property
    def mean_top1(self) -> np.ndarray:
        """(T,) mean of top-1 over the severities and corruptions."""
        return self.top1.mean(axis=(0, 1))

    def corruption_error(self, reference: Mapping[str, float]) -> np.ndarray:
        """Errors over a reference model's, CE: sum over s of E(c, s) / sum over s of E_ref(c, s).

        Args:
            reference: top-1 errors of the reference model on the same data set, averaged over the
                five severities, as fractions, by corruption; see `alexnet_errors`.

        Returns:
            (C, T) fractions, NaN where not all five severities were measured.

        Raises:
            InputError: the reference lacks a corruption of the table, or is no fraction above 0.

        Reference:
            Hendrycks & Dietterich (2019), doi:10.48550/arXiv.1903.12261
        """
        return self._error() / self._reference(reference)

    def relative_corruption_error(self, reference: Mapping[str, float]) -> np.ndarray:
        """CE of what the corruption adds to the error: clean errors are subtracted on both sides.

        Args:
            reference: see `corruption_error`; its error on clean images is called `"clean"`.

        Returns:
            (C, T) fractions, NaN where not all five severities or no clean images were measured,
            and where a corruption does not add to the reference's error.

        Raises:
            InputError: see `corruption_error`.

        Reference:
            Hendrycks & Dietterich (2019), doi:10.48550/arXiv.1903.12261
        """
        added = self._reference(reference) - _fraction(reference, "clean")
        if self.clean is None:
            return np.full_like(self._error(), np.nan)
        return (self._error() - (1 - self.clean.top1)) / np.where(added > 0, added, np.nan)

    def mean_corruption_error(self, reference: Mapping[str, float]) -> np.ndarray:
        """(T,) mCE: the mean of CE over the fifteen corruptions; NaN if one is missing."""
        return self._over_all(self.corruption_error(reference))

    def mean_relative_corruption_error(self, reference: Mapping[str, float]) -> np.ndarray:
        """(T,) relative mCE: the mean of relative CE over the fifteen; NaN if one is missing."""
        return self._over_all(self.relative_corruption_error(reference))

    def rows(self) -> list[dict[str, Any]]:
        """One dict per corruption, severity and time step that was measured."""
        return [
            {
                "corruption": corruption,
                "severity": severity,
                "time_step": t,
                "top1": float(self.top1[c, s, t]),
                "top5": float(self.top5[c, s, t]),
                "loss": float(self.loss[c, s, t]),
                "images": int(self.images[c, s]),
            }
            for c, corruption in enumerate(self.corruptions)
            for s, severity in enumerate(self.severities)
            if self.images[c, s]
            for t in range(self.top1.shape[-1])
        ]

    def lines(self) -> list[str]:
        """A line for each corruption, group, and the whole, at the last time step.

        A mean is over the lines or columns that are there; one that lacks a number is not given.
        Groups that are not whole say how much of them there is.
        """
        from tfbio.datasets.corruptions import CORRUPTION_GROUPS

        by_severity = dict(zip(self.corruptions, self.top1[..., -1], strict=True))
        errors = self._errors_by_kind()
        rows = [["", *map(str, self.severities), "mean", *errors]]
        rows += [
            [name, *_with_mean(top1), *(_percent(of_kind[name]) for of_kind in errors.values())]
            for name, top1 in by_severity.items()
        ]
        wholes = {group: (names, CORRUPTION_GROUPS[group]) for group, names in self.groups.items()}
        wholes["all"] = (self.corruptions, CORRUPTIONS)
        for group, (present, whole) in wholes.items():
            part = "" if len(present) == len(whole) else f" ({len(present)} of {len(whole)})"
            means = np.mean([by_severity[name] for name in present], axis=0)
            rows.append([f"mean of {group}{part}", *_with_mean(means)])
        if self.clean is not None:
            blank = [""] * len(self.severities)
            rows.append(["clean", *blank, _percent(self.clean.top1[-1])])
        return [self._heading(), *_aligned(rows), *self._remarks()]

    def results(self) -> dict[str, Any]:
        """Counts, means and rows; values by time step are lists."""
        results: dict[str, Any] = {
            "images": int(self.images.sum()),
            "unreadable_images": int(self.unreadable.sum()),
            "corruptions": self.corruptions,
            "severities": self.severities,
            "mean_top1": self.mean_top1,
            "group_top1": self.group_top1,
            "corruption_top1": self._by_corruption(self.corruption_top1),
            "sets": self.rows(),
        }
        if self.clean is not None:
            results["clean"] = self.clean.results()
        if self.reference is not None:
            errors = self.corruption_error(self.reference)
            results["mean_corruption_error"] = self.mean_corruption_error(self.reference)
            results["corruption_error"] = self._by_corruption(errors)
        if self.reference is not None and self.clean is not None:
            errors = self.relative_corruption_error(self.reference)
            mean = self.mean_relative_corruption_error(self.reference)
            results["mean_relative_corruption_error"] = mean
            results["relative_corruption_error"] = self._by_corruption(errors)
        return results

    def csv_files(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """All rows, and the table of Pogoncheff et al. (2023): top-1 at the last time step."""
        rows = self.rows()
        last = self.top1.shape[-1] - 1
        published = [
            {
                "corruption_type": row["corruption"],
                "difficulty": row["severity"],
                "accuracy": row["top1"],
            }
            for row in rows
            if row["time_step"] == last
        ]
        return {"results.csv": rows, "corruption_table.csv": published}

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height, inches: a panel for each group."""
        return max(4, 0.6 + 2.6 * len(self.groups)), 4

    def draw(self, figure: Figure) -> None:
        """Accuracy over severity at the last time step, a panel for each group."""
        groups = self.groups
        panels = figure.subplots(1, len(groups), sharex=True, sharey=True, squeeze=False)[0]
        by_severity = dict(zip(self.corruptions, 100 * self.top1[..., -1], strict=True))
        # Legends stand below the labels of the axes: in the panels, lines run everywhere.
        below = ScaledTranslation(0, -_LEGEND_BELOW, figure.dpi_scale_trans)
        for axes, (group, names) in zip(panels, groups.items(), strict=True):
            for name in names:
                axes.plot(
                    self.severities, by_severity[name], "o-", markersize=4, label=_words(name)
                )
            if len(names) > 1:
                mean = np.mean([by_severity[name] for name in names], axis=0)
                axes.plot(self.severities, mean, color="0.7", linewidth=6, zorder=1, label="mean")
            if self.clean is not None:
                clean = 100 * self.clean.top1[-1]
                axes.axhline(clean, color="black", linestyle=":", label="clean")
            axes.set(title=group, xlabel="severity", ylim=(-2, 102), xticks=self.severities)
            axes.grid(alpha=0.3)
            axes.legend(
                fontsize="small",
                frameon=False,
                loc="upper center",
                bbox_to_anchor=(0.5, 0),
                bbox_transform=axes.transAxes + below,
            )
        panels[0].set_ylabel("top-1 accuracy (%)")

    def _heading(self) -> str:
        steps = self.top1.shape[-1]
        when = f", at the last of {steps} time steps" if steps > 1 else ""
        return f"top-1 accuracy in % by severity{when}"

    def _remarks(self) -> list[str]:
        """What the numbers alone do not say."""
        remarks = []
        if self.reference is not None:
            remarks.append(self._mean_errors_in_words(self.reference))
        counts = self.images[self.images > 0]
        if self.unreadable.sum():
            remarks.append(
                f"{self.unreadable.sum()} of {counts.sum()} images could not be read and count as "
                "wrong."
            )
        if counts.min() < counts.max():
            remarks.append(
                f"The sets differ in their number of images, {counts.min():,} to "
                f"{counts.max():,}; means give every set the same weight."
            )
        return remarks

    def _mean_errors_in_words(self, reference: Mapping[str, float]) -> str:
        mean = self.mean_corruption_error(reference)[-1]
        if np.isnan(mean):
            return "mCE needs all corruptions at all severities"
        if self.clean is None:
            return f"mCE {_percent(mean)} %"
        relative = self.mean_relative_corruption_error(reference)[-1]
        return f"mCE {_percent(mean)} %, relative mCE {_percent(relative)} %"

    def _errors_by_kind(self) -> dict[str, dict[str, float]]:
        """CE, and relative CE if there is any, by corruption, at the last time step."""
        if self.reference is None:
            return {}
        kinds = {_CE: self.corruption_error(self.reference)}
        if self.clean is not None:
            kinds[_RELATIVE_CE] = self.relative_corruption_error(self.reference)
        return {
            kind: dict(zip(self.corruptions, errors[:, -1].tolist(), strict=True))
            for kind, errors in kinds.items()
        }

    def _by_corruption(self, values: np.ndarray) -> dict[str, Any]:
        return dict(zip(self.corruptions, values, strict=True))

    def _error(self) -> np.ndarray:
        """(C, T) errors averaged over the five severities."""
        error = self.error.mean(axis=1)
        return error if self.severities == tuple(SEVERITIES) else np.full_like(error, np.nan)

    def _reference(self, reference: Mapping[str, float]) -> np.ndarray:
        """(C, 1) errors of the reference model."""
        return np.array([[_fraction(reference, name)] for name in self.corruptions])

    def _over_all(self, by_corruption: np.ndarray) -> np.ndarray:
        mean = by_corruption.mean(axis=0)
        return mean if self.corruptions == tuple(CORRUPTIONS) else np.full_like(mean, np.nan)


def alexnet_errors() -> dict[str, float]:
    """AlexNet's top-1 errors on ImageNet and ImageNet-C, which CE divides by.

    They are of ImageNet's 1000 classes and have no meaning for other data sets.

    Returns:
        Fractions by corruption, averaged over the five severities, and `"clean"`.

    Reference:
        Hendrycks & Dietterich (2019), doi:10.48550/arXiv.1903.12261

    Example:
        >>> alexnet_errors()["brightness"]
        0.564592
    """
    file = resources.files("tfbio.evaluation") / "imagenet_c_alexnet_errors.json"
    errors = json.loads(file.read_text())
    return {name: value for name, value in errors.items() if name != "source"}


def _fraction(reference: Mapping[str, float], name: str) -> float:
    value = reference.get(name)
    if value is None or not 0 < value <= 1:
        raise InputError(
            f"Expected the reference's error of {name!r} as a fraction above 0, received "
            f"{'none' if value is None else value}: give the mean over the five severities."
        )
    return value


def _with_mean(top1: np.ndarray) -> list[str]:
    return [*map(_percent, top1), _percent(top1.mean())]


def _percent(fraction: float) -> str:
    return _NOT_MEASURED if np.isnan(fraction) else f"{100 * fraction:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Names to the left, numbers to the right."""
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


def _words(name: str) -> str:
    return name.replace("_", " ").replace("jpeg", "JPEG")
