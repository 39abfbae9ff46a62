"""Batches: which examples, in which order, and what is done to them."""

import re

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets import TrainingBatches, evaluation_batches, resize_and_crop, source
from tfbio.datasets.source import FileSplit, TfdsSplit
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing

COUNT = 50
SIDE = 18
CLASSES = 7


def picture(number):
    """Noise whose first pixel, when it is not cropped, is the example's number."""
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[0, 0] = number
    return pixels


PICTURES = np.stack([picture(number) for number in range(COUNT)])


@pytest.fixture(scope="module")
def file_split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number}.png" for number in range(COUNT)]
    for path, pixels in zip(paths, PICTURES, strict=True):
        Image.fromarray(pixels).save(path)
    return FileSplit("train", [str(path) for path in paths], [n % CLASSES for n in range(COUNT)])


@pytest.fixture(scope="module")
def tfds_split(tmp_path_factory):
    """The same examples in several files, which their reader interleaves."""
    tfds.disable_progress_bar()
    examples = {"image": PICTURES, "label": np.arange(COUNT) % CLASSES}
    builder = tfds.dataset_builders.store_as_tfds_dataset(
        name="numbered",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(SIDE, SIDE, 3)),
                "label": tfds.features.ClassLabel(num_classes=CLASSES),
            }
        ),
        split_datasets={"train": tf.data.Dataset.from_tensor_slices(examples)},
        data_dir=tmp_path_factory.mktemp("data"),
        download_config=tfds.download.DownloadConfig(num_shards=5),
    )
    assert builder.info.splits["train"].num_shards == 5
    return TfdsSplit("train", builder, "train")


@pytest.fixture(params=["files", "tfds"])
def split(request, file_split, tfds_split):
    return {"files": file_split, "tfds": tfds_split}[request.param]


def training(split, batch_size=8, size=SIDE, **arguments):
    return TrainingBatches(split, batch_size, (size, size), **arguments)


def listed(batches):
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def numbers(batches):
    """Which examples are in unaugmented batches of the stored size."""
    return [int(image[0, 0, 0]) for images, _ in listed(batches) for image in images]


def assert_same(some, others):
    assert len(some) == len(others)
    for (images, labels), (other_images, other_labels) in zip(some, others, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


# === Order ===


def test_an_epoch_holds_each_example_at_most_once_in_whole_batches(split):
    batches = training(split)
    assert batches.steps_per_epoch == 6
    epoch = listed(batches.epoch(0))
    assert [images.shape for images, _ in epoch] == [(8, SIDE, SIDE, 3)] * 6
    assert all(images.dtype == np.float32 and labels.dtype == np.int64 for images, labels in epoch)
    found = numbers(batches.epoch(0))
    assert len(set(found)) == len(found) == 48
    for number, image, label in zip(
        found,
        np.concatenate([images for images, _ in epoch]),
        np.concatenate([labels for _, labels in epoch]),
        strict=True,
    ):
        np.testing.assert_array_equal(image, PICTURES[number])
        assert label == number % CLASSES


def test_a_batch_of_the_whole_split(split):
    assert sorted(numbers(training(split, batch_size=COUNT).epoch(3))) == list(range(COUNT))


def test_every_epoch_has_another_order_and_leaves_others_out(split):
    batches = training(split)
    orders = [numbers(batches.epoch(epoch)) for epoch in range(5)]
    left_out = {frozenset(range(COUNT)) - set(order) for order in orders}
    assert len(left_out) > 2
    for i, order in enumerate(orders):
        assert order != sorted(order)
        for other in orders[:i]:
            assert np.mean(np.array(order) == np.array(other)) < 0.2


def test_the_order_is_not_that_of_the_files(split):
    """Every example comes everywhere: places over many epochs have the mean of a permutation."""
    batches = training(split, batch_size=COUNT)
    places = np.stack([np.argsort(numbers(batches.epoch(epoch))) for epoch in range(9)])
    # Uniform over 0 to 49 has the deviation 14.4; the mean of 9, 4.8.
    assert np.abs(places.mean(axis=0) - 24.5).max() < 4 * 4.81
    assert places.std() == pytest.approx(14.43, abs=0.01)


def test_seeds_differ(split):
    seeds = [0, 1, 2**31, 2**32, 10**30]
    orders = {seed: tuple(numbers(training(split, seed=seed).epoch(0))) for seed in seeds}
    assert len(set(orders.values())) == len(seeds)
    # Nor does a seed give at once what another gives an epoch later.
    later = {tuple(numbers(training(split, seed=seed).epoch(1))) for seed in seeds}
    assert not later & set(orders.values())


def test_a_small_shuffle_buffer_is_enough(tfds_split, monkeypatch):
    """A data set larger than the buffer: all examples once, again the same for a seed."""
    monkeypatch.setattr(source, "_SHUFFLE_BUFFER", 8)
    batches = training(tfds_split, batch_size=10)
    orders = [numbers(batches.epoch(epoch)) for epoch in range(4)]
    assert all(sorted(order) == list(range(COUNT)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert [numbers(batches.epoch(epoch)) for epoch in range(4)] == orders
    assert numbers(batches.epoch(2, start=3)) == orders[2][30:]
    # The files themselves come in another order, not only what the buffer holds.
    assert len({frozenset(order[:10]) for order in orders}) == 4
    stored = numbers(evaluation_batches(tfds_split, COUNT, (SIDE, SIDE)))
    first = [np.mean([stored.index(number) for number in order[:10]]) for order in orders]
    assert np.ptp(first) > 8


# === Repetition ===

AUGMENT = ("crop", "flip")


def test_the_same_seed_and_epoch_give_the_same_batches(split):
    for epoch in (0, 4):
        some = listed(training(split, seed=5, augment=AUGMENT).epoch(epoch))
        assert_same(some, listed(training(split, seed=5, augment=AUGMENT).epoch(epoch)))


def test_iterating_twice_gives_the_same_batches(split):
    epoch = training(split, augment=AUGMENT).epoch(1)
    assert_same(listed(epoch), listed(epoch))


def test_the_global_seed_plays_no_part(split):
    def batches():
        return listed(training(split, seed=5, augment=AUGMENT).epoch(2))

    tf.random.set_seed(1)
    some = batches()
    expected = tf.random.uniform((3,)).numpy()
    tf.random.set_seed(2)
    assert_same(some, batches())
    # And is left as it was.
    tf.random.set_seed(1)
    batches()
    np.testing.assert_array_equal(tf.random.uniform((3,)), expected)


@pytest.mark.parametrize("start", [1, 5, 6])
def test_starting_at_a_step_is_skipping(split, start):
    batches = training(split, seed=3, augment=AUGMENT)
    assert_same(listed(batches.epoch(2, start)), listed(batches.epoch(2))[start:])
    assert batches.epoch(2, start).cardinality() == 6 - start


# === Augmentation ===


def test_augmentation_does_not_depend_on_the_batch_size(split):
    def images(batch_size):
        batches = training(split, batch_size, 16, seed=2, augment=AUGMENT)
        return np.concatenate([images for images, _ in listed(batches.epoch(1))])

    small, large = images(4), images(12)
    np.testing.assert_array_equal(small, large)


def test_augmentation_depends_on_seed_epoch_and_example(file_split):
    def flipped(seed, epoch):
        """Example's number to whether it is mirrored."""
        batches = training(file_split, COUNT, seed=seed, augment=["flip"])
        ((images, _),) = listed(batches.epoch(epoch))
        result = {}
        for image in images:
            for mirrored in (False, True):
                candidates = PICTURES[:, :, ::-1] if mirrored else PICTURES
                (found,) = np.nonzero((candidates == image).all(axis=(1, 2, 3)))
                result |= dict.fromkeys(found.tolist(), mirrored)
        assert len(result) == COUNT
        return [result[number] for number in range(COUNT)]

    draws = [flipped(seed, epoch) for seed in (0, 1, 2**31) for epoch in (0, 1)]
    assert np.mean(draws) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(6 * COUNT))
    # Any two of them agree on a half of the examples.
    for i, draw in enumerate(draws):
        for other in draws[:i]:
            assert 0.2 < np.mean(np.array(draw) == np.array(other)) < 0.8


def test_a_crop_is_a_window_of_the_larger_image(split):
    batches = training(split, COUNT, size=16, augment=["crop"])
    larger = [resize_and_crop(tf.constant(pixels), (18, 18)).numpy() for pixels in PICTURES]
    windows = {
        pixels[y : y + 16, x : x + 16].tobytes(): (number, y, x)
        for number, pixels in enumerate(larger)
        for y in range(3)
        for x in range(3)
    }
    corners = []
    for epoch in range(4):
        ((images, labels),) = listed(batches.epoch(epoch))
        found = [windows[image.tobytes()] for image in images]
        assert sorted(number for number, _, _ in found) == list(range(COUNT))
        assert labels.tolist() == [number % CLASSES for number, _, _ in found]
        corners += [(y, x) for _, y, x in found]
    counts = np.bincount([3 * y + x for y, x in corners], minlength=9)
    # 200 draws over nine corners: 22 each, deviation 4.4.
    assert counts.min() > 22.2 - 4 * 4.45
    assert counts.max() < 22.2 + 4 * 4.45


def test_crop_and_flip_are_independent(file_split):
    batches = training(file_split, COUNT, size=16, augment=AUGMENT)
    windows = {
        pixels[y : y + 16, x : x + 16][:, ::step].tobytes(): (x, step)
        for pixels in PICTURES.astype(np.float32)
        for y in range(3)
        for x in range(3)
        for step in (1, -1)
    }
    draws = [
        windows[image.tobytes()]
        for epoch in range(8)
        for images, _ in listed(batches.epoch(epoch))
        for image in images
    ]
    assert np.abs(np.corrcoef(np.transpose(draws))[0, 1]) < 4 / np.sqrt(len(draws))


def test_the_crop_ratio_is_kept_in_training_and_evaluation(file_split):
    batches = listed(evaluation_batches(file_split, COUNT, (14, 14), Framing(0.875)))
    ((images, _),) = batches
    for image, pixels in zip(images, PICTURES, strict=True):
        expected = resize_and_crop(tf.constant(pixels), (14, 14), Framing(0.875))
        np.testing.assert_array_equal(image, expected)
    ((images, labels),) = listed(training(file_split, COUNT, 14, framing=Framing(0.875)).epoch(0))
    by_bytes = {image.tobytes(): number for number, image in enumerate(batches[0][0])}
    assert labels.tolist() == [by_bytes[image.tobytes()] % CLASSES for image in images]


RESIZED = ("random_resized_crop", "flip")


@pytest.mark.parametrize("through", [None, (24, 24)])
def test_random_resized_crops_are_functions_of_seed_epoch_and_example(split, through):
    def images(seed=5, epoch=1, start=0, batch_size=8):
        framing = Framing(resize_through=through)
        batches = training(split, batch_size, 16, seed=seed, augment=RESIZED, framing=framing)
        return np.concatenate([images for images, _ in listed(batches.epoch(epoch, start))])

    some = images()
    assert some.shape == (48, 16, 16, 3)
    np.testing.assert_array_equal(images(), some)
    np.testing.assert_array_equal(images(start=4), some[32:])
    np.testing.assert_array_equal(images(batch_size=16), some)
    assert not (images(seed=6) == some).all(axis=(1, 2, 3)).any()
    assert not (images(epoch=2) == some).all(axis=(1, 2, 3)).any()


def test_the_window_is_brought_to_the_size_on_the_way_first(file_split):
    """Every image is a window at 24 x 24, perhaps mirrored, that was scaled to 8 x 8."""
    at_24 = training(file_split, COUNT, 24, seed=1, augment=RESIZED)
    through_24 = Framing(resize_through=24)
    at_8 = training(file_split, COUNT, 8, seed=1, augment=RESIZED, framing=through_24)
    ((larger, labels),) = listed(at_24.epoch(0))
    ((smaller, same_labels),) = listed(at_8.epoch(0))
    assert labels.tolist() == same_labels.tolist()
    expected = tf.image.resize(larger, (8, 8), antialias=True)
    np.testing.assert_allclose(smaller, expected, atol=1e-3)
    # Which is not what scaling at once gives.
    ((at_once, _),) = listed(training(file_split, COUNT, 8, seed=1, augment=RESIZED).epoch(0))
    assert np.abs(at_once - smaller).max() > 1


def test_a_crop_goes_through_the_size_too(file_split):
    at_16 = training(file_split, COUNT, 16, seed=1, augment=AUGMENT)
    through_16 = Framing(resize_through=16)
    at_8 = training(file_split, COUNT, 8, seed=1, augment=AUGMENT, framing=through_16)
    ((larger, _),), ((smaller, _),) = listed(at_16.epoch(0)), listed(at_8.epoch(0))
    expected = tf.image.resize(larger, (8, 8), antialias=True)
    np.testing.assert_allclose(smaller, expected, atol=1e-3)


def test_unaugmented_training_and_evaluation_go_through_the_same_sizes(file_split):
    framing = Framing(0.875, 16)
    ((images, _),) = listed(evaluation_batches(file_split, COUNT, (8, 8), framing))
    for image, pixels in zip(images, PICTURES, strict=True):
        expected = resize_and_crop(tf.constant(pixels), (8, 8), framing)
        np.testing.assert_array_equal(image, expected)
    ((shuffled, _),) = listed(training(file_split, COUNT, 8, framing=framing).epoch(0))
    assert {image.tobytes() for image in shuffled} == {image.tobytes() for image in images}


# === Evaluation ===


def test_evaluation_holds_every_example_once_in_stored_order(split):
    batches = listed(evaluation_batches(split, 8, (SIDE, SIDE)))
    assert [len(labels) for _, labels in batches] == [8] * 6 + [2]
    assert all(images.dtype == np.float32 for images, _ in batches)
    order = numbers(evaluation_batches(split, 8, (SIDE, SIDE)))
    assert sorted(order) == list(range(COUNT))
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in batches]), PICTURES[order]
    )
    labels = np.concatenate([labels for _, labels in batches])
    assert labels.tolist() == [number % CLASSES for number in order]
    if isinstance(split, FileSplit):
        assert order == list(range(COUNT))
    assert numbers(evaluation_batches(split, 7, (SIDE, SIDE))) == order


def test_decoded_images_need_no_decoding(file_split):
    class DecodedSplit(FileSplit):
        def examples(self, order_seed=None, skip=0):
            return tf.data.Dataset.from_tensor_slices(
                {
                    "image": PICTURES,
                    "label": np.arange(COUNT) % CLASSES,
                    "index": np.arange(COUNT),
                }
            )

    ((images, _),) = listed(evaluation_batches(DecodedSplit("train", [], []), 64, (SIDE, SIDE)))
    np.testing.assert_array_equal(images, PICTURES)


def test_batches_are_not_sharded_and_are_deterministic(split):
    for batches in (training(split).epoch(0), evaluation_batches(split, 8, (SIDE, SIDE))):
        options = batches.options()
        assert options.deterministic is True
        assert (
            options.experimental_distribute.auto_shard_policy
            == tf.data.experimental.AutoShardPolicy.OFF
        )


def test_two_replicas_share_a_batch(file_split):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    epoch = training(file_split).epoch(0)
    shared = strategy.experimental_distribute_dataset(epoch)
    for (images, _), (whole, _) in zip(shared, epoch, strict=True):
        halves = strategy.experimental_local_results(images)
        assert [len(half) for half in halves] == [4, 4]
        np.testing.assert_array_equal(np.concatenate(halves), whole)


# === Errors ===


def test_a_batch_larger_than_the_split(split):
    message = (
        "Expected at least one batch of 51 images in the split 'train', found 50 images: lower "
        "batch_size."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        training(split, batch_size=51)


def test_an_unknown_augmentation(split):
    message = "Unknown augmentation 'flop'. Nearest: flip, crop."
    with pytest.raises(UnknownNameError, match=f"^{re.escape(message)}$"):
        training(split, augment=("crop", "flop"))


def test_two_kinds_of_crop(split):
    message = "Expected the augmentation crop or random_resized_crop, received both: leave one out."
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        training(split, augment=("crop", "flip", "random_resized_crop"))


def evaluating(split, framing):
    return evaluation_batches(split, 8, (SIDE, SIDE), framing)


@pytest.mark.parametrize("make", [training, evaluating])
def test_a_framing_out_of_range(make, split):
    for ratio in (0.0, -1.0, 1.5, float("nan")):
        with pytest.raises(InputError, match="a crop ratio above 0 and at most 1, received"):
            make(split, framing=Framing(ratio))
    message = (
        "Expected to resize through at least the 18 x 18 pixels of the input, received 17 x 18."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        make(split, framing=Framing(resize_through=(17, 18)))


def test_a_file_that_vanished_ends_the_epoch_loudly(tmp_path):
    path = tmp_path / "here.png"
    Image.fromarray(PICTURES[0]).save(path)
    split = FileSplit("train", [str(path), str(tmp_path / "gone.png")], [0, 0])
    with pytest.raises(tf.errors.NotFoundError):
        listed(evaluation_batches(split, 1, (SIDE, SIDE)))
