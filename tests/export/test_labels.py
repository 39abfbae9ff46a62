import pytest

from tfbio.errors import InputError
from tfbio.export.labels import check_labels, load_labels


@pytest.mark.parametrize("contents", [b"cat\np\xc3\xa1jaro\n", b"cat\r\np\xc3\xa1jaro"])
def test_one_label_a_line(tmp_path, contents):
    (tmp_path / "labels.txt").write_bytes(contents)
    assert load_labels(str(tmp_path / "labels.txt")) == ["cat", "pájaro"]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "No such file or directory; give another file"),
        (b"caf\xe9\n", "can't decode .*; give another file"),
        (b"cat\n\ndog\n", "not empty, received '' for class 1: change this label"),
    ],
)
def test_files_that_are_no_labels(tmp_path, contents, message):
    path = tmp_path / "labels.txt"
    if contents is not None:
        path.write_bytes(contents)
    with pytest.raises(InputError, match=message):
        load_labels(path)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("cat", "Expected a list of labels, received the string 'cat'"),
        (["cat", ""], "received '' for class 1"),
        (["cat\r"], r"received 'cat\\r' for class 0"),
        ([3], "received 3 for class 0"),
    ],
)
def test_labels_that_cannot_be_lines(labels, message):
    with pytest.raises(InputError, match=message):
        check_labels(labels)
