"""A folder of class folders as a data set."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from tfbio.datasets.chosen_by_hash import chosen_by_hash
from tfbio.datasets.registry import DatasetInfo, register_dataset
from tfbio.errors import InputError

if TYPE_CHECKING:
    from tfbio.datasets.source import DataSource

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
# Of every class, where there is no folder for validation.
_VALIDATION_SHARE = 0.2
# Names under which people keep the parts of a data set, in any case.
_FOLDERS = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}


def image_folder(data_dir: str | os.PathLike, max_bad_images: int = 0) -> DataSource:
    """Read a folder of class folders.

    `DIR/<class>/*.jpg`, or `DIR/train/<class>/...` with `DIR/val/<class>/...` (or `valid`,
    `validation`) and perhaps `DIR/test/<class>/...`. Without a validation folder, a fifth of every
    class is set aside for validation, always the same fifth. JPEG, PNG, BMP and GIF, of any size,
    gray or colour, at any depth in the class folder; hidden files and folders are left out.

    Args:
        data_dir: the folder.
        max_bad_images: number of images, over all splits, that may be unreadable; they are left
            out, named in the notes, and counted as errors in an evaluation.

    Returns:
        A `DataSource` with the splits `train`, `validation` and perhaps `test`.

    Raises:
        InputError: there is no such folder, it holds no images, the splits differ in their
            classes, or more images than allowed are unreadable.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from PIL import Image
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name in ("cat", "dog"):
        ...     (root / name).mkdir()
        ...     for i in range(5):
        ...         Image.fromarray(np.zeros((8, 8), "uint8")).save(root / name / f"{i}.png")
        >>> source = image_folder(root)
        >>> source.class_names, source.split("train").size, source.split("validation").size
        (('cat', 'dog'), 8, 2)
    """
    from tfbio.datasets.source import DataSource, FileSplit
    from tfbio.datasets.verification import check_images, refuse_unreadable

    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(
            f"Expected a folder of class folders at {root}, found "
            f"{'a file' if root.exists() else 'nothing'}: pass data_dir."
        )
    present = {entry.name.lower(): entry for entry in sorted(root.iterdir()) if entry.is_dir()}
    folders = {
        split: present[name]
        for split, names in _FOLDERS.items()
        for name in names
        if name in present
    }
    if "train" not in folders:
        folders = {"train": root}
    other_endings: Counter[str] = Counter()
    listings = {split: _list_classes(folder, other_endings) for split, folder in folders.items()}
    class_names = tuple(sorted(listings["train"]))
    for split, listing in listings.items():
        if set(listing) != set(class_names):
            differing = ", ".join(sorted(set(listing) ^ set(class_names)))
            raise InputError(
                f"Expected the same class folders in {folders['train']} and {folders[split]}; "
                f"only one of them has: {differing}."
            )
    if "validation" not in listings:
        listings["train"], listings["validation"] = _set_aside(listings["train"], folders["train"])

    files = [path for listing in listings.values() for paths in listing.values() for path in paths]
    bad, converted = check_images(files)
    refuse_unreadable(list(bad.values()), len(files), root, max_bad_images)
    notes = [f"Left out, as it cannot be read: {image}" for image in bad.values()]
    notes += [f"{count} {kind}." for kind, count in Counter(converted.values()).items()]
    if other_endings:
        listed = ", ".join(f"{count} {ending}" for ending, count in sorted(other_endings.items()))
        notes.append(f"Left out, as only {', '.join(SUFFIXES)} files are read: {listed}.")
    splits = {}
    for split, listing in listings.items():
        examples = [
            (str(path), label)
            for label, name in enumerate(class_names)
            for path in listing[name]
            if path not in bad
        ]
        unreadable = tuple(
            bad[path] for name in class_names for path in listing[name] if path in bad
        )
        if not examples:
            raise InputError(f"Expected images to read for the split {split!r} of {root}: none.")
        paths, labels = zip(*examples, strict=True)
        splits[split] = FileSplit(split, list(paths), list(labels), unreadable)
    return DataSource("image_folder", class_names, splits, tuple(notes))


register_dataset(
    DatasetInfo(
        name="image_folder",
        kind="folder",
        description="Your own images, in a folder of class folders.",
        loader=image_folder,
        images="yours",
        splits="train, validation, perhaps test",
        access="a folder of class folders",
        licence="yours",
    )
)


def _list_classes(folder: Path, other_endings: Counter[str]) -> dict[str, list[Path]]:
    """Class name to its image files, sorted; a class without images is an error.

    The endings of other files are counted in `other_endings`.
    """
    classes: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if not entry.is_dir() or entry.name.startswith("."):
            continue
        try:
            entry.name.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"Expected class folders with names in UTF-8, received {os.fsencode(entry.name)!r} "
                f"in {folder}: rename it."
            ) from error
        classes[entry.name] = []
        for path in _files(entry):
            ending = path.suffix.lower()
            if ending in SUFFIXES:
                classes[entry.name].append(path)
            else:
                other_endings[ending or "no ending"] += 1
    empty = [name for name, paths in classes.items() if not paths]
    if not classes or len(empty) == len(classes):
        raise InputError(
            f"Expected class folders of {', '.join(SUFFIXES)} files in {folder}, found "
            f"{'class folders without images' if classes else 'no folder'}."
        )
    if empty:
        raise InputError(
            f"Expected images in every class folder of {folder}; empty: {', '.join(empty)}. "
            "Add images or remove the folder."
        )
    return classes


def _files(folder: Path) -> Iterator[Path]:
    """Files at any depth, in an order of their own, but for hidden ones."""
    for place, folders, names in os.walk(folder, onerror=_cannot_list, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _cannot_list(error: OSError) -> NoReturn:
    raise InputError(f"Expected to read the folder {error.filename}: {error.strerror}.") from error


def _set_aside(
    listing: dict[str, list[Path]], root: Path
) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """A stratified split that depends on the file names alone."""
    training, validation = {}, {}
    for name, paths in listing.items():
        count = math.floor(_VALIDATION_SHARE * len(paths) + 0.5) if len(paths) > 1 else 0
        # Names with those of their classes, and no more: the data set can be moved.
        inside = {path: f"{name}/{os.path.relpath(path, root / name)}" for path in paths}
        chosen = chosen_by_hash(inside.values(), max(count, int(len(paths) > 1)))
        validation[name] = [path for path in paths if inside[path] in chosen]
        training[name] = [path for path in paths if inside[path] not in chosen]
    return training, validation
