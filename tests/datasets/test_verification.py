"""What is remembered of a folder's images, and when it is checked again."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from tfbio.datasets import verification
from tfbio.datasets.verification import check_images


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tfbio"


@pytest.fixture
def paths(tmp_path):
    """Five images, one of them CMYK."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(4)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)).save(path)
    cmyk = folder / "ink.jpg"
    Image.frombytes("CMYK", (8, 9), rng.bytes(8 * 9 * 4)).save(cmyk)
    return [*paths, cmyk]


@pytest.fixture
def checked(monkeypatch):
    """The contents of what is decoded, as it happens."""
    contents = []
    decode = verification.decode_image
    monkeypatch.setattr(
        verification, "decode_image", lambda each: (contents.append(each), decode(each))[1]
    )
    return contents


def test_a_second_call_decodes_nothing(cache, paths, checked):
    first = check_images(paths)
    assert len(checked) == len(paths)
    assert first == ({}, {paths[-1]: "CMYK images, converted to RGB"})
    assert check_images(paths) == first
    assert len(checked) == len(paths)
    assert [path.suffix for path in cache.iterdir()] == [".json"]


def test_a_changed_file_is_checked_again(cache, paths, checked):
    check_images(paths)
    checked.clear()
    Image.new("RGB", (30, 30)).save(paths[1])
    assert check_images(paths)[0] == {}
    assert checked == [paths[1].read_bytes()]
    paths[2].write_bytes(paths[2].read_bytes()[:-20])
    bad, _ = check_images(paths)
    assert list(bad) == [paths[2]]
    assert len(checked) == 2


def test_a_touched_file_is_checked_again(cache, paths, checked):
    check_images(paths)
    checked.clear()
    os.utime(paths[0], ns=(1, 1))
    check_images(paths)
    assert checked == [paths[0].read_bytes()]


def test_new_files_are_checked_alone(cache, paths, checked):
    check_images(paths[:3])
    check_images(paths)
    assert len(checked) == len(paths)


def test_an_unreadable_file_is_checked_every_time(cache, paths):
    """A file that could not be opened may be readable now, of the same size and age."""
    whole, status = paths[0].read_bytes(), paths[0].stat()
    paths[0].write_bytes(bytes(len(whole)))
    assert list(check_images(paths)[0]) == [paths[0]]
    paths[0].write_bytes(whole)
    os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert check_images(paths)[0] == {}


def test_a_relative_path_is_the_same_folder(cache, paths, checked, monkeypatch):
    check_images(paths)
    monkeypatch.chdir(paths[0].parent.parent)
    check_images([path.relative_to(path.parent.parent) for path in paths])
    assert len(checked) == len(paths)


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[1, 2]", "null", '{"/0.png|1|2": 5}', '{"/0.png|1|2": ["x"]}', "\udcff"],
    ids=ascii,
)
def test_a_damaged_memory_does_no_harm(cache, paths, checked, damage):
    first = check_images(paths)
    (memory,) = cache.iterdir()
    memory.write_bytes(damage.encode(errors="surrogateescape"))
    assert check_images(paths) == first
    assert len(checked) == 2 * len(paths)
    assert len(json.loads(memory.read_text())) == len(paths)


def test_strange_verdicts_are_not_believed(cache, paths, checked):
    first = check_images(paths)
    (memory,) = cache.iterdir()
    memory.write_text(json.dumps(dict.fromkeys(json.loads(memory.read_text()), "printed")))
    assert check_images(paths) == first


def test_a_memory_that_cannot_be_written_does_no_harm(tmp_path, paths, checked, monkeypatch):
    file = tmp_path / "file"
    file.write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    first = check_images(paths)
    assert check_images(paths) == first
    assert len(checked) == 2 * len(paths)
    assert file.read_text() == "in the way"
