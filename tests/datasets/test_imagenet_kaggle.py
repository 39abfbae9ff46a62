"""ImageNet as Kaggle distributes it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfbio.datasets.imagenet_kaggle import imagenet_kaggle
from tfbio.errors import InputError

WNIDS = ("n01440764", "n01443537", "n01484850")
IMAGES = Path("ILSVRC/Data/CLS-LOC")


def write_image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, "JPEG")


def write(root):
    for i, wnid in enumerate(WNIDS):
        for j in range(3):
            write_image(root / IMAGES / "train" / wnid / f"{wnid}_{j}.JPEG", [i, j])
    rows = ["ImageId,PredictionString"]
    for j in range(5):
        write_image(root / IMAGES / "val" / f"ILSVRC2012_val_{j:08}.JPEG", [9, j])
        boxes = f"{WNIDS[j % 3]} 1 2 8 9 " * (1 + j % 2)
        rows.insert(1, f"ILSVRC2012_val_{j:08},{boxes}")
    (root / "LOC_val_solution.csv").write_text("\n".join([*rows, ""]))
    write_image(root / IMAGES / "test" / "ILSVRC2012_test_00000001.JPEG", 7)
    return root


def listed(split):
    return [
        (Path(path.decode()).name, int(label))
        for path, label in zip(split._paths.tolist(), split._labels, strict=True)
    ]


def test_the_published_images_and_labels(tmp_path):
    source = imagenet_kaggle(write(tmp_path))
    assert source.name == "imagenet_kaggle"
    assert source.class_names == WNIDS
    assert set(source.splits) == {"train", "validation"}
    assert listed(source.split("train")) == [
        (f"{wnid}_{j}.JPEG", i) for i, wnid in enumerate(WNIDS) for j in range(3)
    ]
    assert listed(source.split("validation")) == [
        (f"ILSVRC2012_val_{j:08}.JPEG", j % 3) for j in range(5)
    ]
    assert source.notes == ()


def test_the_examples_are_the_files(tmp_path):
    source = imagenet_kaggle(write(tmp_path))
    for split, folder in (("train", "train"), ("validation", "val")):
        stored = {path.read_bytes() for path in (tmp_path / IMAGES / folder).rglob("*.JPEG")}
        read = source.split(split).examples(order_seed=1).as_numpy_iterator()
        assert {example["image"] for example in read} == stored


def test_damaged_and_missing_images_are_refused_or_counted(tmp_path):
    write(tmp_path)
    damaged = tmp_path / IMAGES / "train" / WNIDS[1] / f"{WNIDS[1]}_0.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:200])
    gone = tmp_path / IMAGES / "val" / "ILSVRC2012_val_00000003.JPEG"
    gone.unlink()
    with pytest.raises(InputError, match=r"2 of 14 images in .* max_bad_images is 1"):
        imagenet_kaggle(tmp_path, max_bad_images=1)
    source = imagenet_kaggle(tmp_path, max_bad_images=2)
    assert [image.path for image in source.split("train").unreadable] == [str(damaged)]
    assert [image.path for image in source.split("validation").unreadable] == [str(gone)]
    assert (source.split("train").size, source.split("validation").size) == (8, 4)
    assert source.class_names == WNIDS
    assert len(source.notes) == 2


def test_a_missing_solution_is_named(tmp_path):
    (write(tmp_path) / "LOC_val_solution.csv").unlink()
    with pytest.raises(InputError, match=r"labels .* in .*LOC_val_solution.csv \(No such file"):
        imagenet_kaggle(tmp_path)


@pytest.mark.parametrize("text", ["", "ImageId\nval_1\n", "ImageId,PredictionString\nval_1,\n"])
def test_a_damaged_solution_is_named(tmp_path, text):
    (write(tmp_path) / "LOC_val_solution.csv").write_text(text)
    with pytest.raises(InputError, match=r"LOC_val_solution.csv"):
        imagenet_kaggle(tmp_path)


def test_a_solution_of_other_classes_is_refused(tmp_path):
    solution = write(tmp_path) / "LOC_val_solution.csv"
    solution.write_text(solution.read_text().replace(WNIDS[0], "n99999999"))
    with pytest.raises(InputError, match=r"1 without a folder, such as n99999999"):
        imagenet_kaggle(tmp_path)


def test_the_zip_is_not_read_as_it_is(tmp_path):
    (tmp_path / "imagenet-object-localization-challenge.zip").touch()
    with pytest.raises(InputError, match=r"unpacked, found .*challenge.zip: unzip it into"):
        imagenet_kaggle(tmp_path)


def test_from_nothing_it_says_what_to_download(tmp_path):
    with pytest.raises(InputError) as error:
        imagenet_kaggle(tmp_path)
    assert "\n" not in str(error.value)
    for part in ("imagenet-object-localization-challenge.zip", "kaggle.com", str(tmp_path)):
        assert part in str(error.value)
