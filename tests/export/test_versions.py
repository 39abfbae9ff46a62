import pytest

from tfbio.errors import InputError
from tfbio.export.versions import (
    check_writable,
    existing_versions,
    free_version,
    publish,
    staging_folder,
)


def test_versions_are_counted_as_tensorflow_serving_counts_them(tmp_path):
    for name in ("2", "0010", ".export-x", "latest", "3.5", "²", "-4"):
        (tmp_path / name).mkdir()
    assert existing_versions(tmp_path) == [2, 10]
    assert free_version(tmp_path) == 11
    assert free_version(tmp_path, 5) == 5
    with pytest.raises(InputError, match="received 10"):
        free_version(tmp_path, 10)


def test_a_failure_removes_the_folders_it_made_and_no_other(tmp_path):
    def fail(folder):
        with staging_folder(folder) as staging:
            (staging / "half").touch()
            raise KeyboardInterrupt

    (tmp_path / "kept").mkdir()
    with pytest.raises(KeyboardInterrupt):
        fail(tmp_path / "kept" / "made" / "model")
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]


def test_publish_passes_on_what_is_no_conflict(tmp_path):
    with pytest.raises(FileNotFoundError):
        publish(tmp_path / "missing", tmp_path / "1")


def test_a_check_leaves_a_folder_as_it_was(tmp_path):
    (tmp_path / "kept").mkdir()
    check_writable(tmp_path / "kept")
    check_writable(tmp_path / "kept" / "not" / "yet")
    assert list(tmp_path.rglob("*")) == [tmp_path / "kept"]
    (tmp_path / "file").write_text("kept")
    for path in (tmp_path / "file", tmp_path / "file" / "folder"):
        with pytest.raises(InputError, match=r"a folder that can be written, .*; give another out"):
            check_writable(path)
    assert (tmp_path / "file").read_text() == "kept"
