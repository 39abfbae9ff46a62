"""Accuracy on corrupted images, by corruption and severity."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from typing import Any

import keras
import numpy as np

from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation.accuracy_over_time import AccuracyOverTime, AccuracyTable

Batches = Iterable[tuple[Any, Any]]
# Corruption, severity, what makes the batches, and the number of images that are in none of them
# because they cannot be read.
ImageSet = tuple[str, int, Callable[[], Batches], int]


@dataclass(frozen=True)
class RobustnessTable:
    """Figures for every corruption, severity and time step, as fractions.

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
        clean: figures on the images without corruption, where they were measured.

    Example:
        >>> import numpy as np
        >>> top1 = np.array([[[0.75], [0.25]]])
        >>> count = np.full((1, 2), 8)
        >>> table = RobustnessTable(("fog",), (1, 5), top1, top1, top1, count, 0 * count)
        >>> table.mean_top1, table.group_top1
        (array([0.5]), {'weather': array([0.5])})
    """

    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    top1: np.ndarray
    top5: np.ndarray
    loss: np.ndarray
    images: np.ndarray
    unreadable: np.ndarray
    clean: AccuracyTable | None = None

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

    def _error(self) -> np.ndarray:
        """(C, T) errors averaged over the five severities."""
        from tfbio.datasets.corruptions import SEVERITIES

        error = self.error.mean(axis=1)
        return error if self.severities == tuple(SEVERITIES) else np.full_like(error, np.nan)

    def _reference(self, reference: Mapping[str, float]) -> np.ndarray:
        """(C, 1) errors of the reference model."""
        return np.array([[_fraction(reference, name)] for name in self.corruptions])

    def _over_all(self, by_corruption: np.ndarray) -> np.ndarray:
        from tfbio.datasets.corruptions import CORRUPTIONS

        mean = by_corruption.mean(axis=0)
        return mean if self.corruptions == tuple(CORRUPTIONS) else np.full_like(mean, np.nan)


class CorruptionRobustness:
    """Measures a model's top-1, top-5 and loss on corrupted images, at each of its time steps.

    The model is compiled once for all sets, and a set's first batch is made while the set before
    is measured.

    Args:
        model: a model of the registry, with or without a time axis.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> batch = np.zeros((4, 32, 32, 3)), np.array([0, 1, 0, 1])
        >>> sets = [("fog", severity, lambda: [batch], 0) for severity in (1, 2)]
        >>> table = CorruptionRobustness(model)(sets)
        >>> table.corruptions, table.severities, table.top1.shape, table.mean_top1.item()
        (('fog',), (1, 2), (1, 2, 1), 0.5)
    """

    def __init__(self, model: keras.Model):
        self._measure = AccuracyOverTime(model)

    def __call__(
        self,
        sets: Iterable[ImageSet],
        clean: Batches | None = None,
        clean_unreadable: int = 0,
        progress: Any = None,
    ) -> RobustnessTable:
        """Measure over sets of corrupted images, and over clean ones if there are any.

        Args:
            sets: (corruption, severity, batches, unreadable) in any order: `batches` is called
                and gives (images, labels) pairs, each image once; `unreadable` is the number of
                images that are in no batch because they cannot be read. The sets are asked for,
                and each begun, in another thread, one ahead of the set that is measured.
            clean: (images, labels) pairs without corruption.
            clean_unreadable: number of clean images that cannot be read.
            progress: called with the number of images after every batch.

        Returns:
            A `RobustnessTable`.

        Raises:
            UnknownNameError: a corruption is none of ImageNet-C's.
            InputError: there are no sets, a severity is none of the five, a set comes twice, or
                cannot be measured (see `AccuracyOverTime`).
        """
        from tfbio.datasets.corruptions import CORRUPTIONS

        clean_table = None
        if clean is not None:
            clean_table = self._measured("Clean images", clean, clean_unreadable, progress)
        cells: dict[tuple[str, int], AccuracyTable] = {}
        for corruption, severity, batches, unreadable in _begun_ahead(_checked(sets)):
            name = f"{corruption} at severity {severity}"
            cells[corruption, severity] = self._measured(name, batches, unreadable, progress)
        if not cells:
            raise InputError("Expected at least one set of corrupted images, received none.")
        corruptions = tuple(name for name in CORRUPTIONS if any(name == key[0] for key in cells))
        severities = tuple(sorted({severity for _, severity in cells}))
        steps = len(next(iter(cells.values())).top1)

        def gather(shape: tuple[int, ...], missing: float, figure: str) -> np.ndarray:
            figures = np.full((len(corruptions), len(severities), *shape), missing)
            for (corruption, severity), table in cells.items():
                place = corruptions.index(corruption), severities.index(severity)
                figures[place] = getattr(table, figure)
            return figures

        return RobustnessTable(
            corruptions,
            severities,
            top1=gather((steps,), np.nan, "top1"),
            top5=gather((steps,), np.nan, "top5"),
            loss=gather((steps,), np.nan, "loss"),
            images=gather((), 0, "images"),
            unreadable=gather((), 0, "unreadable"),
            clean=clean_table,
        )

    def _measured(
        self, name: str, batches: Batches, unreadable: int, progress: Any
    ) -> AccuracyTable:
        try:
            return self._measure(batches, unreadable, progress)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error


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


def _checked(sets: Iterable[ImageSet]) -> Iterator[ImageSet]:
    from tfbio.datasets.corruptions import CORRUPTIONS, SEVERITIES

    seen = set()
    for corruption, severity, batches, unreadable in sets:
        if corruption not in CORRUPTIONS:
            raise UnknownNameError("corruption", corruption, CORRUPTIONS)
        if severity not in SEVERITIES:
            raise InputError(
                f"Expected a severity from 1 to 5, received {severity} for {corruption}."
            )
        if (corruption, severity) in seen:
            raise InputError(
                f"Expected every set once, received {corruption} at severity {severity} twice."
            )
        seen.add((corruption, severity))
        yield corruption, severity, batches, unreadable


def _begun_ahead(sets: Iterable[ImageSet]) -> Iterator[tuple[str, int, Batches, int]]:
    """The sets with their batches, each begun while the set before is in use."""
    iterator = iter(sets)

    def begin() -> tuple[str, int, Batches, int] | None:
        for corruption, severity, batches, unreadable in iterator:
            return corruption, severity, _begun(batches), unreadable
        return None

    with ThreadPoolExecutor(max_workers=1) as pool:
        begun = pool.submit(begin)
        while (ready := begun.result()) is not None:
            begun = pool.submit(begin)
            yield ready


def _begun(batches: Callable[[], Batches]) -> Batches:
    """The batches, of which the first is there: `tf.data` begins to work when it is asked."""
    iterator = iter(batches())
    first = list(itertools.islice(iterator, 1))
    return itertools.chain(first, iterator)
