"""All that a model takes from a file of one kind, and gives to it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import keras

from tfbio._keras_graph import all_layers
from tfbio.weights.errors import Shape
from tfbio.weights.origin import (
    Origin,
    UnknownLayerError,
    module_name,
    origin_of,
    registered_origins,
    tensors_of,
)
from tfbio.weights.tensor_map import Target, Tensor, TensorRole


@dataclass(frozen=True)
class ModelTensors:
    """What a model has in a file.

    Attributes:
        origin: the family whose files they are.
        tensors: by their names in the file.
    """

    origin: Origin
    tensors: dict[str, Tensor]

    @property
    def targets(self) -> dict[str, Target]:
        """Those that are variables."""
        return {name: each for name, each in self.tensors.items() if isinstance(each, Target)}

    @property
    def shapes(self) -> dict[str, Shape]:
        """Their shapes in the file."""
        return {name: tensor.file_shape for name, tensor in self.tensors.items()}

    def role(self, name: str) -> TensorRole | None:
        """What a tensor of a file is to the model; None if it is nothing."""
        if name in self.tensors:
            return self.tensors[name].role
        return self.origin.role_of_other(name, self.tensors)


def state_dict_tensors(model: keras.Model) -> ModelTensors:
    """What a model has in a PyTorch state dict.

    Args:
        model: of layers that have tensor maps; of a registered family or not.

    Raises:
        UnknownLayerError: a layer with weights has no tensor map.
        ValueError: two layers have the same name there.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50_tuned_norm", width=0.125, blocks=(1, 1, 1, 1))
        >>> found = state_dict_tensors(model)
        >>> found.tensors["layer1.0.conv2.weight"].file_shape
        (8, 8, 3, 3)
        >>> found.role("layer1.0.dn.channel_distances")
        <TensorRole.DERIVED: 'derived'>
    """
    named: dict[str, Tensor] = {}
    for layer in model.layers:
        for name, tensor in _tensors_in(layer):
            if name in named:
                raise ValueError(
                    f"Expected layers of different names, {model.name!r} has two whose tensors "
                    f"are called {name!r} in a state dict."
                )
            named[name] = tensor
    origin = _origin_of_model(model, named)
    names = origin.file_names(named)
    tensors = {names.get(name, name): tensor for name, tensor in named.items()}
    return ModelTensors(origin, {**tensors, **origin.beside(named)})


def keras_tensors(model: keras.Model) -> ModelTensors:
    """What a model has in a file that names tensors as Keras does, `layer/variable`.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=4, width=0.125)
        >>> keras_tensors(model).tensors["ReadoutDense/bias"].file_shape
        (4,)
    """
    tensors: dict[str, Tensor] = {variable.path: Target(variable) for variable in model.weights}
    for layer in all_layers(model):
        for origin in registered_origins():
            for target in origin.keras_maps.get(type(layer), lambda _: ())(layer):
                tensors[target.variable.path] = target
    return ModelTensors(origin_of_model(model), tensors)


def origin_of_model(model: keras.Model) -> Origin:
    """The family of a model, by the names of its tensors; one of defaults if it is of none.

    Example:
        >>> import tfbio
        >>> origin_of_model(tfbio.create_model("vone_block", input_shape=(32, 32, 3))).family
        'VOneNet'
    """
    named: dict[str, Tensor] = {}
    for layer in model.layers:
        # A layer of the user's own tells nothing.
        with contextlib.suppress(UnknownLayerError):
            named.update(_tensors_in(layer))
    return _origin_of_model(model, named)


def _tensors_in(layer: keras.layers.Layer) -> Iterator[tuple[str, Tensor]]:
    module = module_name(layer.name)
    return ((f"{module}.{suffix}", tensor) for suffix, tensor in tensors_of(layer))


def _origin_of_model(model: keras.Model, named: dict[str, Tensor]) -> Origin:
    """By names as PyTorch's and as Keras' files have them."""
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    return origin_of({**shapes, **{name: tensor.file_shape for name, tensor in named.items()}})
