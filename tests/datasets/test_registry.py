"""What is known of each data set, in one place; and a data set of the user's own."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from tfbio.datasets import (
    DatasetInfo,
    DataSource,
    TrainingBatches,
    as_data_source,
    corrupted_sets,
    dataset_info,
    evaluation_batches,
    list_datasets,
    load_dataset,
    register_dataset,
    registry,
)
from tfbio.datasets.names import CORRUPTIONS
from tfbio.datasets.registry import canonical_name, unregister_dataset
from tfbio.errors import InputError, UnknownNameError

DOCUMENT = Path(__file__).parents[2] / "docs" / "datasets.md"


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_DATASETS", dict(registry._DATASETS))


def row(info):
    link = f"[`{info.name}`](#{info.name})"
    return f"| {link} | {info.images} | {info.splits} | {info.access} | {info.licence} |"


# === What is registered ===


def test_what_is_registered_is_documented_and_nothing_else():
    document = DOCUMENT.read_text()
    table = [line for line in document.splitlines() if line.startswith("| [`")]
    expected = [row(dataset_info(name)) for name in list_datasets()]
    assert sorted(table) == sorted(expected)
    for name in list_datasets():
        assert f"\n### {name}\n" in document


@pytest.mark.parametrize("name", list_datasets())
def test_the_facts_of_each(name):
    info = dataset_info(name)
    assert info.name == name
    assert info.description.endswith((".", "?"))
    assert len(info.description) < 80
    assert "\n" not in info.description
    assert info.reference or info.kind in ("embedded", "folder")
    if info.kind == "folder":
        assert callable(info.loader_function())
        assert info.builder_class() is None
        return
    builder = info.builder_class()
    assert builder.name == name
    # Builders that are tfbio's own can be imported from the data set's package.
    if info.builder is not None:
        package = importlib.import_module(f"tfbio.datasets.{name}")
        assert getattr(package, builder.__name__) is builder
    for ours, theirs in info.corruption_names.items():
        assert ours in CORRUPTIONS
        assert f"{theirs}_1" in builder.builder_configs


def test_kinds():
    kinds = {name: dataset_info(name).kind for name in list_datasets()}
    assert [name for name, kind in kinds.items() if kind == "embedded"] == ["pathfinder", "shapes"]
    assert [name for name, kind in kinds.items() if kind == "folder"] == [
        "image_folder",
        "imagenet_kaggle",
    ]


@pytest.mark.parametrize(
    ("name", "applies"),
    [
        ("imagenet2012_corrupted", True),
        ("imagenet_c/fog_3", True),
        ("imagenet2012_c", True),
        ("imagenet_kaggle_c", True),
        ("tiny_imagenet_c", False),
        ("image_folder_c", False),
        ("cifar10_corrupted", False),
        ("mnist_c", False),
    ],
)
def test_alexnet_s_errors_are_those_of_imagenet(name, applies):
    assert dataset_info(name).alexnet_errors is applies


# === Names ===


def test_glob():
    assert list_datasets("cifar*") == ["cifar10", "cifar100", "cifar10_corrupted"]
    assert list_datasets("nothing*") == []
    names = list_datasets(include_tfds=True)
    assert names == sorted(set(names))
    assert {*list_datasets(), "mnist", "voc"} <= set(names)
    assert list_datasets("mnis?", include_tfds=True) == ["mnist"]


def test_one_of_tfds_that_is_not_registered():
    info = dataset_info("MNIST")
    assert (info.name, info.kind, info.augment) == ("mnist", "tfds", ())
    # Not "vo", corrupted.
    assert canonical_name("voc") == "voc"


def test_an_unknown_name():
    with pytest.raises(UnknownNameError, match=r"Unknown data set 'shape'\. Nearest: .*shapes"):
        dataset_info("shape")


# === One's own ===

SIDE = 16


def load_squares(data_dir=None, max_bad_images=0):
    """A loader as a user writes it: dark or light squares."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = rng.integers(0, 100, (60, SIDE, SIDE, 3)) + 150 * labels[:, None, None, None]
    return as_data_source((images.astype(np.uint8), labels), ("dark", "light"))


def test_a_data_set_in_a_module_of_the_user_s(tmp_path, monkeypatch):
    """One file, and the line that imports it; here it lies outside of tfbio."""
    (tmp_path / "squares.py").write_text(
        """
import numpy as np

from tfbio.datasets import DatasetInfo, as_data_source, register_dataset


def load_squares(data_dir, max_bad_images):
    labels = np.arange(60) % 2
    images = np.zeros((60, 16, 16, 3), np.uint8) + 200 * labels[:, None, None, None]
    return as_data_source((images.astype(np.uint8), labels), ("dark", "light"))


register_dataset(
    DatasetInfo(
        name="squares",
        kind="embedded",
        description="Dark and light squares.",
        loader=load_squares,
        aliases=("quadrats",),
        augment=("flip",),
    )
)
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("squares")
    assert "squares" in list_datasets()
    source = load_dataset("Quadrats")
    assert source.name == "squares"
    assert source.class_names == ("dark", "light")
    assert source.augment == ("flip",)
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 54,
        "validation": 6,
    }
    # It is trained through the one pipeline,
    batches = TrainingBatches(source.split("train"), 9, (16, 16), augment=source.augment)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.1), loss, metrics=["accuracy"])
    for epoch in range(5):
        model.fit(batches.epoch(epoch), verbose=0, shuffle=False)
    held = evaluation_batches(source.evaluation_split, 6, (16, 16))
    assert model.evaluate(held, verbose=0)[1] == 1
    # and corrupted as any other is.
    assert [each.severity for each in corrupted_sets("squares_c", corruptions=["fog"])] == [
        *range(1, 6)
    ]


def test_a_folder_of_the_user_s_gets_data_dir_and_the_limit(tmp_path):
    received = []

    def load(data_dir, max_bad_images):
        received.append((data_dir, max_bad_images))
        return load_squares()

    register_dataset(DatasetInfo("squares", "folder", "Squares.", loader=load))
    load_dataset("squares", tmp_path, 3)
    assert received == [(tmp_path, 3)]
    with pytest.raises(InputError, match=r"^Expected data_dir with the data set squares: the f"):
        load_dataset("squares")
    with pytest.raises(UnknownNameError, match=r"configuration of squares 'large'\. Known: none"):
        load_dataset("squares/large", tmp_path)


def test_a_loader_may_be_named():
    register_dataset(DatasetInfo("squares", "embedded", "Squares.", loader="keras.ops:shape"))
    assert dataset_info("squares").loader_function() is keras.ops.shape


def test_a_loader_that_returns_something_else():
    info = DatasetInfo("squares", "embedded", "Squares.", loader=lambda data_dir, limit: [1])
    register_dataset(info)
    message = (
        "Expected a DataSource from the loader of the data set squares, received list: return "
        "one, such as `as_data_source` makes."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        load_dataset("squares")


def test_augmentations_that_the_loader_chose_stay():
    def load(data_dir, max_bad_images):
        source = load_squares()
        return DataSource("x", source.class_names, source.splits, augment=("crop",))

    register_dataset(DatasetInfo("squares", "embedded", "S.", loader=load, augment=("flip",)))
    assert load_dataset("squares").augment == ("crop",)


@pytest.mark.parametrize("name", ["shapes", "tinyimagenet", "imagenet", "pathfinder"])
def test_a_name_that_is_taken(name):
    before = dict(registry._DATASETS)
    with pytest.raises(InputError, match=f"new name for a data set, received '{name}', which is"):
        register_dataset(DatasetInfo(name, "embedded", "Mine.", loader=load_squares))
    with pytest.raises(InputError, match=f"new name for a data set, received '{name}', which is"):
        register_dataset(
            DatasetInfo("mine", "embedded", "Mine.", loader=load_squares, aliases=(name,))
        )
    assert before == registry._DATASETS


def test_registered_anew_after_it_was_forgotten():
    info = DatasetInfo("squares", "embedded", "Squares.", loader=load_squares)
    assert register_dataset(info) is info
    unregister_dataset("squares")
    assert "squares" not in list_datasets()
    register_dataset(info)
    with pytest.raises(UnknownNameError, match=r"Unknown data set 'square'\. Nearest: squares"):
        unregister_dataset("square")


def test_one_s_own_takes_the_place_of_one_of_tfds():
    register_dataset(DatasetInfo("mnist", "embedded", "Squares.", loader=load_squares))
    assert load_dataset("MNIST").class_names == ("dark", "light")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "folders", "loader": load_squares}, "Unknown kind of data set 'folders'. Neares"),
        ({"kind": "folder"}, "a builder or a loader for the data set 'mine' .* received neither"),
        (
            {"kind": "embedded", "loader": load_squares, "builder": object},
            "a builder or a loader .* received both",
        ),
        ({"kind": "folder", "builder": object}, "Expected a loader for the data set 'mine' of kin"),
        ({"name": "Mine", "kind": "tfds"}, "name in lower case and without a slash, received 'Mi"),
        ({"name": "a/b", "kind": "tfds"}, "name in lower case and without a slash, received 'a/b"),
        ({"kind": "tfds", "augment": ("flop",)}, "Unknown augmentation 'flop'. Nearest: flip"),
    ],
)
def test_fields_that_do_not_fit_together(fields, sentence):
    with pytest.raises(InputError, match=sentence):
        DatasetInfo(**{"name": "mine", "description": "Mine.", **fields})
