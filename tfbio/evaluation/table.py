"""What every protocol returns: rows, a text, a figure, and the files of all three."""

from __future__ import annotations

import csv
import functools
import json
import math
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from tfbio.errors import InputError

# Parts of an evaluation that was interrupted, in the folder of its results.
UNFINISHED = "unfinished"
_FIGURE_DPI = 120
_RESULTS = "results.json"
# The facts that make the title of a figure, and how much of its width that may take.
_TITLE = ("model", "dataset")
_TITLE_WIDTH = 0.96


@dataclass(frozen=True, kw_only=True)
class Table(ABC):
    """What a protocol measured.

    A protocol's own table is a frozen dataclass that derives from this one. `rows` and `draw` are
    all that it must define.

    Attributes:
        facts: what was evaluated on what, and how. `tfbio.evaluate` fills them in; they go into
            `results.json`, and `model` and `dataset` into the title of the figure.
        notes: sentences that the user should see, such as which images were left out.
        figure_file: name of the figure's file, of the class.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Sizes(Table):
        ...     sizes: tuple[int, ...]
        ...     def rows(self):
        ...         return [{"image": i, "size": size} for i, size in enumerate(self.sizes)]
        ...     def draw(self, figure):
        ...         figure.subplots().plot(self.sizes)
        >>> print(Sizes((32, 64), notes=("Two images.",)))
        Two images.
        image  size
            0    32
            1    64
    """

    figure_file: ClassVar[str] = "results.png"

    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @abstractmethod
    def rows(self) -> list[dict[str, Any]]:
        """The table, a dict for each row, all with the same keys."""

    @abstractmethod
    def draw(self, figure: Figure) -> None:
        """Draw the table into an empty figure, which has a title already."""

    @property
    def figure_size(self) -> tuple[float, float]:
        """Width and height of the figure, inches."""
        return 4.8, 3.6

    def lines(self) -> list[str]:
        """The table as lines of text, for people."""
        rows = self.rows()
        columns = list(rows[0]) if rows else []
        cells = [[_cell(row[name]) for name in columns] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        return [
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True))
            for line in (columns, *cells)
        ]

    def results(self) -> dict[str, Any]:
        """What `results.json` says beside the facts."""
        return {"rows": self.rows()}

    def csv_files(self) -> dict[str, Sequence[Mapping[str, Any]]]:
        """The rows of every CSV file, by its name."""
        return {"results.csv": self.rows()}

    def format(self) -> str:
        """The notes and the table as text: what the command prints."""
        return "\n".join([*self.notes, *self.lines()])

    def __str__(self) -> str:
        return self.format()

    def plot(self, path: str | os.PathLike | None = None) -> Figure:
        """The table as a figure.

        Args:
            path: a file to write it to, such as a PNG or a PDF; None writes nothing.

        Returns:
            A figure of matplotlib.
        """
        figure = Figure(figsize=self.figure_size, layout="constrained")
        _set_title(figure, [str(self.facts[name]) for name in _TITLE if self.facts.get(name)])
        self.draw(figure)
        if path is not None:
            figure.savefig(path, dpi=_FIGURE_DPI)
        return figure

    def write(self, folder: str | os.PathLike, facts: Mapping[str, Any] | None = None) -> list[str]:
        """Write the results: `results.json`, CSV files and a figure.

        Every file appears whole or not at all, and `results.json` last.

        Args:
            folder: where to; made if it is not there.
            facts: in place of the table's own.

        Returns:
            The names of the files.

        Raises:
            InputError: the folder cannot be written to.
        """
        if facts is not None:
            return replace(self, facts=facts).write(folder)
        folder = Path(folder)
        results = {**self.facts, **self.results()}
        text = to_json(results)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, rows in self.csv_files().items():
                _write_whole(folder / name, functools.partial(_write_csv, rows=rows))
            _write_whole(folder / self.figure_file, self.plot)
            _write_whole(folder / _RESULTS, lambda path: path.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise unwritable(folder, error) from error
        shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
        return [_RESULTS, *self.csv_files(), self.figure_file]


def _set_title(figure: Figure, parts: Sequence[str]) -> None:
    """One line, or two where one is too long, smaller where two are."""
    if not parts:
        return
    title = figure.suptitle(" on ".join(parts))
    fits = _TITLE_WIDTH * figure.bbox.width
    if title.get_window_extent().width > fits:
        title.set_text("\non ".join(parts))
        title.set_fontsize(
            float(title.get_fontsize()) * min(1, fits / title.get_window_extent().width)
        )


def check_writable(folder: str | os.PathLike) -> None:
    """Refuse a folder that results could not be written to, before the work; nothing is made.

    Args:
        folder: where results will be written; it need not be there yet.

    Raises:
        InputError: neither the folder nor the nearest one above it can be written to.

    Example:
        >>> check_writable("/dev/null/results")
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: The results cannot be written to /dev/null/results (Not a
        directory): pass an --output that is writable.
    """
    nearest = Path(folder)
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        # Permissions alone do not tell: a disk may be read-only, or full.
        with tempfile.TemporaryFile(dir=nearest) as file:
            file.write(b"\0")
    except OSError as error:
        raise unwritable(folder, error) from error


def unwritable(folder: str | os.PathLike, error: OSError) -> InputError:
    """The error of results that cannot be written."""
    return InputError(
        f"The results cannot be written to {folder} ({error.strerror or error}): pass an "
        "--output that is writable."
    )


def to_json(value: Any) -> str:
    """JSON of dicts, lists, NumPy's arrays and numbers, and paths; what is not finite is null.

    Args:
        value: of these.

    Example:
        >>> import numpy as np
        >>> print(to_json({"top1": np.array([0.5, np.nan])}))
        {
          "top1": [
            0.5,
            null
          ]
        }
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def _write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let a file appear by renaming it. Its ending stays: it says what kind of figure it is."""
    partial = path.with_name(f".partial-{path.name}")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def _plain(value: Any) -> Any:
    """For JSON, which knows neither NumPy nor NaN."""
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, os.PathLike) else value


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
