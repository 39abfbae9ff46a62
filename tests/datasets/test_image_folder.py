"""Folders of class folders: their layouts, their splits, and what may be wrong with them."""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfbio.datasets import evaluation_batches, image_folder
from tfbio.errors import InputError


def write_image(path, seed=0, mode="RGB", size=(11, 9)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).bytes(size[0] * size[1] * len(mode))
    Image.frombytes(mode, size, pixels).save(path)
    return path


def write_classes(folder, counts, ending=".png"):
    for name, count in counts.items():
        for i in range(count):
            write_image(folder / name / f"{i:03}{ending}", seed=i)


def listed(split):
    """Paths and labels, through the split's own examples."""
    return [
        (path.decode(), int(label))
        for path, label in zip(split._paths.tolist(), split._labels, strict=True)
    ]


def names(split, root):
    return [str(Path(path).relative_to(root)) for path, _ in listed(split)]


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


# === Layouts ===


def test_a_flat_folder_lends_a_stratified_fifth(root):
    counts = {"ant": 10, "bee": 7, "cat": 3, "dog": 2, "eel": 1, "fox": 13}
    write_classes(root, counts)
    source = image_folder(root)
    assert source.name == "image_folder"
    assert source.class_names == tuple(counts)
    assert set(source.splits) == {"train", "validation"}
    train, validation = source.split("train"), source.split("validation")
    assert not set(names(train, root)) & set(names(validation, root))
    assert len(set(names(train, root)) | set(names(validation, root))) == sum(counts.values())
    assert Counter(label for _, label in listed(validation)) == {0: 2, 1: 1, 2: 1, 3: 1, 5: 3}
    assert Counter(label for _, label in listed(train)) == {0: 8, 1: 6, 2: 2, 3: 1, 4: 1, 5: 10}
    for split in (train, validation):
        assert split.size == len(listed(split))
        assert split.unreadable == ()
        for path, label in listed(split):
            assert Path(path).parent.name == source.class_names[label]
    assert source.notes == ()
    assert source.evaluation_split is validation


def test_the_held_out_fifth_is_always_the_same(root, tmp_path, monkeypatch):
    counts = {"ant": 20, "bee": 20}
    write_classes(root, counts)
    held_out = names(image_folder(root).split("validation"), root)
    assert held_out == names(image_folder(root).split("validation"), root)

    # Made in another order, elsewhere, and listed by the file system in another one.
    other = tmp_path / "elsewhere"
    for name in reversed(counts):
        for i in reversed(range(20)):
            write_image(other / name / f"{i:03}.png", seed=i)
    scandir = os.scandir

    class Backwards(list):
        def __enter__(self):
            return iter(self)

        def __exit__(self, *_):
            pass

        def __next__(self):
            if not self:
                raise StopIteration
            return self.pop(0)

    def backwards(path="."):
        with scandir(path) as entries:
            return Backwards(sorted(entries, key=lambda entry: entry.name, reverse=True))

    monkeypatch.setattr(os, "scandir", backwards)
    assert held_out == names(image_folder(other).split("validation"), other)
    # Not simply the first or last of each class, nor the same places in both.
    numbers = [int(Path(name).stem) for name in held_out]
    assert numbers[:4] != numbers[4:]
    assert set(numbers[:4]) not in ({0, 1, 2, 3}, {16, 17, 18, 19})


@pytest.mark.parametrize("folder", ["val", "valid", "validation", "Val"])
def test_train_and_validation_folders(root, folder):
    write_classes(root / "train", {"ant": 3, "bee": 2})
    write_classes(root / folder, {"ant": 1, "bee": 2})
    source = image_folder(root)
    assert source.class_names == ("ant", "bee")
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 5,
        "validation": 3,
    }
    assert names(source.split("validation"), root / folder) == [
        "ant/000.png",
        "bee/000.png",
        "bee/001.png",
    ]


def test_train_validation_and_test_folders(root):
    write_classes(root / "train", {"ant": 3, "bee": 2})
    write_classes(root / "val", {"ant": 1, "bee": 1})
    write_classes(root / "test", {"ant": 2, "bee": 2})
    source = image_folder(root)
    assert {name: split.size for name, split in source.splits.items()} == {
        "train": 5,
        "validation": 2,
        "test": 4,
    }
    assert source.evaluation_split is source.split("test")


def test_train_and_test_folders_hold_out_of_train(root):
    write_classes(root / "train", {"ant": 10, "bee": 5})
    write_classes(root / "test", {"ant": 2, "bee": 2})
    sizes = {name: split.size for name, split in image_folder(root).splits.items()}
    assert sizes == {"train": 12, "validation": 3, "test": 4}


def test_nested_upper_case_hidden_and_other_files(root):
    write_classes(root, {"ant": 2, "bee": 2})
    write_image(root / "ant" / "deep" / "deeper" / "nested.JPG")
    write_image(root / "ant" / "shout.JPEG")
    write_image(root / "bee" / "shout.BMP")
    for hidden in ("ant/.hidden.png", "ant/.cache/thumbnail.png", ".trash/000.png"):
        write_image(root / hidden)
    (root / "bee" / "notes.txt").write_text("not an image")
    (root / "bee" / "more.TXT").write_text("not an image")
    (root / "bee" / "README").write_text("not an image")
    (root / "labels.csv").write_text("beside the class folders")
    source = image_folder(root)
    assert source.class_names == ("ant", "bee")
    assert sorted(name for split in source.splits.values() for name in names(split, root)) == [
        "ant/000.png",
        "ant/001.png",
        "ant/deep/deeper/nested.JPG",
        "ant/shout.JPEG",
        "bee/000.png",
        "bee/001.png",
        "bee/shout.BMP",
    ]
    assert source.notes == (
        "Left out, as only .jpg, .jpeg, .png, .bmp, .gif files are read: 2 .txt, 1 no ending.",
    )


def test_links_are_followed_and_dangling_ones_named(root, tmp_path):
    write_classes(root, {"ant": 4})
    write_classes(tmp_path / "store", {"wasps": 4})
    (root / "bee").symlink_to(tmp_path / "store" / "wasps", target_is_directory=True)
    (root / "ant" / "more").symlink_to(tmp_path / "store" / "wasps", target_is_directory=True)
    (root / "ant" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    source = image_folder(root, max_bad_images=1)
    assert source.class_names == ("ant", "bee")
    assert sum(split.size for split in source.splits.values()) == 12
    (note,) = source.notes
    assert note == f"Left out, as it cannot be read: {root}/ant/lost.png: No such file or directory"


def test_file_names_of_any_kind_are_read(root):
    write_classes(root, {"ant": 1, "bee": 1})
    odd = ["a b.png", "ü€.png", "[x]*?.png", "new\nline.png", "%s{0}.png", "'\".png"]
    for name in odd:
        write_image(root / "ant" / name)
    try:
        write_image(root / "ant" / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    source = image_folder(root)
    seen = sum(
        len(labels)
        for split in source.splits.values()
        for _, labels in evaluation_batches(split, 4, (8, 8))
    )
    assert seen == 9


def test_an_unreadable_name_that_is_not_utf_8_can_be_printed(root):
    write_classes(root, {"ant": 3})
    try:
        (root / "ant" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    (note,) = image_folder(root, max_bad_images=1).notes
    assert note.encode().endswith(rb"ant/caf\xe9.png: the file is empty")


# === Bad input ===


def expect(message, root, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        image_folder(root, **arguments)


def test_a_missing_folder(root):
    expect(f"Expected a folder of class folders at {root}, found nothing: pass data_dir.", root)


def test_a_file_in_place_of_the_folder(root):
    root.write_text("")
    expect(f"Expected a folder of class folders at {root}, found a file: pass data_dir.", root)


ENDINGS = ".jpg, .jpeg, .png, .bmp, .gif"


def test_a_folder_without_folders(root):
    write_image(root / "lonely.png")
    expect(f"Expected class folders of {ENDINGS} files in {root}, found no folder.", root)


def test_class_folders_without_images(root):
    (root / "ant").mkdir(parents=True)
    (root / "bee").mkdir()
    (root / "bee" / "notes.txt").write_text("")
    expect(
        f"Expected class folders of {ENDINGS} files in {root}, found class folders without images.",
        root,
    )


def test_an_empty_class_folder(root):
    write_classes(root, {"ant": 2, "bee": 2})
    (root / "cat").mkdir()
    (root / "dog").mkdir()
    expect(
        f"Expected images in every class folder of {root}; empty: cat, dog. Add images or remove "
        "the folder.",
        root,
    )


def test_splits_of_different_classes(root):
    write_classes(root / "train", {"ant": 1, "bee": 1, "cat": 1})
    write_classes(root / "val", {"ant": 1, "bee": 1, "dog": 1})
    expect(
        f"Expected the same class folders in {root}/train and {root}/val; only one of them has: "
        "cat, dog.",
        root,
    )


def test_a_class_folder_that_is_not_utf_8(root):
    write_classes(root, {"ant": 2})
    try:
        (root / os.fsdecode(b"caf\xe9")).mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    expect(
        f"Expected class folders with names in UTF-8, received {b'caf' + bytes([0xE9])!r} in "
        f"{root}: rename it.",
        root,
    )


def test_one_image_a_class_leaves_no_validation(root):
    write_classes(root, {"ant": 1, "bee": 1})
    expect(f"Expected images to read for the split 'validation' of {root}: none.", root)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_files_and_folders_that_may_not_be_read(root):
    write_classes(root, {"ant": 5, "bee": 5})
    (root / "ant" / "000.png").chmod(0)
    source = image_folder(root, max_bad_images=1)
    assert source.notes == (
        f"Left out, as it cannot be read: {root}/ant/000.png: Permission denied",
    )
    (root / "bee").chmod(0)
    try:
        expect(f"Expected to read the folder {root}/bee: Permission denied.", root)
    finally:
        (root / "bee").chmod(0o755)


# === Broken images ===


def truncated_jpeg(folder):
    path = write_image(folder / "short.jpg", size=(40, 40))
    path.write_bytes(path.read_bytes()[:-200])
    return path, "JPEG data truncated or damaged"


def text_named_jpg(folder):
    path = folder / "text.jpg"
    path.write_text("once upon a time")
    return path, "not an image, or its header is damaged"


def empty_file(folder):
    path = folder / "empty.gif"
    path.write_bytes(b"")
    return path, "the file is empty"


def damaged_png(folder):
    path = write_image(folder / "bits.png", size=(40, 40))
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 0xFF
    path.write_bytes(contents)
    return path, "PNG data truncated or damaged"


def damaged_header(folder):
    path = write_image(folder / "head.png")
    path.write_bytes(b"\x89PNG" + path.read_bytes()[10:])
    return path, "not an image, or its header is damaged"


def bmp_with_palette(folder):
    path = folder / "palette.bmp"
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8, 1).repeat(3, -1) * [1, 2, 3]
    Image.fromarray(pixels.astype(np.uint8)).quantize(16).save(path)
    return path, "a BMP with a palette; save it as PNG"


def bmp_of_two_colours(folder):
    path = folder / "two.bmp"
    Image.new("1", (8, 8)).save(path)
    return path, "a BMP with a palette; save it as PNG"


BREAKAGES = [
    truncated_jpeg,
    text_named_jpg,
    empty_file,
    damaged_png,
    damaged_header,
    bmp_with_palette,
    bmp_of_two_colours,
]


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_broken_image_is_named_and_counted(root, breakage):
    write_classes(root / "train", {"ant": 3, "bee": 3})
    write_classes(root / "val", {"ant": 3, "bee": 3})
    path, reason = breakage(root / "val" / "bee")
    # The second time the cache knows of the others.
    for _ in range(2):
        expect(
            f"1 of 13 images in {root} cannot be read, and max_bad_images is 0: repair or remove "
            f"them, or raise the limit.\n  {path}: {reason}",
            root,
        )
    source = image_folder(root, max_bad_images=1)
    assert source.notes == (f"Left out, as it cannot be read: {path}: {reason}",)
    assert source.split("train").unreadable == ()
    validation = source.split("validation")
    assert [(each.path, each.reason) for each in validation.unreadable] == [(str(path), reason)]
    assert validation.size == 6
    assert str(path) not in [each for each, _ in listed(validation)]


def test_broken_images_of_a_flat_folder_are_unreadable_in_their_split(root):
    write_classes(root, {"ant": 10, "bee": 10})
    held_out = names(image_folder(root).split("validation"), root)
    others = sorted(
        {f"{name}/{i:03}.png" for name in ("ant", "bee") for i in range(10)} - {*held_out}
    )
    for name in (*others[:2], held_out[0]):
        (root / name).write_bytes(b"")
    source = image_folder(root, max_bad_images=3)
    # The split itself is as before.
    assert names(source.split("validation"), root) == held_out[1:]
    assert [each.path for each in source.split("validation").unreadable] == [
        str(root / held_out[0])
    ]
    assert sum(len(split.unreadable) for split in source.splits.values()) == 3


def test_many_broken_images_are_named_in_part(root):
    write_classes(root, {"ant": 5, "bee": 5})
    for i in range(25):
        (root / "ant" / f"x{i:02}.jpg").write_bytes(b"")
    with pytest.raises(InputError) as raised:
        image_folder(root, max_bad_images=24)
    first, *lines = str(raised.value).splitlines()
    assert first.startswith(f"25 of 35 images in {root} cannot be read, and max_bad_images is 24")
    assert len(lines) == 21
    assert len({line.split(":")[0] for line in lines[:20]}) == 20
    assert lines[20] == "  and 5 more"


def test_a_split_of_broken_images_only(root):
    write_classes(root / "train", {"ant": 2})
    (root / "val" / "ant").mkdir(parents=True)
    (root / "val" / "ant" / "0.png").write_bytes(b"")
    expect(
        f"Expected images to read for the split 'validation' of {root}: none.",
        root,
        max_bad_images=5,
    )


# === Unusual images ===


def test_cmyk_and_sixteen_bits_are_read_and_noted(root):
    write_classes(root / "train", {"ant": 1})
    write_classes(root / "val", {"ant": 1})
    flat = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for name in ("a.jpg", "b.jpg"):
        flat.save(root / "val" / "ant" / name, quality=100)
    samples = np.full((16, 16), 0x80FF, np.uint16)
    Image.fromarray(samples).save(root / "val" / "ant" / "c.png")
    source = image_folder(root)
    assert source.notes == (
        "2 CMYK images, converted to RGB.",
        "1 16-bit images, read with 8 bits.",
    )
    (images, _), *_ = evaluation_batches(source.split("validation"), 4, (16, 16))
    # After 000.png: cyan twice, and the upper eight bits of 0x80ff.
    expected = np.broadcast_to([[0, 255, 255], [0, 255, 255], [0x80] * 3], (16, 16, 3, 3))
    np.testing.assert_allclose(images[1:], expected.transpose(2, 0, 1, 3), atol=2)


def test_gray_and_colour_and_sizes_mix(root):
    write_image(root / "train" / "ant" / "0.png", mode="L", size=(5, 40))
    write_image(root / "train" / "ant" / "1.jpg", mode="L", size=(30, 30))
    write_image(root / "train" / "ant" / "2.gif", size=(64, 20))
    write_image(root / "train" / "ant" / "3.bmp", size=(1, 1))
    write_classes(root / "val", {"ant": 1})
    (images, labels), *_ = evaluation_batches(image_folder(root).split("train"), 8, (16, 16))
    assert images.shape == (4, 16, 16, 3)
    assert labels.numpy().tolist() == [0] * 4
    np.testing.assert_array_equal(images[:2, ..., 0], images[:2, ..., 2])
