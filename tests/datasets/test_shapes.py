"""The embedded data set `shapes`: what its pictures promise, and its TFDS builder."""

import pathlib
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfbio.datasets.shapes import Shapes, rendering
from tfbio.datasets.shapes.rendering import (
    CLASS_NAMES,
    IMAGE_SIZE,
    MINIMUM_MASK,
    SPLITS,
    bounding_box,
    contact_sheet,
    example_label,
    render,
    render_examples,
)
from tfbio.datasets.shapes.solids import SOLIDS
from tfbio.errors import InputError, UnknownNameError

# (split, index): class, bounding box in pixels (ymin, xmin, ymax, xmax), mean level.
KNOWN_EXAMPLES = {
    ("train", 0): ("mug", (6, 20, 41, 55), 106.0),
    ("train", 7999): ("sphere", (7, 11, 50, 55), 104.0),
    ("validation", 12): ("key", (11, 26, 55, 53), 146.6),
    ("test", 0): ("key", (14, 14, 58, 41), 115.8),
    ("test", 845): ("cross", (10, 11, 57, 59), 142.5),
    ("test", 1599): ("torus", (12, 9, 59, 56), 142.1),
}


class FewShapes(Shapes):
    """The data set with a few examples only."""

    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 32, "test": 16}


@pytest.fixture(scope="module")
def examples():
    return render_examples("train", range(1536))


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    tfds.disable_progress_bar()
    builder = FewShapes(data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare()
    return builder


@pytest.mark.parametrize("key", KNOWN_EXAMPLES, ids=str)
def test_known_examples_have_not_changed(key):
    split, index = key
    name, box, level = KNOWN_EXAMPLES[key]
    images, masks, labels = render_examples(split, [index])
    assert CLASS_NAMES[labels[0]] == name
    found = np.array(bounding_box(masks[0])) * IMAGE_SIZE
    np.testing.assert_allclose(found, box, atol=1.0)
    assert images[0].mean() == pytest.approx(level, abs=0.5)


def test_an_example_depends_on_seed_split_and_index_only():
    images, masks, labels = render_examples("test", range(40))
    some = [33, 7, 8]
    again = render_examples("test", some)
    np.testing.assert_array_equal(again[0], images[some])
    np.testing.assert_array_equal(again[1], masks[some])
    np.testing.assert_array_equal(again[2], labels[some])
    for seed, split in ((1, "test"), (0, "train")):
        other = render_examples(split, some, seed=seed)
        assert (other[0] != images[some]).mean(axis=(1, 2, 3)).min() > 0.5


def test_an_example_is_what_render_gives():
    images, masks, labels = render_examples("validation", [5])
    rng = np.random.default_rng([0, SPLITS.index("validation"), 5])
    image, mask = render(int(labels[0]), rng)
    np.testing.assert_array_equal(image, images[0])
    np.testing.assert_array_equal(mask, masks[0])


@pytest.mark.parametrize("split", SPLITS)
def test_classes_are_balanced_and_not_sorted(split):
    labels = np.array([example_label(split, index) for index in range(800)])
    np.testing.assert_array_equal(np.bincount(labels), np.full(16, 50))
    assert (np.diff(labels) < 0).any()
    assert len({tuple(block) for block in labels.reshape(-1, 16)}) > 40


@pytest.mark.parametrize("split", Shapes.SPLIT_SIZES)
def test_split_sizes_keep_the_balance(split):
    assert Shapes.SPLIT_SIZES[split] % len(CLASS_NAMES) == 0


def test_masks_are_binary_and_never_small(examples):
    _, masks, _ = examples
    assert set(np.unique(masks)) == {0, 255}
    assert (masks > 0).mean(axis=(1, 2, 3)).min() >= MINIMUM_MASK


def test_a_small_object_is_enlarged(monkeypatch):
    def shares():
        label = CLASS_NAMES.index("dumbbell")
        masks = [render(label, np.random.default_rng(seed))[1] for seed in range(30)]
        return np.mean(np.stack(masks) > 0, axis=(1, 2, 3))

    before = shares()
    monkeypatch.setattr(rendering, "MINIMUM_MASK", 0.12)
    after = shares()
    assert before.min() < 0.12
    assert after.min() >= 0.12
    large = before > 0.17
    np.testing.assert_array_equal(after[large], before[large])


def test_objects_are_wholly_in_the_picture(examples):
    _, masks, _ = examples
    border = np.concatenate([masks[:, 0], masks[:, -1], masks[:, :, 0], masks[:, :, -1]], axis=1)
    assert (border > 0).mean() < 0.001


def test_bounding_box_is_tight(examples):
    _, masks, _ = examples
    for mask in masks[:32]:
        box = np.array(bounding_box(mask)) * IMAGE_SIZE
        ymin, xmin, ymax, xmax = np.rint(box).astype(int)
        outside = mask.copy()
        outside[ymin:ymax, xmin:xmax] = 0
        assert not outside.any()
        inside = mask[ymin:ymax, xmin:xmax, 0]
        assert inside[0].any()
        assert inside[-1].any()
        assert inside[:, 0].any()
        assert inside[:, -1].any()


def test_mask_marks_the_object():
    # The same draws with another solid change nothing but what lies on either object.
    images, masks = zip(
        *(render(label, np.random.default_rng(3)) for label in range(5, 10)), strict=True
    )
    for image, mask in zip(images[1:], masks[1:], strict=True):
        outside = (mask[..., 0] == 0) & (masks[0][..., 0] == 0)
        changed = np.abs(image.astype(int) - images[0]).mean(axis=-1)
        assert changed[~outside].mean() > 2 * changed[outside].mean()


def test_colour_does_not_tell_the_class(examples):
    images, masks, labels = examples
    by_picture = images.mean(axis=(1, 2))
    on_object = (images * (masks > 0)).sum(axis=(1, 2)) / (masks > 0).sum(axis=(1, 2))
    for colours in (by_picture, on_object):
        spread = colours.std(axis=0)
        means = np.stack([colours[labels == label].mean(axis=0) for label in range(16)])
        standard_error = spread / np.sqrt(len(labels) / 16)
        assert (np.abs(means - colours.mean(axis=0)) < 4.5 * standard_error).all()


def test_raw_pixels_do_not_separate_the_classes(examples):
    linear_model = pytest.importorskip("sklearn.linear_model")
    images, _, labels = examples
    pixels = _standardized_pixels(images)
    classifier = linear_model.LogisticRegression(C=1e-4, max_iter=300)
    classifier.fit(pixels[:1136], labels[:1136])
    assert classifier.score(pixels[1136:], labels[1136:]) < 0.4


@pytest.mark.slow
def test_the_whole_data_set_defies_a_linear_classifier():
    """On all images, with the regularisation that suits it best."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    train, test = (
        render_examples(split, range(Shapes.SPLIT_SIZES[split])) for split in ("train", "test")
    )
    pixels = _standardized_pixels(np.concatenate([train[0], test[0]]))
    for penalty in (1e-2, 1e-3, 3e-4, 1e-4):
        classifier = linear_model.LogisticRegression(C=penalty, max_iter=1000)
        classifier.fit(pixels[: len(train[0])], train[2])
        assert 0.15 < classifier.score(pixels[len(train[0]) :], test[2]) < 0.4, penalty


def _standardized_pixels(images):
    coarse = images.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4), dtype=np.float32)
    pixels = coarse.reshape(len(images), -1)
    return (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)


@pytest.mark.parametrize("solid", SOLIDS, ids=lambda solid: solid.name)
def test_solids_fit_into_the_unit_ball_and_distances_do_not_overshoot(solid):
    rng = np.random.default_rng(0)
    direction = rng.standard_normal((3, 4000)).astype(np.float32)
    direction /= np.linalg.norm(direction, axis=0)
    assert (solid.distance(*direction) > -1e-3).all()
    a = direction * rng.random(4000, dtype=np.float32)
    b = a + 0.1 * rng.standard_normal((3, 4000)).astype(np.float32)
    # A distance can never change faster than one moves.
    change = np.abs(solid.distance(*a) - solid.distance(*b))
    assert (change <= 1.001 * np.linalg.norm(a - b, axis=0) + 1e-5).all()
    assert solid.distance(*a).dtype == np.float32


def test_contact_sheet_has_a_row_for_each_class():
    sheet = contact_sheet(examples=3)
    assert sheet.shape == (16 * IMAGE_SIZE, 3 * IMAGE_SIZE, 3)
    assert sheet.dtype == np.uint8
    images, _, labels = render_examples("train", range(48))
    first_torus = images[labels == CLASS_NAMES.index("torus")][0]
    row = CLASS_NAMES.index("torus") * IMAGE_SIZE
    np.testing.assert_array_equal(sheet[row : row + IMAGE_SIZE, :IMAGE_SIZE], first_torus)


def test_what_does_not_exist_is_refused():
    with pytest.raises(InputError, match="label from 0 to 15, received 16"):
        render(16, np.random.default_rng(0))
    with pytest.raises(UnknownNameError, match="validation"):
        render_examples("validate", [0])
    with pytest.raises(InputError, match="empty"):
        bounding_box(np.zeros((8, 8, 1), np.uint8))


def test_prepared_examples_decode_to_what_was_rendered(builder):
    for split, size in FewShapes.SPLIT_SIZES.items():
        images, masks, labels = render_examples(split, range(size))
        rendered = {
            image.tobytes(): (mask, label)
            for image, mask, label in zip(images, masks, labels, strict=True)
        }
        read = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert len(read) == size
        for example in read:
            mask, label = rendered.pop(example["image"].tobytes())
            np.testing.assert_array_equal(example["mask"], mask)
            np.testing.assert_allclose(example["bbox"], bounding_box(mask), atol=1e-6)
            assert example["label"] == label
        assert not rendered


def test_a_prepared_data_set_is_not_rendered_again(builder, monkeypatch):
    def refuse(*args):
        raise AssertionError("rendered again")

    monkeypatch.setattr(FewShapes, "_generate_examples", refuse)
    again = FewShapes(data_dir=builder.data_dir_root)
    again.download_and_prepare()
    assert again.info.splits["train"].num_examples == 32


def test_info_describes_the_data_set(tmp_path):
    info = Shapes(data_dir=tmp_path).info
    assert info.name == "shapes"
    assert str(info.version) == "1.0.0"
    assert info.supervised_keys == ("image", "label")
    assert tuple(info.features["label"].names) == CLASS_NAMES
    assert info.features["image"].shape == (64, 64, 3)
    assert info.features["mask"].shape == (64, 64, 1)
    assert not list(tmp_path.iterdir())


def test_rendering_needs_numpy_only():
    # The packages above import more; stand-ins show what the renderer itself asks for.
    folder = pathlib.Path(rendering.__file__).parent.parent
    script = """
import sys, types
for name, path in (("tfbio", sys.argv[1]), ("tfbio.datasets", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import tfbio.datasets.shapes.rendering
print(sorted({"keras", "scipy", "tensorflow", "tensorflow_datasets"} & set(sys.modules)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, str(folder.parent), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
