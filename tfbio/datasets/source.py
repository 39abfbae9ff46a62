"""What the input pipeline asks of a data set, and two kinds of data set that answer."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from tfbio.datasets.names import AugmentationName
from tfbio.errors import InputError, UnknownNameError

# What a shuffled read keeps in memory, still encoded: records, and bytes. Smaller data sets shuffle
# perfectly; of larger ones the files come in random order too.
_SHUFFLE_BUFFER = 65_536
_SHUFFLE_BYTES = 1 << 30
_SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class UnreadableImage:
    """An image file that cannot be decoded, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Split(ABC):
    """The examples of one split.

    Attributes:
        name: such as `"train"`.
        size: number of examples that can be read.
        unreadable: the images that cannot.
        has_masks: whether each image comes with the mask of its object.
    """

    name: str
    size: int
    unreadable: tuple[UnreadableImage, ...] = ()
    has_masks: bool = False

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        """The number of examples of every class.

        Args:
            classes: number of classes.

        Returns:
            (classes,), int64.
        """
        counts = np.zeros(classes, np.int64)
        for example in self.examples().batch(1024).as_numpy_iterator():
            counts += np.bincount(example["label"], minlength=classes)
        return counts

    @abstractmethod
    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        """The examples, each once, in an order that the seed decides.

        Args:
            order_seed: None keeps the order in which the data set is stored.
            skip: number of examples to leave out at the beginning of that order.

        Returns:
            Dicts of `image` (encoded bytes, or (H, W, 3) in [0, 255]), `label`, `index` (int64),
            and `mask` (encoded bytes, or uint8 (H, W, 1)) where there is one.
        """


@dataclass(frozen=True)
class DataSource:
    """A data set: its class names and its splits.

    Attributes:
        name: the name it was asked for by.
        class_names: label to name.
        splits: some of `train`, `validation`, `test`.
        notes: sentences that the user should see.
        augment: random changes that keep its classes, used in training unless said otherwise.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    augment: tuple[AugmentationName, ...] = ()

    def split(self, name: str) -> Split:
        """One split by name.

        Raises:
            UnknownNameError: there is no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(f"split of {self.name}", name, self.splits)
        return self.splits[name]

    @property
    def file_name(self) -> str:
        """The name without the slash of a configuration, for files and folders."""
        return self.name.replace("/", "-")

    @property
    def evaluation_split(self) -> Split:
        """The split to evaluate on: `test` where there is one, else `validation`."""
        return self.split("test" if "test" in self.splits else "validation")


class FileSplit(Split):
    """Image files with labels."""

    def __init__(
        self,
        name: str,
        paths: list[str],
        labels: list[int],
        unreadable: tuple[UnreadableImage, ...] = (),
    ):
        self.name = name
        self.size = len(paths)
        self.unreadable = unreadable
        # A file's name is bytes, and not always UTF-8.
        self._paths = np.array([os.fsencode(path) for path in paths], dtype=bytes)
        self._labels = np.array(labels, dtype=np.int64)

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        return np.bincount(self._labels, minlength=classes)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        order: NDArray[np.int64] = np.arange(self.size)
        if order_seed is not None:
            order = np.random.default_rng(order_seed).permutation(self.size)
        order = order[skip:]
        files = tf.data.Dataset.from_tensor_slices(
            {"path": self._paths[order], "label": self._labels[order], "index": order}
        )

        def read(file: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            contents = tf.io.read_file(file["path"])
            return {"image": contents, "label": file["label"], "index": file["index"]}

        return files.map(read, num_parallel_calls=tf.data.AUTOTUNE)


class TfdsSplit(Split):
    """A split, or a part of one, of a prepared TFDS builder."""

    def __init__(
        self,
        name: str,
        builder: tfds.core.DatasetBuilder,
        instruction: str,
        unreadable: tuple[UnreadableImage, ...] = (),
    ):
        self.name = name
        self.unreadable = unreadable
        self._builder = builder
        self._instruction = instruction
        self.size = builder.info.splits[instruction].num_examples
        self.has_masks = "mask" in builder.info.features

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        # Builders of large data sets have counted them.
        counted = (self._builder.info.metadata or {}).get("counts", {}).get(self._instruction)
        return super().class_counts(classes) if counted is None else np.array(counted)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        def in_random_order(files: list[Any]) -> list[Any]:
            return [files[i] for i in np.random.default_rng(order_seed).permutation(len(files))]

        records = self._builder.as_dataset(
            split=self._instruction,
            read_config=tfds.ReadConfig(
                try_autocache=False,
                # With `shuffle_files` TFDS chooses another order at every pass.
                experimental_interleave_sort_fn=None if order_seed is None else in_random_order,
            ),
            # Images stay encoded while they are shuffled.
            decoders={
                name: tfds.decode.SkipDecoding()
                for name, feature in self._builder.info.features.items()
                if isinstance(feature, tfds.features.Image)
            },
        )

        def with_index(index: tf.Tensor, record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            kept = ("image", "label", *(("mask",) if self.has_masks else ()))
            return {**{name: record[name] for name in kept}, "index": index}

        examples = records.enumerate().map(with_index)
        if order_seed is not None:
            examples = shuffled(examples, self._shuffle_buffer(), order_seed)
            examples = examples.apply(tf.data.experimental.assert_cardinality(self.size))
        return examples.skip(skip)

    def _shuffle_buffer(self) -> int:
        """Number of records that a shuffled read keeps in memory."""
        # A part of a split does not know its bytes.
        whole = self._builder.info.splits[self._instruction.partition("[")[0]]
        return shuffle_buffer(self.size, whole.num_bytes // max(1, whole.num_examples))


def shuffle_buffer(size: int, bytes_each: int) -> int:
    """Number of examples that a shuffled read keeps in memory.

    Args:
        size: number of examples.
        bytes_each: bytes of one.

    Returns:
        `size`, or less where that would fill the memory: then the order is not a perfect one.

    Example:
        >>> shuffle_buffer(1000, 64 * 64 * 3)
        1000
    """
    return max(1, min(size, _SHUFFLE_BUFFER, _SHUFFLE_BYTES // max(1, bytes_each)))


def shuffled(examples: tf.data.Dataset, buffer: int, seed: int) -> tf.data.Dataset:
    """The examples in an order that this seed alone decides.

    `Dataset.shuffle` mixes TensorFlow's global seed in; inside a function that is the function's.

    Args:
        examples: any data set.
        buffer: number of examples that are kept in memory; the order is perfect if it is all.
        seed: one integer.

    Returns:
        The data set, shuffled; every pass over it gives the same order.

    Example:
        >>> import tensorflow as tf
        >>> passes = shuffled(tf.data.Dataset.range(5), 5, seed=1)
        >>> list(passes.as_numpy_iterator()) == list(passes.as_numpy_iterator())
        True
    """

    def shuffle(_: tf.Tensor) -> tf.data.Dataset:
        tf.random.set_seed(seed)
        return examples.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)

    return tf.data.Dataset.range(1).flat_map(shuffle)


def tfds_source(
    name: str,
    builder: tfds.core.DatasetBuilder,
    augment: tuple[AugmentationName, ...] = (),
    unreadable: Mapping[str, tuple[UnreadableImage, ...]] | None = None,
) -> DataSource:
    """A prepared TFDS builder as a data source.

    A data set without a validation split lends the last tenth of its training split; one without
    a training split can only be evaluated. A test split without labels is left out.

    Args:
        name: the name the user gave.
        builder: prepared, with features `image` and `label`.
        augment: see `DataSource`.
        unreadable: the images that were left out when it was prepared, by split.

    Returns:
        A `DataSource`.

    Raises:
        InputError: the data set is not one of labelled images.
    """
    check_features(name, builder)
    features: Any = builder.info.features
    available = builder.info.splits
    instructions = {split: split for split in _SPLITS if split in available}
    if not instructions:
        raise InputError(
            f"Expected a data set with one of the splits {', '.join(_SPLITS)}, received {name!r} "
            f"with {', '.join(available)}."
        )
    if "train" in instructions and "validation" not in instructions:
        instructions |= {"train": "train[:90%]", "validation": "train[90%:]"}
    left_out = unreadable or {}
    splits = {
        split: TfdsSplit(split, builder, spec, left_out.get(split, ()))
        for split, spec in instructions.items()
    }
    if "test" in splits and not _has_labels(splits["test"]):
        del splits["test"]
    return DataSource(
        name=name,
        class_names=tuple(features["label"].names),
        splits=splits,
        notes=tuple(
            f"Left out, as it cannot be read: {image}"
            for images in left_out.values()
            for image in images
        ),
        augment=augment,
    )


def check_features(name: str, builder: tfds.core.DatasetBuilder) -> None:
    """Refuse a data set that is not one of labelled images; it need not be prepared.

    Args:
        name: the name the user gave.
        builder: of the data set.

    Raises:
        InputError: the data set is not one of labelled images.
    """
    features: Any = builder.info.features
    if not (
        {"image", "label"} <= set(features)
        and isinstance(features["image"], tfds.features.Image)
        # Floating-point images, such as depth, are stored as four bytes a number.
        and np.issubdtype(features["image"].np_dtype, np.integer)
        and isinstance(features["label"], tfds.features.ClassLabel)
    ):
        raise InputError(
            f"Expected a data set of images with one class label each, received {name!r} with the "
            f"features {', '.join(features)}."
        )


def _has_labels(split: TfdsSplit) -> bool:
    """TFDS gives -1 as the label of what is not labelled, such as the test split of ImageNet."""
    return all(example["label"] >= 0 for example in split.examples().take(1))
