"""The images of SATBench's observers, in the layout of the original and of its own script."""

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
from tfbio.datasets.sat_human import REACTION_TIMES, SatHuman
from tfbio.errors import InputError

# What the original puts into file names, by folder.
MARKS = {
    "ColorGraySplit": ["color_gray_c", "color_gray_g"],
    "NoiseSplit_gray_contrast0.2": ["noise_0", "noise_0.04", "noise_0.16"],
    "BlurSplit_color": ["blur_0", "blur_3", "blur_9"],
}
# And where its script sorts the files to.
SORTED = {
    "color_gray_c": "color",
    "color_gray_g": "grayscale",
    "noise": "noise_grayscale",
    "blur": "blur_color",
}
CLASSES = ("bear", "car", "cat", "keyboard")


def jpeg(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


def images():
    """(folder, block, index, mark, class) to encoded bytes; without a block for training."""
    found = {}
    for folder, marks in MARKS.items():
        for block in (0, 1, 2, 3, 4, None):
            for index, name in enumerate(CLASSES):
                mark = marks[index % len(marks)]
                found[folder, block, index, mark, name] = jpeg(len(found))
    return found


def write(root):
    for (folder, block, index, mark, name), contents in images().items():
        place = root / folder / ("train" if block is None else str(block))
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index}_{mark}_{name}.JPEG").write_bytes(contents)


def write_sorted(root):
    for (_, block, index, mark, name), contents in images().items():
        if block is not None:
            place = root / (SORTED.get(mark) or SORTED[mark.partition("_")[0]]) / name
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{index}_{mark}_{name}_exit{block}.JPEG").write_bytes(contents)


def write_zip(root):
    write(root / "human-data")
    with zipfile.ZipFile(root / "human-data.zip", "w") as archive:
        for path in (root / "human-data").rglob("*"):
            archive.write(path, path.relative_to(root))
        archive.writestr("__MACOSX/human-data/._0_blur_0_bear.JPEG", b"")
    shutil.rmtree(root / "human-data")


def prepared(data_dir, config, **options):
    tfds.disable_progress_bar()
    builder = SatHuman(data_dir=data_dir, config=config, **options)
    builder.download_and_prepare()
    return builder


def examples(builder):
    names = builder.info.features["label"].names
    encoded = builder.as_dataset(split="test", decoders={"image": tfds.decode.SkipDecoding()})
    return {
        each["image"]: (names[each["label"]], float(each["level"]), int(each["block"]))
        for each in encoded.as_numpy_iterator()
    }


def expected(*marks):
    def level(mark):
        # Stored with single precision.
        return float(np.float32(0 if "color" in mark else mark.rpartition("_")[2]))

    return {
        contents: (name, level(mark), block)
        for (_, block, _, mark, name), contents in images().items()
        if block is not None and mark in marks
    }


class SatHumanTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = SatHuman
    BUILDER_CONFIG_NAMES_TO_TEST = ["colour", "grayscale"]  # noqa: RUF012
    SPLITS = {"test": 10}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write_zip(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.mark.parametrize("lay_out", [write, write_sorted, write_zip])
@pytest.mark.parametrize(
    ("config", "marks"),
    [
        ("colour", ["color_gray_c"]),
        ("grayscale", ["color_gray_g"]),
        ("noise", MARKS["NoiseSplit_gray_contrast0.2"]),
        ("noise_0.04", ["noise_0.04"]),
        ("blur_9", ["blur_9"]),
    ],
)
def test_a_condition_has_the_published_images(tmp_path, lay_out, config, marks):
    lay_out(tmp_path)
    builder = prepared(tmp_path, config)
    assert examples(builder) == expected(*marks)
    assert builder.info.features["label"].num_classes == 16


def test_every_condition_and_level_is_a_configuration():
    names = {config.name for config in SatHuman.BUILDER_CONFIGS}
    levels = {mark for marks in MARKS.values() for mark in marks if "color" not in mark}
    assert names == {"colour", "grayscale", "noise", "blur"} | levels
    assert REACTION_TIMES == (500, 900, 1100, 1300, 1500)


def test_a_damaged_image_is_refused_or_left_out_and_named(tmp_path):
    write(tmp_path)
    path = "BlurSplit_color/2/1_blur_3_car.JPEG"
    (tmp_path / path).write_bytes(b"no image")
    with pytest.raises(InputError, match=rf"1 of 5 images .*\n  {path}: not an image"):
        prepared(tmp_path, "blur_3")
    builder = prepared(tmp_path, "blur_3", max_bad_images=1)
    assert [image.path for image in unreadable_images(builder, "test")] == [path]
    assert builder.info.splits["test"].num_examples == 4


def test_other_files_are_named_and_left_out(tmp_path, caplog):
    write(tmp_path)
    for name in ("5_blur_3_zebra.JPEG", "figure.png"):
        (tmp_path / "BlurSplit_color" / "0" / name).write_bytes(jpeg(999))
    assert examples(prepared(tmp_path, "blur_3")) == expected("blur_3")
    assert "BlurSplit_color/0/5_blur_3_zebra.JPEG" in caplog.text
    assert "BlurSplit_color/0/figure.png" in caplog.text


def test_a_condition_that_is_not_there_is_named(tmp_path):
    write(tmp_path)
    shutil.rmtree(tmp_path / "BlurSplit_color")
    with pytest.raises(InputError, match=r"Expected images of blur_3 in .*1_blur_3_dog.JPEG"):
        prepared(tmp_path, "blur_3")


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        prepared(tmp_path, "blur")
    assert "\n" not in str(error.value)
    for part in ("human-data.zip", "https://osf.io/2cpmb", f"{tmp_path}/downloads/manual"):
        assert part in str(error.value)
