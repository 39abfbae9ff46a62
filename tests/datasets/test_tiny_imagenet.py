"""Tiny ImageNet from its zip and from its folder, in the layout that is published."""

import io
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets.manual import unreadable_images
from tfbio.datasets.tiny_imagenet import TinyImagenet
from tfbio.errors import InputError

# As in the download, the list is not sorted.
WNIDS = ("n02124075", "n04067472", "n01443537")
TRAIN, VALIDATION = 4, 5


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


def write(root):
    """The folder tiny-imagenet-200, with image bytes by name."""
    top = root / "tiny-imagenet-200"
    images = {}
    for i, wnid in enumerate(WNIDS):
        for j in range(TRAIN):
            images[f"train/{wnid}/images/{wnid}_{j}.JPEG"] = jpeg([i, j])
    for j in range(VALIDATION):
        images[f"val/images/val_{j}.JPEG"] = jpeg([9, j])
    images["test/images/test_0.JPEG"] = jpeg([8, 0])
    for name, contents in images.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
    (top / "wnids.txt").write_text("".join(f"{wnid}\n" for wnid in WNIDS))
    (top / "words.txt").write_text("n00001740\tentity\nn01443537\tgoldfish, Carassius auratus\n")
    rows = [f"val_{j}.JPEG\t{WNIDS[j % 3]}\t0\t32\t44\t62\n" for j in range(VALIDATION)]
    (top / "val" / "val_annotations.txt").write_text("".join(rows))
    boxes = top / "train" / WNIDS[0] / f"{WNIDS[0]}_boxes.txt"
    boxes.write_text(f"{WNIDS[0]}_0.JPEG\t0\t10\t63\t58\n")
    return top, images


def zipped(top):
    archive = top.parent / f"{top.name}.zip"
    with zipfile.ZipFile(archive, "w") as contents:
        for path in sorted(top.rglob("*")):
            contents.write(path, path.relative_to(top.parent))
    shutil.rmtree(top)
    return archive


def prepared(data_dir, **options):
    tfds.disable_progress_bar()
    builder = TinyImagenet(data_dir=data_dir, **options)
    builder.download_and_prepare()
    return builder


def examples(builder, split):
    """Encoded bytes to class name."""
    names = builder.info.features["label"].names
    encoded = builder.as_dataset(split=split, decoders={"image": tfds.decode.SkipDecoding()})
    return {each["image"]: names[each["label"]] for each in encoded.as_numpy_iterator()}


def expected(images):
    train = {
        contents: name.split("/")[1]
        for name, contents in images.items()
        if name.startswith("train/")
    }
    validation = {images[f"val/images/val_{j}.JPEG"]: WNIDS[j % 3] for j in range(VALIDATION)}
    return train, validation


class TinyImagenetTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = TinyImagenet
    SPLITS = {"train": TRAIN * len(WNIDS), "validation": VALIDATION}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        zipped(write(Path(cls.EXAMPLE_DIR))[0])
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.mark.parametrize("place", ["downloads/manual", "."])
@pytest.mark.parametrize("packed", [True, False])
def test_archive_and_folder_give_the_published_bytes_and_labels(tmp_path, place, packed):
    folder = tmp_path / place
    folder.mkdir(parents=True, exist_ok=True)
    top, images = write(folder)
    if packed:
        zipped(top)
    builder = prepared(tmp_path)
    train, validation = expected(images)
    assert examples(builder, "train") == train
    assert examples(builder, "validation") == validation
    assert set(builder.info.splits) == {"train", "validation"}


def test_the_data_dir_may_be_the_folder_itself(tmp_path):
    top, images = write(tmp_path)
    assert examples(prepared(top), "train") == expected(images)[0]


def test_classes_are_sorted_and_have_words_after_a_reload(tmp_path):
    write(tmp_path)
    prepared(tmp_path)
    info = TinyImagenet(data_dir=tmp_path).info
    assert info.features["label"].names == sorted(WNIDS)
    assert info.metadata["words"] == {"n01443537": "goldfish, Carassius auratus"}


def test_a_validation_folder_of_class_folders_is_read(tmp_path):
    top, images = write(tmp_path)
    for j in range(VALIDATION):
        sorted_place = top / "val" / WNIDS[j % 3] / f"val_{j}.JPEG"
        sorted_place.parent.mkdir(exist_ok=True)
        (top / "val" / "images" / f"val_{j}.JPEG").rename(sorted_place)
    assert examples(prepared(tmp_path), "validation") == expected(images)[1]


@pytest.mark.parametrize("packed", [True, False])
def test_damaged_images_are_refused_or_left_out_and_named(tmp_path, packed):
    top, images = write(tmp_path)
    damaged, gone = "train/n01443537/images/n01443537_2.JPEG", "val/images/val_3.JPEG"
    (top / damaged).write_bytes(images[damaged][:400])
    (top / gone).unlink()
    if packed:
        zipped(top)
    with pytest.raises(InputError, match=r"1 of 12 images in .* max_bad_images is 0") as error:
        prepared(tmp_path)
    assert f"  {damaged}: not an image, truncated or damaged" in str(error.value)
    with pytest.raises(
        InputError, match=r"2 of 17 images .*(\n.*)*val_3.JPEG: the file is missing"
    ):
        prepared(tmp_path, max_bad_images=1)
    assert not (tmp_path / "tiny_imagenet" / "1.0.0").exists()

    prepared(tmp_path, max_bad_images=2)
    builder = TinyImagenet(data_dir=tmp_path)
    train, validation = expected(images)
    del train[images[damaged]], validation[images[gone]]
    assert examples(builder, "train") == train
    assert examples(builder, "validation") == validation
    assert [image.path for image in unreadable_images(builder)] == [damaged, gone]
    assert [image.path for image in unreadable_images(builder, "validation")] == [gone]


def test_a_byte_that_changed_in_the_zip_is_noticed(tmp_path):
    top, images = write(tmp_path)
    archive = zipped(top)
    name = "train/n04067472/images/n04067472_1.JPEG"
    whole = archive.read_bytes()
    # The image is stored as it is; its middle still decodes, to other pixels.
    place = whole.index(images[name]) + len(images[name]) // 2
    archive.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(InputError, match=rf"1 of 12 images .*\n  {name}: Bad CRC-32"):
        prepared(tmp_path)


def test_an_image_of_an_unlisted_class_is_refused(tmp_path):
    top, _ = write(tmp_path)
    (top / "train" / WNIDS[0]).rename(top / "train" / "n99999999")
    with pytest.raises(InputError, match=r"3 classes of wnids.txt .* found also n99999999"):
        prepared(tmp_path)


def test_fewer_images_than_published_are_warned_of(tmp_path, caplog):
    write(tmp_path)
    prepared(tmp_path)
    assert "train of tiny_imagenet has 100000 images as published" in caplog.text


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        prepared(tmp_path)
    assert str(error.value) == (
        "Expected the data set tiny_imagenet as tiny-imagenet-200.zip, or unpacked as the folder "
        f"tiny-imagenet-200, in {tmp_path}/downloads/manual or {tmp_path}, found neither: download "
        "tiny-imagenet-200.zip (240 MB) from http://cs231n.stanford.edu/tiny-imagenet-200.zip and "
        "put it there."
    )
