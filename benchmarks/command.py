"""How fast tfbio is, against the originals' algorithms in plain PyTorch: the command.

For every case both sides are built with the same weights and inputs, and first have to agree on
the output and on every gradient. Then they take turns, each in a process of its own: tfbio in a
`tf.function`, PyTorch as the original computes it. Printed are medians of the turns, warmed up,
float32; the first call, with tracing and compiling, and the peak memory stand apart.

`layers.py` and `vone_block.py` list cases and call this.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cases import FORWARD, FORWARD_BACKWARD, Case, matching
from machine import OtherPrograms, machine, machine_line
from measurement import DifferentWorkError, measure
from processes import SideError, use_onednn
from sides import OURS, OURS_JIT, THEIRS
from tables import memory_table, print_table, time_table

# Of the machine; above it other programs ran, and times are not to be trusted.
_QUIET = 0.05


def main(description: str, known: Sequence[Case], arguments: list[str] | None = None) -> int:
    """Reads the flags, measures, prints.

    Args:
        description: of the command; the first line is printed with `--help`.
        known: the cases to choose from.
        arguments: flags, by default those of the process.

    Returns:
        The exit code: 2 for a mistake of the user, 1 if a case failed.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--cases", default="*", help="globs of names, separated by commas")
    parser.add_argument("--repeats", type=int, default=10, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2, help="threads of each side")
    parser.add_argument("--jit", action="store_true", help="measure jit_compile=True as well")
    parser.add_argument("--output", type=Path, help="write all figures to this JSON file")
    values = parser.parse_args(arguments)
    cases = matching(known, values.cases)
    if not cases:
        names = ", ".join(case.name for case in known)
        return _mistake(f"No case matches {values.cases!r}. Cases: {names}.")
    if values.repeats < 1 or values.threads < 1:
        return _mistake("Expected `--repeats` and `--threads` to be 1 or more.")
    if importlib.util.find_spec("torch") is None:
        return _mistake(
            "The other side of the measurement is PyTorch, which is not installed: "
            "pip install 'tfbio[torch]'"
        )
    # The checkout's tfbio, installed or not; child processes get the same path.
    sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
    use_onednn()
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
    for table in (time_table, memory_table):
        for mode in (FORWARD, FORWARD_BACKWARD):
            print_table(table(measured, mode))
    print(
        f"Medians of {values.repeats} turns; a ratio is PyTorch's time or memory over tfbio's.\n"
        f"Memory: growth of the resident set of a fresh process, at its peak in the first three\n"
        f"calls (with tracing), over what it has after imports, building and making of inputs."
    )
    if values.output:
        figures = {
            "machine": where,
            "cases": [dataclasses.asdict(each) for each in measured],
        }
        values.output.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if failed else 0


def _mistake(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2
