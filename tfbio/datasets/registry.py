"""The registry of data sets: what is known of each, whether or not TensorFlow is installed."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from tfbio.datasets.names import AugmentationName, CorruptionName, DatasetKind
from tfbio.errors import InputError, UnknownNameError

# Ends the name of any data set whose images are corrupted as they are read.
_CORRUPTED = "_c"


@dataclass(frozen=True)
class DatasetInfo:
    """What the registry knows of a data set.

    Attributes:
        name: what it is asked for by; lower case, words divided by underscores.
        kind: `"embedded"` (generated here, nothing is downloaded), `"folder"` (read as it lies),
            `"downloaded"` (prepared from what the user downloaded by hand) or `"tfds"` (had from
            TensorFlow Datasets).
        description: one line.
        builder: the TFDS builder class, or where it is, `"module:attribute"`; None for a data set
            with a loader, or of TFDS.
        loader: a function of `data_dir` (None unless given) and `max_bad_images` that returns a
            `DataSource`, or where it is, `"module:attribute"`; None for a data set with a builder.
        aliases: other names.
        augment: random changes that keep its classes, which are used in training unless said
            otherwise. Whether a class survives mirroring only who knows the data set can say.
        smallest_size: below this many pixels a side its images lose what they are about.
        class_names: the classes in order, where the builder only numbers them.
        corruption_names: corruption to what this data set, stored corrupted, calls it otherwise.
        alexnet_errors: whether its images are those of ImageNet, on whose corruptions the errors
            of AlexNet, and so mCE, are published.
        images: number, size and classes, for the table of the documentation.
        splits: which there are, for the table.
        access: how to get it, for the table.
        licence: as far as it is known.
        reference: DOI or address of its description.

    Raises:
        InputError: the fields do not fit together.

    Example:
        >>> from tfbio.datasets.registry import dataset_info
        >>> dataset_info("pathfinder").augment
        ('flip',)
    """

    name: str
    kind: DatasetKind
    description: str
    builder: str | type | None = None
    loader: str | Callable[..., Any] | None = None
    aliases: tuple[str, ...] = ()
    augment: tuple[AugmentationName, ...] = ()
    smallest_size: int = 1
    class_names: tuple[str, ...] = ()
    corruption_names: Mapping[CorruptionName, str] = field(default_factory=dict, hash=False)
    alexnet_errors: bool = False
    images: str = ""
    splits: str = ""
    access: str = ""
    licence: str = ""
    reference: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(DatasetKind):
            raise UnknownNameError("kind of data set", self.kind, get_args(DatasetKind))
        if not self.name or self.name != self.name.lower() or "/" in self.name:
            raise InputError(
                "Expected a data set's name in lower case and without a slash, received "
                f"{self.name!r}."
            )
        for name in self.augment:
            if name not in get_args(AugmentationName):
                raise UnknownNameError("augmentation", name, get_args(AugmentationName))
        given = [each for each in (self.builder, self.loader) if each is not None]
        if len(given) > 1 or (not given and self.kind != "tfds"):
            raise InputError(
                f"Expected a builder or a loader for the data set {self.name!r} of kind "
                f"{self.kind}, received {'both' if given else 'neither'}."
            )
        if self.kind == "folder" and self.loader is None:
            raise InputError(
                f"Expected a loader for the data set {self.name!r} of kind folder, received a "
                "builder."
            )

    def builder_class(self) -> Any:
        """The TFDS builder class, imported; that of TFDS if the data set brings none.

        Returns:
            A subclass of `tfds.core.DatasetBuilder`; None for a data set with a loader.
        """
        if self.loader is not None:
            return None
        if self.builder is not None:
            return _resolved(self.builder)
        import tensorflow_datasets as tfds

        return tfds.builder_cls(self.name)

    def loader_function(self) -> Any:
        """The loader, imported; None for a data set with a builder."""
        return None if self.loader is None else _resolved(self.loader)


_DATASETS: dict[str, DatasetInfo] = {}


def register_dataset(info: DatasetInfo) -> DatasetInfo:
    """Register a data set, so that `load_dataset` and the commands know it by its name.

    Args:
        info: what is known of it.

    Returns:
        The same.

    Raises:
        InputError: its name or an alias is taken. Case and separators do not count.

    Example:
        >>> import numpy as np
        >>> from tfbio.datasets import as_data_source, load_dataset
        >>> from tfbio.datasets.registry import DatasetInfo, register_dataset, unregister_dataset
        >>> def load_noise(data_dir, max_bad_images):
        ...     images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
        ...     return as_data_source((images, np.arange(20) % 2), ("odd", "even"))
        >>> _ = register_dataset(DatasetInfo("noise", "embedded", "Noise.", loader=load_noise))
        >>> load_dataset("noise").split("train").size
        18
        >>> unregister_dataset("noise")
    """
    taken = _spellings()
    for name in (info.name, *info.aliases):
        if (known := taken.get(_without_separators(name))) is not None:
            raise InputError(
                f"Expected a new name for a data set, received {name!r}, which is {known}: choose "
                "another name, or call unregister_dataset first."
            )
    _DATASETS[info.name] = info
    return info


def unregister_dataset(name: str) -> None:
    """Forget a registered data set; a notebook may then register it anew.

    Args:
        name: its registered name.

    Raises:
        UnknownNameError: it is not registered.
    """
    if name not in _DATASETS:
        raise UnknownNameError("data set", name, _DATASETS)
    del _DATASETS[name]


def list_datasets(pattern: str = "*", include_tfds: bool = False) -> list[str]:
    """Names of the data sets that match a glob pattern, sorted.

    Args:
        pattern: as in a shell: `*` any characters, `?` one, `[ab]` one of these.
        include_tfds: also list those of TensorFlow Datasets that nothing more is known of here.
            Most of them can be loaded, if each image has one class label.

    Returns:
        A list of names; empty if none matches.

    Example:
        >>> list_datasets("*imagenet_c")
        ['tiny_imagenet_c']
        >>> "mnist" in list_datasets(), "mnist" in list_datasets(include_tfds=True)
        (False, True)
    """
    names = {*_DATASETS, *(_names_of_tfds() if include_tfds else ())}
    return sorted(fnmatch.filter(names, pattern))


def dataset_info(name: str) -> DatasetInfo:
    """What the registry knows of a data set.

    Args:
        name: as in `load_dataset`, with a configuration or without. A name that ends in `_c`,
            whose images are corrupted as they are read, gives what is known of these images.

    Returns:
        A `DatasetInfo`; of a data set of TFDS that is not registered, its name and kind.

    Raises:
        UnknownNameError: there is no such data set.

    Example:
        >>> dataset_info("CIFAR-100").kind, dataset_info("shapes_c").name
        ('tfds', 'shapes')
    """
    name = canonical_name(name)
    full = (corrupted_base(name) or name).partition("/")[0]
    return _DATASETS.get(full) or DatasetInfo(full, "tfds", "A data set of TFDS.")


def canonical_name(name: str) -> str:
    """A data set's name as `list_datasets` has it, from one in another case or an alias.

    Args:
        name: what the user gave, with a configuration of TFDS after a slash or without. Hyphens
            and underscores do not count.

    Returns:
        The known name, and the configuration as it was.

    Raises:
        UnknownNameError: there is no such data set.

    Example:
        >>> canonical_name("ImageFolder"), canonical_name("shapes-c")
        ('image_folder', 'shapes_c')
    """
    plain, slash, configuration = name.partition("/")
    wanted = _without_separators(plain)
    # TFDS is asked, and imported, only where nothing registered is meant.
    for known in _known_spellings():
        if wanted in known:
            return f"{known[wanted]}{slash}{configuration}"
    for known in _known_spellings():
        if wanted.endswith("c") and wanted[:-1] in known:
            return f"{known[wanted[:-1]]}{_CORRUPTED}{slash}{configuration}"
    raise UnknownNameError("data set", name, list_datasets(include_tfds=True))


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
    if not full.endswith(_CORRUPTED) or full in _DATASETS or full in _names_of_tfds():
        return None
    return f"{full.removesuffix(_CORRUPTED)}{slash}{configuration}"


def _known_spellings() -> Iterator[dict[str, str]]:
    yield _spellings()
    yield {_without_separators(name): name for name in _names_of_tfds()}


def _spellings() -> dict[str, str]:
    """Names and aliases of the registered data sets, without separators, to their names."""
    return {
        _without_separators(name): info.name
        for info in _DATASETS.values()
        for name in (info.name, *info.aliases)
    }


def _names_of_tfds() -> list[str]:
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def _without_separators(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _resolved(reference: Any) -> Any:
    """What `"module:attribute"` stands for; anything else is itself."""
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(importlib.import_module(module), attribute)
