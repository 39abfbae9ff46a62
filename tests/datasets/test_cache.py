"""Decoded images kept in memory or on disk."""

import os
import re
import shutil
import sys
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets import TrainingBatches, cache, evaluation_batches
from tfbio.datasets.cache import available_memory, cache_folder, cached
from tfbio.datasets.source import FileSplit, UnreadableImage, tfds_source
from tfbio.errors import InputError

SIZES = [(9, 14), (30, 21), (16, 16), (40, 7), (1, 1), (12, 25), (8, 8)]
PLACES = ["memory", "disk"]


@pytest.fixture(autouse=True)
def own_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))


@pytest.fixture
def split(tmp_path):
    """Images of differing size: PNG and JPEG, gray and colour."""
    rng = np.random.default_rng(0)
    paths = []
    for i, size in enumerate(SIZES):
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        paths.append(str(tmp_path / f"{i}.{'jpg' if i % 2 else 'png'}"))
        Image.fromarray(pixels[..., 0] if i % 3 == 2 else pixels).save(paths[-1])
    bad = (UnreadableImage("x.png", "the file is empty"),)
    return FileSplit("train", paths, [i % 3 for i in range(len(SIZES))], bad)


def files():
    return sorted(cache_folder().iterdir()) if cache_folder().exists() else []


def images_of(split, order_seed=None, skip=0):
    """Each example as plain objects."""
    return [
        (example["image"].shape, example["image"].tobytes(), int(example["label"]), int(index))
        for example in split.examples(order_seed, skip).as_numpy_iterator()
        for index in [example["index"]]
    ]


def same(ours, theirs):
    """Whether two data sets have the same batches to the bit; there are some."""
    pairs = list(zip(ours, theirs, strict=True))
    return bool(pairs) and all(
        np.array_equal(a, b) for one, other in pairs for a, b in zip(one, other, strict=True)
    )


def refuse(*_):
    raise AssertionError("Expected the file to be read, and nothing to be decoded.")


@pytest.mark.parametrize("where", PLACES)
def test_images_are_those_that_pillow_decodes(split, where):
    found = images_of(cached(split, where))
    for (shape, pixels, label, index), path, size in zip(found, split._paths, SIZES, strict=True):
        expected = np.array(Image.open(os.fsdecode(path)).convert("RGB"))
        assert shape == expected.shape == (*size, 3)
        # A PNG is what it is; of a JPEG, Pillow's library may be another version: one level.
        difference = np.frombuffer(pixels, np.uint8).astype(int) - expected.ravel()
        assert abs(difference).max() <= path.endswith(b"jpg")
        assert label == index % 3
    assert [index for *_, index in found] == list(range(len(SIZES)))


@pytest.mark.parametrize("where", PLACES)
def test_batches_are_the_same_to_the_bit(split, where):
    kept = cached(split, where)
    assert same(evaluation_batches(kept, 3, (12, 10)), evaluation_batches(split, 3, (12, 10)))
    for augment in (("crop", "flip"), ("random_resized_crop",)):
        ours, theirs = (TrainingBatches(each, 2, (8, 8), 5, augment) for each in (kept, split))
        assert same(ours.epoch(0), theirs.epoch(0))
        assert same(ours.epoch(3, start=2), theirs.epoch(3, start=2))


@pytest.mark.parametrize("where", PLACES)
def test_a_cached_split_says_of_itself_what_the_split_says(split, where):
    kept = cached(split, where)
    assert (kept.name, kept.size, kept.unreadable) == ("train", len(SIZES), split.unreadable)
    assert kept.has_masks is False
    assert kept.class_counts(4).tolist() == split.class_counts(4).tolist() == [3, 2, 2, 0]
    spec = kept.examples().element_spec
    assert spec["image"] == tf.TensorSpec((None, None, 3), tf.uint8)


@pytest.fixture
def prepared(tmp_path):
    """A TFDS data set of images with masks."""
    tfds.disable_progress_bar()
    rng = np.random.default_rng(1)
    image, mask = rng.integers(0, 256, (20, 6, 5, 3)), rng.integers(0, 2, (20, 6, 5, 1))
    return tfds.dataset_builders.store_as_tfds_dataset(
        name="small",
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(6, 5, 3)),
                "mask": tfds.features.Image(shape=(6, 5, 1)),
                "label": tfds.features.ClassLabel(num_classes=2),
            }
        ),
        split_datasets={
            "train": tf.data.Dataset.from_tensor_slices(
                {
                    "image": image.astype(np.uint8),
                    "mask": mask.astype(np.uint8),
                    "label": np.arange(20) % 2,
                }
            )
        },
        data_dir=tmp_path,
    )


@pytest.mark.parametrize("where", PLACES)
def test_tfds_splits_with_masks(prepared, where):
    train = tfds_source("small", prepared).split("train")
    kept = cached(train, where)
    assert kept.has_masks
    for ours, theirs in zip(kept.examples(), train.examples(), strict=True):
        assert np.array_equal(ours["image"], tf.io.decode_png(theirs["image"], 3))
        assert np.array_equal(ours["mask"], tf.io.decode_png(theirs["mask"], 1))
        assert (ours["label"], ours["index"]) == (theirs["label"], theirs["index"])
    # In an order of its own: each once, by the seed alone.
    shuffled = images_of(kept, order_seed=4)
    assert sorted(shuffled) == sorted(images_of(kept))
    assert shuffled == images_of(kept, order_seed=4) != images_of(kept, order_seed=5)
    assert images_of(kept, order_seed=4, skip=7) == shuffled[7:]


def test_the_parts_of_a_tfds_split_have_files_of_their_own(prepared, monkeypatch):
    splits = tfds_source("small", prepared).splits
    first = {name: images_of(cached(split, "disk")) for name, split in splits.items()}
    assert {name: len(images) for name, images in first.items()} == {"train": 18, "validation": 2}
    monkeypatch.setattr(cache, "_write", refuse)
    assert first == {name: images_of(cached(split, "disk")) for name, split in splits.items()}


def test_a_file_on_disk_is_made_once(split, monkeypatch):
    first = images_of(cached(split, "disk"))
    (path,) = files()
    monkeypatch.setattr(cache, "_write", refuse)
    assert images_of(cached(split, "disk")) == first
    assert images_of(cached(split, path.parent)) == first


def test_a_folder_can_be_named(split, tmp_path):
    cached(split, tmp_path / "a" / "b")
    assert len(list((tmp_path / "a" / "b").iterdir())) == 1
    assert not files()


def test_a_changed_image_is_decoded_again(split):
    before = images_of(cached(split, "disk"))
    path = os.fsdecode(split._paths[0])
    Image.fromarray(np.full((5, 4, 3), 7, np.uint8)).save(path)
    after = images_of(cached(split, "disk"))
    assert after[0][:2] == ((5, 4, 3), bytes([7]) * 60)
    assert after[1:] == before[1:]
    # In place of the other one.
    assert len(files()) == 1


def test_other_labels_are_another_data_set(split):
    cached(split, "disk")
    other = FileSplit("train", [os.fsdecode(path) for path in split._paths], [9] * len(SIZES))
    assert {label for _, _, label, _ in images_of(cached(other, "disk"))} == {9}


@pytest.mark.parametrize(
    "damage",
    [
        lambda contents: contents[: len(contents) // 2],
        lambda contents: contents[:-1],
        lambda contents: b"",
        lambda contents: b"tfbio 1\n",
        lambda contents: contents[:100] + bytes([contents[100] ^ 1]) + contents[101:],
        lambda contents: contents[:-200] + bytes(100) + contents[-100:],
        lambda contents: bytes(len(contents)),
    ],
    ids=["half", "byte missing", "empty", "end alone", "pixel", "index", "zeros"],
)
def test_a_damaged_file_is_made_anew(split, damage, monkeypatch):
    expected = images_of(cached(split, "disk"))
    (path,) = files()
    whole = path.read_bytes()
    assert damage(whole) != whole
    path.write_bytes(damage(whole))
    assert images_of(cached(split, "disk")) == expected
    monkeypatch.setattr(cache, "_write", refuse)
    assert images_of(cached(split, "disk")) == expected


def test_a_file_may_go_while_it_is_used(split):
    kept = cached(split, "disk")
    expected = images_of(kept)
    examples = kept.examples().as_numpy_iterator()
    (path,) = files()
    path.unlink()
    del kept
    assert [example["image"].tobytes() for example in examples] == [each[1] for each in expected]


def test_writers_at_the_same_time_do_not_clash(split):
    expected = images_of(split_in_memory := cached(split))
    assert split_in_memory.size == len(SIZES)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: images_of(cached(split, "disk")), range(8)))
    assert results == [expected] * 8
    assert [path.suffix for path in files()] == [".bin"]


def test_partial_files_go_when_writing_fails_or_failed_long_ago(split, monkeypatch):
    cached(split, "disk")
    (path,) = files()
    path.unlink()
    abandoned, recent = (path.with_name(f"{path.name}.{each}.partial") for each in "ab")
    for partial in (abandoned, recent):
        partial.write_bytes(b"0")
    os.utime(abandoned, (time.time() - 7200,) * 2)

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        cached(split, "disk")
    assert files() == [recent]


# Of all images.
BYTES = 3 * sum(height * width for height, width in SIZES)


def test_images_that_memory_does_not_hold(split, monkeypatch):
    monkeypatch.setattr(cache, "available_memory", lambda: BYTES)
    message = (
        "Expected the decoded images of the split 'train' to take at most 80% of the "
        f"{BYTES / 1e9:.3g} GB that are free (memory), and they would take {BYTES / 1e9:.3g} GB: "
        "cache on disk, or leave the cache out."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        cached(split)
    monkeypatch.setattr(cache, "available_memory", lambda: BYTES / 0.8 + 1)
    assert cached(split).size == len(SIZES)


def test_images_that_the_disk_does_not_hold(split, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(BYTES))
    with pytest.raises(InputError, match=r"free \(.*caches/tfbio\), .* cache on another place\.$"):
        cached(split, "disk")
    assert not files()


def test_the_room_is_estimated_before_all_is_decoded(split, monkeypatch):
    decoded = []
    monkeypatch.setattr(cache, "_ESTIMATED_AFTER", 2)
    monkeypatch.setattr(cache.zlib, "crc32", lambda *_: decoded.append(1) or 0)
    monkeypatch.setattr(cache, "available_memory", lambda: BYTES)
    with pytest.raises(InputError, match="would take"):
        cached(split)
    # One call at the beginning, one for each of two images.
    assert len(decoded) == 3


def test_a_folder_that_cannot_be_written_to(split, tmp_path):
    (tmp_path / "taken").write_text("a file")
    message = f"Expected to write decoded images to {tmp_path / 'taken'} (File exists): make room"
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        cached(split, tmp_path / "taken")


def sparse(tmp_path, offsets, images, size):
    """A split over a file of zeros with images here and there."""
    with (tmp_path / "sparse").open("w+b") as file:
        file.truncate(size)
        for offset, image in zip(offsets, images, strict=True):
            file.seek(offset)
            file.write(image)
        pixels = np.frombuffer(cache.mmap.mmap(file.fileno(), 0, **cache._private()), np.uint8)
    count = len(images)
    numbers = np.arange(count)
    stored = cache._Stored(
        pixels,
        {"image": np.array(offsets)},
        {"image": np.tile(images[0].shape, (count, 1))},
        {"label": numbers, "index": numbers},
    )
    return cache._CachedSplit(FileSplit("train", ["-"] * count, list(numbers)), stored)


def test_offsets_beyond_32_bits(tmp_path):
    """Larger than most memories; a file of holes takes no room where the system knows holes."""
    images = np.random.default_rng(0).integers(0, 256, (6, 20, 30, 3), dtype=np.uint8)
    offsets = [0, 2**31 - 900, 2**31 + 901, 2**32 - 900, 2**32 + 901, 2**36]
    try:
        split = sparse(tmp_path, offsets, images, 2**36 + images[0].size)
    except OSError as error:
        pytest.skip(f"No file of 64 GiB of holes here: {error}")
    found = [example["image"] for example in split.examples(order_seed=2).as_numpy_iterator()]
    order = np.random.default_rng(2).permutation(6)
    assert np.array_equal(found, images[order])
    ((batch, _),) = evaluation_batches(split, 6, (20, 30))
    assert np.array_equal(batch, images)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its memory")
def test_the_pixels_are_not_copied(tmp_path):
    def own_memory():
        return int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

    size = 1 << 30
    images = np.zeros((64, 8, 8, 3), np.uint8)
    split = sparse(tmp_path, list(range(0, size, size // 64)), images, size + 192)
    batches = TrainingBatches(split, 32, (8, 8), augment=("flip",))
    before = own_memory()
    for epoch in range(2):
        for _ in batches.epoch(epoch):
            pass
    # MiB; a copy would be 1024, the tracing of the pipeline is some 20.
    assert own_memory() - before < 300


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for its memory")
def test_what_is_free():
    lines = Path("/proc/meminfo").read_text().splitlines()
    total = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemTotal"))
    assert 0 < available_memory() < total
