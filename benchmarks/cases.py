"""What a case is: one thing that both sides compute, with the builder of either and the targets."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

FORWARD, FORWARD_BACKWARD = "forward", "forward+backward"


@dataclass(frozen=True)
class Builder:
    """A class or function by name, and its arguments.

    Attributes:
        path: names joined by dots, a module first.
        arguments: by name.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Any:
        """What the path names, called. The module is imported here and not before."""
        module, *names = self.path.split(".")
        named = importlib.import_module(module)
        for name in names:
            named = getattr(named, name)
        return named(**self.arguments)


@dataclass(frozen=True)
class Targets:
    """How many times faster than PyTorch, and how many times less memory; None for no target."""

    forward: float | None = None
    forward_backward: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Case:
    """One thing that both sides compute. Both have to have the same state dict.

    Attributes:
        name: what `--cases` matches and the table prints; without commas.
        input_shape: (N, H, W, C).
        inputs: `"normal"` for numbers of both signs, `"rates"` for numbers from 0 to 1.
        ours: a path in `tfbio`.
        theirs: a path in one of the files of PyTorch forms.
        targets: of `performance.md`.
        gradients_of: what training asks the gradients of: the input, the trainable weights, or
            both. Nothing leaves forward alone.
        gradient_tolerance: how far gradients may differ, relative, in the Euclidean norm.
        noisy: both sides draw noise when they are timed. To agree, both take the same, as an
            argument `noise` of the output's shape.
    """

    name: str
    input_shape: tuple[int, ...]
    inputs: Literal["normal", "rates"]
    ours: Builder
    theirs: Builder
    targets: Targets = Targets()
    gradients_of: tuple[Literal["input", "weights"], ...] = ("input", "weights")
    gradient_tolerance: float = 1e-4
    noisy: bool = False

    @property
    def modes(self) -> tuple[str, ...]:
        """What is timed."""
        return (FORWARD, FORWARD_BACKWARD) if self.gradients_of else (FORWARD,)


def matching(cases: Sequence[Case], pattern: str) -> list[Case]:
    """The cases whose name matches one of the globs, separated by commas."""
    globs = pattern.split(",")
    return [case for case in cases if any(fnmatch.fnmatchcase(case.name, glob) for glob in globs)]
