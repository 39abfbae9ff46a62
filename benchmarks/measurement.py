"""One case on all sides: first they agree, then they take turns."""

from __future__ import annotations

import dataclasses
import statistics
from contextlib import ExitStack

import numpy as np
from cases import FORWARD, Case, Targets
from processes import SideProcess
from sides import OURS, THEIRS, Arrays

Turns = dict[str, dict[str, list[float]]]

_TOLERANCE = 1e-4


class DifferentWorkError(RuntimeError):
    """The two sides do not compute the same."""


@dataclasses.dataclass
class Measurement:
    """What was measured of one case; every dict is by side, times also by mode.

    Attributes:
        case: name of the case.
        targets: of the case.
        milliseconds: median of the turns.
        turns: milliseconds of every turn.
        first_call: seconds.
        memory: peak growth of a fresh process in the last of the modes, bytes.
        errors: of our output and gradients against theirs, relative, in the Euclidean norm.
        versions: of the libraries.
    """

    case: str
    targets: Targets
    milliseconds: dict[str, dict[str, float]]
    turns: Turns
    first_call: dict[str, dict[str, float]]
    memory: dict[str, int]
    errors: dict[str, dict[str, float]]
    versions: dict[str, str]

    @property
    def modes(self) -> tuple[str, ...]:
        """What was timed."""
        return tuple(self.milliseconds[OURS])


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
    turns: Turns = {side: {mode: [] for mode in case.modes} for side in sides}
    first_call: dict[str, dict[str, float]] = {side: {} for side in sides}
    with ExitStack() as stack:
        running = {side: stack.enter_context(SideProcess(side, case, threads)) for side in sides}
        state = running[OURS].ask("state")
        running[THEIRS].ask("load", state)
        errors = {}
        # The output first: training changes the running statistics, each library in its way.
        for mode in case.modes:
            for side, process in running.items():
                first_call[side][mode] = process.ask("first_call", mode)
            kind = "output" if mode == FORWARD else "gradients"
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
        for mode in case.modes:
            last = dict.fromkeys(sides, first_call[THEIRS][mode])
            for _ in range(repeats):
                for side, process in running.items():
                    last[side] = process.ask("turn", mode, last[side])
                    turns[side][mode].append(1000 * last[side])
    return Measurement(
        case.name,
        case.targets,
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
        return process.ask("memory", case.modes[-1])
