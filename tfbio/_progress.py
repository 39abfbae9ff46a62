"""Progress bars, for a terminal and for a file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

# Between two lines of a bar in a file.
_SECONDS = 10.0


def progress_bar(
    iterable: Iterable[Any] | None = None,
    *,
    total: int,
    unit: str = "it",
    desc: str | None = None,
    initial: int = 0,
    delay: float = 0.0,
    leave: bool = False,
) -> tqdm:
    """A bar on standard error that moves on in place, or in a file a line every ten seconds.

    Args:
        iterable: what to go through; None for a bar that `update` moves on.
        total: number of units.
        unit: what is counted.
        desc: what stands before the bar.
        initial: units that were done before.
        delay: seconds before the bar appears.
        leave: the bar stays on the screen when all is done. In a file its last line stays anyway.

    Returns:
        A bar of tqdm, to be used in a `with` statement or gone through.

    Example:
        >>> with progress_bar(total=3, unit="image") as bar:
        ...     for _ in range(3):
        ...         _ = bar.update()
        >>> bar.n
        3
    """
    arguments: dict[str, Any] = {
        "total": total,
        "unit": unit,
        "desc": desc,
        "initial": initial,
        "delay": delay,
    }
    if _is_overwritten(sys.stderr):
        return tqdm(iterable, **arguments, leave=leave, dynamic_ncols=True)
    # With a position of its own, a bar below another does not move the cursor between them.
    return tqdm(iterable, **arguments, leave=True, position=0, ascii=True, file=_Lines(sys.stderr))


def _is_overwritten(stream: TextIO) -> bool:
    """Whether what follows a carriage return replaces the line: in terminals and notebooks."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel.")


class _Lines:
    """Takes what tqdm writes to a terminal; passes on a line every ten seconds, and the last."""

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._line = ""
        self._due = time.monotonic() + _SECONDS

    def write(self, text: str) -> None:
        self._line = text.strip() or self._line
        # A bar that is closed ends its line.
        closed = text.endswith("\n")
        if self._line and (closed or time.monotonic() >= self._due):
            self._stream.write(f"{self._line}\n")
            self._stream.flush()
            self._line = ""
            self._due = time.monotonic() + _SECONDS

    def flush(self) -> None:
        self._stream.flush()
