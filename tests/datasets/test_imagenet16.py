"""Sixteen classes of ImageNet, from a folder and from the tar of tars."""

import io
import json
import shutil
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets.imagenet16 import Imagenet16, wordnet_ids
from tfbio.datasets.manual import unreadable_images
from tfbio.datasets.source import tfds_source
from tfbio.errors import InputError

EACH = 10


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


def write(root, folder="imagenet", validation=False):
    """Ten images of the first WordNet id of each class, of the second too for bears, and others."""
    top = root / folder
    chosen = [(name, wnid) for name, ids in wordnet_ids().items() for wnid in ids[:1]]
    chosen += [("bear", wordnet_ids()["bear"][1]), (None, "n01440764")]
    images = {}
    for i, (name, wnid) in enumerate(chosen):
        for j in range(EACH):
            images[f"train/{wnid}/{wnid}_{j}.JPEG"] = (name, jpeg([i, j]))
        if validation:
            images[f"val/{wnid}/ILSVRC2012_val_{i:08}.JPEG"] = (name, jpeg([i, EACH]))
    for path, (_, contents) in images.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(contents)
    return top, images


def packed(top):
    """As ImageNet comes: each class is a tar, without folders, in one tar."""
    archive = top.parent / "ILSVRC2012_img_train.tar"
    with tarfile.open(archive, "w") as outer:
        for folder in sorted((top / "train").iterdir()):
            inner_path = folder.with_suffix(".tar")
            with tarfile.open(inner_path, "w") as inner:
                for path in sorted(folder.iterdir()):
                    inner.add(path, path.name)
            outer.add(inner_path, inner_path.name)
    shutil.rmtree(top / "train")
    return archive


def prepared(data_dir, **options):
    tfds.disable_progress_bar()
    builder = Imagenet16(data_dir=data_dir, **options)
    builder.download_and_prepare()
    return builder


def examples(builder, split):
    """Encoded bytes to class name."""
    names = builder.info.features["label"].names
    encoded = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()})
    return {each["image"]: names[each["label"]] for each in encoded.as_numpy_iterator()}


class Imagenet16Test(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Imagenet16
    SPLITS = {"train": 153, "validation": 17, "test": 17}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write(Path(cls.EXAMPLE_DIR), validation=True)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


def test_the_classes_are_the_published_ones():
    path = Path(__file__).parents[2] / "tfbio" / "datasets" / "imagenet16" / "wnids.json"
    assert wordnet_ids() == {name: tuple(ids) for name, ids in json.loads(path.read_text()).items()}
    ids = [wnid for each in wordnet_ids().values() for wnid in each]
    assert (len(wordnet_ids()), len(ids), len(set(ids))) == (16, 202, 202)
    assert list(wordnet_ids()) == sorted(wordnet_ids())


def test_a_tenth_of_each_class_is_held_out(tmp_path):
    _, images = write(tmp_path)
    builder = prepared(tmp_path)
    train, validation = examples(builder, "train"), examples(builder, "validation")
    assert not set(train) & set(validation)
    published = {contents: name for name, contents in images.values() if name is not None}
    assert train | validation == published
    assert Counter(validation.values()) == {
        name: 2 if name == "bear" else 1 for name in wordnet_ids()
    }
    assert set(builder.info.splits) == {"train", "validation"}


def test_folder_and_tar_of_tars_give_the_same_splits(tmp_path):
    top, _ = write(tmp_path, validation=True)
    from_folder = prepared(tmp_path)
    found = {split: examples(from_folder, split) for split in from_folder.info.splits}
    shutil.rmtree(from_folder.data_path)
    archive = packed(top)
    # The validation images are looked for beside the tar.
    archive.rename(top / archive.name)
    top.rename(tmp_path / "elsewhere")
    from_tar = prepared(tmp_path / "elsewhere")
    assert {split: examples(from_tar, split) for split in from_tar.info.splits} == found
    assert set(found) == {"train", "validation", "test"}


def test_counts_and_weights(tmp_path):
    write(tmp_path)
    prepared(tmp_path)
    builder = Imagenet16(data_dir=tmp_path)
    counts = builder.info.metadata["counts"]
    bear = list(wordnet_ids()).index("bear")
    assert counts["train"] == [18 if i == bear else 9 for i in range(16)]
    assert counts["validation"] == [2 if i == bear else 1 for i in range(16)]
    source = tfds_source("imagenet16", builder)
    for split in ("train", "validation"):
        np.testing.assert_array_equal(source.split(split).class_counts(16), counts[split])


def test_a_damaged_image_is_refused_or_left_out_and_does_not_move_the_others(tmp_path):
    top, images = write(tmp_path)
    whole = prepared(tmp_path)
    validation = examples(whole, "validation")
    counts = whole.info.metadata["counts"]["train"]
    shutil.rmtree(whole.data_path)
    path = next(path for path, (_, contents) in images.items() if contents in validation)
    (top / path).write_bytes(b"")
    with pytest.raises(InputError, match=rf"1 of 170 images .*\n  {path}: the file is empty"):
        prepared(tmp_path)
    builder = prepared(tmp_path, max_bad_images=1)
    assert [image.path for image in unreadable_images(builder, "validation")] == [path]
    del validation[images[path][1]]
    assert examples(builder, "validation") == validation
    assert builder.info.metadata["counts"]["train"] == counts


def test_missing_classes_are_named(tmp_path, caplog):
    top, _ = write(tmp_path)
    prepared(tmp_path)
    assert "lacks 185 of the 202 WordNet ids" in caplog.text
    shutil.rmtree(tmp_path / "imagenet16")
    shutil.rmtree(top / "train" / "n03041632")
    with pytest.raises(InputError, match=r"all sixteen classes in .* none of knife: .*n03041632"):
        prepared(tmp_path)


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        prepared(tmp_path)
    assert "\n" not in str(error.value)
    for part in ("ILSVRC2012_img_train.tar", "image-net.org", f"{tmp_path}/downloads/manual"):
        assert part in str(error.value)
