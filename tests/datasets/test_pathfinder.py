"""The embedded data set `pathfinder`: what its pictures promise, and its TFDS builder."""

import dataclasses
import itertools
import pathlib
import subprocess
import sys
from typing import ClassVar

import numpy as np
import pytest
import scipy.ndimage
import tensorflow_datasets as tfds

from tfbio.datasets import load_dataset, registry
from tfbio.datasets.pathfinder import Pathfinder, PathfinderConfig, paths, rendering
from tfbio.datasets.pathfinder.paths import Geometry, draw_layouts
from tfbio.datasets.pathfinder.rendering import (
    CLASS_NAMES,
    SPLITS,
    disc_places,
    example_label,
    render_examples,
)
from tfbio.errors import InputError, UnknownNameError

LENGTHS = (6, 9, 14)


class FewPaths(Pathfinder):
    """The data set with a few examples only."""

    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 24, "validation": 8, "test": 16}


@pytest.fixture(scope="module")
def examples():
    return render_examples(Geometry(6), "train", range(1200))


@pytest.fixture(scope="module", params=LENGTHS)
def layouts(request):
    geometry = Geometry(request.param)
    return geometry, draw_layouts(geometry, [np.random.default_rng(i) for i in range(32)])


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    tfds.disable_progress_bar()
    builder = FewPaths(data_dir=tmp_path_factory.mktemp("data"))
    builder.download_and_prepare()
    return builder


# === What is drawn ===


# (contour_length, split, index): label, middles of the discs in pixels.
KNOWN_EXAMPLES = {
    (6, "train", 0): (0, [[39.78, 41.41], [45.13, 58.51]]),
    (6, "train", 19999): (1, [[22.88, 6.74], [42.06, 6.92]]),
    (9, "validation", 12): (1, [[8.52, 18.09], [34.76, 30.60]]),
    (14, "test", 1999): (0, [[46.05, 22.47], [4.15, 18.93]]),
}


@pytest.mark.parametrize("key", KNOWN_EXAMPLES, ids=str)
def test_known_examples_have_not_changed(key):
    length, split, index = key
    label, discs = KNOWN_EXAMPLES[key]
    found = render_examples(Geometry(length), split, [index])
    assert found.labels[0] == label
    np.testing.assert_allclose(found.discs[0], discs, atol=0.01)


@pytest.mark.parametrize("length", LENGTHS)
def test_an_example_depends_on_seed_split_and_index_only(length):
    geometry, some = Geometry(length), [13, 2, 3]
    together = render_examples(geometry, "test", range(16))
    for expected, found in zip(together, render_examples(geometry, "test", some), strict=True):
        np.testing.assert_array_equal(found, expected[some])
    for seed, split in ((1, "test"), (0, "train")):
        other = render_examples(geometry, split, some, seed=seed)
        assert (other.discs != together.discs[some]).all()


@pytest.mark.parametrize("split", SPLITS)
def test_classes_are_balanced_and_in_no_order(split):
    labels = np.array([example_label(split, index) for index in range(400)])
    np.testing.assert_array_equal(labels.reshape(-1, 2).sum(axis=1), np.ones(200))
    # A fair coin gives 100 with a standard deviation of 7.
    assert 65 < labels[::2].sum() < 135


def test_paths_are_made_as_described(layouts):
    geometry, drawn = layouts
    assert drawn.first.shape == drawn.second.shape == (32, geometry.contour_length, 2, 2)
    short = geometry.contour_length // 3
    assert drawn.distractors.shape == (32, 35 // short, short, 2, 2)
    for tips in drawn:
        along = tips[..., 1, :] - tips[..., 0, :]
        gaps = tips[..., 1:, 0, :] - tips[..., :-1, 1, :]
        np.testing.assert_allclose(np.linalg.norm(along, axis=-1), geometry.dash)
        np.testing.assert_allclose(np.linalg.norm(gaps, axis=-1), geometry.dash / 2)
        cosine = (along[..., 1:, :] * along[..., :-1, :]).sum(axis=-1) / geometry.dash**2
        assert (cosine > np.cos(np.deg2rad(40)) - 1e-9).all()
        assert (tips > geometry.disc_radius).all()
        assert (tips < geometry.image_size - geometry.disc_radius).all()


def test_paths_keep_apart(layouts):
    geometry, drawn = layouts
    for first, second, distractors in zip(*drawn, strict=True):
        densely = [_along(tips) for tips in (first, second, *distractors)]
        for i, path in enumerate(densely):
            for other in densely[:i]:
                distances = np.linalg.norm(path[:, None] - other, axis=-1)
                # Half a dash between the points that are compared costs 0.02 dashes at most.
                assert distances.min() > 1.57 * geometry.dash
        for disc in (first[0, 0], first[-1, 1], second[0, 0]):
            nearest = [np.linalg.norm(path - disc, axis=-1).min() for path in densely]
            assert sorted(nearest)[0] < 1e-9
            assert sorted(nearest)[1] > 2.2 * geometry.dash


def _along(tips):
    share = np.linspace(0, 1, 9)[:, None]
    corners = tips.reshape(-1, 2)
    return np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(corners)])


@pytest.mark.parametrize("length", LENGTHS)
def test_following_the_dashes_tells_the_class(length):
    """The pixels alone: bridged gaps join what is one path, and nothing else."""
    examples = render_examples(Geometry(length, image_size=150), "test", range(40))
    for image, discs, label in zip(examples.images, examples.discs, examples.labels, strict=True):
        bridged = scipy.ndimage.binary_dilation(image[..., 0] > 60, iterations=2)
        pieces, number = scipy.ndimage.label(bridged, structure=np.ones((3, 3)))
        assert number == 2 + 35 // (length // 3)
        (x, y), (other_x, other_y) = np.floor(discs).astype(int)
        assert (pieces[y, x] == pieces[other_y, other_x]) == bool(label)


def test_paths_mark_the_pixels(examples):
    images, marks, discs, labels = examples
    assert set(np.unique(marks)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(images[..., :1] > 0, marks > 0)
    np.testing.assert_array_equal(images, np.repeat(images[..., :1], 3, axis=-1))
    column, row = np.moveaxis(np.floor(discs).astype(int), -1, 0)
    picture = np.arange(len(images))[:, None]
    assert (images[picture, row, column] == 255).all()
    on = marks[picture, row, column, 0]
    np.testing.assert_array_equal(on[:, 0], np.ones(len(on)))
    np.testing.assert_array_equal(on[:, 1], np.where(labels == 1, 1, 2))


# At 64 pixels dashes are one pixel thick, and their round ends coarse.
@pytest.mark.parametrize(("size", "tolerance"), [(64, 0.1), (150, 0.03)])
def test_the_light_is_the_area_of_what_is_drawn(size, tolerance):
    geometry = Geometry(6, image_size=size, distractors=0)
    layouts = draw_layouts(geometry, [np.random.default_rng(i) for i in range(20)])
    images, _ = rendering.draw(geometry, layouts, disc_places(layouts, np.ones(20, int)))
    width, radius = geometry.thickness, geometry.disc_radius
    dash = (geometry.dash - width) * width + np.pi * width**2 / 4
    # A disc covers a part of its dash; without that, its area.
    covered = (radius - width / 2) * width + np.pi * width**2 / 8
    area = 12 * dash + 2 * (np.pi * radius**2 - covered)
    light = images[..., 0].sum(axis=(1, 2)) / 255
    np.testing.assert_allclose(light.mean(), area, rtol=tolerance)


# === What does not tell the class ===


def test_distances_and_angles_at_the_discs_are_those_of_the_other_class(layouts):
    _, drawn = layouts
    measured = []
    for label in (0, 1):
        a, b = np.moveaxis(disc_places(drawn, np.full(32, label)), 1, 0)
        leaving = drawn.first[:, 0, 1] - drawn.first[:, 0, 0]
        arriving = (
            drawn.first[:, -1, 0] - drawn.first[:, -1, 1]
            if label
            else drawn.second[:, 0, 1] - drawn.second[:, 0, 0]
        )
        distance = np.linalg.norm(b - a, axis=-1)
        measured.append([distance, _angle(leaving, b - a), _angle(arriving, a - b)])
    np.testing.assert_allclose(measured[0], measured[1], atol=1e-5)
    # They differ from picture to picture.
    assert (np.std(measured[0], axis=1) > 0.1).all()


def _angle(a, b):
    cosine = (a * b).sum(axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    return np.arccos(np.clip(cosine, -1, 1))


def test_simple_measures_do_not_tell_the_class(examples):
    images, _, discs, labels = examples
    middle = discs.mean(axis=1)
    measures = {
        "light": images.mean(axis=(1, 2, 3)),
        "lit pixels": (images > 0).mean(axis=(1, 2, 3)),
        "spread": images.std(axis=(1, 2, 3)),
        "distance of the discs": np.linalg.norm(discs[:, 1] - discs[:, 0], axis=-1),
        "x": middle[:, 0],
        "y": middle[:, 1],
        "from the centre": np.linalg.norm(middle - 32, axis=-1),
    }
    for name, values in measures.items():
        difference = values[labels == 1].mean() - values[labels == 0].mean()
        standard_error = values.std() * np.sqrt(4 / len(values))
        assert abs(difference) < 4 * standard_error, name


def test_raw_pixels_do_not_separate_the_classes(examples):
    linear_model = pytest.importorskip("sklearn.linear_model")
    pixels = examples.images[..., 0].reshape(len(examples.images), -1) / 255.0
    classifier = linear_model.LogisticRegression(C=1e-2, max_iter=300)
    classifier.fit(pixels[:800], examples.labels[:800])
    # Four standard deviations of a coin thrown 400 times.
    assert abs(classifier.score(pixels[800:], examples.labels[800:]) - 0.5) < 0.1


# === What is refused ===


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"contour_length": 2},
            "contour_length as a whole number of dashes, 3 or more, received 2",
        ),
        ({"contour_length": 6.5}, "whole number of dashes, 3 or more, received 6.5"),
        ({"contour_length": 60}, "contour_length of at most 37 dashes of 2.29 pixels"),
        ({"contour_length": 6, "image_size": 8}, "whole number of pixels, 16 or more, received 8"),
        ({"contour_length": 6, "distractors": -1}, "whole number of paths, 0 or more, received -1"),
        (
            {"contour_length": 6, "dash_length": 0.5},
            "dash_length of at least 1 pixel, received 0.5",
        ),
        ({"contour_length": 6, "dash_length": float("nan")}, "at least 1 pixel, received nan"),
    ],
)
def test_a_geometry_out_of_range(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        Geometry(**arguments)
    with pytest.raises(InputError, match=sentence):
        PathfinderConfig("own", **arguments)


def test_more_than_fits_into_the_picture(monkeypatch):
    monkeypatch.setattr(paths, "_MOST_LAYOUTS", 3)
    with pytest.raises(
        InputError, match=r"two of 6 dashes and 200 of 2, .* give fewer distractors"
    ):
        render_examples(Geometry(6, distractors=200), "train", range(2))


def test_an_unknown_split():
    with pytest.raises(UnknownNameError, match="validation"):
        render_examples(Geometry(6), "validate", [0])


# === The builder ===


def test_prepared_examples_decode_to_what_was_rendered(builder):
    for split, size in FewPaths.SPLIT_SIZES.items():
        rendered = render_examples(Geometry(6), split, range(size))
        expected = {image.tobytes(): rest for image, *rest in zip(*rendered, strict=True)}
        read = list(tfds.as_numpy(builder.as_dataset(split=split)))
        assert len(read) == size
        for example in read:
            marks, discs, label = expected.pop(example["image"].tobytes())
            np.testing.assert_array_equal(example["paths"], marks)
            np.testing.assert_array_equal(example["discs"], discs)
            assert example["label"] == label


@pytest.mark.parametrize(
    ("name", "length", "size", "dash"),
    [("length_6", 6, 64, 64 / 28), ("length_14", 14, 64, 64 / 28), ("length_9_300px", 9, 300, 5)],
)
def test_info_describes_the_data_set(tmp_path, name, length, size, dash):
    builder = Pathfinder(data_dir=tmp_path, config=name)
    geometry = builder.builder_config.geometry
    assert (geometry.contour_length, geometry.image_size, geometry.dash) == (length, size, dash)
    assert builder.builder_config.description.startswith(f"Paths of {length} dashes in {size} x ")
    info = builder.info
    assert info.full_name == f"pathfinder/{name}/1.0.0"
    assert info.supervised_keys == ("image", "label")
    assert tuple(info.features["label"].names) == CLASS_NAMES
    assert info.features["image"].shape == (size, size, 3)
    assert info.features["paths"].shape == (size, size, 1)
    assert not list(tmp_path.iterdir())


def test_a_configuration_of_one_s_own(tmp_path):
    tfds.disable_progress_bar()
    own = PathfinderConfig("tiny", contour_length=4, image_size=32, distractors=2)
    builder = FewPaths(data_dir=tmp_path, config=own)
    builder.download_and_prepare()
    (example,) = tfds.as_numpy(builder.as_dataset(split="test[:1]"))
    assert example["image"].shape == (32, 32, 3)
    assert builder.data_path.parts[-2] == "tiny"


@pytest.mark.parametrize(
    ("name", "folder"), [("pathfinder", "length_6"), ("Pathfinder/length_9", "length_9")]
)
def test_by_name(tmp_path, monkeypatch, name, folder):
    fewer = dataclasses.replace(registry.dataset_info("pathfinder"), builder=FewPaths)
    monkeypatch.setitem(registry._DATASETS, "pathfinder", fewer)
    source = load_dataset(name, tmp_path)
    assert source.class_names == CLASS_NAMES
    assert source.augment == ("flip",)
    assert {split: each.size for split, each in source.splits.items()} == FewPaths.SPLIT_SIZES
    assert not source.split("test").has_masks
    np.testing.assert_array_equal(source.split("train").class_counts(2), [12, 12])
    assert (tmp_path / "few_paths" / folder).is_dir()


def test_an_unknown_configuration(tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"^Unknown configuration of pathfinder 'length_7'\. Nearest: .*_9"
    ):
        load_dataset("pathfinder/length_7", tmp_path)


def test_rendering_needs_numpy_only():
    # The packages above import more; stand-ins show what the renderer itself asks for.
    folder = pathlib.Path(rendering.__file__).parent.parent
    script = """
import sys, types
for name, path in (("tfbio", sys.argv[1]), ("tfbio.datasets", sys.argv[2])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
import tfbio.datasets.pathfinder.rendering
print(sorted({"keras", "scipy", "tensorflow", "tensorflow_datasets"} & set(sys.modules)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, str(folder.parent), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
