"""Tiny-ImageNet-C from its tar and from its folder, one configuration at a time."""

import io
import itertools
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets.manual import unreadable_images
from tfbio.datasets.tiny_imagenet_c import TinyImagenetC, builder
from tfbio.errors import InputError

PUBLISHED = [
    *("brightness", "defocus_blur", "fog", "gaussian_noise", "impulse_noise", "motion_blur"),
    *("shot_noise", "zoom_blur", "contrast", "elastic_transform", "frost", "glass_blur"),
    *("jpeg_compression", "pixelate", "snow"),
]
WNIDS = ("n01443537", "n02124075", "n04067472")
WRITTEN = [("fog", 1), ("fog", 2), ("brightness", 5)]


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


def write(root, configurations=WRITTEN):
    top = root / "Tiny-ImageNet-C"
    images = {}
    for corruption, severity in configurations:
        for i, wnid in enumerate(WNIDS):
            for j in range(2):
                name = f"{corruption}/{severity}/{wnid}/test_{j}.JPEG"
                images[name] = jpeg([PUBLISHED.index(corruption), severity, i, j])
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                (top / name).write_bytes(images[name])
    return top, images


def packed_as_tar(top, order=sorted, prefix="", **options):
    archive = top.parent / f"{top.name}.tar"
    with tarfile.open(archive, "w", **options) as contents:
        for path in order(top.rglob("*")):
            name = f"{prefix}{path.relative_to(top.parent)}"
            contents.add(path, name, recursive=False)
    shutil.rmtree(top)
    return archive


def prepared(data_dir, config, **options):
    tfds.disable_progress_bar()
    builder = TinyImagenetC(data_dir=data_dir, config=config, **options)
    builder.download_and_prepare()
    return builder


def examples(builder):
    names = builder.info.features["label"].names
    encoded = builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()})
    return {each["image"]: names[each["label"]] for each in encoded.as_numpy_iterator()}


def expected(images, folder):
    return {
        contents: name.split("/")[2]
        for name, contents in images.items()
        if name.startswith(f"{folder}/")
    }


class TinyImagenetCTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = TinyImagenetC
    BUILDER_CONFIG_NAMES_TO_TEST = ["fog_2", "brightness_5"]  # noqa: RUF012
    SPLITS = {"test": 2 * len(WNIDS)}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        packed_as_tar(write(Path(cls.EXAMPLE_DIR))[0])
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


def test_there_is_a_configuration_for_every_corruption_and_severity():
    names = {config.name for config in TinyImagenetC.BUILDER_CONFIGS}
    assert names == {f"{name}_{severity}" for name in PUBLISHED for severity in range(1, 6)}
    assert len(TinyImagenetC.BUILDER_CONFIGS) == 75


def shuffled(paths):
    paths = sorted(paths)
    return [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]


@pytest.mark.parametrize(
    "pack",
    [
        None,
        packed_as_tar,
        lambda top: packed_as_tar(top, prefix="./"),
        # The files of a configuration need not lie side by side.
        lambda top: packed_as_tar(top, order=shuffled, format=tarfile.PAX_FORMAT),
    ],
    ids=["folder", "tar", "tar of .", "shuffled tar"],
)
def test_archive_and_folder_give_the_published_bytes_and_labels(tmp_path, pack):
    top, images = write(tmp_path)
    if pack:
        pack(top)
    for corruption, severity in WRITTEN:
        builder = prepared(tmp_path, f"{corruption}_{severity}")
        assert examples(builder) == expected(images, f"{corruption}/{severity}")
        assert builder.info.features["label"].names == list(WNIDS)


def test_labels_agree_between_configurations_of_different_classes(tmp_path):
    top, _ = write(tmp_path)
    shutil.rmtree(top / "fog" / "1" / WNIDS[0])
    for pack in (None, packed_as_tar):
        if pack:
            pack(top)
        builder = prepared(tmp_path, "fog_1")
        assert builder.info.features["label"].names == list(WNIDS)
        assert set(examples(builder).values()) == set(WNIDS[1:])
        shutil.rmtree(builder.data_path)


def test_the_tar_is_looked_through_once_and_not_unpacked(tmp_path, monkeypatch):
    packed_as_tar(write(tmp_path)[0])
    whole, parts = [], []

    def counted(path, start=0, end=None):
        (whole if end is None else parts).append((start, end))
        return walk_tar(path, start, end)

    walk_tar = builder.walk_tar
    monkeypatch.setattr(builder, "walk_tar", counted)
    for corruption, severity in WRITTEN:
        prepared(tmp_path, f"{corruption}_{severity}")
    assert len(whole) == 1
    assert len(parts) == 3
    # What is read of the tar for each configuration does not overlap.
    parts.sort()
    assert all(before[1] < after[0] for before, after in itertools.pairwise(parts))
    assert not list(tmp_path.rglob("*.JPEG"))


@pytest.mark.parametrize("pack", [None, packed_as_tar])
def test_damaged_images_are_refused_or_left_out_and_named(tmp_path, pack):
    top, images = write(tmp_path)
    damaged = "fog/1/n01443537/test_1.JPEG"
    (top / damaged).write_bytes(images[damaged][:300])
    if pack:
        pack(top)
    with pytest.raises(InputError, match=rf"1 of 6 images .*\n  {damaged}: not an image"):
        prepared(tmp_path, "fog_1")
    prepared(tmp_path, "fog_1", max_bad_images=1)
    builder = TinyImagenetC(data_dir=tmp_path, config="fog_1")
    assert [image.path for image in unreadable_images(builder, "test")] == [damaged]
    assert builder.info.splits["test"].num_examples == 5
    # Another configuration is whole.
    assert not unreadable_images(prepared(tmp_path, "fog_2"))


@pytest.mark.parametrize("pack", [None, packed_as_tar])
def test_a_configuration_that_is_not_there_is_named(tmp_path, pack):
    top, _ = write(tmp_path)
    if pack:
        pack(top)
    with pytest.raises(InputError, match=r"the folder snow/4 in .* found 3 of the 75"):
        prepared(tmp_path, "snow_4")


def test_an_incomplete_tar_is_refused(tmp_path):
    archive = packed_as_tar(write(tmp_path)[0])
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(InputError, match=r"whole and tar, received .*Tiny-ImageNet-C.tar"):
        prepared(tmp_path, "fog_1")


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        prepared(tmp_path, "fog_1")
    assert "\n" not in str(error.value)
    for part in ("Tiny-ImageNet-C.tar", "zenodo.org/records/2536630", f"{tmp_path}/downloads/man"):
        assert part in str(error.value)
