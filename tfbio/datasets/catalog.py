"""From a data set's name to a data source."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfbio.datasets.image_folder import image_folder
from tfbio.datasets.shapes import Shapes
from tfbio.datasets.source import DataSource, tfds_source
from tfbio.errors import InputError, UnknownNameError

_logger = logging.getLogger("tfbio")

# Data sets that are generated here and need no download.
EMBEDDED: dict[str, Callable[..., tfds.core.DatasetBuilder]] = {"shapes": Shapes}
IMAGE_FOLDER = "image_folder"
# Whether a class survives mirroring only who knows the data set can say; digits do not.
_AUGMENT = {"shapes": ("crop", "flip")}
# The disk refuses, not the network.
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def dataset_names() -> list[str]:
    """Names that `load_dataset` knows: the embedded ones, `image_folder`, and those of TFDS.

    Example:
        >>> "shapes" in dataset_names() and "cifar10" in dataset_names()
        True
    """
    return sorted({*EMBEDDED, IMAGE_FOLDER, *tfds.list_builders(with_community_datasets=False)})


def canonical_name(name: str) -> str:
    """A data set's name as `dataset_names` has it, from one in another case or without separators.

    Args:
        name: what the user gave, with a configuration of TFDS after a slash or without.

    Returns:
        The known name, and the configuration as it was.

    Raises:
        UnknownNameError: there is no such data set.

    Example:
        >>> canonical_name("ImageFolder")
        'image_folder'
    """
    known = dataset_names()
    plain, slash, configuration = name.partition("/")
    full = {_without_separators(each): each for each in known}.get(_without_separators(plain))
    if full is None:
        raise UnknownNameError("data set", name, known)
    return f"{full}{slash}{configuration}"


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
    name = canonical_name(name)
    full, _, configuration = name.partition("/")
    if full == IMAGE_FOLDER:
        if data_dir is None:
            raise InputError(
                "Expected data_dir with the data set image_folder: the folder that holds a folder "
                "of images for each class."
            )
        return image_folder(data_dir, max_bad_images)
    configurations = {} if full in EMBEDDED else tfds.builder_cls(full).builder_configs
    if configuration and configuration not in configurations:
        raise UnknownNameError(
            f"configuration of {full}", configuration, configurations or ["none"]
        )
    where = None if data_dir is None else str(data_dir)
    if full in EMBEDDED:
        builder = EMBEDDED[full](data_dir=where)
    else:
        builder = tfds.builder(name, data_dir=where)
    _prepare(builder, full)
    return tfds_source(name, builder, augment=_AUGMENT.get(full, ()))


def _prepare(builder: Any, name: str) -> None:
    try:
        # Asked about a folder that is not there, TFDS warns of it.
        if builder.data_path.exists() and builder.is_prepared():
            return
        builder.data_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(name, builder, error) from error
    try:
        if name in EMBEDDED:
            _logger.info("Rendering the data set %s, once, into %s", name, builder.data_path)
            with _without_progress():
                builder.download_and_prepare()
        else:
            builder.download_and_prepare()
    except OSError as error:
        if name in EMBEDDED or error.errno in _NOT_WRITABLE:
            raise _cannot_write(name, builder, error) from error
        raise _cannot_have(name, builder, error) from error
    except Exception as error:
        if name in EMBEDDED:
            raise
        # A data set of TFDS brings its own code, which raises what it likes.
        raise _cannot_have(name, builder, error) from error


@contextlib.contextmanager
def _without_progress() -> Iterator[None]:
    """TFDS shows five bars and two notices for what takes seconds."""
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        tfds.enable_progress_bar()


def _cannot_have(name: str, builder: Any, error: BaseException) -> InputError:
    return InputError(
        f"The data set {name} is not in {Path(builder.data_path).parent} and could not be fetched "
        f"({_first_line(error)}): prepare it on a machine with a network and copy the folder, or "
        "pass data_dir."
    )


def _cannot_write(name: str, builder: Any, error: OSError) -> InputError:
    return InputError(
        f"The data set {name} cannot be written to {builder.data_path} "
        f"({error.strerror or error}): pass a data_dir that is writable."
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def _without_separators(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
