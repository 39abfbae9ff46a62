"""Measurements as tables."""

from __future__ import annotations

from measurement import Measurement
from sides import OURS, OURS_JIT, THEIRS

_NO_TARGET = "-"


def time_table(measured: list[Measurement], mode: str) -> list[list[str]]:
    """A header, and a row of times for each case that has the mode."""
    jit = OURS_JIT in measured[0].milliseconds
    header = [mode, "tfbio ms", "PyTorch ms", "ratio", "target", "met"]
    header += ["with jit_compile ms", "ratio"] if jit else []
    header += ["first call s", "PyTorch first call s"]
    rows = [header]
    for each in measured:
        if mode not in each.modes:
            continue
        times = {side: of_side[mode] for side, of_side in each.milliseconds.items()}
        target = getattr(each.targets, mode.replace("+", "_"))
        ratio = times[THEIRS] / times[OURS]
        row = [each.case, _figure(times[OURS]), _figure(times[THEIRS]), *_against(ratio, target)]
        if jit:
            row += [_figure(times[OURS_JIT]), f"{_figure(times[THEIRS] / times[OURS_JIT])}x"]
        rows.append([*row, *(f"{each.first_call[side][mode]:.2f}" for side in (OURS, THEIRS))])
    return rows


def memory_table(measured: list[Measurement], mode: str) -> list[list[str]]:
    """A header, and a row of the peak memory for each case of which the mode is the last."""
    rows = [[f"peak memory, {mode}", "tfbio MB", "PyTorch MB", "ratio", "target", "met"]]
    for each in measured:
        if mode != each.modes[-1]:
            continue
        ours, theirs = each.memory[OURS], each.memory[THEIRS]
        ratio = theirs / max(ours, 1)
        rows.append(
            [
                each.case,
                f"{ours / 1e6:.0f}",
                f"{theirs / 1e6:.0f}",
                *_against(ratio, each.targets.memory),
            ]
        )
    return rows


def _figure(number: float) -> str:
    """Three digits that mean something."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _against(ratio: float, target: float | None) -> tuple[str, str, str]:
    if target is None:
        return f"{_figure(ratio)}x", _NO_TARGET, _NO_TARGET
    return f"{_figure(ratio)}x", f"{target:g}x", "yes" if ratio >= target else "no"


def print_table(rows: list[list[str]]) -> None:
    """A table that is Markdown and can be read as it is; nothing if it has only a header."""
    if len(rows) == 1:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    print(line(rows[0]))
    print(f"|{'|'.join('-' * (w + 1) + (':' if c else '-') for c, w in enumerate(widths))}|")
    for row in rows[1:]:
        print(line(row))
    print()
