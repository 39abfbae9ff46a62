"""Named arrays into a model: all of them, or none."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfbio.weights.errors import Shape, WeightsError
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.time_steps import is_of_later_step, time_step

_logger = logging.getLogger("tfbio")


@dataclass(frozen=True)
class WeightsReport:
    """What went where.

    Attributes:
        source: the file, its format, and the variant it was recognised as.
        loaded: names of the tensors that the model now has.
        skipped: readout tensors of another number of classes, name to (expected, received)
            shape; the model keeps its own.
        unused: tensors of time steps that the model does not take.
    """

    source: str
    loaded: tuple[str, ...]
    skipped: dict[str, tuple[Shape, Shape]]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded from {self.source}"]
        if self.skipped:
            shapes = ", ".join(
                f"{name} (model {expected}, file {received})"
                for name, (expected, received) in self.skipped.items()
            )
            parts.append(f"the readout keeps its initial values: {shapes}")
        if self.unused:
            parts.append(f"{len(self.unused)} tensors of later time steps are not used")
        return "; ".join(parts) + "."


def load_weights(
    model: keras.Model,
    source: str | os.PathLike | Mapping[str, Any] | Tensors,
    skip_mismatch: bool = False,
) -> WeightsReport:
    """Load the weights that an original project published, by name and strictly.

    Every tensor is checked before the first is set: a `WeightsError` leaves the model as it was.
    A recurrent model with fewer time steps than the file takes the steps it has; the report lists
    the rest.

    Args:
        model: a model of the registry.
        source: a weights file or a dict of arrays, see `tfbio.weights.read_tensors`.
        skip_mismatch: for fine-tuning: leave a readout of another number of classes as it is, and
            say so. Nothing else is ever skipped.

    Returns:
        A `WeightsReport`.

    Raises:
        WeightsError: the source cannot be read, or a tensor is missing, unexpected, of another
            shape, not floating point or not finite; the error names them all.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> arrays = {weight.path: np.zeros(weight.shape) for weight in model.weights}
        >>> print(tfbio.load_weights(model, arrays))
        37 tensors loaded from a dict of arrays (given in memory, 4 readouts).
    """
    tensors = read_tensors(source)
    targets = {variable.path: variable for variable in model.weights}
    if len(targets) < len(model.weights):
        raise ValueError(f"Expected variables of different names, {model.name!r} has equal ones.")
    unused = tuple(name for name in tensors.arrays if is_of_later_step(name, targets))
    arrays = {name: array for name, array in tensors.arrays.items() if name not in unused}

    common = [name for name in targets if name in arrays]
    not_float = [name for name in common if arrays[name].dtype.kind != "f"]
    not_finite = [
        name
        for name in common
        if name not in not_float and not _is_finite(arrays[name], targets[name].dtype)
    ]
    mismatched: dict[str, tuple[Shape, Shape]] = {
        name: (tuple(targets[name].shape), arrays[name].shape)
        for name in common
        if tuple(targets[name].shape) != arrays[name].shape
    }
    readout = _readout_variables(model)
    skipped = {
        name: shapes for name, shapes in mismatched.items() if skip_mismatch and name in readout
    }
    missing = [name for name in targets if name not in arrays]
    unexpected = [name for name in arrays if name not in targets]
    wrong = {name: shapes for name, shapes in mismatched.items() if name not in skipped}
    if missing or unexpected or wrong or not_float or not_finite:
        raise WeightsError(
            f"{tensors.description} does not fit the model {model.name!r}, which is left as it "
            f"was.{_advice(wrong, readout, missing, tensors)}",
            missing=missing,
            unexpected=unexpected,
            mismatched=wrong,
            not_float=not_float,
            not_finite=not_finite,
        )

    loaded = tuple(name for name in targets if name not in skipped)
    for name in loaded:
        targets[name].assign(arrays[name].astype(targets[name].dtype))
    report = WeightsReport(tensors.description, loaded, skipped, unused)
    _logger.log(logging.WARNING if skipped else logging.INFO, "%s", report)
    return report


def _is_finite(array: np.ndarray, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())


def _readout_variables(model: keras.Model) -> set[str]:
    """Names of the variables of the last layers with weights on the way to the output."""
    found: set[str] = set()
    seen: set[tuple[int, int]] = set()
    pending = list(model.outputs)
    while pending:
        operation, node, _ = pending.pop()._keras_history
        if (id(operation), node) in seen:
            continue
        seen.add((id(operation), node))
        weights = getattr(operation, "weights", [])
        if weights:
            found.update(variable.path for variable in weights)
        else:
            pending.extend(operation._inbound_nodes[node].input_tensors)
    return found


def _advice(
    mismatched: Mapping[str, Any], readout: set[str], missing: list[str], tensors: Tensors
) -> str:
    if mismatched and set(mismatched) <= readout:
        return (
            f" Build it with classes={tensors.classes}, or pass skip_mismatch=True to fine-tune "
            "another number of classes."
        )
    if missing and all(time_step(name) is not None for name in missing):
        steps = [step for name in tensors.arrays if (step := time_step(name)) is not None]
        if steps:
            return f" The file has {max(steps) + 1} time steps: build it with no more."
    return ""
