"""What the input pipeline asks of a data set, and the two kinds of data set that answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfbio.errors import InputError, UnknownNameError

# Records that a shuffled read keeps in memory, still encoded; smaller data sets shuffle perfectly.
_SHUFFLE_BUFFER = 65_536


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
    """

    name: str
    size: int
    unreadable: tuple[UnreadableImage, ...] = ()

    @abstractmethod
    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        """The examples, each once, in an order that the seed decides.

        Args:
            order_seed: None keeps the order in which the data set is stored.
            skip: number of examples to leave out at the beginning of that order.

        Returns:
            Dicts of `image` (encoded bytes, or uint8 (H, W, 3)), `label` and `index` (int64).
        """


@dataclass(frozen=True)
class DataSource:
    """A data set: its class names and its splits.

    Attributes:
        name: the name it was asked for by.
        class_names: label to name.
        splits: `train` and some of `validation`, `test`.
        notes: sentences that the user should see.
        augment: random changes that keep its classes, used in training unless said otherwise.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    augment: tuple[str, ...] = ()

    def split(self, name: str) -> Split:
        """One split by name.

        Raises:
            UnknownNameError: there is no such split.
        """
        if name not in self.splits:
            raise UnknownNameError(f"split of {self.name}", name, self.splits)
        return self.splits[name]

    @property
    def held_out(self) -> Split:
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
        self._paths = np.array(paths, dtype=bytes if not paths else object)
        self._labels = np.array(labels, dtype=np.int64)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        order = np.arange(self.size)
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

    def __init__(self, name: str, builder: tfds.core.DatasetBuilder, instruction: str):
        self.name = name
        self._builder = builder
        self._instruction = instruction
        self.size = builder.info.splits[instruction].num_examples

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        records = self._builder.as_dataset(
            split=self._instruction,
            shuffle_files=order_seed is not None,
            read_config=tfds.ReadConfig(shuffle_seed=order_seed, try_autocache=False),
            # Only what classification needs is parsed, and images stay encoded while shuffled.
            decoders=tfds.decode.PartialDecoding(
                {"image": True, "label": True}, decoders={"image": tfds.decode.SkipDecoding()}
            ),
        )

        def with_index(index: tf.Tensor, record: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"image": record["image"], "label": record["label"], "index": index}

        examples = records.enumerate().map(with_index)
        if order_seed is not None:
            examples = examples.shuffle(
                min(self.size, _SHUFFLE_BUFFER), seed=order_seed, reshuffle_each_iteration=False
            )
        return examples.skip(skip)


def tfds_source(
    name: str, builder: tfds.core.DatasetBuilder, augment: tuple[str, ...] = ()
) -> DataSource:
    """A prepared TFDS builder as a data source.

    A data set without a validation split lends the last tenth of its training split.

    Args:
        name: the name the user gave.
        builder: prepared, with features `image` and `label`.
        augment: see `DataSource`.

    Returns:
        A `DataSource`.

    Raises:
        InputError: the data set is not one of labelled images.
    """
    features: Any = builder.info.features
    if not {"image", "label"} <= set(features) or not isinstance(
        features["label"], tfds.features.ClassLabel
    ):
        raise InputError(
            f"Expected a data set of images with one class label each, received {name!r} with the "
            f"features {', '.join(features)}."
        )
    available = builder.info.splits
    if "train" not in available:
        raise InputError(
            f"Expected a data set with a split 'train', received {name!r} with the splits "
            f"{', '.join(available)}."
        )
    instructions = {"train": "train"}
    if "validation" in available:
        instructions["validation"] = "validation"
    else:
        instructions = {"train": "train[:90%]", "validation": "train[90%:]"}
    # ImageNet's test split has no labels.
    if "test" in available and builder.name != "imagenet2012":
        instructions["test"] = "test"
    return DataSource(
        name=name,
        class_names=tuple(features["label"].names),
        splits={split: TfdsSplit(split, builder, spec) for split, spec in instructions.items()},
        augment=augment,
    )
