"""Arrays and `tf.data.Dataset`s of one's own as a data set."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tensorflow as tf

from tfbio.datasets import TrainingBatches, as_data_source, evaluation_batches
from tfbio.datasets.cache import cached
from tfbio.datasets.source import FileSplit
from tfbio.errors import InputError, UnknownNameError

COUNT = 50
SIDE = 6
CLASSES = 5

LABELS = np.arange(COUNT) % CLASSES
PICTURES = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)
# The first pixel is the example's number.
PICTURES[:, 0, 0] = np.arange(COUNT)[:, None]


def pairs(images=PICTURES, labels=LABELS):
    return tf.data.Dataset.from_tensor_slices((images, labels))


def of_unknown_size():
    def generate():
        yield from zip(PICTURES, LABELS, strict=True)

    signature = (
        tf.TensorSpec((None, None, 3), tf.uint8),
        tf.TensorSpec((), tf.int32),
    )
    return tf.data.Dataset.from_generator(generate, output_signature=signature)


# The same examples in all ways that they can be given.
FORMS = {
    "arrays": lambda: (PICTURES, LABELS),
    "floats": lambda: (PICTURES.astype(np.float64), LABELS.astype(np.uint8)),
    "tensors": lambda: (tf.constant(PICTURES), tf.constant(LABELS)),
    "column": lambda: [PICTURES, LABELS[:, np.newaxis]],
    "pairs": pairs,
    "batches": lambda: pairs().batch(7),
    "float batches": lambda: pairs(PICTURES.astype(np.float32)).batch(8, drop_remainder=False),
    "dicts": lambda: tf.data.Dataset.from_tensor_slices({"image": PICTURES, "label": LABELS}),
    "unknown size": of_unknown_size,
}


@pytest.fixture(params=FORMS)
def data(request):
    return FORMS[request.param]()


@pytest.fixture(params=["arrays", "batches", "unknown size"])
def some_data(request):
    """One form for each way of reading and of counting."""
    return FORMS[request.param]()


def listed(batches):
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def numbers(batches):
    return [round(float(image[0, 0, 0])) for images, _ in listed(batches) for image in images]


def stored(split):
    return numbers(evaluation_batches(split, 8, (SIDE, SIDE)))


def training(source, **arguments):
    return TrainingBatches(source.split("train"), 8, (SIDE, SIDE), **arguments)


# === What comes of it ===


def test_a_tenth_is_set_aside_always_the_same(data):
    source = as_data_source(data)
    assert source.name == "own_data"
    assert source.class_names == ("0", "1", "2", "3", "4")
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 45,
        "validation": 5,
    }
    train, validation = (stored(source.split(name)) for name in ("train", "validation"))
    assert train == sorted(train)
    assert sorted(train + validation) == list(range(COUNT))
    # Whatever form the examples are given in.
    assert validation == stored(as_data_source((PICTURES, LABELS)).split("validation"))


def test_images_and_labels_are_as_they_were(data):
    source = as_data_source({"train": data, "validation": data})
    batches = listed(evaluation_batches(source.split("train"), 8, (SIDE, SIDE)))
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(images, PICTURES)
    np.testing.assert_array_equal(labels, LABELS)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64


def test_an_epoch_begun_later_gives_the_same_batches(some_data):
    batches = training(as_data_source(some_data), seed=3, augment=("crop", "flip"))
    assert batches.steps_per_epoch == 5
    whole = listed(batches.epoch(2))
    for start in (1, 4):
        resumed = listed(batches.epoch(2, start))
        assert len(resumed) == 5 - start
        for (images, labels), (same, same_labels) in zip(whole[start:], resumed, strict=True):
            np.testing.assert_array_equal(images, same)
            np.testing.assert_array_equal(labels, same_labels)


def test_the_order_is_a_function_of_seed_and_epoch(some_data):
    source = as_data_source(some_data)
    orders = {
        (seed, epoch): tuple(numbers(training(source, seed=seed).epoch(epoch)))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    for order in orders.values():
        assert len(set(order)) == 40
        assert list(order) != sorted(order)
    tf.random.set_seed(5)
    assert orders[1, 1] == tuple(numbers(training(source, seed=1).epoch(1)))
    # The same when all is made anew, as by another process that goes on with the run.
    assert orders[1, 1] == tuple(numbers(training(as_data_source(some_data), seed=1).epoch(1)))


def test_examples_are_counted_by_class(some_data):
    source = as_data_source(some_data)
    train, validation = source.split("train"), source.split("validation")
    expected = np.bincount(LABELS[stored(train)], minlength=CLASSES + 1)
    np.testing.assert_array_equal(train.class_counts(CLASSES + 1), expected)
    total = train.class_counts(CLASSES) + validation.class_counts(CLASSES)
    np.testing.assert_array_equal(total, [10] * CLASSES)


def test_gray_images_get_three_channels():
    gray = PICTURES[..., :1]
    for data in ((gray, LABELS), pairs(gray), pairs(gray).batch(4)):
        split = as_data_source({"train": data, "validation": data}).split("train")
        ((images, _),) = listed(evaluation_batches(split, COUNT, (SIDE, SIDE)))
        np.testing.assert_array_equal(images, gray.repeat(3, axis=-1))


def test_images_of_different_sizes():
    def generate():
        for number in range(10):
            yield np.full((SIDE + number, 2 * SIDE, 3), number, np.uint8), number % 2

    signature = (tf.TensorSpec((None, None, 3), tf.uint8), tf.TensorSpec((), tf.int64))
    data = tf.data.Dataset.from_generator(generate, output_signature=signature)
    source = as_data_source(data)
    assert sorted(stored(source.split("train")) + stored(source.split("validation"))) == list(
        range(10)
    )


def test_splits_by_name():
    data = {"test": (PICTURES[:4], LABELS[:4]), "train": pairs().batch(9)}
    source = as_data_source(data, ["a", "b", "c", "d", "e", "f"], name="mine")
    assert source.name == "mine"
    assert source.class_names == ("a", "b", "c", "d", "e", "f")
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 45,
        "validation": 5,
        "test": 4,
    }
    assert source.evaluation_split is source.split("test")


def test_a_split_stays_as_it_is(tmp_path):
    path = tmp_path / "gray.png"
    path.write_bytes(tf.io.encode_png(tf.zeros((4, 5, 1), tf.uint8)).numpy())
    split = FileSplit("test", [str(path)], [6])
    source = as_data_source({"train": (PICTURES, LABELS), "test": split})
    assert source.split("test") is split
    assert len(source.class_names) == 7


def test_a_data_source_or_a_name(tmp_path):
    source = as_data_source((PICTURES, LABELS))
    assert as_data_source(source) is source
    assert as_data_source(source, "abcde").class_names == ("a", "b", "c", "d", "e")
    for kind in ("ant", "bee"):
        (tmp_path / kind).mkdir()
        for number in range(5):
            image = tf.io.encode_png(tf.zeros((4, 5, 1), tf.uint8)).numpy()
            (tmp_path / kind / f"{number}.png").write_bytes(image)
    named = as_data_source("image_folder", data_dir=tmp_path)
    assert (named.name, named.class_names) == ("image_folder", ("ant", "bee"))


def test_a_model_is_trained_with_class_weights_and_two_replicas():
    """What training asks of a split, beside its examples."""
    source = as_data_source((PICTURES, LABELS))
    batches = training(source, class_weights=(1.0, 2.0, 3.0, 4.0, 5.0))
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    shared = strategy.experimental_distribute_dataset(batches.epoch(0))
    for (_, labels, weights), (_, whole, _) in zip(shared, batches.epoch(0), strict=True):
        halves = [part.numpy() for part in strategy.experimental_local_results(labels)]
        np.testing.assert_array_equal(np.concatenate(halves), whole)
        for half, weight in zip(halves, strategy.experimental_local_results(weights), strict=True):
            np.testing.assert_array_equal(weight, half + 1.0)


def test_the_pixels_are_kept_once():
    """An array is not copied for each split."""
    source = as_data_source((PICTURES, LABELS))
    train, validation = source.split("train"), source.split("validation")
    assert train._pixels is validation._pixels


def test_a_cache_of_whole_numbers_and_of_floats():
    source = as_data_source({"train": pairs(), "validation": pairs(PICTURES.astype(np.float32))})
    assert stored(cached(source.split("train"))) == list(range(COUNT))
    with pytest.raises(InputError, match=r"Expected encoded or 8-bit images to cache, received fl"):
        cached(source.split("validation"))


# === Data that differ at every pass ===


def test_a_shuffled_data_set_cannot_lend_its_tenth():
    message = "gives the same examples at every pass, as a tenth of the split 'train' is set aside"
    with pytest.raises(InputError, match=message):
        as_data_source(pairs().shuffle(COUNT))


def test_a_shuffled_data_set_is_told_of():
    shuffled = pairs().shuffle(COUNT)
    source = as_data_source({"train": shuffled, "validation": pairs()})
    (note,) = source.notes
    assert note.startswith("The tf.data.Dataset of the split train gives other examples at every")
    assert as_data_source(pairs().shuffle(COUNT, reshuffle_each_iteration=False)).notes == ()


# === What is refused ===

NONE = np.zeros((0, SIDE, SIDE, 3), np.uint8)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (
            (PICTURES / 255, LABELS),
            "Expected pixel values from 0 to 255, received values of at most 1 in the split "
            "'train': multiply by 255.",
        ),
        (
            (PICTURES / 300, LABELS),
            f"Expected pixel values from 0 to 255, received values of at most "
            f"{PICTURES.max() / 300:g} in the split 'train': multiply by 255.",
        ),
        (
            (PICTURES / 127.5 - 1, LABELS),
            "Expected pixel values from 0 to 255 in the split 'train', received values from -1 to "
            "1.",
        ),
        (
            (PICTURES * 257.0, LABELS),
            "Expected pixel values from 0 to 255 in the split 'train', received values from 0 to "
            "65535.",
        ),
        (
            (np.full((2, 4, 4, 3), np.nan), [0, 1]),
            "Expected pixel values from 0 to 255 in the split 'train', received values from nan "
            "to nan.",
        ),
        (
            (PICTURES[..., 0], LABELS),
            "Expected images (N, H, W, 3) or (N, H, W, 1) of numbers from 0 to 255 in the split "
            "'train', received the shape (50, 6, 6) of type uint8.",
        ),
        (
            (PICTURES.transpose(0, 3, 1, 2), LABELS),
            "Expected images (N, H, W, 3) or (N, H, W, 1) of numbers from 0 to 255 in the split "
            "'train', received the shape (50, 3, 6, 6) of type uint8.",
        ),
        (
            (PICTURES > 100, LABELS),
            "Expected images (N, H, W, 3) or (N, H, W, 1) of numbers from 0 to 255 in the split "
            "'train', received the shape (50, 6, 6, 3) of type bool.",
        ),
        (
            (PICTURES, LABELS.astype(float)),
            "Expected whole numbers as labels in the split 'train', received the type float64: "
            "give the number of each image's class, from 0.",
        ),
        (
            (PICTURES, np.eye(CLASSES, dtype=int)[LABELS]),
            "Expected one label for each image in the split 'train', received 5 for each: give "
            "the number of its class.",
        ),
        (
            (PICTURES, ["cat"] * COUNT),
            "Expected whole numbers as labels in the split 'train', received the type str96: "
            "give the number of each image's class, from 0.",
        ),
        (
            (PICTURES, LABELS[:-1]),
            "Expected one label for each image in the split 'train', received 50 images and 49 "
            "labels.",
        ),
        (
            (NONE, []),
            "Expected whole numbers as labels in the split 'train', received the type float64: "
            "give the number of each image's class, from 0.",
        ),
        (
            (NONE, np.zeros(0, int)),
            "Expected one label for each image in the split 'train', received 0 images and 0 "
            "labels.",
        ),
        (
            (PICTURES, LABELS - 1),
            "Expected labels from 0 on in the split 'train', received -1.",
        ),
        (
            (PICTURES[:1], LABELS[:1]),
            "Expected at least 2 training images, of which one is set aside for validation, "
            "received 1: pass a validation split.",
        ),
        (
            ((PICTURES, LABELS), (PICTURES, LABELS)),
            "Expected the split 'train' as two arrays (images, labels), received two such pairs: "
            'pass them as {"train": ..., "test": ...}.',
        ),
        (
            PICTURES,
            "Expected the split 'train' as two arrays (images, labels) or as a tf.data.Dataset of "
            "such pairs, received a ndarray.",
        ),
        (
            (PICTURES, LABELS, LABELS),
            "Expected the split 'train' as two arrays (images, labels) or as a tf.data.Dataset of "
            "such pairs, received a tuple of 3.",
        ),
        ({}, "Expected at least one split, received an empty mapping."),
    ],
    ids=lambda value: value[9:60] if isinstance(value, str) else "",
)
def test_arrays_that_are_refused(data, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        as_data_source(data)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: pairs((PICTURES / 255).astype(np.float32)),
            "Expected pixel values from 0 to 255, received values of at most 1 in the split "
            "'train': multiply by 255.",
        ),
        (
            lambda: pairs(PICTURES[..., 0]),
            "Expected images (H, W, 3) or (H, W, 1) of numbers from 0 to 255 in the split "
            "'train', received the shape (6, 6) of type uint8.",
        ),
        (
            lambda: pairs(PICTURES[..., 0]).batch(4),
            "Expected images (H, W, 3) or (H, W, 1) of numbers from 0 to 255 in the split "
            "'train', received the shape (None, 6, 6) of type uint8.",
        ),
        (
            lambda: pairs(labels=LABELS.astype(np.float32)),
            "Expected whole numbers as labels in the split 'train', received the type float32: "
            "give the number of each image's class, from 0.",
        ),
        (
            lambda: pairs(labels=np.eye(CLASSES, dtype=int)[LABELS]).batch(4),
            "Expected one label for each image in the split 'train', received 5 for each: give "
            "the number of its class.",
        ),
        (
            lambda: pairs(labels=LABELS - 1),
            "Expected labels from 0 on in the split 'train', received -1.",
        ),
        (
            lambda: pairs().repeat(),
            "Expected a tf.data.Dataset that ends for the split 'train', received one without "
            "end: leave out repeat.",
        ),
        (lambda: pairs().take(0), "Expected examples in the split 'train', received none."),
        (
            lambda: pairs(np.array(["a.png"] * COUNT)),
            "Expected images of numbers from 0 to 255 in the split 'train', received the type "
            "string: decode them, as `tfbio.datasets.decode_image` does.",
        ),
    ],
    ids=lambda value: value[9:60] if isinstance(value, str) else "",
)
def test_data_sets_that_are_refused(make, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        as_data_source(make())


def test_elements_that_are_no_pairs():
    message = r"^Expected a tf\.data\.Dataset of pairs \(image, label\) of known rank for the split"
    triples = pairs().map(lambda image, label: (image, label, label))
    for data in (tf.data.Dataset.from_tensor_slices(PICTURES), triples):
        with pytest.raises(InputError, match=message):
            as_data_source(data)


def test_names_that_do_not_fit():
    with pytest.raises(InputError, match=r"^Expected labels from 0 to 3, one for each of the 4 cl"):
        as_data_source((PICTURES, LABELS), list("abcd"))
    source = as_data_source((PICTURES, LABELS))
    with pytest.raises(InputError, match=r"^Expected names for the 5 classes of own_data, rec"):
        as_data_source(source, list("abcd"))
    with pytest.raises(UnknownNameError, match=r"^Unknown split 'val'\. Known: test, train, vali"):
        as_data_source({"val": (PICTURES, LABELS)})
    with pytest.raises(InputError, match=r"^Expected data_dir with the name of a data set, rec"):
        as_data_source((PICTURES, LABELS), data_dir="data")
