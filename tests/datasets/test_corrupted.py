"""Data sets of corrupted images."""

from __future__ import annotations

import pytest

from tfbio.datasets.catalog import load_dataset
from tfbio.datasets.corrupted import corrupted_sets, is_corrupted
from tfbio.datasets.corruptions import CORRUPTIONS, Corruption
from tfbio.datasets.registry import canonical_name, corrupted_base
from tfbio.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("given", "name", "base", "corrupted"),
    [
        ("shapesc", "shapes_c", "shapes", True),
        ("ImageFolder-C", "image_folder_c", "image_folder", True),
        ("tinyimagenet_c", "tiny_imagenet_c", None, True),
        ("tiny_imagenet_c/fog_3", "tiny_imagenet_c/fog_3", None, False),
        ("imagenet_c", "imagenet2012_corrupted", None, True),
        ("imagenet", "imagenet2012", None, False),
        ("cifar10_corrupted", "cifar10_corrupted", None, True),
        ("cifar10", "cifar10", None, False),
        ("shapes", "shapes", None, False),
    ],
)
def test_names(given, name, base, corrupted):
    assert canonical_name(given) == name
    assert corrupted_base(name) == base
    assert is_corrupted(name) == corrupted


def test_all_sets_of_one_that_is_corrupted_on_the_fly():
    sets = corrupted_sets("shapes_c")
    expected = [(name, severity) for name in CORRUPTIONS for severity in range(1, 6)]
    assert [(each.corruption, each.severity) for each in sets] == expected
    assert sets[7].on_the_fly == Corruption("shot_noise", 3)


@pytest.mark.parametrize("name", ["tiny_imagenet_c", "imagenet2012_corrupted", "cifar10_corrupted"])
def test_stored_sets_are_in_the_order_of_imagenet_c(name):
    sets = corrupted_sets(name)
    assert [each.corruption for each in sets[::5]] == list(CORRUPTIONS)
    assert [each.severity for each in sets[:5]] == [1, 2, 3, 4, 5]
    assert {each.on_the_fly for each in sets} == {None}


def test_some():
    sets = corrupted_sets("shapes_c", corruptions=["snow", "fog"], severities=[5, 1])
    found = [(each.corruption, each.severity) for each in sets]
    assert found == [("snow", 1), ("snow", 5), ("fog", 1), ("fog", 5)]


def test_the_images_are_loaded_once(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        "tfbio.datasets.corrupted.load_dataset", lambda *arguments: loaded.append(arguments)
    )
    for each in corrupted_sets("image_folder_c", tmp_path, 2):
        each.load()
    assert loaded == [("image_folder", tmp_path, 2)]
    for each in corrupted_sets("tiny_imagenet_c", corruptions=["fog"]):
        each.load()
    assert loaded[1:] == [(f"tiny_imagenet_c/fog_{level}", None, 0) for level in range(1, 6)]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        (("shapes",), InputError, "Expected a data set of corrupted images, such as shapes_c, rec"),
        (("shapes_c", None, 0, ["fogg"]), UnknownNameError, "Unknown corruption of shapes_c 'fo"),
        (("shapes_c", None, 0, None, [6]), InputError, "Expected severities from 1 to 5, received"),
    ],
)
def test_bad_input(arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        corrupted_sets(*arguments)


def test_corrupted_images_are_not_trained_on():
    with pytest.raises(InputError, match=r"corrupted images are for evaluate.py; leave out '_c'"):
        load_dataset("shapes_c")
