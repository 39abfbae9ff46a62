"""What is measured: one row per case, with the builder of either side and the targets.

A new case is a new row. `ours` is a path in `tfbio` and its arguments, `theirs` a name in
`pytorch_forms` and its arguments; both have to have the same state dict.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Builder:
    """A class or function by name, and its arguments.

    Attributes:
        path: names joined by dots.
        arguments: by name.
    """

    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self, module: Any) -> Any:
        """What the path names in a module, called."""
        named = module
        for name in self.path.split("."):
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
    """One thing that both sides compute.

    Attributes:
        name: what `--cases` matches and the table prints.
        input_shape: (N, H, W, C).
        inputs: `"normal"` for numbers of both signs, `"rates"` for numbers from 0 to 1.
        ours: a path in `tfbio`.
        theirs: a name in `pytorch_forms`.
        targets: of `performance.md`.
        gradient_tolerance: how far gradients may differ, relative, in the Euclidean norm.
    """

    name: str
    input_shape: tuple[int, ...]
    inputs: Literal["normal", "rates"]
    ours: Builder
    theirs: Builder
    targets: Targets = Targets()
    gradient_tolerance: float = 1e-4


def _resnet50(name: str, forward: float, forward_backward: float) -> Case:
    """A whole network: 200 classes, normalized pixels, logits."""
    return Case(
        name,
        (16, 64, 64, 3),
        "normal",
        Builder(
            f"models.{name}",
            {
                "input_shape": (64, 64, 3),
                "classes": 200,
                "include_preprocessing": False,
                "classifier_activation": None,
            },
        ),
        Builder("ResNet50", {"variant": name.removeprefix("resnet50").strip("_"), "classes": 200}),
        Targets(forward, forward_backward),
        # In float64 the gradients agree to 1e-12. In float32 a rounding error that turns one
        # rectifier on or off grows on its way through fifty batch normalizations.
        gradient_tolerance=0.05,
    )


# The polar map of the networks, for the 32 x 32 responses of their stem.
_RADII = (*range(15), 16, 18, 20, 23)

CASES = (
    Case(
        "LocallyConnected2D",
        (32, 16, 16, 64),
        "normal",
        Builder(
            "layers.LocallyConnected2D",
            {"filters": 64, "kernel_size": 3, "padding": 1, "use_bias": False},
        ),
        Builder(
            "LocallyConnected2d",
            {"channels": 64, "filters": 64, "output_size": (16, 16), "kernel_size": 3},
        ),
        Targets(30, 25, memory=10),
    ),
    Case(
        "PolarTransform",
        (32, 32, 32, 64),
        "normal",
        Builder("layers.PolarTransform", {"output_size": 16, "radius_bins": _RADII}),
        Builder("PolarTransform", {"size": 32, "output_size": 16, "radii": _RADII}),
        Targets(200, 150, memory=50),
    ),
    Case(
        "TunedDivNorm",
        (32, 16, 16, 256),
        "rates",
        Builder("layers.TunedDivNorm"),
        Builder("OpponentChannelInhibition", {"channels": 256}),
        Targets(1.5, 1.3),
    ),
    Case(
        "GaussianDivNorm",
        (32, 16, 16, 256),
        "rates",
        Builder("layers.GaussianDivNorm", {"kernel_size": 3, "upstream_exact": True}),
        Builder("GaussianDivNorm", {"channels": 256, "kernel_size": 3}),
        Targets(1.2, 1.2),
    ),
    Case(
        "CenterSurround",
        (32, 16, 16, 64),
        "normal",
        Builder(
            "layers.CenterSurround",
            {"channels": 16, "kernel_size": 5, "use_bias": False, "upstream_exact": True},
        ),
        Builder("CenterSurround", {"channels": 16, "radius": 2}),
        Targets(1, 1),
    ),
    _resnet50("resnet50", 1, 1),
    _resnet50("resnet50_composite_a", 12, 10),
    _resnet50("resnet50_tuned_norm", 1.2, 1.1),
    _resnet50("resnet50_div_norm", 1.2, 1.1),
)


def matching(pattern: str) -> list[Case]:
    """The cases whose name matches one of the globs, separated by commas.

    Example:
        >>> [case.name for case in matching("Polar*,resnet50")]
        ['PolarTransform', 'resnet50']
    """
    globs = pattern.split(",")
    return [case for case in CASES if any(fnmatch.fnmatchcase(case.name, glob) for glob in globs)]
