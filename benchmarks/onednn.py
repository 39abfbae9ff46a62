"""What oneDNN is worth on this CPU: the same network with it and without it, in turn.

    python benchmarks/onednn.py --repeats 10

TensorFlow reads `TF_ENABLE_ONEDNN_OPTS` when it is imported, so both sides are processes of their
own. Forward is inference, forward+backward is training without the optimizer's update: the
gradients of the input and of every trainable weight. PyTorch has no part in this.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from cases import Case, matching
from layers import CASES
from machine import OtherPrograms, library_line, machine
from processes import SideProcess
from sides import OURS
from tables import print_table

_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
# Of the machine; above it other programs ran, and times are not to be trusted.
_QUIET = 0.05
_SIDES = {"with": "1", "without": "0"}

# By side: milliseconds of every turn.
Turns = dict[str, list[float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the flags, measures, prints; the exit code is 2 for a mistake of the user."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="resnet50", help="globs of names, see layers.py")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    values = parser.parse_args(arguments)
    cases = matching(CASES, values.cases)
    if not cases or values.repeats < 1 or values.threads < 1:
        names = ", ".join(case.name for case in CASES)
        print(
            "Expected `--repeats` and `--threads` of 1 or more and some of these cases, received "
            f"{values.repeats}, {values.threads} and {values.cases!r}: {names}.",
            file=sys.stderr,
        )
        return 2
    # The checkout's tfbio, installed or not; child processes get the same path.
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    where, others = machine(values.threads), OtherPrograms()
    measured = {}
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        version, turns = measure(case, values.repeats, values.threads)
        measured[case.name] = turns
    where["others"] = others.share()
    print(library_line(where, [version]))
    print()
    if (where["others"] or 0) > _QUIET:
        print("Other programs were running: measure again when the machine is quiet.\n")
    print_table(_table(measured))
    print(
        f"Medians of {values.repeats} turns; a ratio is the time without oneDNN over that with it."
    )
    if values.output:
        figures = {"machine": where, "milliseconds": measured}
        values.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def measure(case: Case, repeats: int, threads: int) -> tuple[str, dict[str, Turns]]:
    """The version of the libraries, and the milliseconds of every turn by mode and side."""
    with ExitStack() as stack:
        sides = {}
        for side, value in _SIDES.items():
            # A process gets the environment of the moment it is started.
            os.environ[_VARIABLE] = value
            sides[side] = stack.enter_context(SideProcess(OURS, case, threads))
        version = sides["with"].ask("version")
        turns: dict[str, Turns] = {mode: {side: [] for side in sides} for mode in case.modes}
        for mode, of_mode in turns.items():
            last = {side: process.ask("first_call", mode) for side, process in sides.items()}
            for _ in range(repeats):
                for side, process in sides.items():
                    last[side] = process.ask("turn", mode, last[side])
                    of_mode[side].append(1000 * last[side])
    return version, turns


def _table(measured: dict[str, dict[str, Turns]]) -> list[list[str]]:
    rows = [["case", "mode", "with oneDNN ms", "without ms", "ratio"]]
    for name, of_case in measured.items():
        for mode, turns in of_case.items():
            ours, without = (statistics.median(turns[side]) for side in _SIDES)
            rows.append([name, mode, f"{ours:.0f}", f"{without:.0f}", f"{without / ours:.2f}x"])
    return rows


if __name__ == "__main__":
    sys.exit(main())
