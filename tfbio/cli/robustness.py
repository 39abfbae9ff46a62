"""The part of `evaluate.py` that measures on every corruption at every severity."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from absl import flags

from tfbio._progress import progress_bar
from tfbio.cli.command import given
from tfbio.datasets.corrupted import CorruptedSet, corrupted_sets
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import DataSource, Split
from tfbio.errors import InputError
from tfbio.evaluation.corruption_report import format_robustness, write_robustness
from tfbio.evaluation.corruption_robustness import CorruptionRobustness, alexnet_errors

# CE is defined by AlexNet's errors on these.
_IMAGENET = ("imagenet2012_corrupted", "imagenet2012_c", "imagenet_kaggle_c")
Batches = Callable[[Split, Presentation], tf.data.Dataset]


def define_robustness_flags(values: flags.FlagValues) -> None:
    """Flags that choose among corruptions and severities."""
    at = {"flag_values": values}
    flags.DEFINE_list(
        "corruptions", None, "Of a data set of corrupted images: fog,snow. Default: all.", **at
    )
    flags.DEFINE_list(
        "severities", None, "Of a data set of corrupted images: 1,5. Default: all five.", **at
    )


def refuse_robustness_flags(values: flags.FlagValues) -> None:
    """Raise if flags of corruptions are given for another data set.

    Raises:
        InputError: they are.
    """
    for name in given(values, ("corruptions", "severities")):
        raise InputError(
            f"Expected a data set of corrupted images with --{name}, such as --dataset=shapes_c."
        )


def chosen_sets(values: flags.FlagValues, dataset: str, data_dir: str | None) -> list[CorruptedSet]:
    """The sets that the flags ask for.

    Raises:
        InputError: a severity is no number from 1 to 5, or one flag does not go with the data set.
        UnknownNameError: there is no such corruption.
    """
    try:
        severities = [int(each) for each in values.severities or ()]
    except ValueError as error:
        raise InputError(
            f"Expected --severities as numbers from 1 to 5, received {','.join(values.severities)}."
        ) from error
    return corrupted_sets(dataset, data_dir, values.max_bad_images, values.corruptions, severities)


def chosen_label(values: flags.FlagValues) -> str:
    """A part of a folder's name, so that a few sets do not replace the table of all."""
    return "".join(
        f"-{'_'.join(values[name].value)}"
        for name in ("corruptions", "severities")
        if values[name].value
    )


def measure_robustness(
    model: Any,
    sets: list[CorruptedSet],
    split_of: Callable[[DataSource], Split],
    batches: Batches,
    presentation: Presentation,
) -> Any:
    """A `RobustnessTable` of a model; with figures on clean images where they are the same ones.

    Args:
        model: of the registry.
        sets: what to measure on.
        split_of: the split to measure on, of a data source.
        batches: of a split, under a presentation.
        presentation: of all images.
    """
    first = split_of(sets[0].load())
    clean: dict[str, Any] = {}
    count = len(sets)
    if sets[0].on_the_fly is not None:
        clean = {"clean": batches(first, presentation), "clean_unreadable": len(first.unreadable)}
        count += 1

    notes: dict[str, None] = {}

    def measured():
        for each in sets:
            source = each.load()
            notes.update(dict.fromkeys(source.notes))
            split = split_of(source)
            shown = replace(presentation, corruption=each.on_the_fly)
            yield (
                each.corruption, each.severity, functools.partial(batches, split, shown),
                len(split.unreadable),
            )  # fmt: skip

    with progress_bar(total=count * first.size, unit="image") as bar:
        table = CorruptionRobustness(model)(measured(), progress=bar.update, **clean)
    for note in notes:
        print(note)
    return table


def report_robustness(table: Any, dataset: str, folder: Path, facts: dict[str, Any]) -> str:
    """Print and write the figures; the names of the files.

    Args:
        table: a `RobustnessTable`.
        dataset: its canonical name.
        folder: where to.
        facts: what was evaluated on what.
    """
    reference = alexnet_errors() if dataset.partition("/")[0] in _IMAGENET else None
    print(format_robustness(table, reference))
    counts = table.images[table.images > 0]
    if table.unreadable.sum():
        print(
            f"{table.unreadable.sum()} of {counts.sum()} images could not be read and count as "
            "wrong."
        )
    if counts.min() < counts.max():
        print(
            f"The sets differ in their number of images, {counts.min():,} to {counts.max():,}; "
            "means give every set the same weight."
        )
    write_robustness(table, folder, facts, reference)
    return "results.json, results.csv, corruption_table.csv, corruption_robustness.png"
