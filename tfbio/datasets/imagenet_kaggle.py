"""ImageNet in the layout of Kaggle's object localization challenge."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tfbio.datasets.download import Download, find_download, is_image
from tfbio.datasets.registry import DatasetInfo, register_dataset
from tfbio.errors import InputError

if TYPE_CHECKING:
    from tfbio.datasets.source import DataSource

_IMAGES = "ILSVRC/Data/CLS-LOC"
_SOLUTION = "LOC_val_solution.csv"

_DOWNLOAD = Download(
    archives=("imagenet-object-localization-challenge.zip",),
    folders=("imagenet-object-localization-challenge",),
    holds=(f"{_IMAGES}/train",),
    page="https://www.kaggle.com/c/imagenet-object-localization-challenge/data",
    size="about 160 GB",
)


def imagenet_kaggle(data_dir: str | os.PathLike, max_bad_images: int = 0) -> DataSource:
    """Read ImageNet as Kaggle distributes it, unpacked; nothing is copied.

    `ILSVRC/Data/CLS-LOC/train/<WordNet id>/*.JPEG`, `.../val/*.JPEG`, and `LOC_val_solution.csv`
    with the labels of the validation images.

    Args:
        data_dir: the folder that holds `ILSVRC` and the solution.
        max_bad_images: number of images, over both splits, that may be unreadable; they are left
            out, named in the notes, and counted as errors in an evaluation.

    Returns:
        A `DataSource` with the splits `train` and `validation`; its classes are the WordNet ids,
        sorted.

    Raises:
        InputError: there is no such folder or solution, the two do not fit together, or more
            images than allowed are unreadable.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("train/n01440764/0", "val/1"):
        ...     path = root / "ILSVRC/Data/CLS-LOC" / f"{name}.JPEG"
        ...     path.parent.mkdir(parents=True)
        ...     Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
        >>> solution = "ImageId,PredictionString" + chr(10) + "1,n01440764 1 1 8 8"
        >>> _ = (root / "LOC_val_solution.csv").write_text(solution)
        >>> imagenet_kaggle(root).class_names
        ('n01440764',)
    """
    from tfbio.datasets.source import DataSource, FileSplit
    from tfbio.datasets.verification import check_images, refuse_unreadable

    root = find_download("imagenet_kaggle", _DOWNLOAD, data_dir)
    if root.is_file():
        raise InputError(f"Expected ImageNet unpacked, found {root}: unzip it into {root.parent}.")
    train, validation, solution = root / _IMAGES / "train", root / _IMAGES / "val", root / _SOLUTION
    labelled = [
        (str(path), folder.name)
        for folder in sorted(train.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
        for path in sorted(folder.iterdir())
        if is_image(path.name)
    ]
    if not labelled:
        raise InputError(f"Expected folders of JPEG images in {train}, found none: unzip it again.")
    class_names = tuple(sorted({wnid for _, wnid in labelled}))
    listings = {
        "train": labelled,
        "validation": [
            (str(validation / f"{name}.JPEG"), wnid) for name, wnid in _solutions(solution)
        ],
    }
    if unknown := sorted({wnid for _, wnid in listings["validation"]} - set(class_names)):
        raise InputError(
            f"Expected the classes of {solution} among the folders of {train}, found "
            f"{len(unknown)} without a folder, such as {unknown[0]}: unzip it again."
        )

    files = [Path(path) for listing in listings.values() for path, _ in listing]
    bad, converted = check_images(files)
    refuse_unreadable(list(bad.values()), len(files), root, max_bad_images)
    notes = [f"Left out, as it cannot be read: {image}" for image in bad.values()]
    notes += [f"{count} {kind}." for kind, count in Counter(converted.values()).items()]
    label_of = {wnid: label for label, wnid in enumerate(class_names)}
    splits = {}
    for split, listing in listings.items():
        readable = [(path, wnid) for path, wnid in listing if Path(path) not in bad]
        unreadable = tuple(bad[Path(path)] for path, _ in listing if Path(path) in bad)
        if not readable:
            raise InputError(f"Expected images to read for the split {split!r} of {root}: none.")
        splits[split] = FileSplit(
            split,
            [path for path, _ in readable],
            [label_of[wnid] for _, wnid in readable],
            unreadable,
        )
    return DataSource("imagenet_kaggle", class_names, splits, tuple(notes))


register_dataset(
    DatasetInfo(
        name="imagenet_kaggle",
        kind="folder",
        description="ImageNet as Kaggle distributes it, read as it lies.",
        loader=imagenet_kaggle,
        alexnet_errors=True,
        images="1.33 million, 1000 classes",
        splits="train, validation",
        access="by hand, about 160 GB",
        licence="Kaggle's and ImageNet's terms",
        reference="10.1007/s11263-015-0816-y",
    )
)


def _solutions(path: Path) -> list[tuple[str, str]]:
    """Names of the validation images, without ending, and their WordNet ids; sorted."""
    try:
        with path.open(newline="") as table:
            rows = list(csv.DictReader(table))
        # The prediction string is the WordNet id and the corners of a box, once for each object.
        labels = sorted((row["ImageId"], row["PredictionString"].split()[0]) for row in rows)
    except OSError as error:
        raise InputError(
            f"Expected the labels of the validation images in {path} ({error.strerror}): download "
            f"{_SOLUTION} from {_DOWNLOAD.page} and put it there."
        ) from error
    except (KeyError, AttributeError, IndexError, ValueError) as error:
        raise InputError(
            f"Expected the columns ImageId and PredictionString in {path}: download it again."
        ) from error
    if not labels:
        raise InputError(f"Expected labels in {path}, found an empty table: download it again.")
    return labels
