"""How tensors of a file and variables of a model correspond: roles, layouts, maps of layers.

A tensor map lists what a layer has in a PyTorch state dict: suffixes of names, each with a `Target`
(a variable, and how it lies in the file) or a `Constant` (what is no variable).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tfbio.weights.errors import Shape

Rearrange = Callable[[np.ndarray], np.ndarray]


class TensorRole(enum.Enum):
    """What a tensor of a file is to a model.

    Attributes:
        LOADED: the value of a variable.
        DERIVED: a constant that the model computes itself; the file may lack it, or has to agree.
        COUNTER: any number, on which nothing depends; the file may lack it.
        UNUSED: a tensor that the original keeps and does not use; the file may lack it.
        OBSOLETE: left over from a training; neither side wants it.
        LATER_STEP: of a time step that the model does not take.
    """

    LOADED = "loaded"
    DERIVED = "derived"
    COUNTER = "counter"
    UNUSED = "unused"
    OBSOLETE = "obsolete"
    LATER_STEP = "later step"


def _same(array: np.ndarray) -> np.ndarray:
    return array


@dataclass(frozen=True)
class Target:
    """A variable of the model for a tensor of a file.

    Attributes:
        variable: of the model.
        from_file: brings the file's array into the variable's layout.
        to_file: the way back.
    """

    variable: keras.Variable
    from_file: Rearrange = field(default=_same)
    to_file: Rearrange = field(default=_same)

    @property
    def role(self) -> TensorRole:
        """Targets are loaded."""
        return TensorRole.LOADED

    @property
    def file_shape(self) -> Shape:
        """The shape of the tensor in the file."""
        # An array of the right shape that takes no memory, while it is only turned round.
        return self.in_file(np.broadcast_to(np.int8(0), tuple(self.variable.shape))).shape

    def prepared(self, array: np.ndarray) -> np.ndarray:
        """A file's array in the one layout that the target knows, if files have several."""
        return array

    def problem(self, array: np.ndarray) -> str | None:
        """What makes an array of the right shape unfit, if anything does."""
        return None

    def assign(self, array: np.ndarray) -> None:
        """Set the variable to the file's array."""
        self.variable.assign(self.from_file(array).astype(self.variable.dtype))

    def in_file(self, value: np.ndarray) -> np.ndarray:
        """A value of the variable, or its gradient, as a file holds it."""
        return self.to_file(value)

    def value(self) -> np.ndarray:
        """The variable's value as a file holds it."""
        value = keras.ops.convert_to_numpy(self.variable.value)
        return np.ascontiguousarray(self.in_file(value))


@dataclass(frozen=True)
class Gate(Target):
    """One gate's share of a variable that holds several, one after the other on its last axis.

    Attributes:
        first: index of the share.
        gates: number of shares.
    """

    first: int = 0
    gates: int = 1

    @property
    def _share(self) -> slice:
        size = self.variable.shape[-1] // self.gates
        return slice(self.first * size, (self.first + 1) * size)

    def assign(self, array: np.ndarray) -> None:
        """Set the share to the file's array."""
        value = np.array(keras.ops.convert_to_numpy(self.variable.value))
        value[..., self._share] = self.from_file(array)
        self.variable.assign(value)

    def in_file(self, value: np.ndarray) -> np.ndarray:
        """The share of a value of the variable, as a file holds it."""
        return self.to_file(value[..., self._share])


@dataclass(frozen=True)
class Constant:
    """A tensor of a file that is no variable of the model.

    Attributes:
        array: what the original has there; None for what it does without.
        role: any but `LOADED`.
    """

    array: np.ndarray | None
    role: TensorRole = TensorRole.DERIVED

    @property
    def file_shape(self) -> Shape:
        """The shape of the tensor in the file."""
        return () if self.array is None else self.array.shape

    def value(self) -> np.ndarray | None:
        """What a file holds."""
        return self.array

    def agrees(self, array: np.ndarray) -> bool:
        """Whether a file's array of the same shape has the values that the original has."""
        if self.array is None or array.dtype.kind not in "fiu":
            return False
        # Half precision is the least that the originals store.
        return np.allclose(array, self.array.astype(np.float64), rtol=2e-3, atol=1e-6)


Tensor = Target | Constant
# The suffixes of a layer's tensors, in the original's order.
NamedTensors = Iterable[tuple[str, Tensor]]
# Lists what a layer has in a state dict.
TensorMap = Callable[[Any], NamedTensors]
# Lists the targets of a layer whose files of Keras are more than variables under their names.
KerasMap = Callable[[Any], Iterable[Target]]


# === Layouts ===


def transposed(variable: keras.Variable, *axes: int) -> Target:
    """The file's array with its axes in another order, given as for `numpy.transpose`.

    Example:
        >>> kernel = keras.Variable(np.zeros((5, 5, 2, 8)))
        >>> transposed(kernel, 2, 3, 1, 0).file_shape
        (8, 2, 5, 5)
    """
    back = tuple(np.argsort(axes))
    return Target(
        variable, lambda array: array.transpose(axes), lambda array: array.transpose(back)
    )


def kernel_share(kernel: keras.Variable, first: int = 0, gates: int = 1) -> Target:
    """One convolution of those whose kernels stand in one variable of ours.

    Args:
        kernel: (height, width, channels, gates x filters), or (channels, gates x filters) for
            1 x 1 convolutions.
        first: index of the convolution.
        gates: number of convolutions.

    Example:
        >>> kernel_share(keras.Variable(np.zeros((3, 3, 2, 12))), 0, 3).file_shape
        (4, 2, 3, 3)
        >>> kernel_share(keras.Variable(np.zeros((2, 8))), 1, 2).file_shape
        (4, 2, 1, 1)
    """
    if len(kernel.shape) == 4:
        whole = transposed(kernel, 2, 3, 1, 0)
        return Gate(kernel, whole.from_file, whole.to_file, first, gates)
    return Gate(
        kernel,
        lambda array: array[:, :, 0, 0].T,
        lambda array: array.T[:, :, None, None],
        first,
        gates,
    )


def per_channel(variable: keras.Variable, first: int = 0, gates: int = 1) -> Target:
    """One number a channel, which PyTorch keeps as (C, 1, 1); arguments as of `kernel_share`.

    Example:
        >>> per_channel(keras.Variable(np.zeros(8)), 1, 2).file_shape
        (4, 1, 1)
    """
    return Gate(
        variable,
        lambda array: array.reshape(-1),
        lambda array: array.reshape(-1, 1, 1),
        first,
        gates,
    )


def inside(prefix: str, tensors: NamedTensors) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a module within another one.

    Example:
        >>> dict(inside("bn", {"bias": Constant(None)}.items())).keys()
        dict_keys(['bn.bias'])
    """
    for suffix, tensor in tensors:
        yield f"{prefix}.{suffix}", tensor


# === Maps that layers of several families share ===


def convolution(layer: Any) -> NamedTensors:
    """`torch.nn.Conv2d`."""
    yield "weight", transposed(layer.kernel, 2, 3, 1, 0)
    if layer.use_bias:
        yield "bias", Target(layer.bias)


def dense(layer: Any) -> NamedTensors:
    """`torch.nn.Linear`."""
    yield "weight", transposed(layer.kernel, 1, 0)
    if layer.use_bias:
        yield "bias", Target(layer.bias)


def batch_normalization(layer: Any) -> NamedTensors:
    """`torch.nn.BatchNorm2d`."""
    yield "weight", Target(layer.gamma)
    yield "bias", Target(layer.beta)
    yield "running_mean", Target(layer.moving_mean)
    yield "running_var", Target(layer.moving_variance)
    yield "num_batches_tracked", Constant(np.zeros((), np.int64), TensorRole.COUNTER)


def group_normalization(layer: Any) -> NamedTensors:
    """`torch.nn.GroupNorm`, or `InstanceNorm2d` with weights."""
    yield "weight", Target(layer.gamma)
    yield "bias", Target(layer.beta)


def by_variable_name(layer: Any) -> NamedTensors:
    """A layer whose variables have the original's names and layouts."""
    for variable in layer.weights:
        yield variable.name, Target(variable)


def convolutions(
    kernel: keras.Variable, bias: keras.Variable, names: Sequence[str]
) -> NamedTensors:
    """The convolutions of several gates that share a kernel and a bias of ours.

    Args:
        kernel: as of `kernel_share`.
        bias: (gates x filters,)
        names: what the original calls the gates, in our order.
    """
    for first, name in enumerate(names):
        yield f"{name}.weight", kernel_share(kernel, first, len(names))
        yield f"{name}.bias", Gate(bias, first=first, gates=len(names))
