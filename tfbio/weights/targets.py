"""Where the tensors of a file go in a model, and how they lie in the file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np

from tfbio._keras_graph import all_layers
from tfbio.layers._single_channel import channels_of
from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.weights.errors import Shape

Rearrange = Callable[[np.ndarray], np.ndarray]


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
    def file_shape(self) -> Shape:
        """The shape of the tensor in the file."""
        shape = tuple(self.variable.shape)
        if self.to_file is _same:
            return shape
        # An array of the right shape that takes no memory, while it is only turned round.
        return self.to_file(np.broadcast_to(np.int8(0), shape)).shape

    def problem(self, array: np.ndarray) -> str | None:
        """What makes an array of the right shape unfit, if anything does."""
        return None

    def assign(self, array: np.ndarray) -> None:
        """Set the variable to the file's array."""
        self.variable.assign(self.from_file(array).astype(self.variable.dtype))

    def value(self) -> np.ndarray:
        """The variable's value as a file holds it."""
        value = keras.ops.convert_to_numpy(self.variable.value)
        return np.ascontiguousarray(self.to_file(value))


@dataclass(frozen=True)
class FilterBank(Target):
    """The kernel of a bank of filters that see one channel each.

    Attributes:
        layer: whose kernel it is.
    """

    layer: GaborConv2D | None = None

    def problem(self, array: np.ndarray) -> str | None:
        """Filters that see several channels."""
        try:
            channels_of(self.from_file(array))
        except ValueError as error:
            return str(error)
        return None

    def assign(self, array: np.ndarray) -> None:
        """Set the kernel, and take the filters' channels from it."""
        super().assign(array)
        if self.layer is not None:
            self.layer.find_channels()


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

    @property
    def file_shape(self) -> Shape:
        """The shape of the tensor in the file."""
        shape = tuple(self.variable.shape)
        return self.to_file(np.broadcast_to(np.int8(0), shape)[..., self._share]).shape

    def assign(self, array: np.ndarray) -> None:
        """Set the share to the file's array."""
        value = np.array(keras.ops.convert_to_numpy(self.variable.value))
        value[..., self._share] = self.from_file(array)
        self.variable.assign(value)

    def value(self) -> np.ndarray:
        """The share's value as a file holds it."""
        value = keras.ops.convert_to_numpy(self.variable.value)[..., self._share]
        return np.ascontiguousarray(self.to_file(value))


@dataclass(frozen=True)
class Targets:
    """All that a model takes from a file of one kind.

    Attributes:
        variables: name of a tensor to where it goes.
        constants: name of a tensor that the model derives itself to its value: such tensors may
            be in the file or not, and have to agree.
        ignored: names of tensors that may be in the file and mean nothing to the model: counters,
            which the original wants back.
        obsolete: names of such tensors that the original does without, too.
        unused: tensors of the original that the model has no use for, with what the original
            has there.
    """

    variables: dict[str, Target]
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    obsolete: frozenset[str] = frozenset()
    unused: dict[str, np.ndarray] = field(default_factory=dict)


def keras_targets(model: keras.Model) -> Targets:
    """The targets of a file that names tensors as Keras does, `layer/variable`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> keras_targets(model).variables["ReadoutDense/bias"].file_shape
        (4,)
    """
    variables = {variable.path: Target(variable) for variable in model.weights}
    for layer in all_layers(model):
        if isinstance(layer, GaborConv2D):
            variables[layer.kernel.path] = FilterBank(layer.kernel, layer=layer)
    return Targets(variables)
