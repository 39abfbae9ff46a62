"""Accuracy on corrupted images, by corruption and severity."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from tfbio._configuration import option
from tfbio.datasets.names import CORRUPTIONS, SEVERITIES
from tfbio.datasets.registry import corrupted_base, dataset_info, list_datasets
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation.accuracy import AccuracyOverTime, AccuracyTable
from tfbio.evaluation.data import DataRequest, EvaluationData, check_classes
from tfbio.evaluation.protocol import Work, register_protocol
from tfbio.evaluation.robustness import RobustnessTable, alexnet_errors

if TYPE_CHECKING:
    from tfbio.training.trained import TrainedModel

Batches = Iterable[tuple[Any, Any]]
# Corruption, severity, what makes the batches, and the number of images that are in none of them
# because they cannot be read.
ImageSet = tuple[str, int, Callable[[], Batches], int]


@dataclass(frozen=True)
class CorruptionOptions:
    """Options of the protocol corruptions.

    Args:
        corruptions: some of the fifteen, such as fog,snow. Default: all.
        severities: some of 1 (weakest) to 5, such as 1,5. Default: all five.

    Raises:
        UnknownNameError: there is no such corruption.
        InputError: a severity is none of the five.
    """

    corruptions: Sequence[str] | None = option(example="fog,snow")
    severities: Sequence[int] | None = option(example="1,5", expected="as numbers from 1 to 5")

    def __post_init__(self) -> None:
        for name in self.corruptions or ():
            if name not in CORRUPTIONS:
                raise UnknownNameError("corruption", name, CORRUPTIONS)
        for level in self.severities or ():
            if level not in SEVERITIES:
                raise InputError(f"Expected severities from 1 to 5, received {level}.")
        for each in ("corruptions", "severities"):
            # None of them is as good as none said.
            object.__setattr__(self, each, tuple(getattr(self, each) or ()) or None)


def corrupted_data(request: DataRequest, options: CorruptionOptions) -> EvaluationData:
    """The sets of a data set of corrupted images, of which the first is loaded.

    Images that the user gave in place of a data set's name are corrupted as they are read.

    Args:
        request: what was asked for.
        options: which sets.

    Raises:
        InputError: it is no data set of corrupted images, cannot be had, has other classes, or
            its images are too small to be corrupted.
    """
    from tfbio.datasets.corrupted import CorruptedSet, corrupted_sets
    from tfbio.datasets.corruptions import Corruption, check_size

    if request.source is None:
        sets = corrupted_sets(
            request.name,
            request.data_dir,
            request.max_bad_images,
            options.corruptions,
            options.severities,
        )
    else:
        sets = [
            CorruptedSet(corruption, severity, request.load, Corruption(corruption, severity))
            for corruption in CORRUPTIONS
            for severity in SEVERITIES
            if corruption in (options.corruptions or CORRUPTIONS)
            and severity in (options.severities or SEVERITIES)
        ]
    # Where the same images are there without corruption, they are measured as well.
    passes = len(sets)
    if sets[0].on_the_fly is not None:
        check_size(request.framing.cropped_size(request.image_size))
        passes += 1
    return request.chosen(sets[0].load(), sets, passes)


@register_protocol(
    "corruptions",
    CorruptionOptions,
    reference="Hendrycks & Dietterich (2019), doi:10.48550/arXiv.1903.12261",
    prepare=corrupted_data,
)
def corruptions(
    trained: TrainedModel, data: EvaluationData, options: CorruptionOptions, work: Work
) -> RobustnessTable:
    """Accuracy under the fifteen corruptions of ImageNet-C at five severities.

    Args:
        trained: the model.
        data: the sets of a data set of corrupted images.
        options: which sets; they are chosen already.
        work: told of every batch.

    Returns:
        A `RobustnessTable`, with clean images where the sets are made of the same ones, and with
        AlexNet's errors where they are ImageNet's.
    """
    del options
    clean: dict[str, Any] = {}
    if data.sets[0].on_the_fly is not None:
        clean = {"clean": data.batches(), "clean_unreadable": len(data.split.unreadable)}
    notes: dict[str, None] = {}

    def sets() -> Iterator[ImageSet]:
        for each in data.sets:
            source = each.load()
            notes.update(dict.fromkeys(source.notes))
            check_classes(trained, source)
            split = source.split(data.split.name)
            degraded = replace(data.presentation, corruption=each.on_the_fly)
            batches = functools.partial(data.batches, split, degraded)
            yield each.corruption, each.severity, batches, len(split.unreadable)

    table = CorruptionRobustness(trained.model)(sets(), progress=work.progress, **clean)
    reference = alexnet_errors() if _of_imagenet(data.dataset) else None
    return replace(table, reference=reference, notes=tuple(notes))


def _of_imagenet(dataset: str) -> bool:
    """Whether CE is defined: by AlexNet's errors on ImageNet's images."""
    images = (corrupted_base(dataset) or dataset).partition("/")[0]
    return images in list_datasets() and dataset_info(images).alexnet_errors


class CorruptionRobustness:
    """Measures a model's top-1, top-5 and loss on corrupted images, at each of its time steps.

    The model is compiled once for all sets, and a set's first batch is made while the set before
    is measured.

    Args:
        model: a classifier, with or without a time axis; see `tfbio.models.logits_model`.

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

        def gather(shape: tuple[int, ...], missing: float, metric: str) -> np.ndarray:
            values = np.full((len(corruptions), len(severities), *shape), missing)
            for (corruption, severity), table in cells.items():
                place = corruptions.index(corruption), severities.index(severity)
                values[place] = getattr(table, metric)
            return values

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


def _checked(sets: Iterable[ImageSet]) -> Iterator[ImageSet]:
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
