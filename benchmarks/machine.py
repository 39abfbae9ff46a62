"""Where a measurement was made, and whether other programs ran meanwhile."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sides import OURS, THEIRS


def machine(threads: int) -> dict[str, Any]:
    """Where and when this was measured."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def machine_line(where: dict[str, Any], versions: dict[str, str]) -> str:
    """The machine and the libraries in one line."""
    return library_line(where, [versions[side] for side in (OURS, THEIRS)])


def library_line(where: dict[str, Any], libraries: Sequence[str]) -> str:
    """The same for any libraries."""
    return (
        f"{where['date']}; {where['cpu']}, {where['cores']} cores, {where['threads']} threads on "
        f"each side, {_percent(where['others'])} of the machine taken by other programs; "
        f"Python {where['python']}, NumPy {where['numpy']}; {'; '.join(libraries)}"
    )


class OtherPrograms:
    """The share of the machine that other programs take from its making on; None if unknown."""

    def __init__(self):
        self._start = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        """Seconds of all cores that are past, that were busy, and that this command took."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        user, nice, system, idle, waiting, *others = map(
            int, stat.read_text().splitlines()[0].split()[1:9]
        )
        busy = user + nice + system + sum(others)
        own = os.times()
        tick = os.sysconf("SC_CLK_TCK")
        return (busy + idle + waiting) / tick, busy / tick, sum(own[:4])

    def share(self) -> float | None:
        """From 0 to 1; child processes count once they have ended."""
        now = self._now()
        if now is None or self._start is None:
            return None
        past, busy, own = (b - a for a, b in zip(self._start, now, strict=True))
        return max(0.0, busy - own) / past if past else 0.0


def _percent(share: float | None) -> str:
    return "an unknown part" if share is None else f"{share:.0%}"
