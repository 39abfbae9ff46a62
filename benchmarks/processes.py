"""Sides in processes of their own, which compute when they are asked and wait otherwise."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import multiprocessing
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cases import Case
from sides import Side, make_side

# A turn lasts this long, or one call where a call takes longer.
_TURN_SECONDS = 0.4
# Below this, a turn starts with a call that is not timed: the other side had the caches.
_SHORT_CALL_SECONDS = 0.2
_CALLS_FOR_MEMORY = 3


class SideError(RuntimeError):
    """The other process failed; the message is its traceback."""


class SideProcess:
    """A side in a process of its own; used in a `with` statement.

    Args:
        name: of the side.
        case: what it computes.
        threads: it may use.
    """

    def __init__(self, name: str, case: Case, threads: int):
        # A fresh interpreter: nothing of the parent's memory or threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, other_end = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other_end, name, case, threads), daemon=True
        )
        self._process.start()
        other_end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_: Any):
        self._pipe.close()
        self._process.join(timeout=5)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def ask(self, request: str, *arguments: Any) -> Any:
        """The answer of the other process.

        Args:
            request: one of `version`, `state`, `load`, `output`, `gradients`, `first_call`,
                `turn`, `memory`.
            *arguments: of the request.

        Raises:
            SideError: it failed.
        """
        self._pipe.send((request, arguments))
        try:
            failed, answer = self._pipe.recv()
        except EOFError as error:
            raise SideError(f"The process ended at {request!r}, perhaps out of memory.") from error
        if failed:
            raise SideError(answer)
        return answer


def use_onednn() -> None:
    """Let the processes to come use oneDNN, as the commands do; PyTorch always does.

    `tfbio` has to be importable.
    """
    from tfbio.onednn import enable_onednn

    enable_onednn()


# === In the other process ===


def _serve(pipe: Any, name: str, case: Case, threads: int) -> None:
    side = None
    while True:
        try:
            request, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if side is None:
                side = make_side(name, case, threads)
            pipe.send((False, _REQUESTS[request](side, *arguments)))
        except Exception:  # all of them are the parent's to report
            pipe.send((True, traceback.format_exc()))


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    # Freed after the clock has stopped, on both sides.
    del result
    return seconds


def _first_call(side: Side, mode: str) -> float:
    """Seconds of the first call, with tracing and compiling where the library does that."""
    return _seconds(side.work(mode))


def _turn(side: Side, mode: str, last: float) -> float:
    """The median seconds of the calls of one turn; `last` says about how long a call takes."""
    work = side.work(mode)
    if last < _SHORT_CALL_SECONDS:
        _seconds(work)
    calls = [_seconds(work)]
    while sum(calls) < _TURN_SECONDS:
        calls.append(_seconds(work))
    return statistics.median(calls)


def _memory(side: Side, mode: str) -> int:
    """Bytes by which the process grows at its peak in the first calls.

    The baseline is what it has after imports, building, and making of inputs and weights. On
    Linux, memory that is free goes back to the system and the peak so far is forgotten first;
    elsewhere growth below them is not seen.
    """
    before = forget_peak()
    for _ in range(_CALLS_FOR_MEMORY):
        side.work(mode)()
    return max(0, peak_memory() - before)


def forget_peak() -> int:
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # of glibc
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Peak resident bytes of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


_REQUESTS: dict[str, Callable[..., Any]] = {
    "version": lambda side: side.version,
    "state": lambda side: side.state(),
    "load": lambda side, state: side.load(state),
    "output": lambda side: side.output(),
    "gradients": lambda side: side.gradients(),
    "first_call": _first_call,
    "turn": _turn,
    "memory": _memory,
}
