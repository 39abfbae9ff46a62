"""Named arrays into a model: all of them, or none."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfbio._compiled import forget_compiled_functions
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.weights.errors import Shape, WeightsError
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.readout import readout_variables
from tfbio.weights.recurrent_cells import other_equations
from tfbio.weights.state_dict import state_dict_targets
from tfbio.weights.targets import Target, Targets, keras_targets
from tfbio.weights.time_steps import is_of_later_step, time_step
from tfbio.weights.v1_components import input_size_of
from tfbio.weights.variants import variant_of
from tfbio.weights.vonenet import check_settings

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
        idle: constants that the original keeps and does not use either.
        twins: two models whose files have the same tensors, if this is of one of them.
        equations: what the model computes otherwise than the original that wrote the file.
    """

    source: str
    loaded: tuple[str, ...]
    skipped: dict[str, tuple[Shape, Shape]]
    unused: tuple[str, ...]
    idle: tuple[str, ...] = ()
    twins: str | None = None
    equations: str | None = None

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
        if self.idle:
            parts.append(f"{', '.join(self.idle)} are there and not used, as in the original")
        if self.twins:
            parts.append(f"nothing in it tells whether it is of {self.twins}")
        if self.equations:
            parts.append(self.equations)
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
    targets = state_dict_targets(model) if tensors.is_state_dict else keras_targets(model)
    variables = targets.variables
    if len({id(target.variable) for target in variables.values()}) < len(model.weights):
        raise ValueError(f"Expected variables of different names, {model.name!r} has equal ones.")
    arrays = {
        name: array if tensors.is_state_dict else _as_stored(variables.get(name), array, model)
        for name, array in tensors.arrays.items()
        if name not in targets.ignored | targets.obsolete
    }
    unused = tuple(name for name in arrays if is_of_later_step(name, variables))
    idle = tuple(name for name in arrays if name in targets.unused)
    constants = targets.constants

    common = [name for name in variables if name in arrays]
    not_float = [name for name in common if arrays[name].dtype.kind != "f"]
    not_finite = [
        name
        for name in common
        if name not in not_float and not _is_finite(arrays[name], variables[name].variable.dtype)
    ]
    mismatched: dict[str, tuple[Shape, Shape]] = {
        name: (variables[name].file_shape, arrays[name].shape)
        for name in common
        if variables[name].file_shape != arrays[name].shape
    }
    mismatched.update(
        (name, (constants[name].shape, arrays[name].shape))
        for name in constants
        if name in arrays and constants[name].shape != arrays[name].shape
    )
    differing = [
        name
        for name in constants
        if name in arrays and name not in mismatched and not _agrees(arrays[name], constants[name])
    ]
    of_readout = {id(variable) for variable in readout_variables(model)}
    readout = {name for name in variables if id(variables[name].variable) in of_readout}
    skipped = {
        name: shapes for name, shapes in mismatched.items() if skip_mismatch and name in readout
    }
    missing = [name for name in variables if name not in arrays]
    unexpected = [
        name
        for name in arrays
        if name not in variables and name not in constants and name not in (*unused, *idle)
    ]
    wrong = {name: shapes for name, shapes in mismatched.items() if name not in skipped}
    if missing or unexpected or wrong or differing or not_float or not_finite:
        raise WeightsError(
            f"{tensors.description} does not fit the model {model.name!r}, which is left as it "
            f"was.{_advice(targets, wrong, readout, missing, unexpected, tensors)}",
            missing=missing,
            unexpected=unexpected,
            mismatched=wrong,
            differing=differing,
            not_float=not_float,
            not_finite=not_finite,
        )

    for name, target in variables.items():
        problem = None if name in skipped else target.problem(arrays[name])
        if problem:
            raise WeightsError(f"{tensors.description} does not fit {model.name!r}: {problem}")
    check_settings(model, tensors)

    loaded = tuple(name for name in variables if name not in skipped)
    for name in loaded:
        variables[name].assign(arrays[name])
    forget_compiled_functions(model)
    equations = other_equations(model) if tensors.is_state_dict else None
    report = WeightsReport(
        tensors.description, loaded, skipped, unused, idle, _twins(tensors), equations
    )
    _logger.log(logging.WARNING if skipped or equations else logging.INFO, "%s", report)
    return report


def _twins(tensors: Tensors) -> str | None:
    if not tensors.is_state_dict:
        return None
    variant = variant_of({name: array.shape for name, array in tensors.arrays.items()})
    return variant if variant is not None and " or " in variant else None


def _as_stored(target: Target | None, array: np.ndarray, model: keras.Model) -> np.ndarray:
    """An array as our layer stores it, where Keras 2 had several ways to store the same."""
    if target is None or target.file_shape == array.shape:
        return array
    for layer in model.layers:
        if isinstance(layer, LocallyConnected2D) and layer.kernel is target.variable:
            # Of no known way: the shapes will be reported.
            with contextlib.suppress(ValueError):
                return layer.kernel_from_keras2(array)
    return array


def _agrees(array: np.ndarray, constant: np.ndarray) -> bool:
    """Whether a constant in the file is the one that the model derives, of the same shape."""
    if array.dtype.kind not in "fiu":
        return False
    # Half precision is the least that the originals store.
    return bool(np.allclose(array, constant.astype(np.float64), rtol=2e-3, atol=1e-6))


def _is_finite(array: np.ndarray, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())


def _advice(
    targets: Targets,
    mismatched: Mapping[str, Any],
    readout: set[str],
    missing: list[str],
    unexpected: list[str],
    tensors: Tensors,
) -> str:
    if mismatched and set(mismatched) <= readout and tensors.classes is not None:
        return (
            f" Build it with classes={tensors.classes}, or pass skip_mismatch=True to fine-tune "
            "another number of classes."
        )
    if missing and all(time_step(name) is not None for name in missing):
        steps = [step for name in tensors.arrays if (step := time_step(name)) is not None]
        if steps:
            return f" The file has {max(steps) + 1} time steps: build it with no more."
    if tensors.is_state_dict and (missing or unexpected or mismatched):
        expected_shapes = {name: target.file_shape for name, target in targets.variables.items()}
        constant_shapes = {name: array.shape for name, array in targets.constants.items()}
        received_shapes = {name: array.shape for name, array in tensors.arrays.items()}
        variant = variant_of(received_shapes)
        if variant is not None and variant != variant_of(expected_shapes):
            return f" It is a checkpoint of {variant}: build that model."
        size = input_size_of(received_shapes)
        if size and size != (input_size_of({**expected_shapes, **constant_shapes}) or size):
            return (
                f" It was made for images of {size[0]} x {size[1]} pixels: build the model with "
                f"input_shape=({size[0]}, {size[1]}, 3)."
            )
    return ""
