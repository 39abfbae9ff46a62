"""How fast the layers and networks are, against the originals' algorithms in plain PyTorch.

    python benchmarks/layers.py --cases "resnet50*" --output figures.json

For every case both sides are built with the same weights and inputs, and first have to agree on
the output and on every gradient. Then they take turns, each in a process of its own: tfbio in a
`tf.function`, PyTorch as the original computes it. Printed are medians of the turns, warmed up,
float32; the first call, with tracing and compiling, and the peak memory stand apart.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import importlib.util
import json
import os
import platform
import statistics
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

# The checkout's tfbio, installed or not; child processes get the same path.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from cases import CASES, Case, matching
from processes import SideError, SideProcess
from sides import FORWARD, FORWARD_BACKWARD, OURS, OURS_JIT, THEIRS, Arrays

Turns = dict[str, dict[str, list[float]]]

MODES = (FORWARD, FORWARD_BACKWARD)
_TOLERANCE = 1e-4
_NO_TARGET = "-"
# Of the machine; above it other programs ran, and times are not to be trusted.
_QUIET = 0.05


class DifferentWorkError(RuntimeError):
    """The two sides do not compute the same."""


@dataclasses.dataclass
class Measurement:
    """What was measured of one case; every dict is by side, times also by mode.

    Attributes:
        case: name of the case.
        milliseconds: median of the turns.
        turns: milliseconds of every turn.
        first_call: seconds.
        memory: peak growth of a fresh process in forward+backward, bytes.
        errors: of our output and gradients against theirs, relative, in the Euclidean norm.
        versions: of the libraries.
    """

    case: str
    milliseconds: dict[str, dict[str, float]]
    turns: Turns
    first_call: dict[str, dict[str, float]]
    memory: dict[str, int]
    errors: dict[str, dict[str, float]]
    versions: dict[str, str]


# === Measuring ===


def measure(case: Case, sides: list[str], repeats: int, threads: int) -> Measurement:
    """One case on all sides, in turn.

    Args:
        case: what to compute.
        sides: tfbio, PyTorch, and perhaps tfbio with `jit_compile`.
        repeats: turns of each side.
        threads: of each side.

    Raises:
        DifferentWorkError: the sides do not agree.
        SideError: a side failed.
    """
    turns: Turns = {side: {mode: [] for mode in MODES} for side in sides}
    first_call: dict[str, dict[str, float]] = {side: {} for side in sides}
    with ExitStack() as stack:
        running = {side: stack.enter_context(SideProcess(side, case, threads)) for side in sides}
        state = running[OURS].ask("state")
        running[THEIRS].ask("load", state)
        errors = {}
        # The output first: training changes the running statistics, each library in its way.
        for mode, kind in ((FORWARD, "output"), (FORWARD_BACKWARD, "gradients")):
            for side, process in running.items():
                first_call[side][mode] = process.ask("first_call", mode)
            arrays = {side: process.ask(kind) for side, process in running.items()}
            for side in sides:
                if side != THEIRS:
                    found = compare(
                        f"{case.name}, {side}",
                        arrays[side],
                        arrays[THEIRS],
                        _TOLERANCE if mode == FORWARD else case.gradient_tolerance,
                    )
                    errors[side] = {**errors.get(side, {}), **found}
        versions = {side: process.ask("version") for side, process in running.items()}
        for mode in MODES:
            last = dict.fromkeys(sides, first_call[THEIRS][mode])
            for _ in range(repeats):
                for side, process in running.items():
                    last[side] = process.ask("turn", mode, last[side])
                    turns[side][mode].append(1000 * last[side])
    return Measurement(
        case.name,
        {
            side: {mode: statistics.median(of_mode) for mode, of_mode in of_side.items()}
            for side, of_side in turns.items()
        },
        turns,
        first_call,
        {side: _memory(side, case, state, threads) for side in sides},
        errors,
        versions,
    )


def compare(name: str, ours: Arrays, theirs: Arrays, tolerance: float) -> dict[str, float]:
    """Relative errors, in the Euclidean norm, of the output or of every gradient.

    Raises:
        DifferentWorkError: one is missing, or beyond the tolerance.
    """
    if ours.keys() != theirs.keys():
        raise DifferentWorkError(
            f"Expected the same results of {name} and PyTorch, received only on one side: "
            f"{', '.join(sorted(ours.keys() ^ theirs.keys()))}."
        )
    errors = {}
    for key, array in ours.items():
        if array.shape == theirs[key].shape:
            difference = np.linalg.norm(array - theirs[key])
            errors[key] = float(difference / np.linalg.norm(theirs[key]))
        if not errors.get(key, np.inf) <= tolerance:
            raise DifferentWorkError(
                f"Expected the {key} of {name} to agree with PyTorch to {tolerance:g}, received "
                f"shapes {array.shape} and {theirs[key].shape}, relative error "
                f"{errors.get(key, np.nan):.1e}: the two sides do not do the same work."
            )
    return errors


def _memory(side: str, case: Case, state: Arrays, threads: int) -> int:
    with SideProcess(side, case, threads) as process:
        if side == THEIRS:
            process.ask("load", state)
        else:
            process.ask("version")  # builds it
        return process.ask("memory", FORWARD_BACKWARD)


# === Printing ===


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
    libraries = "; ".join(versions[side] for side in (OURS, THEIRS))
    return (
        f"{where['date']}; {where['cpu']}, {where['cores']} cores, {where['threads']} threads on "
        f"each side, {_percent(where['others'])} of the machine taken by other programs; "
        f"Python {where['python']}, NumPy {where['numpy']}; {libraries}"
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


def time_table(measured: list[Measurement], mode: str) -> list[list[str]]:
    """Rows of the times of a mode."""
    sides = list(measured[0].milliseconds)
    jit = OURS_JIT in sides
    header = [mode, "tfbio ms", "PyTorch ms", "ratio", "target", "met"]
    header += ["with jit_compile ms", "ratio"] if jit else []
    header += ["first call s", "PyTorch first call s"]
    rows = [header]
    for each in measured:
        times = {side: each.milliseconds[side][mode] for side in sides}
        target = getattr(_targets(each.case), mode.replace("+", "_"))
        ratio = times[THEIRS] / times[OURS]
        row = [
            each.case, _figure(times[OURS]), _figure(times[THEIRS]), *_against(ratio, target)
        ]  # fmt: skip
        if jit:
            row += [_figure(times[OURS_JIT]), f"{_figure(times[THEIRS] / times[OURS_JIT])}x"]
        rows.append([*row, *(f"{each.first_call[side][mode]:.2f}" for side in (OURS, THEIRS))])
    return rows


def memory_table(measured: list[Measurement]) -> list[list[str]]:
    """Rows of the peak memory."""
    rows = [["peak memory, forward+backward", "tfbio MB", "PyTorch MB", "ratio", "target", "met"]]
    for each in measured:
        ours, theirs = each.memory[OURS], each.memory[THEIRS]
        ratio = theirs / max(ours, 1)
        rows.append(
            [
                each.case,
                f"{ours / 1e6:.0f}",
                f"{theirs / 1e6:.0f}",
                *_against(ratio, _targets(each.case).memory),
            ]
        )
    return rows


def _targets(name: str) -> Any:
    return next(case.targets for case in CASES if case.name == name)


def _figure(number: float) -> str:
    """Three digits that mean something."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _against(ratio: float, target: float | None) -> tuple[str, str, str]:
    if target is None:
        return f"{_figure(ratio)}x", _NO_TARGET, _NO_TARGET
    return f"{_figure(ratio)}x", f"{target:g}x", "yes" if ratio >= target else "no"


def print_table(rows: list[list[str]]) -> None:
    """A table that is Markdown and can be read as it is."""
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


# === The command ===


def main(arguments: list[str] | None = None) -> int:
    """Reads the flags, measures, prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="*", help="globs of names, separated by commas")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--jit", action="store_true", help="measure jit_compile=True as well")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    values = parser.parse_args(arguments)
    cases = matching(values.cases)
    if not cases:
        known = ", ".join(case.name for case in CASES)
        return _mistake(f"No case matches {values.cases!r}. Cases: {known}.")
    if values.repeats < 1 or values.threads < 1:
        return _mistake("Expected `--repeats` and `--threads` to be 1 or more.")
    if importlib.util.find_spec("torch") is None:
        return _mistake(
            "The other side of the measurement is PyTorch, which is not installed: "
            "pip install 'tfbio[torch]'"
        )
    sides = [OURS, THEIRS, OURS_JIT] if values.jit else [OURS, THEIRS]
    where, others = machine(values.threads), OtherPrograms()
    measured, failed = [], False
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        try:
            measured.append(measure(case, sides, values.repeats, values.threads))
        except (DifferentWorkError, SideError) as error:
            print(f"{case.name}: {error}", file=sys.stderr)
            failed = True
    if not measured:
        return 1
    where["others"] = others.share()
    print(machine_line(where, measured[0].versions))
    print()
    if (where["others"] or 0) > _QUIET:
        print("Other programs were running: measure again when the machine is quiet.\n")
    for mode in MODES:
        print_table(time_table(measured, mode))
    print_table(memory_table(measured))
    print(
        f"Medians of {values.repeats} turns; a ratio is PyTorch's time or memory over tfbio's.\n"
        f"Memory: growth of the resident set of a fresh process, at its peak in the first three\n"
        f"calls (with tracing), over what it has after imports, building and making of inputs."
    )
    if values.output:
        figures = {
            "machine": where,
            "cases": [
                {**dataclasses.asdict(each), "targets": dataclasses.asdict(_targets(each.case))}
                for each in measured
            ],
        }
        values.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if failed else 0


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
