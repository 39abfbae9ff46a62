"""From a data set's name to a data source."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfbio.datasets.download import find_download
from tfbio.datasets.manual import ManualBuilder, unreadable_images
from tfbio.datasets.registry import DatasetInfo, canonical_name, corrupted_base, dataset_info
from tfbio.datasets.source import DataSource, check_features, tfds_source
from tfbio.datasets.verification import refuse_unreadable
from tfbio.errors import InputError, UnknownNameError

_logger = logging.getLogger("tfbio")

# The disk refuses, not the network.
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def load_dataset(
    name: str, data_dir: str | os.PathLike | None = None, max_bad_images: int = 0
) -> DataSource:
    """Find a data set by name; generate or download it if it is not there yet.

    Args:
        name: one of `list_datasets`, such as `shapes`, `tiny_imagenet_c/fog_3`, or `image_folder`
            with `data_dir` the folder of class folders. Case and separators do not count:
            `ImageFolder` is `image_folder`.
        data_dir: where data sets are kept; by default where TFDS keeps them (the environment's
            TFDS_DATA_DIR, or `tensorflow_datasets` in the home folder).
        max_bad_images: see `image_folder`; data sets of TFDS itself are taken to be whole.

    Returns:
        A `DataSource`.

    Raises:
        UnknownNameError: there is no such data set.
        InputError: it cannot be had, or is not one of labelled images.
    """
    name = canonical_name(name)
    full, _, configuration = name.partition("/")
    if corrupted_base(name) is not None:
        raise InputError(
            f"Expected a data set as it is stored, received {name!r}: corrupted images are for "
            "evaluate.py; leave out '_c'."
        )
    info = dataset_info(full)
    if info.loader is not None:
        return _loaded(info, configuration, data_dir, max_bad_images)
    builder_class = info.builder_class()
    known = list(builder_class.builder_configs)
    if configuration and configuration not in known:
        raise UnknownNameError(f"configuration of {full}", configuration, known or ["none"])
    arguments: dict[str, Any] = {"data_dir": None if data_dir is None else str(data_dir)}
    if configuration:
        arguments["config"] = configuration
    if issubclass(builder_class, ManualBuilder):
        arguments["max_bad_images"] = max_bad_images
    if info.builder is None:
        builder = tfds.builder(name, data_dir=arguments["data_dir"])
    else:
        builder = builder_class(**arguments)
    check_features(name, builder)
    _prepare(builder, info)
    left_out = unreadable_images(builder)
    total = builder.info.splits.total_num_examples + len(left_out)
    remedy = "repair them in the download and delete this folder, so that it is prepared again"
    refuse_unreadable(left_out, total, builder.data_path, max_bad_images, remedy)
    unreadable = {split: unreadable_images(builder, split) for split in builder.info.splits}
    source = tfds_source(name, builder, info.augment, unreadable)
    return replace(source, class_names=info.class_names or source.class_names)


def _loaded(
    info: DatasetInfo,
    configuration: str,
    data_dir: str | os.PathLike | None,
    max_bad_images: int,
) -> DataSource:
    """A data set that a function reads."""
    load = info.loader_function()
    if configuration:
        raise UnknownNameError(f"configuration of {info.name}", configuration, ["none"])
    if info.kind == "folder" and data_dir is None:
        raise InputError(
            f"Expected data_dir with the data set {info.name}: the folder with its images."
        )
    source = load(data_dir, max_bad_images)
    if not isinstance(source, DataSource):
        raise InputError(
            f"Expected a DataSource from the loader of the data set {info.name}, received "
            f"{type(source).__name__}: return one, such as `as_data_source` makes."
        )
    return replace(source, name=info.name, augment=source.augment or info.augment)


def _prepare(builder: Any, info: DatasetInfo) -> None:
    name, embedded = info.name, info.kind == "embedded"
    try:
        # Asked about a folder that is not there, TFDS warns of it.
        if builder.data_path.exists() and builder.is_prepared():
            return
        if isinstance(builder, ManualBuilder):
            # Before any folder is made, say what to download and where to put it.
            find_download(builder.name, builder.DOWNLOAD, builder.data_dir_root)
        builder.data_path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(name, builder, error) from error
    try:
        if embedded:
            _logger.info("Rendering the data set %s, once, into %s", name, builder.data_path)
        # Rendering takes seconds, and so does one of many small parts.
        quick = embedded or (isinstance(builder, ManualBuilder) and builder.builder_configs)
        with _without_progress() if quick else contextlib.nullcontext():
            builder.download_and_prepare()
    except OSError as error:
        if embedded or error.errno in _NOT_WRITABLE:
            raise _cannot_write(name, builder, error) from error
        raise _cannot_have(name, builder, error) from error
    except Exception as error:
        if embedded or isinstance(error, InputError):
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
