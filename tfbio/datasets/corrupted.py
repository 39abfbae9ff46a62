"""Data sets of corrupted images: every corruption at every severity, stored or made on the fly."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfbio.datasets.catalog import load_dataset
from tfbio.datasets.corruptions import Corruption
from tfbio.datasets.names import CORRUPTIONS, SEVERITIES
from tfbio.datasets.registry import canonical_name, corrupted_base, dataset_info
from tfbio.datasets.source import DataSource
from tfbio.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class CorruptedSet:
    """The images of one corruption at one severity.

    Attributes:
        corruption: one of `CORRUPTIONS`.
        severity: 1 (weakest) to 5.
        load: gives the data source; only then are stored images prepared.
        on_the_fly: what is done to the images as they are read; None if they are stored corrupted.
    """

    corruption: str
    severity: int
    load: Callable[[], DataSource]
    on_the_fly: Corruption | None = None


def is_corrupted(name: str) -> bool:
    """Whether a data set is one of corruptions and severities, not of one kind of image.

    Args:
        name: as `canonical_name` gives it; with a configuration it is one kind of image.

    Example:
        >>> is_corrupted("shapes_c"), is_corrupted("tiny_imagenet_c"), is_corrupted("shapes")
        (True, True, False)
        >>> is_corrupted("tiny_imagenet_c/fog_3")
        False
    """
    return corrupted_base(name) is not None or ("/" not in name and bool(_stored(name)))


def corrupted_sets(
    name: str,
    data_dir: str | os.PathLike | None = None,
    max_bad_images: int = 0,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] | None = None,
) -> list[CorruptedSet]:
    """All sets of a data set of corrupted images, in ImageNet-C's order.

    Args:
        name: the name of any data set with `_c` at its end, such as `shapes_c`, or one that is
            stored corrupted: `tiny_imagenet_c`, `imagenet2012_corrupted`, `cifar10_corrupted`.
        data_dir: see `load_dataset`.
        max_bad_images: see `load_dataset`.
        corruptions: some of the fifteen; None for all of them.
        severities: some of 1 to 5; None for all.

    Returns:
        The sets, severities of one corruption side by side.

    Raises:
        UnknownNameError: there is no such data set or corruption.
        InputError: it has no corruptions, or not these severities.

    Example:
        >>> [each.severity for each in corrupted_sets("shapes_c", corruptions=["fog"])]
        [1, 2, 3, 4, 5]
    """
    name = canonical_name(name)
    base = corrupted_base(name)
    if base is None:
        stored = _stored(name)
        if not stored:
            raise InputError(
                f"Expected a data set of corrupted images, such as shapes_c, received {name!r}."
            )
        sets = [
            CorruptedSet(
                corruption,
                severity,
                functools.partial(
                    load_dataset, f"{name}/{configuration}", data_dir, max_bad_images
                ),
            )
            for (corruption, severity), configuration in stored.items()
        ]
    else:
        # All are made of the same images.
        load = functools.cache(functools.partial(load_dataset, base, data_dir, max_bad_images))
        sets = [
            CorruptedSet(corruption, severity, load, Corruption(corruption, severity))
            for corruption in CORRUPTIONS
            for severity in SEVERITIES
        ]
    known = list(dict.fromkeys(each.corruption for each in sets))
    for wanted in corruptions or ():
        if wanted not in known:
            raise UnknownNameError(f"corruption of {name}", wanted, known)
    for level in severities or ():
        if level not in SEVERITIES:
            raise InputError(f"Expected severities from 1 to 5, received {level}.")
    return [
        each
        for each in sets
        if (not corruptions or each.corruption in corruptions)
        and (not severities or each.severity in severities)
    ]


def _stored(name: str) -> dict[tuple[str, int], str]:
    """The configurations that a data set has of the fifteen corruptions and their severities.

    Other corruptions, which some data sets have, are left out: means are over fifteen.
    """
    if corrupted_base(name) is not None:
        return {}
    info = dataset_info(name)
    builder = info.builder_class()
    if builder is None:
        return {}
    return {
        (corruption, severity): f"{known}_{severity}"
        for corruption in CORRUPTIONS
        for known in (corruption, info.corruption_names.get(corruption, corruption))
        for severity in SEVERITIES
        if f"{known}_{severity}" in builder.builder_configs
    }
