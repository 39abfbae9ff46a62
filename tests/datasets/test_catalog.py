"""From a name to a data source, and the sentences when there is none."""

import re
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tfbio.datasets import dataset_info, list_datasets, load_dataset, registry
from tfbio.datasets.shapes import Shapes
from tfbio.errors import InputError, UnknownNameError


class FewerShapes(Shapes):
    """The embedded data set with a few examples only."""

    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 32, "validation": 8, "test": 16}


@pytest.fixture
def few_shapes(monkeypatch):
    fewer = replace(dataset_info("shapes"), builder=FewerShapes)
    monkeypatch.setitem(registry._DATASETS, "shapes", fewer)


@pytest.fixture
def preparing(monkeypatch):
    """Lets the preparation of any data set raise an error; no test may reach the network."""

    def raising(error):
        def download_and_prepare(self, **_):
            raise error

        monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", download_and_prepare)

    return raising


def expect(message, *arguments, **keywords):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$") as raised:
        load_dataset(*arguments, **keywords)
    return raised.value


def test_names():
    names = list_datasets(include_tfds=True)
    assert names == sorted(set(names))
    assert {"shapes", "image_folder", "cifar10", "mnist", "imagenet2012"} <= set(names)


@pytest.mark.parametrize("name", ["image_folder", "ImageFolder", "image-folder", "IMAGE_FOLDER"])
def test_spellings_of_image_folder(tmp_path, name):
    for folder in ("ant", "bee"):
        (tmp_path / folder).mkdir()
        for i in range(5):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / folder / f"{i}.png")
    (tmp_path / "bee" / "broken.png").write_bytes(b"")
    source = load_dataset(name, tmp_path, max_bad_images=1)
    assert source.name == "image_folder"
    assert source.class_names == ("ant", "bee")
    assert source.augment == ()
    with pytest.raises(InputError, match="1 of 11 images"):
        load_dataset(name, str(tmp_path))


@pytest.mark.parametrize("name", ["shapes", "Shapes"])
def test_shapes_are_rendered_once(tmp_path, few_shapes, monkeypatch, capsys, caplog, name):
    with caplog.at_level("INFO", logger="tfbio"):
        source = load_dataset(name, tmp_path / "new" / "folder")
    assert source.name == "shapes"
    assert len(source.class_names) == 16
    assert {split: each.size for split, each in source.splits.items()} == FewerShapes.SPLIT_SIZES
    assert source.augment == ("crop", "flip")
    (message,) = (record.getMessage() for record in caplog.records if record.name == "tfbio")
    assert message.startswith("Rendering the data set shapes, once, into ")
    assert capsys.readouterr().out == ""

    def never(self, **_):
        raise AssertionError("rendered again")

    monkeypatch.setattr(FewerShapes, "download_and_prepare", never)
    again = load_dataset(name, tmp_path / "new" / "folder")
    assert again.split("train").size == 32


def test_spellings_of_a_tfds_name(tmp_path, preparing):
    preparing(OSError("stop"))
    for name in ("cifar10", "CIFAR-10", "cifar_10"):
        with pytest.raises(InputError, match=r"^The data set cifar10 is not in"):
            load_dataset(name, tmp_path)


def test_a_prepared_tfds_data_set(tmp_path):
    tfds.disable_progress_bar()
    examples = tf.data.Dataset.from_tensor_slices(
        {"image": np.zeros((20, 28, 28, 1), np.uint8), "label": np.arange(20) % 10}
    )
    builder_class = tfds.builder_cls("mnist")
    tfds.dataset_builders.store_as_tfds_dataset(
        name="mnist",
        version=str(builder_class.VERSION),
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(28, 28, 1)),
                "label": tfds.features.ClassLabel(num_classes=10),
            }
        ),
        split_datasets={"train": examples, "test": examples},
        data_dir=tmp_path,
    )
    source = load_dataset("MNIST", tmp_path)
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 18,
        "validation": 2,
        "test": 20,
    }
    assert source.class_names == tuple("0123456789")
    assert source.augment == ()


# === Errors ===


def test_an_unknown_name_answers_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"^Unknown data set 'cifar11'\. Nearest: .*cifar10.*\.$"
    ):
        load_dataset("cifar11")
    with pytest.raises(UnknownNameError, match=r"^Unknown data set 'shape'\. Nearest: .*shapes"):
        load_dataset("shape")


def test_an_unknown_configuration(tmp_path):
    with pytest.raises(
        UnknownNameError,
        match=r"^Unknown configuration of imagenet2012_corrupted 'fog_6'\. Nearest: .*fog_5",
    ):
        load_dataset("imagenet2012_corrupted/fog_6", tmp_path)
    for name in ("mnist", "shapes"):
        expect(f"Unknown configuration of {name} 'large'. Known: none.", f"{name}/large", tmp_path)


def test_a_configuration_is_passed_on(tmp_path, preparing):
    preparing(OSError("stop"))
    with pytest.raises(InputError, match=r"is not in .*imagenet2012_corrupted/fog_5 and"):
        load_dataset("ImageNet2012-corrupted/fog_5", tmp_path)


def test_an_image_folder_without_a_folder():
    expect(
        "Expected data_dir with the data set image_folder: the folder with its images.",
        "image_folder",
    )


@pytest.mark.parametrize("inside", ["", "deeper"])
@pytest.mark.parametrize("name", ["shapes", "mnist"])
def test_a_data_dir_that_cannot_be_written(tmp_path, preparing, name, inside):
    preparing(AssertionError("not to be reached"))
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(InputError) as raised:
        load_dataset(name, file / inside)
    assert re.match(
        rf"^The data set {name} cannot be written to {re.escape(str(file / inside))}/{name}/[\d.]+ "
        r"\((Not a directory|File exists)\): pass a data_dir that is writable\.$",
        str(raised.value),
    )


@pytest.mark.parametrize("name", ["shapes", "mnist"])
@pytest.mark.parametrize(
    ("number", "reason"), [(28, "No space left on device"), (13, "Permission denied")]
)
def test_a_disk_that_refuses(tmp_path, preparing, monkeypatch, name, number, reason):
    preparing(OSError(number, reason))
    with pytest.raises(InputError, match=rf"cannot be written to .*/{name}/.* \({reason}\): pass"):
        load_dataset(name, tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.ConnectionError("Failed to resolve\nand so on"),
        AssertionError("Failed to resolve"),
        ImportError("Failed to resolve"),
        tfds.core.download.download_manager.NonMatchingChecksumError("Failed to resolve", "it"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_data_set_that_cannot_be_fetched(tmp_path, preparing, error):
    preparing(error)
    with pytest.raises(InputError) as raised:
        load_dataset("mnist", tmp_path)
    assert re.match(
        rf"^The data set mnist is not in {re.escape(str(tmp_path))}/mnist and could not be fetched "
        r"\([^\n]*Failed to resolve[^\n]*\): prepare it on a machine with a network and copy the "
        r"folder, or pass data_dir\.$",
        str(raised.value),
    )
    assert raised.value.__cause__ is error


def test_files_to_be_downloaded_by_hand(tmp_path):
    """What TFDS itself says, of a data set that it does not download."""
    with pytest.raises(InputError, match=r"^The data set imagenet2012 is not in .*\(Manual dir"):
        load_dataset("imagenet2012", tmp_path)


def test_a_mistake_in_the_rendering_is_not_the_user_s(tmp_path, preparing):
    preparing(TypeError("a bug"))
    with pytest.raises(TypeError, match="a bug"):
        load_dataset("shapes", tmp_path)


def test_cifar10_c_has_the_class_names_of_cifar10(tmp_path):
    """TFDS numbers them; a run on CIFAR-10 is evaluated by names, which are in sorted order."""
    builder = tfds.builder("cifar10_corrupted/fog_3", data_dir=tmp_path)
    numbers = [str(number) for number in range(10)]
    assert builder.info.features["label"].names == numbers
    names = dataset_info("cifar10_corrupted").class_names
    assert sorted(set(names)) == list(names)
    assert len(names) == len(numbers)
