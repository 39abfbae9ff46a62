"""Finding data sets that were downloaded by hand, and reading their archives in place."""

import io
import os
import re
import tarfile
import tracemalloc
import zipfile

import pytest

from tfbio.datasets.download import Download, find_download
from tfbio.datasets.manual import open_files, unreadable_images, walk_tar
from tfbio.datasets.shapes import Shapes
from tfbio.datasets.source import UnreadableImage
from tfbio.datasets.verification import refuse_unreadable
from tfbio.errors import InputError

TOYS = Download(
    archives=("toys.zip", "toys-v1.zip"),
    folders=("toys", "deep/toys"),
    holds=("names.txt", "images"),
    page="https://toys.example",
    size="3 MB",
)
CONTENTS = {"names.txt": b"ball\n", "images/ball/0.jpg": bytes(range(256)) * 9, "images/1.jpg": b""}


def write(folder):
    for name, contents in CONTENTS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(contents)
    return folder


def zipped(path, top="toys/"):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, contents in CONTENTS.items():
            archive.writestr(f"{top}{name}", contents)
    return path


def tarred(path, top="toys/"):
    with tarfile.open(path, "w") as archive:
        for name, contents in CONTENTS.items():
            member = tarfile.TarInfo(f"{top}{name}")
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return path


# === Finding ===


@pytest.mark.parametrize("place", ["", "toys", "deep/toys"])
@pytest.mark.parametrize("root", ["downloads/manual", "."])
def test_an_unpacked_folder_is_found(tmp_path, root, place):
    folder = write(tmp_path / root / place)
    assert find_download("toys", TOYS, tmp_path).samefile(folder)


@pytest.mark.parametrize("name", TOYS.archives)
def test_an_archive_is_found(tmp_path, name):
    assert find_download("toys", TOYS, tmp_path, zipped(tmp_path / name).parent).name == name


def test_the_manual_folder_comes_first_and_the_unpacked_before_the_packed(tmp_path):
    manual = tmp_path / "downloads" / "manual"
    write(tmp_path / "toys")
    manual.mkdir(parents=True)
    zipped(manual / "toys.zip")
    assert find_download("toys", TOYS, tmp_path) == manual / "toys.zip"
    write(manual / "toys")
    assert find_download("toys", TOYS, tmp_path) == manual / "toys"


def test_a_folder_of_the_right_name_with_other_things_is_not_it(tmp_path):
    # TFDS keeps what it has prepared in a folder of the data set's name.
    (tmp_path / "toys" / "1.0.0").mkdir(parents=True)
    with pytest.raises(InputError, match="found neither"):
        find_download("toys", TOYS, tmp_path)


def test_the_home_folder_may_be_written_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "data" / "toys")
    assert find_download("toys", TOYS, "~/data") == tmp_path / "data" / "toys"


# === Reading ===


@pytest.mark.parametrize("top", ["toys/", "./toys/", "home/user/toys/", ""])
def test_folder_zip_and_tar_hold_the_same_files(tmp_path, top):
    expected = sorted(CONTENTS.items())
    folder = write(tmp_path / "toys")
    for path in (folder, zipped(tmp_path / "a.zip", top), tarred(tmp_path / "a.tar", top)):
        files = open_files(path, "toys")
        assert list(files.items()) == expected
        assert len(files) == 3
        assert "images/1.jpg" in files
        assert "images/2.jpg" not in files
        with pytest.raises(KeyError):
            files["images/2.jpg"]
        part = open_files(path, "toys", ("names.txt", "images/ball/"))
        assert list(part) == ["images/ball/0.jpg", "names.txt"]


@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_a_damaged_archive_is_refused(tmp_path, ending):
    path = {"zip": zipped, "tar": tarred}[ending](tmp_path / f"toys.{ending}")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 3], b"", b"<html>not found</html>" * 99):
        path.write_bytes(damaged)
        with pytest.raises(
            InputError, match=rf"whole and {ending}, received {re.escape(str(path))}"
        ):
            open_files(path, "toys")


def test_a_compressed_tar_is_refused(tmp_path):
    path = tmp_path / "toys.tar"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(write(tmp_path / "toys"), "toys")
    with pytest.raises(InputError, match="whole and tar"):
        open_files(path, "toys")


def test_a_part_of_a_tar_is_walked_by_itself(tmp_path):
    path = tmp_path / "long.tar"
    names = [f"{'deep/' * 30}{i}" for i in range(6)]
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for i, name in enumerate(names):
            member = tarfile.TarInfo(name)
            member.size = 600 * i
            archive.addfile(member, io.BytesIO(bytes([i]) * member.size))
    members = list(walk_tar(path))
    assert [member.name for member in members] == names
    part = list(walk_tar(path, members[2].offset, members[4].offset))
    assert [member.name for member in part] == names[2:4]
    assert [member.offset_data for member in part] == [each.offset_data for each in members[2:4]]


def test_walking_a_tar_remembers_no_headers(tmp_path):
    def peak(count):
        path = tmp_path / f"{count}.tar"
        with tarfile.open(path, "w") as archive:
            for i in range(count):
                archive.addfile(tarfile.TarInfo(f"{i:06}"))
        tracemalloc.start()
        assert sum(1 for _ in walk_tar(path)) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(10)
    # Kept, a header takes more than 500 bytes.
    assert peak(3000) < peak(300) + 100_000


# === Unreadable images ===


def test_unreadable_images_are_counted_against_the_limit():
    bad = [UnreadableImage(f"{i}.jpg", "the file is empty") for i in range(23)]
    refuse_unreadable(bad, 100, "toys", 23)
    with pytest.raises(InputError) as error:
        refuse_unreadable(bad, 100, "toys", 22)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("23 of 100 images in toys cannot be read, and max_bad_images is 22")
    assert lines[1:21] == [f"  {i}.jpg: the file is empty" for i in range(20)]
    assert lines[21:] == ["  and 3 more"]


def test_other_builders_have_no_unreadable_images(tmp_path):
    assert unreadable_images(Shapes(data_dir=os.fspath(tmp_path))) == ()
