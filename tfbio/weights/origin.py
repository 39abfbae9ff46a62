"""What the files of a family of models look like: one `Origin` each, registered by its file.

A new family is an `Origin` with what differs from the defaults, registered in a file of its own,
which the file of its models imports; loading and the way back ask the origins and know no family.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import keras

from tfbio.errors import InputError
from tfbio.weights.errors import Shape
from tfbio.weights.tensor_map import (
    Constant,
    KerasMap,
    NamedTensors,
    Tensor,
    TensorMap,
    TensorRole,
)

if TYPE_CHECKING:
    from tfbio.weights.reading import Tensors

Shapes = Mapping[str, Shape]


@dataclass(frozen=True)
class PublishedWeights:
    """A weights file that the authors of a model published.

    Attributes:
        name: of the file, among all that are published.
        model: registered name of the model that loads it.
        url: where it is.
        classes: number of readouts.
        trained_on: the data set.
        doi: of the paper.
        sha256_prefix: the first hexadecimal digits of its SHA-256, as far as the authors tell them.
        licence: of the project that published it, an SPDX identifier; None where it is not known.
        remark: what distinguishes it from the model's other files.
    """

    name: str
    model: str
    url: str
    classes: int
    trained_on: str
    doi: str
    sha256_prefix: str | None = None
    licence: str | None = None
    remark: str = ""


@dataclass(frozen=True)
class Origin:
    """What the files of a family look like. All but its name has a default.

    Names of tensors begin as `<module>.<suffix>`: the module is named as our layer with `.` for
    `_`, the suffix by the layer's tensor map.

    Attributes:
        family: its name.
        tensor_maps: kind of layer to what it has in a PyTorch state dict. They hold for layers of
            that kind in any model.
        keras_maps: kind of layer to its targets in files of Keras, where these are not just
            its variables under their paths.
        module_names: regular expressions of the original's modules (between two dots) whose
            names have an underscore.
        recognised_by: a part of a tensor's name, to the registered model whose files have it; the
            first that is found. See `recognise`.
        trained_on: number of readouts to the data set of the published networks.
        settings_key: the name of the settings in a checkpoint, beside the state dict.
        published: the files that the authors published, by name.

    Example:
        >>> origin = Origin("example", recognised_by={"gate.": "gated_net"})
        >>> origin.recognise({"fc.weight": (10, 8), "gate.bias": (8,)})
        ('gated_net',)
        >>> origin.classes({"fc.weight": (10, 8), "gate.bias": (8,)})
        10
    """

    family: str
    tensor_maps: Mapping[type, TensorMap] = field(default_factory=dict)
    keras_maps: Mapping[type, KerasMap] = field(default_factory=dict)
    module_names: tuple[str, ...] = ()
    recognised_by: Mapping[str, str] = field(default_factory=dict)
    trained_on: Mapping[int, str] = field(default_factory=dict)
    settings_key: str | None = None
    published: Mapping[str, PublishedWeights] = field(default_factory=dict)

    # === Files ===

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """Which registered models a file could be of.

        Args:
            shapes: tensor's name to shape, as in a file, or of a model by module and suffix.

        Returns:
            One name; several if their files have the same tensors; none if it is not of this
            family.
        """
        for part, model in self.recognised_by.items():
            if any(part in name for name in shapes):
                return (model,)
        return ()

    def classes(self, shapes: Shapes) -> int | None:
        """The number of readouts of a file; None if the tensors do not tell.

        By default the last matrix is the classifier: others are of convolutions.
        """
        matrices = [
            shape for name, shape in shapes.items() if name.endswith(".weight") and len(shape) == 2
        ]
        return matrices[-1][0] if matrices else None

    def renamed(self, name: str) -> str:
        """The name of a tensor that an older version of tfbio called otherwise."""
        return name

    def role_of_other(self, name: str, expected: Mapping[str, Tensor]) -> TensorRole | None:
        """What a tensor of a file is that the model does not have; None is an error.

        Args:
            name: of the tensor.
            expected: the model's.
        """
        return None

    def advice(self, expected: Mapping[str, Tensor], received: Shapes) -> str:
        """A sentence on why a file of the right model does not fit; empty if there is none to say.

        Args:
            expected: the tensors of the model.
            received: those of the file.
        """
        return ""

    # === Models ===

    def file_names(self, expected: Mapping[str, Tensor]) -> dict[str, str]:
        """The original's names of those tensors whose names are not module and suffix.

        Args:
            expected: all tensors of the model by module and suffix.

        Returns:
            Module and suffix to the original's name; by default none.
        """
        return {}

    def beside(self, expected: Mapping[str, Tensor]) -> dict[str, Constant]:
        """Tensors that files have and no layer of the model does, by their names; by default none.

        Args:
            expected: all tensors of the model by module and suffix.
        """
        return {}

    def other_equations(self, model: keras.Model) -> str | None:
        """Says so if a model, of any family, has parts that compute otherwise than the original's.

        Args:
            model: which has got a state dict.
        """
        return None

    # === Settings of a training ===

    def settings(self, model: keras.Model) -> dict[str, Any]:
        """The settings that a checkpoint of the original would keep of a model; by default none."""
        return {}

    def check_settings(self, model: keras.Model, tensors: Tensors) -> None:
        """Refuse a file whose settings contradict the model.

        Args:
            model: about to be loaded.
            tensors: of the file, with its settings.

        Raises:
            WeightsError: they do.
        """


# === The registered ones ===

OriginT = TypeVar("OriginT", bound=Origin)

_ORIGINS: dict[str, Origin] = {}
# Of models and files that no family recognises.
_NO_FAMILY = Origin("no family")


class UnknownLayerError(InputError):
    """A layer with weights that no tensor map is registered for."""


def register_origin(origin: OriginT) -> OriginT:
    """Let loading and conversion know the files of a family.

    Args:
        origin: what they look like.

    Returns:
        The origin.

    Raises:
        ValueError: the family is registered already.

    Example:
        >>> example = register_origin(Origin("example", recognised_by={"gate.": "gated_net"}))
        >>> origin_of({"gate.bias": (8,)}) is example
        True
        >>> del _ORIGINS["example"]
    """
    if origin.family in _ORIGINS:
        raise ValueError(f"Expected a new family, received {origin.family!r}, registered already.")
    _ORIGINS[origin.family] = origin
    return origin


def registered_origins() -> tuple[Origin, ...]:
    """All origins, the newest first: one of the user's is asked before ours."""
    return tuple(reversed(_ORIGINS.values()))


def origin_of(shapes: Shapes) -> Origin:
    """The origin that recognises tensors by their names and shapes; one of defaults if none does.

    Example:
        >>> origin_of({"RCL_0_BConv/kernel": (7, 7, 3, 96)}).family
        'BL-RCNN'
    """
    return next((each for each in registered_origins() if each.recognise(shapes)), _NO_FAMILY)


def published_weights() -> dict[str, PublishedWeights]:
    """All weights files that the originals published and whose addresses are known.

    Example:
        >>> published_weights()["cornet_s"].sha256_prefix
        '1d3f7974'
    """
    found: dict[str, PublishedWeights] = {}
    for origin in _ORIGINS.values():
        found.update(origin.published)
    return found


def module_name(layer_name: str) -> str:
    """The original's name of a module, from the name of our layer: dots for underscores.

    Example:
        >>> module_name("layer1_0_bn1"), module_name("vone_block"), module_name("model_V2_norm1_0")
        ('layer1.0.bn1', 'vone_block', 'model.V2.norm1_0')
        >>> module_name("features_conv1_2"), module_name("layer1_2_conv2_1")
        ('features.conv1_2', 'layer1.2.conv2.1')
    """
    name = layer_name.replace("_", ".")
    for origin in _ORIGINS.values():
        for module in origin.module_names:
            dotted = module.replace("_", "[._]")
            name = re.sub(
                rf"(?<![^.]){dotted}(?![^.])", lambda found: found[0].replace(".", "_"), name
            )
    return name


def tensors_of(layer: keras.layers.Layer) -> NamedTensors:
    """What a layer has in a state dict: suffix and tensor, in the original's order.

    Raises:
        UnknownLayerError: the layer has weights and no tensor map is registered for its kind.

    Example:
        >>> import keras
        >>> layer = keras.layers.Conv2D(4, 3)
        >>> layer.build((None, 8, 8, 2))
        >>> [(suffix, tensor.file_shape) for suffix, tensor in tensors_of(layer)]
        [('weight', (4, 2, 3, 3)), ('bias', (4,))]
    """
    for origin in registered_origins():
        if type(layer) in origin.tensor_maps:
            yield from origin.tensor_maps[type(layer)](layer)
            return
    if layer.weights:
        raise UnknownLayerError(
            f"Expected layers that a PyTorch state dict can hold, received {layer.name!r}, a "
            f"{type(layer).__name__}."
        )
