"""One's own images as a data set: arrays, a `tf.data.Dataset`, or what one is made of already."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tfbio.datasets.catalog import load_dataset
from tfbio.datasets.source import DataSource, Split, shuffle_buffer, shuffled
from tfbio.errors import InputError, UnknownNameError

_SPLITS = ("train", "validation", "test")
# Of the training images, where there are no others for validation.
_VALIDATION_SHARE = 0.1
# Examples of a tf.data.Dataset that are looked at before it is used.
_LOOKED_AT = 256


def as_data_source(
    data: Any,
    class_names: Sequence[str] | None = None,
    *,
    data_dir: str | os.PathLike | None = None,
    max_bad_images: int = 0,
    name: str = "own_data",
) -> DataSource:
    """A data source made of one's own data.

    Without images for validation, a tenth of the training images is set aside for it, always the
    same tenth, chosen at random.

    Args:
        data: one of
            - the name of a data set, see `load_dataset`;
            - two arrays (images, labels): images (N, H, W, 3) or, gray, (N, H, W, 1), whole numbers
              or floats from 0 to 255; labels (N,), whole numbers from 0;
            - a `tf.data.Dataset` of such pairs (image, label), in batches or not, in the same order
              at every pass; it is read once to count them;
            - a mapping from some of `"train"`, `"validation"` and `"test"` to such arrays, to such
              data sets, or to `Split`s;
            - a `DataSource`.
        class_names: label to name; the numbers of the classes by default, or the data source's.
        data_dir: of a data set by name, see `load_dataset`.
        max_bad_images: of a data set by name, see `load_dataset`.
        name: what it is called, in the names of folders too; a data set by name has its own.

    Returns:
        A `DataSource`.

    Raises:
        UnknownNameError: there is no such data set, or no such split.
        InputError: images, labels or class names are not as expected.

    Example:
        >>> import numpy as np
        >>> images, labels = np.full((20, 8, 8, 3), 255, np.uint8), np.arange(20) % 2
        >>> source = as_data_source((images, labels), ["cat", "dog"])
        >>> {name: split.size for name, split in source.splits.items()}
        {'train': 18, 'validation': 2}
    """
    if isinstance(data, str):
        source = load_dataset(data, data_dir, max_bad_images)
    elif data_dir is not None:
        raise InputError(
            f"Expected data_dir with the name of a data set, received it with {_described(data)}: "
            "leave it out."
        )
    elif isinstance(data, DataSource):
        source = data
    else:
        return _from_parts(data, class_names, name)
    if class_names is None:
        return source
    if len(class_names) != len(source.class_names):
        raise InputError(
            f"Expected names for the {len(source.class_names)} classes of {source.name}, received "
            f"{len(class_names)}."
        )
    return replace(source, class_names=tuple(class_names))


def _from_parts(data: Any, class_names: Sequence[str] | None, name: str) -> DataSource:
    parts = dict(data) if isinstance(data, Mapping) else {"train": data}
    if not parts:
        raise InputError("Expected at least one split, received an empty mapping.")
    for split in parts:
        if split not in _SPLITS:
            raise UnknownNameError("split", split, _SPLITS)
    read = {split: _examples_of(split, parts[split]) for split in _SPLITS if split in parts}
    splits: dict[str, Split] = {}
    for split, examples in read.items():
        if split == "train" and "validation" not in read and not isinstance(examples, Split):
            kept, set_aside = _tenth(examples.size)
            examples.check_order()
            splits["train"] = examples.split("train", kept)
            splits["validation"] = examples.split("validation", set_aside)
        else:
            splits[split] = examples if isinstance(examples, Split) else examples.split(split, None)
    highest = max(_highest_label(splits[split], examples) for split, examples in read.items())
    if class_names is None:
        class_names = [str(number) for number in range(highest + 1)]
    elif highest >= len(class_names):
        raise InputError(
            f"Expected labels from 0 to {len(class_names) - 1}, one for each of the "
            f"{len(class_names)} class names, received the label {highest}."
        )
    notes = tuple(
        note
        for examples in read.values()
        if not isinstance(examples, Split)
        for note in examples.notes()
    )
    return DataSource(name, tuple(class_names), splits, notes)


def _examples_of(split: str, data: Any) -> _Arrays | _Stream | Split:
    if isinstance(data, Split):
        return data
    if isinstance(data, tf.data.Dataset):
        return _stream(split, data)
    if isinstance(data, (tuple, list)) and len(data) == 2:
        if all(isinstance(each, (tuple, list)) and len(each) == 2 for each in data):
            # As `keras.datasets` gives them.
            raise InputError(
                f"Expected the split {split!r} as two arrays (images, labels), received two such "
                'pairs: pass them as {"train": ..., "test": ...}.'
            )
        return _arrays(split, *data)
    raise InputError(
        f"Expected the split {split!r} as two arrays (images, labels) or as a tf.data.Dataset of "
        f"such pairs, received {_described(data)}."
    )


def _described(data: Any) -> str:
    size = f" of {len(data)}" if isinstance(data, (tuple, list)) else ""
    return f"a {type(data).__name__}{size}"


def _tenth(size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of the examples that stay, and of those that are set aside; both sorted."""
    if size < 2:
        raise InputError(
            f"Expected at least 2 training images, of which one is set aside for validation, "
            f"received {size}: pass a validation split."
        )
    count = max(1, math.floor(_VALIDATION_SHARE * size + 0.5))
    order = np.random.default_rng(0).permutation(size)
    return np.sort(order[count:]), np.sort(order[:count])


def _highest_label(split: Split, examples: _Arrays | _Stream | Split) -> int:
    if not isinstance(examples, Split):
        return examples.highest_label
    labels = [int(example["label"]) for example in split.examples().as_numpy_iterator()]
    return max(labels, default=0)


# === What is refused ===


def _check_pixels(split: str, lowest: float, highest: float) -> None:
    # Written so that NaN is refused as well.
    if not (lowest >= 0 and highest <= 255):
        raise InputError(
            f"Expected pixel values from 0 to 255 in the split {split!r}, received values from "
            f"{lowest:g} to {highest:g}."
        )
    if 0 < highest <= 1:
        raise InputError(
            f"Expected pixel values from 0 to 255, received values of at most {highest:g} in the "
            f"split {split!r}: multiply by 255."
        )


def _check_image(split: str, shape: Sequence[int | None], dtype: Any, batched: bool) -> None:
    wanted = "(N, H, W, 3) or (N, H, W, 1)" if batched else "(H, W, 3) or (H, W, 1)"
    kind = np.dtype(dtype)
    number = np.issubdtype(kind, np.integer) or np.issubdtype(kind, np.floating)
    if len(shape) != 3 + batched or shape[-1] not in (1, 3) or not number:
        raise InputError(
            f"Expected images {wanted} of numbers from 0 to 255 in the split {split!r}, received "
            f"the shape ({', '.join(map(str, shape))}) of type {kind.name}."
        )


def _check_label_type(split: str, shape: Sequence[int | None], dtype: Any) -> None:
    if not np.issubdtype(np.dtype(dtype), np.integer):
        raise InputError(
            f"Expected whole numbers as labels in the split {split!r}, received the type "
            f"{np.dtype(dtype).name}: give the number of each image's class, from 0."
        )
    if len(shape) > 0:
        raise InputError(
            f"Expected one label for each image in the split {split!r}, received "
            f"{'x'.join(map(str, shape))} for each: give the number of its class."
        )


def _check_labels(split: str, labels: NDArray[Any]) -> None:
    if labels.size and labels.min() < 0:
        raise InputError(
            f"Expected labels from 0 on in the split {split!r}, received {labels.min()}."
        )


# === Arrays ===


@dataclass(frozen=True)
class _Arrays:
    pixels: tf.Tensor
    labels: NDArray[np.int64]

    @property
    def size(self) -> int:
        return len(self.labels)

    @property
    def highest_label(self) -> int:
        return int(self.labels.max())

    def split(self, name: str, rows: NDArray[np.int64] | None) -> Split:
        return ArraySplit(name, self.pixels, self.labels, rows)

    def check_order(self) -> None:
        """Arrays have one order."""

    def notes(self) -> tuple[str, ...]:
        return ()


def _arrays(split: str, images: Any, labels: Any) -> _Arrays:
    images, labels = np.asarray(images), np.asarray(labels)
    _check_image(split, images.shape, images.dtype, batched=True)
    if labels.ndim == 2 and labels.shape[1] == 1:
        # As `keras.datasets` has them.
        labels = labels[:, 0]
    _check_label_type(split, labels.shape[1:], labels.dtype)
    if labels.shape != images.shape[:1] or not len(labels):
        raise InputError(
            f"Expected one label for each image in the split {split!r}, received {len(images)} "
            f"images and {labels.size} labels."
        )
    _check_labels(split, labels)
    _check_pixels(split, images.min(), images.max())
    kept = np.uint8 if np.issubdtype(images.dtype, np.integer) else np.float32
    # A dataset reads in the memory of the processor, wherever the model is.
    with tf.device("CPU:0"):
        pixels = tf.convert_to_tensor(images.astype(kept, copy=False))
    return _Arrays(pixels, labels.astype(np.int64))


class ArraySplit(Split):
    """Images in memory, with labels.

    Args:
        name: such as `"train"`.
        pixels: (N, H, W, 3) or (N, H, W, 1), uint8 or float32 from 0 to 255.
        labels: (N,), int64.
        rows: numbers of the images that belong to the split; None for all.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> split = ArraySplit("train", tf.zeros((4, 8, 8, 1), tf.uint8), np.array([0, 1, 0, 1]))
        >>> split.size, tuple(split.examples().element_spec["image"].shape)
        (4, (8, 8, 3))
    """

    def __init__(
        self,
        name: str,
        pixels: tf.Tensor,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64] | None = None,
    ):
        self.name = name
        self._pixels = pixels
        self._rows = np.arange(len(labels)) if rows is None else rows
        self._labels = labels[self._rows]
        self.size = len(self._rows)

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        return np.bincount(self._labels, minlength=classes)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        order: NDArray[np.int64] = np.arange(self.size)
        if order_seed is not None:
            order = np.random.default_rng(order_seed).permutation(self.size)
        order = order[skip:]
        entries = tf.data.Dataset.from_tensor_slices(
            {"row": self._rows[order], "label": self._labels[order], "index": order}
        )

        def read(entry: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            image = _in_colour(tf.gather(self._pixels, entry["row"]))
            return {"image": image, "label": entry["label"], "index": entry["index"]}

        options = tf.data.Options()
        # They rewrite the graph, and would copy all pixels into it.
        options.experimental_optimization.apply_default_optimizations = False
        return entries.map(read, num_parallel_calls=tf.data.AUTOTUNE).with_options(options)


def _in_colour(image: tf.Tensor) -> tf.Tensor:
    """Gray images get three equal channels."""
    return tf.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image


# === tf.data ===


@dataclass(frozen=True)
class _Stream:
    """Pairs (image, label), one by one, and what one pass over them has shown."""

    name: str
    pairs: tf.data.Dataset
    size: int
    labels: NDArray[np.int64]
    bytes_each: int
    same_every_time: bool

    @property
    def highest_label(self) -> int:
        return int(self.labels.max())

    def split(self, name: str, rows: NDArray[np.int64] | None) -> Split:
        return StreamSplit(name, self.pairs, self.labels, self.bytes_each, rows)

    def check_order(self) -> None:
        """Refuse what gives other examples at every pass: training ones would be validated on."""
        if not self.same_every_time:
            raise InputError(
                f"Expected a tf.data.Dataset that gives the same examples at every pass, as a "
                f"tenth of the split {self.name!r} is set aside for validation, received one that "
                "differs: leave out shuffle and random changes, or pass a validation split."
            )

    def notes(self) -> tuple[str, ...]:
        if self.same_every_time:
            return ()
        return (
            f"The tf.data.Dataset of the split {self.name} gives other examples at every pass: an "
            "interrupted training does not end with the same weights as another.",
        )


def _stream(split: str, dataset: tf.data.Dataset) -> _Stream:
    spec = dataset.element_spec
    if isinstance(spec, Mapping) and {"image", "label"} <= set(spec):
        dataset = dataset.map(lambda example: (example["image"], example["label"]))
        spec = dataset.element_spec
    if not (
        isinstance(spec, tuple)
        and len(spec) == 2
        and all(isinstance(each, tf.TensorSpec) and each.shape.rank is not None for each in spec)
    ):
        raise InputError(
            f"Expected a tf.data.Dataset of pairs (image, label) of known rank for the split "
            f"{split!r}, received elements {spec}."
        )
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise InputError(
            f"Expected a tf.data.Dataset that ends for the split {split!r}, received one without "
            "end: leave out repeat."
        )
    if spec[0].shape.rank == 4:
        dataset = dataset.unbatch()
        spec = dataset.element_spec
    image, label = spec
    if not (image.dtype.is_integer or image.dtype.is_floating):
        raise InputError(
            f"Expected images of numbers from 0 to 255 in the split {split!r}, received the type "
            f"{image.dtype.name}: decode them, as `tfbio.datasets.decode_image` does."
        )
    _check_image(split, image.shape.as_list(), image.dtype.as_numpy_dtype, batched=False)
    label_shape = label.shape.as_list()
    if label_shape == [1]:
        dataset = dataset.map(lambda image, label: (image, label[0]))
        label_shape = []
    _check_label_type(split, label_shape, label.dtype.as_numpy_dtype)
    return _read_once(split, dataset)


def _read_once(split: str, pairs: tf.data.Dataset) -> _Stream:
    """Count the examples, collect the labels, and look at the first ones twice."""
    labels, extremes, checksum, bytes_each = [], [], 0, 1
    for number, (image, label) in enumerate(pairs.as_numpy_iterator()):
        labels.append(int(label))
        if number < _LOOKED_AT:
            extremes += [image.min(), image.max()]
            checksum = _checksum(image, label, checksum)
            bytes_each = max(bytes_each, image.nbytes)
    if not labels:
        raise InputError(f"Expected examples in the split {split!r}, received none.")
    _check_pixels(split, float(np.min(extremes)), float(np.max(extremes)))
    numbers = np.array(labels, np.int64)
    _check_labels(split, numbers)
    again = 0
    for image, label in pairs.take(_LOOKED_AT).as_numpy_iterator():
        again = _checksum(image, label, again)
    return _Stream(split, pairs, len(numbers), numbers, bytes_each, again == checksum)


def _checksum(image: NDArray[Any], label: Any, before: int) -> int:
    return zlib.crc32(np.ascontiguousarray(image).tobytes() + bytes(str(label), "ascii"), before)


class StreamSplit(Split):
    """Examples of a `tf.data.Dataset`.

    Args:
        name: such as `"train"`.
        pairs: (image, label) one by one, in the same order at every pass.
        labels: those of all pairs.
        bytes_each: of an image; decides how many are kept in memory to be shuffled.
        rows: numbers of the pairs that belong to the split; None for all.

    Example:
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> pairs = tf.data.Dataset.from_tensor_slices((tf.zeros((4, 8, 8, 3)), [0, 1, 0, 1]))
        >>> StreamSplit("train", pairs, np.array([0, 1, 0, 1]), 768, np.array([1, 3])).size
        2
    """

    def __init__(
        self,
        name: str,
        pairs: tf.data.Dataset,
        labels: NDArray[np.int64],
        bytes_each: int,
        rows: NDArray[np.int64] | None = None,
    ):
        self.name = name
        self._pairs = pairs
        self._bytes_each = bytes_each
        self._belongs = np.ones(len(labels), bool)
        if rows is not None:
            self._belongs[:] = False
            self._belongs[rows] = True
        self._labels = labels[self._belongs]
        self.size = len(self._labels)

    def class_counts(self, classes: int) -> NDArray[np.int64]:
        return np.bincount(self._labels, minlength=classes)

    def examples(self, order_seed: int | None = None, skip: int = 0) -> tf.data.Dataset:
        pairs = self._pairs
        if not self._belongs.all():
            belongs = tf.constant(self._belongs)
            numbered = pairs.enumerate().filter(lambda number, _: tf.gather(belongs, number))
            pairs = numbered.map(lambda _, pair: pair)

        def described(index: tf.Tensor, pair: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
            image, label = pair
            if image.dtype.is_integer:
                image = tf.cast(image, tf.uint8)
            return {"image": _in_colour(image), "label": tf.cast(label, tf.int64), "index": index}

        examples = pairs.enumerate().map(described, num_parallel_calls=tf.data.AUTOTUNE)
        if order_seed is not None:
            buffer = shuffle_buffer(self.size, self._bytes_each)
            examples = shuffled(examples, buffer, order_seed)
        examples = examples.apply(tf.data.experimental.assert_cardinality(self.size))
        return examples.skip(skip)
