"""Named arrays into a model: all of them, or none."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfbio._compiled import forget_compiled_functions
from tfbio.weights.errors import Shape, WeightsError
from tfbio.weights.model_tensors import ModelTensors, keras_tensors, state_dict_tensors
from tfbio.weights.origin import registered_origins
from tfbio.weights.reading import Tensors, read_tensors
from tfbio.weights.readout import readout_variables
from tfbio.weights.tensor_map import Constant, Target, TensorRole

_logger = logging.getLogger("tfbio")


@dataclass(frozen=True)
class WeightsReport:
    """What went where.

    Attributes:
        source: the file, its format, and the variant it was recognised as.
        roles: name of every tensor of the file that the model knows, to what it is to the model.
        skipped: readout tensors of another number of classes, name to (expected, received)
            shape; the model keeps its own.
        could_be: the models that the file may be of, if its tensors do not tell which.
        equations: what the model computes otherwise than the original that wrote the file.
    """

    source: str
    roles: Mapping[str, TensorRole]
    skipped: Mapping[str, tuple[Shape, Shape]]
    could_be: tuple[str, ...] = ()
    equations: str | None = None

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the tensors that the model now has."""
        loaded = self.of_role(TensorRole.LOADED)
        return tuple(name for name in loaded if name not in self.skipped)

    def of_role(self, role: TensorRole) -> tuple[str, ...]:
        """Names of the file's tensors that are one thing to the model.

        Args:
            role: such as `TensorRole.LATER_STEP`, tensors of time steps that the model does not
                take.
        """
        return tuple(name for name, each in self.roles.items() if each is role)

    def __str__(self) -> str:
        parts = [f"{len(self.loaded)} tensors loaded from {self.source}"]
        if self.skipped:
            shapes = ", ".join(
                f"{name} (model {expected}, file {received})"
                for name, (expected, received) in self.skipped.items()
            )
            parts.append(f"the readout keeps its initial values: {shapes}")
        if later := self.of_role(TensorRole.LATER_STEP):
            parts.append(f"{len(later)} tensors of later time steps are not used")
        if unused := self.of_role(TensorRole.UNUSED):
            parts.append(f"{', '.join(unused)} are there and not used, as in the original")
        if self.could_be:
            parts.append(f"nothing in it tells whether it is of {' or '.join(self.could_be)}")
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
    expected = state_dict_tensors(model) if tensors.is_state_dict else keras_tensors(model)
    targets = expected.targets
    if len({id(target.variable) for target in targets.values()}) < len(model.weights):
        raise ValueError(f"Expected variables of different names, {model.name!r} has equal ones.")
    arrays = _as_expected(tensors.arrays, expected)

    # === Compare ===
    roles = {name: expected.role(name) for name in arrays}
    differences = _differences(expected, arrays)
    of_readout = {id(variable) for variable in readout_variables(model)}
    readout = {name for name, each in targets.items() if id(each.variable) in of_readout}
    mismatched = differences["mismatched"]
    skipped = {
        name: mismatched.pop(name) for name in [*mismatched] if skip_mismatch and name in readout
    }
    unexpected = [name for name, role in roles.items() if role is None]
    if unexpected or any(differences.values()):
        advice = _advice(
            tensors, expected, {*differences["missing"], *unexpected}, mismatched, readout
        )
        raise WeightsError(
            f"{tensors.description} does not fit the model {model.name!r}, which is left as it "
            f"was.{advice}",
            unexpected=unexpected,
            **differences,
        )
    for name, target in targets.items():
        problem = None if name in skipped else target.problem(arrays[name])
        if problem:
            raise WeightsError(f"{tensors.description} does not fit {model.name!r}: {problem}")
    expected.origin.check_settings(model, tensors)

    # === Assign ===
    for name, target in targets.items():
        if name not in skipped:
            target.assign(arrays[name])
    forget_compiled_functions(model)

    # === Report ===
    could_be = tensors.family.recognise(tensors.shapes)
    remarks = [each.other_equations(model) for each in registered_origins()]
    equations = next(filter(None, remarks), None) if tensors.is_state_dict else None
    report = WeightsReport(
        tensors.description,
        {name: role for name, role in roles.items() if role is not None},
        skipped,
        could_be if len(could_be) > 1 else (),
        equations,
    )
    level = logging.WARNING if skipped or equations else logging.INFO
    _logger.log(level, "%s", report)
    return report


def _as_expected(arrays: Mapping[str, np.ndarray], expected: ModelTensors) -> dict[str, np.ndarray]:
    """A file's arrays under today's names and in the layouts that the targets know."""
    found = {}
    for name, array in arrays.items():
        today = expected.origin.renamed(name)
        name = today if today in expected.tensors and today not in arrays else name
        tensor = expected.tensors.get(name)
        found[name] = tensor.prepared(array) if isinstance(tensor, Target) else array
    return found


def _differences(expected: ModelTensors, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What makes a file unfit, as `WeightsError` lists it, but for tensors that nobody expects."""
    missing, differing, not_float, not_finite = [], [], [], []
    mismatched: dict[str, tuple[Shape, Shape]] = {}
    for name, tensor in expected.tensors.items():
        if name not in arrays:
            if tensor.role is TensorRole.LOADED:
                missing.append(name)
            continue
        array = arrays[name]
        if tensor.role not in (TensorRole.LOADED, TensorRole.DERIVED):
            continue
        if tensor.file_shape != array.shape:
            mismatched[name] = (tensor.file_shape, array.shape)
        elif isinstance(tensor, Constant) and not tensor.agrees(array):
            differing.append(name)
        if isinstance(tensor, Target):
            if array.dtype.kind != "f":
                not_float.append(name)
            elif not _is_finite(array, tensor.variable.dtype):
                not_finite.append(name)
    return {
        "missing": missing,
        "mismatched": mismatched,
        "differing": differing,
        "not_float": not_float,
        "not_finite": not_finite,
    }


def _is_finite(array: np.ndarray, dtype: str) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(array.astype(dtype)).all())


def _advice(
    tensors: Tensors,
    expected: ModelTensors,
    odd: Set[str],
    mismatched: Mapping[str, Any],
    readout: Set[str],
) -> str:
    """What to do about a file that does not fit, with a space in front.

    Args:
        tensors: of the file.
        expected: of the model.
        odd: names of missing and unexpected tensors.
        mismatched: names of those of another shape.
        readout: names of the readout's.
    """
    only_readout = bool(mismatched) and set(mismatched) <= readout and not odd
    if only_readout and tensors.classes is not None:
        return (
            f" Build it with classes={tensors.classes}, or pass skip_mismatch=True to fine-tune "
            "another number of classes."
        )
    if not (odd or mismatched):
        return ""
    received = tensors.shapes
    models = tensors.family.recognise(received)
    if models and models != expected.origin.recognise(expected.shapes):
        return f" It is a checkpoint of {' or '.join(models)}: build that model."
    return expected.origin.advice(expected.tensors, received)
