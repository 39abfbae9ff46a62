"""Single objects of PASCAL VOC 2012 with their masks, in the layout that is published."""

import io
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets.manual import unreadable_images
from tfbio.datasets.pascal_voc_stimuli import (
    CLASS_NAMES,
    PascalVocStimuli,
    object_mask,
    single_object,
)
from tfbio.errors import InputError

HEIGHT, WIDTH = 20, 30
PUBLISHED = (
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
    "person pottedplant sheep sofa train tvmonitor"
)
# Image name to its split and objects: class, box (xmin, ymin, xmax, ymax from 1) and flags.
OBJECTS = {
    "2007_000001": ("train", [("cat", (4, 6, 13, 15), {})]),
    "2007_000002": ("train", [("cat", (4, 6, 13, 15), {}), ("dog", (20, 2, 28, 9), {})]),
    "2007_000003": ("train", [("bus", (1, 1, 10, 10), {"truncated": 1})]),
    "2007_000004": ("train", [("bus", (1, 1, 10, 10), {"difficult": 1})]),
    "2007_000005": ("train", [("bus", (1, 1, 10, 10), {"occluded": 1})]),
    "2007_000006": ("train", [("tvmonitor", (1, 1, 30, 20), {})]),
    "2007_000007": ("val", [("aeroplane", (11, 3, 29, 18), {})]),
    "2007_000008": ("val", [("sheep", (2, 2, 9, 9), {}), ("sheep", (12, 2, 19, 9), {})]),
    # Not in a list of segmentations.
    "2007_000009": (None, [("cow", (2, 2, 9, 9), {})]),
}
SINGLE = {"train": ["2007_000001", "2007_000006"], "validation": ["2007_000007"]}


def encoded(image, ending):
    contents = io.BytesIO()
    image.save(contents, ending)
    return contents.getvalue()


def segmentation(objects, in_colours=False):
    """VOC's picture: objects counted from 1, with a border of one pixel inside their boxes."""
    numbers = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (_, (xmin, ymin, xmax, ymax), _) in enumerate(objects, 1):
        numbers[ymin - 1 : ymax, xmin - 1 : xmax] = 255
        numbers[ymin : ymax - 1, xmin : xmax - 1] = number
    picture = Image.fromarray(numbers)
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 756 + [224, 224, 192])
    return encoded(picture.convert("RGB") if in_colours else picture, "PNG")


def annotation(objects):
    parts = [f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"]
    for name, (xmin, ymin, xmax, ymax), flags in objects:
        flags = {"truncated": 0, "difficult": 0, "occluded": 0, **flags}
        parts += [f"<object><name>{name}</name>"]
        parts += [f"<{flag}>{value}</{flag}>" for flag, value in flags.items()]
        parts += [f"<bndbox><xmax>{xmax}</xmax><xmin>{xmin}</xmin><ymax>{ymax}</ymax>"]
        parts += [f"<ymin>{ymin}</ymin></bndbox>"]
        # People come with their parts, which are no objects.
        parts += ["<part><name>head</name><bndbox><xmin>5</xmin></bndbox></part></object>"]
    return "".join([*parts, "</annotation>"])


def write(root, top="VOCdevkit/VOC2012"):
    folder = root / top
    for place in ("JPEGImages", "Annotations", "SegmentationObject", "ImageSets/Segmentation"):
        (folder / place).mkdir(parents=True)
    for i, (name, (_, objects)) in enumerate(OBJECTS.items()):
        pixels = np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        (folder / f"JPEGImages/{name}.jpg").write_bytes(encoded(Image.fromarray(pixels), "JPEG"))
        (folder / f"Annotations/{name}.xml").write_text(annotation(objects))
        (folder / f"SegmentationObject/{name}.png").write_bytes(segmentation(objects))
    for split in ("train", "val"):
        listed = [name for name, (each, _) in OBJECTS.items() if each == split]
        (folder / f"ImageSets/Segmentation/{split}.txt").write_text("\n".join([*listed, ""]))
    return folder


def packed(root):
    with tarfile.open(root / "VOCtrainval_11-May-2012.tar", "w") as archive:
        archive.add(root / "VOCdevkit", "VOCdevkit")
    shutil.rmtree(root / "VOCdevkit")


def prepared(data_dir, **options):
    tfds.disable_progress_bar()
    builder = PascalVocStimuli(data_dir=data_dir, **options)
    builder.download_and_prepare()
    return builder


def examples(builder, split):
    data = builder.as_dataset(split=split).as_numpy_iterator()
    return {each["name"].decode(): each for each in data}


class PascalVocStimuliTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = PascalVocStimuli
    SPLITS = {split: len(names) for split, names in SINGLE.items()}  # noqa: RUF012

    @classmethod
    def setUpClass(cls):
        cls.EXAMPLE_DIR = tempfile.mkdtemp()
        write(Path(cls.EXAMPLE_DIR))
        packed(Path(cls.EXAMPLE_DIR))
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.EXAMPLE_DIR)


@pytest.mark.parametrize("form", ["tar", "VOCdevkit/VOC2012", "VOC2012", "."])
def test_single_whole_objects_with_mask_box_and_label(tmp_path, form):
    folder = write(tmp_path, "VOCdevkit/VOC2012" if form == "tar" else form)
    images = {path.stem: path.read_bytes() for path in folder.glob("JPEGImages/*")}
    if form == "tar":
        packed(tmp_path)
    builder = prepared(tmp_path)
    names = builder.info.features["label"].names
    for split, single in SINGLE.items():
        found = examples(builder, split)
        assert sorted(found) == single
        for name in single:
            label, (xmin, ymin, xmax, ymax), _ = OBJECTS[name][1][0]
            assert names[found[name]["label"]] == label
            box = [(ymin - 1) / HEIGHT, (xmin - 1) / WIDTH, ymax / HEIGHT, xmax / WIDTH]
            np.testing.assert_allclose(found[name]["bbox"], box, atol=1e-6)
            mask = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
            mask[ymin : ymax - 1, xmin : xmax - 1] = 255
            np.testing.assert_array_equal(found[name]["mask"], mask)
    stored = builder.as_dataset(
        split="train+validation", decoders={"image": tfds.decode.SkipDecoding()}
    )
    for each in stored.as_numpy_iterator():
        assert each["image"] == images[each["name"].decode()]


def test_classes_are_the_published_ones_in_order():
    assert tuple(PUBLISHED.split()) == CLASS_NAMES
    assert list(CLASS_NAMES) == sorted(CLASS_NAMES)


@pytest.mark.parametrize("in_colours", [False, True])
def test_a_mask_is_of_one_object_without_its_border(in_colours):
    one, two = OBJECTS["2007_000001"][1], OBJECTS["2007_000002"][1]
    mask = object_mask(segmentation(one, in_colours))
    assert set(np.unique(mask)) == {0, 255}
    assert (mask > 0).sum() == 8 * 8
    assert object_mask(segmentation(two, in_colours)) is None
    assert object_mask(segmentation([], in_colours)) is None


def test_boxes_stay_in_the_image():
    _, box, _ = single_object(annotation([("cat", (-3, 0.5, 45, 20.7), {})]).encode())
    assert box == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("JPEGImages/2007_000001.jpg", "not an image, truncated or damaged"),
        ("SegmentationObject/2007_000001.png", "the segmentation is missing or damaged"),
        ("Annotations/2007_000001.xml", "the annotation is missing or damaged"),
    ],
)
@pytest.mark.parametrize("gone", [False, True])
def test_damaged_files_are_refused_or_left_out_and_named(tmp_path, path, reason, gone):
    folder = write(tmp_path)
    if gone:
        (folder / path).unlink()
        reason = "the file is missing" if "JPEG" in path else reason
    else:
        (folder / path).write_bytes((folder / path).read_bytes()[:90])
    with pytest.raises(InputError, match=rf"cannot be read.*\n  {path}: {reason}"):
        prepared(tmp_path)
    builder = prepared(tmp_path, max_bad_images=1)
    assert [image.path for image in unreadable_images(builder, "train")] == [path]
    assert sorted(examples(builder, "train")) == ["2007_000006"]


def test_a_mask_of_another_size_than_its_image_is_refused(tmp_path):
    path = write(tmp_path) / "SegmentationObject/2007_000001.png"
    with Image.open(path) as mask:
        mask.crop((0, 0, WIDTH, HEIGHT - 1)).save(path)
    with pytest.raises(InputError, match=r"000001.png: the segmentation is not of the image's si"):
        prepared(tmp_path)


def test_a_missing_list_is_named(tmp_path):
    (write(tmp_path) / "ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(InputError, match=r"the list ImageSets/Segmentation/val.txt in"):
        prepared(tmp_path)


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        prepared(tmp_path)
    assert "\n" not in str(error.value)
    for part in ("VOCtrainval_11-May-2012.tar (2.0 GB)", "host.robots.ox.ac.uk", str(tmp_path)):
        assert part in str(error.value)
