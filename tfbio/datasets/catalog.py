"""From a data set's name to a data source."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfbio.datasets.image_folder import image_folder
from tfbio.datasets.shapes import Shapes
from tfbio.datasets.source import DataSource, tfds_source
from tfbio.errors import InputError, UnknownNameError

# Data sets that are generated here and need no download.
EMBEDDED: dict[str, Callable[..., tfds.core.DatasetBuilder]] = {"shapes": Shapes}
IMAGE_FOLDER = "image_folder"
# Whether a class survives mirroring only who knows the data set can say; digits do not.
_AUGMENT = {"shapes": ("crop", "flip")}


def dataset_names() -> list[str]:
    """Names that `load_dataset` knows: the embedded ones, `image_folder`, and those of TFDS.

    Example:
        >>> "shapes" in dataset_names() and "cifar10" in dataset_names()
        True
    """
    return sorted({*EMBEDDED, IMAGE_FOLDER, *tfds.list_builders(with_community_datasets=False)})


def load_dataset(
    name: str, data_dir: str | os.PathLike | None = None, max_bad_images: int = 0
) -> DataSource:
    """Find a data set by name; generate or download it if it is not there yet.

    Args:
        name: `shapes`; `image_folder`, with `data_dir` the folder of class folders; or a name of
            TFDS. Case and separators do not count: `ImageFolder` is `image_folder`.
        data_dir: where data sets are kept; by default where TFDS keeps them (the environment's
            TFDS_DATA_DIR, or `tensorflow_datasets` in the home folder).
        max_bad_images: see `image_folder`.

    Returns:
        A `DataSource`.

    Raises:
        UnknownNameError: there is no such data set.
        InputError: it cannot be had, or is not one of labelled images.
    """
    known = dataset_names()
    plain, _, configuration = name.partition("/")
    full = {_without_separators(each): each for each in known}.get(_without_separators(plain))
    if full is None:
        raise UnknownNameError("data set", name, known)
    if full == IMAGE_FOLDER:
        if data_dir is None:
            raise InputError(
                "Expected --data_dir with --dataset=image_folder: the folder that holds a folder "
                "of images for each class."
            )
        return image_folder(data_dir, max_bad_images)
    where = None if data_dir is None else str(data_dir)
    try:
        if full in EMBEDDED:
            builder = EMBEDDED[full](data_dir=where)
        else:
            builder = tfds.builder(f"{full}/{configuration}" if configuration else full,
                                   data_dir=where)  # fmt: skip
    except OSError as error:
        raise _cannot_write(full, where, error) from error
    _prepare(builder, full)
    return tfds_source(full, builder, augment=_AUGMENT.get(full, ()))


def _prepare(builder: Any, name: str) -> None:
    # TFDS reports every step of the writing; a bar is enough.
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        builder.download_and_prepare()
    except PermissionError as error:
        raise _cannot_write(name, builder.data_path, error) from error
    except (OSError, AssertionError) as error:
        # AssertionError is what TFDS raises when files to be downloaded by hand are missing.
        raise _cannot_have(name, builder, error) from error
    finally:
        logger.setLevel(level)


def _cannot_have(name: str, builder: Any, error: BaseException) -> InputError:
    return InputError(
        f"The data set {name} is not in {Path(builder.data_path).parent} and could not be fetched "
        f"({_first_line(error)}): prepare it on a machine with a network and copy the folder, or "
        "pass --data_dir."
    )


def _cannot_write(name: str, where: Any, error: OSError) -> InputError:
    return InputError(
        f"The data set {name} cannot be written to {where or 'the TFDS data folder'} "
        f"({error.strerror or error}): pass a --data_dir that is writable."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _without_separators(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
