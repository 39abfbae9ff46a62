"""Data sets of TFDS as data sources."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from tfbio.datasets import DataSource, evaluation_batches
from tfbio.datasets.source import FileSplit, UnreadableImage, tfds_source
from tfbio.errors import InputError, UnknownNameError

NAMES = ("ant", "bee", "cat")


@pytest.fixture
def store(tmp_path):
    """Makes a small TFDS data set: examples a split, their image feature and labels."""
    tfds.disable_progress_bar()

    def make(counts, image=None, label=None, labels=None, extra=None):
        image = image or tfds.features.Image(shape=(6, 5, 1))
        label = label or tfds.features.ClassLabel(names=NAMES)
        rng = np.random.default_rng(0)
        datasets = {
            split: tf.data.Dataset.from_tensor_slices(
                {
                    "image": rng.integers(0, 256, (count, *image.shape)).astype(image.np_dtype),
                    "label": np.arange(count) % 3 if labels is None else np.array(labels[split]),
                    **({} if extra is None else {"mask": np.zeros((count, 6, 5, 1), np.uint8)}),
                }
            )
            for split, count in counts.items()
        }
        features = {"image": image, "label": label}
        if extra is not None:
            features["mask"] = extra
        builder = tfds.dataset_builders.store_as_tfds_dataset(
            name="small",
            version="1.0.0",
            features=tfds.features.FeaturesDict(features),
            split_datasets=datasets,
            data_dir=tmp_path,
        )
        return builder, datasets

    return make


def sizes(source):
    return {name: split.size for name, split in source.splits.items()}


def contents(split, side=(6, 5)):
    """The examples of a split as a set, whatever their order."""
    return {
        (image.astype(np.uint8).tobytes(), int(label))
        for images, labels in evaluation_batches(split, 4, side).as_numpy_iterator()
        for image, label in zip(images, labels, strict=True)
    }


def test_validation_is_carved_from_train(store):
    builder, datasets = store({"train": 40, "test": 10})
    source = tfds_source("small", builder, augment=("flip",))
    assert source.name == "small"
    assert source.class_names == NAMES
    assert source.augment == ("flip",)
    assert sizes(source) == {"train": 36, "validation": 4, "test": 10}
    assert source.evaluation_split is source.split("test")
    train, validation = contents(source.split("train")), contents(source.split("validation"))
    assert not train & validation
    # Gray images become RGB; every example is in one of them.
    assert train | validation == {
        (example["image"].repeat(3, axis=-1).tobytes(), int(example["label"]))
        for example in datasets["train"].as_numpy_iterator()
    }


def test_a_validation_split_is_taken_as_it_is(store):
    builder, _ = store({"train": 20, "validation": 5})
    source = tfds_source("small", builder)
    assert sizes(source) == {"train": 20, "validation": 5}
    assert source.evaluation_split is source.split("validation")


def test_a_data_set_for_evaluation_alone(store):
    builder, _ = store({"test": 5})
    source = tfds_source("small", builder)
    assert sizes(source) == {"test": 5}
    with pytest.raises(UnknownNameError, match=r"^Unknown split of small 'train'\. Known: test\.$"):
        source.split("train")


def test_other_splits_are_left_out(store):
    builder, _ = store({"train": 20, "validation": 5, "unlabelled": 5})
    assert set(tfds_source("small", builder).splits) == {"train", "validation"}


def test_a_test_split_without_labels_is_left_out(store):
    labels = {"train": [0, 1] * 10, "validation": [0, 1], "test": [-1, -1]}
    builder, _ = store({"train": 20, "validation": 2, "test": 2}, labels=labels)
    source = tfds_source("small", builder)
    assert sizes(source) == {"train": 20, "validation": 2}
    assert source.evaluation_split is source.split("validation")


@pytest.mark.parametrize(
    ("shape", "dtype", "encoding"),
    [
        ((6, 5, 1), np.uint8, "png"),
        ((6, 5, 3), np.uint8, "png"),
        ((6, 5, 4), np.uint8, "png"),
        ((6, 5, 1), np.uint16, "png"),
        ((6, 5, 3), np.uint16, "png"),
        ((6, 5, 3), np.uint8, "jpeg"),
        ((6, 5, 1), np.uint8, "jpeg"),
    ],
    ids=str,
)
def test_images_of_all_kinds_become_rgb(store, shape, dtype, encoding):
    feature = tfds.features.Image(shape=shape, dtype=dtype, encoding_format=encoding)
    builder, datasets = store({"train": 10, "test": 4}, image=feature)
    ((images, _),) = evaluation_batches(tfds_source("small", builder).split("test"), 4, (6, 5))
    assert images.shape == (4, 6, 5, 3)
    expected = np.stack([example["image"] for example in datasets["test"].as_numpy_iterator()])
    if dtype is np.uint16:
        expected = expected >> 8
    expected = np.broadcast_to(expected[..., :3], (4, 6, 5, 3)).astype(float)
    if encoding == "png":
        # TFDS stores in an order of its own.
        assert sorted(map(tuple, images.numpy().reshape(4, -1))) == sorted(
            map(tuple, expected.reshape(4, -1))
        )
    else:
        assert abs(float(images.numpy().mean()) - expected.mean()) < 10


def test_masks_come_along_as_they_are_stored(store):
    mask = tfds.features.Image(shape=(6, 5, 1))
    builder, _ = store({"train": 10}, extra=mask)
    train = tfds_source("small", builder).split("train")
    example = next(iter(train.examples()))
    assert train.has_masks
    assert set(example) == {"image", "label", "index", "mask"}
    assert example["image"].dtype == example["mask"].dtype == tf.string
    assert example["label"].dtype == example["index"].dtype == tf.int64


def test_the_index_counts_the_examples(store):
    builder, _ = store({"train": 20})
    train = tfds_source("small", builder).split("train")
    assert [int(example["index"]) for example in train.examples()] == list(range(18))
    shuffled = [int(example["index"]) for example in train.examples(order_seed=1)]
    assert sorted(shuffled) == list(range(18))
    assert shuffled != list(range(18))
    skipped = [int(example["index"]) for example in train.examples(order_seed=1, skip=5)]
    assert skipped == shuffled[5:]


@pytest.mark.parametrize(
    ("features", "listed"),
    [
        ({"image": tfds.features.Image(shape=(6, 5, 3))}, "image"),
        ({"label": tfds.features.ClassLabel(num_classes=3)}, "label"),
        (
            {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "label": tfds.features.Scalar(np.float32),
            },
            "image, label",
        ),
        (
            {
                "image": tfds.features.Tensor(shape=(6, 5, 3), dtype=np.float32),
                "label": tfds.features.ClassLabel(num_classes=3),
            },
            "image, label",
        ),
        (
            {
                "image": tfds.features.Image(shape=(6, 5, 1), dtype=np.float32),
                "label": tfds.features.ClassLabel(num_classes=3),
            },
            "image, label",
        ),
    ],
    ids=["no label", "no image", "number as label", "tensor as image", "depth as image"],
)
def test_a_data_set_of_another_kind(tmp_path, features, listed):
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="small",
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            "train": tf.data.Dataset.from_tensors(
                {
                    name: np.zeros(feature.shape, feature.np_dtype)
                    for name, feature in features.items()
                }
            )
        },
        data_dir=tmp_path,
    )
    message = (
        "Expected a data set of images with one class label each, received 'small' with the "
        f"features {listed}."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        tfds_source("small", builder)


def test_a_data_set_without_a_usual_split(store):
    builder, _ = store({"everything": 5})
    message = (
        "Expected a data set with one of the splits train, validation, test, received 'small' "
        "with everything."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        tfds_source("small", builder)


def test_an_unknown_split_answers_with_the_nearest():
    split = FileSplit("validation", ["a.png"], [0])
    source = DataSource("mine", ("ant",), {"validation": split})
    assert source.split("validation") is split
    with pytest.raises(UnknownNameError, match=r"split of mine 'valid'\. Nearest: validation\.$"):
        source.split("valid")


def test_an_unreadable_image_names_path_and_reason():
    assert str(UnreadableImage("a/b.png", "the file is empty")) == "a/b.png: the file is empty"


def test_what_is_shuffled_stays_within_its_bytes(store, monkeypatch):
    builder, _ = store({"train": 20})
    train = tfds_source("small", builder).split("train")
    whole = builder.info.splits["train"]
    assert train._shuffle_buffer() == 18
    monkeypatch.setattr("tfbio.datasets.source._SHUFFLE_BYTES", whole.num_bytes // 4)
    assert train._shuffle_buffer() == 5
    shuffled = [int(example["index"]) for example in train.examples(order_seed=1)]
    assert sorted(shuffled) == list(range(18))
    assert shuffled != sorted(shuffled)
    monkeypatch.setattr("tfbio.datasets.source._SHUFFLE_BYTES", 1)
    assert train._shuffle_buffer() == 1
