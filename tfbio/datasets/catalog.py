"""From a data set's name to a data source."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from tfbio.datasets.image_folder import image_folder
from tfbio.datasets.imagenet16 import Imagenet16
from tfbio.datasets.imagenet_kaggle import imagenet_kaggle
from tfbio.datasets.manual import (
    ManualBuilder,
    find_download,
    unreadable_images,
)
from tfbio.datasets.pascal_voc_stimuli import PascalVocStimuli
from tfbio.datasets.pathfinder import Pathfinder
from tfbio.datasets.sat_human import SatHuman
from tfbio.datasets.shapes import Shapes
from tfbio.datasets.source import DataSource, check_features, tfds_source
from tfbio.datasets.tiny_imagenet import TinyImagenet
from tfbio.datasets.tiny_imagenet_c import TinyImagenetC
from tfbio.datasets.verification import refuse_unreadable
from tfbio.errors import InputError, UnknownNameError

_logger = logging.getLogger("tfbio")

# Data sets that are generated here and need no download.
EMBEDDED: dict[str, type[tfds.core.DatasetBuilder]] = {"pathfinder": Pathfinder, "shapes": Shapes}
# Below this many pixels a side the images of an embedded data set lose what they are about.
SMALLEST_SIZE = {"pathfinder": 64}
# Data sets that a user downloads by hand and TFDS does not have.
DOWNLOADED: dict[str, type[tfds.core.DatasetBuilder]] = {
    "imagenet16": Imagenet16,
    "pascal_voc_stimuli": PascalVocStimuli,
    "sat_human": SatHuman,
    "tiny_imagenet": TinyImagenet,
    "tiny_imagenet_c": TinyImagenetC,
}
IMAGE_FOLDER = "image_folder"
# Folders that are read as they are, nothing being prepared.
FOLDERS: dict[str, Callable[..., DataSource]] = {
    IMAGE_FOLDER: image_folder,
    "imagenet_kaggle": imagenet_kaggle,
}
# TFDS numbers these classes only; under their names a run on CIFAR-10 is known to have the same.
_CLASS_NAMES = {
    "cifar10_corrupted": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    ),
}  # fmt: skip
# What people call data sets of TFDS.
_ALIASES = {"imagenet": "imagenet2012", "imagenet_c": "imagenet2012_corrupted"}
# Ends the name of any data set whose images are corrupted as they are read.
_CORRUPTED = "_c"
# Whether a class survives mirroring only who knows the data set can say; digits do not.
_AUGMENT = {"pathfinder": ("flip",), "shapes": ("crop", "flip")}
# The disk refuses, not the network.
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)


def dataset_names() -> list[str]:
    """Names that `load_dataset` knows: those of tfbio, of folders, and of TFDS.

    Example:
        >>> "shapes" in dataset_names() and "cifar10" in dataset_names()
        True
    """
    of_tfds = tfds.list_builders(with_community_datasets=False)
    return sorted({*EMBEDDED, *DOWNLOADED, *FOLDERS, *of_tfds})


def canonical_name(name: str) -> str:
    """A data set's name as `dataset_names` has it, from one in another case or without separators.

    Args:
        name: what the user gave, with a configuration of TFDS after a slash or without.

    Returns:
        The known name, and the configuration as it was.

    Raises:
        UnknownNameError: there is no such data set.

    Example:
        >>> canonical_name("ImageFolder"), canonical_name("shapes-c")
        ('image_folder', 'shapes_c')
    """
    known = dataset_names()
    plain, slash, configuration = name.partition("/")
    full_names = {_without_separators(each): each for each in known}
    full_names |= {_without_separators(alias): full for alias, full in _ALIASES.items()}
    wanted = _without_separators(plain)
    if wanted in full_names:
        return f"{full_names[wanted]}{slash}{configuration}"
    if wanted.endswith("c") and wanted[:-1] in full_names:
        return f"{full_names[wanted[:-1]]}{_CORRUPTED}{slash}{configuration}"
    raise UnknownNameError("data set", name, known)


def corrupted_base(name: str) -> str | None:
    """The data set whose images are corrupted as they are read, of a name that ends in `_c`.

    Args:
        name: as `canonical_name` gives it.

    Returns:
        The base's name; None for a data set that is read as it is stored.

    Example:
        >>> corrupted_base("shapes_c"), corrupted_base("tiny_imagenet_c"), corrupted_base("shapes")
        ('shapes', None, None)
    """
    full, slash, configuration = name.partition("/")
    if full in dataset_names() or not full.endswith(_CORRUPTED):
        return None
    return f"{full.removesuffix(_CORRUPTED)}{slash}{configuration}"


def load_dataset(
    name: str, data_dir: str | os.PathLike | None = None, max_bad_images: int = 0
) -> DataSource:
    """Find a data set by name; generate or download it if it is not there yet.

    Args:
        name: one of `dataset_names`, such as `shapes`, `tiny_imagenet_c/fog_3`, or `image_folder`
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
    if full in FOLDERS:
        if configuration:
            raise UnknownNameError(f"configuration of {full}", configuration, ["none"])
        if data_dir is None:
            raise InputError(
                f"Expected data_dir with the data set {full}: the folder with its images."
            )
        return FOLDERS[full](data_dir, max_bad_images)
    configurations = _configurations(full)
    if configuration and configuration not in configurations:
        raise UnknownNameError(
            f"configuration of {full}", configuration, configurations or ["none"]
        )
    where = None if data_dir is None else str(data_dir)
    chosen = {"config": configuration} if configuration else {}
    if full in DOWNLOADED:
        own = DOWNLOADED[full]
        builder = own(data_dir=where, max_bad_images=max_bad_images, **chosen)
    elif full in EMBEDDED:
        builder = EMBEDDED[full](data_dir=where, **chosen)
    else:
        builder = tfds.builder(name, data_dir=where)
    check_features(name, builder)
    _prepare(builder, full)
    left_out = unreadable_images(builder)
    total = builder.info.splits.total_num_examples + len(left_out)
    remedy = "repair them in the download and delete this folder, so that it is prepared again"
    refuse_unreadable(left_out, total, builder.data_path, max_bad_images, remedy)
    unreadable = {split: unreadable_images(builder, split) for split in builder.info.splits}
    source = tfds_source(name, builder, _AUGMENT.get(full, ()), unreadable)
    return replace(source, class_names=_CLASS_NAMES.get(full, source.class_names))


def _configurations(full: str) -> list[str]:
    """The names of a data set's configurations; empty if it has one form only."""
    if full in FOLDERS:
        return []
    builder = EMBEDDED.get(full) or DOWNLOADED.get(full) or tfds.builder_cls(full)
    return list(builder.builder_configs)


def _prepare(builder: Any, name: str) -> None:
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
        if name in EMBEDDED:
            _logger.info("Rendering the data set %s, once, into %s", name, builder.data_path)
        # Rendering takes seconds, and so does one of many small parts.
        quick = name in EMBEDDED or (isinstance(builder, ManualBuilder) and builder.builder_configs)
        with _without_progress() if quick else contextlib.nullcontext():
            builder.download_and_prepare()
    except OSError as error:
        if name in EMBEDDED or error.errno in _NOT_WRITABLE:
            raise _cannot_write(name, builder, error) from error
        raise _cannot_have(name, builder, error) from error
    except Exception as error:
        if name in EMBEDDED or isinstance(error, InputError):
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
