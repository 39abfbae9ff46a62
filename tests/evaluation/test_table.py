"""What every table can do: text, figure, files that are whole or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from tfbio.errors import InputError
from tfbio.evaluation import Table
from tfbio.evaluation.table import UNFINISHED, check_writable


@dataclass(frozen=True)
class Sizes(Table):
    sizes: tuple[float, ...]

    def rows(self):
        return [{"image": i, "size": size} for i, size in enumerate(self.sizes)]

    def draw(self, figure):
        figure.subplots().plot(self.sizes)


def test_a_table_of_ones_own_needs_rows_and_a_drawing(tmp_path):
    table = Sizes((32.0, 64.123456), notes=("Two images.",))
    assert str(table) == "Two images.\nimage   size\n    0     32\n    1  64.12"
    files = table.write(tmp_path / "new", {"model": "b_cnn", "paths": [tmp_path]})
    assert files == ["results.json", "results.csv", "results.png"]
    results = json.loads((tmp_path / "new" / "results.json").read_text())
    assert results == {"model": "b_cnn", "paths": [str(tmp_path)], "rows": table.rows()}
    assert (tmp_path / "new" / "results.csv").read_text().splitlines()[1] == "0,32.0"
    assert (tmp_path / "new" / "results.png").read_bytes().startswith(b"\x89PNG")


def test_facts_are_kept_and_make_the_title(tmp_path):
    table = Sizes((1.0,), facts={"model": "b_cnn", "dataset": "shapes", "split": "test"})
    figure = table.plot(tmp_path / "sizes.pdf")
    assert figure.get_suptitle() == "b_cnn on shapes"
    assert (tmp_path / "sizes.pdf").read_bytes().startswith(b"%PDF")
    assert Sizes((1.0,)).plot().get_suptitle() == ""
    long = Sizes((1.0,), facts={"model": "m" * 50, "dataset": "d" * 70}).plot()
    long.draw_without_rendering()
    title = long._suptitle.get_window_extent()
    assert title.x0 >= 0
    assert title.x1 <= long.bbox.width
    table.write(tmp_path)
    assert json.loads((tmp_path / "results.json").read_text())["split"] == "test"


def test_what_is_not_finite_is_null(tmp_path):
    Sizes((np.float32("nan"), np.inf)).write(tmp_path)
    text = (tmp_path / "results.json").read_text()
    rows = json.loads(text, parse_constant=pytest.fail)["rows"]
    assert [row["size"] for row in rows] == [None, None]


class Broken(Sizes):
    def draw(self, figure):
        raise RuntimeError("no figure")


def test_results_of_before_stay_until_all_is_written(tmp_path):
    Sizes((1.0,)).write(tmp_path)
    before = (tmp_path / "results.json").read_text()
    with pytest.raises(RuntimeError, match="no figure"):
        Broken((2.0,)).write(tmp_path)
    # `results.json` comes last: what it says is true of what is there.
    assert (tmp_path / "results.json").read_text() == before
    assert not list(tmp_path.glob(".partial*"))


def test_what_was_kept_on_the_way_goes_when_the_results_are_whole(tmp_path):
    (tmp_path / UNFINISHED / "abc").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="no figure"):
        Broken((1.0,)).write(tmp_path)
    assert (tmp_path / UNFINISHED).is_dir()
    Sizes((1.0,)).write(tmp_path)
    assert not (tmp_path / UNFINISHED).exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "results"
    with pytest.raises(InputError, match=r"cannot be written to .*file/results \(Not a directory"):
        Sizes((1.0,)).write(folder)
    with pytest.raises(InputError, match=r"cannot be written to .*file/results \(Not a directory"):
        check_writable(folder)
    check_writable(tmp_path / "not" / "there" / "yet")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
