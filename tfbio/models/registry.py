"""The registry: every model under its own name, with what is known about it."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from tfbio.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class ModelInfo:
    """What the registry knows of a model.

    Attributes:
        name: the registered name.
        builder: the function that builds it.
        family: the research project it comes from, as the documentation groups them.
        input_shape: the published input shape (H, W, C), pixels.
        crop_ratio: the published evaluation scales an image's shorter side to the input size
            divided by this ratio, then crops the centre.
        resize_through: the size that it crops to before it scales to the input, if another.
        reference: DOI of the paper.
        weight_formats: what `tfbio.load_weights` reads into it.
        recurrent: whether the output can have a time axis (`return_sequences`).
        trained_over_time: whether the published training takes the mean loss over all time steps;
            otherwise that of the last.
        quick_start: arguments that make it small enough to train on a laptop in minutes; the
            commands use them on the embedded data sets, and say so.
        recipe: the flag file of the published training, if there is one.
        classifier: whether the output is one probability per class.
    """

    name: str
    builder: Callable[..., keras.Model]
    family: str
    input_shape: tuple[int, int, int]
    reference: str
    crop_ratio: float = 1.0
    resize_through: tuple[int, int] | None = None
    weight_formats: tuple[str, ...] = ()
    recurrent: bool = False
    trained_over_time: bool = False
    quick_start: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    classifier: bool = True

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the builder's arguments."""
        return tuple(inspect.signature(self.builder).parameters)

    def published(self, names: Iterable[str]) -> dict[str, Any]:
        """The published values of some arguments: the builder's defaults."""
        parameters = inspect.signature(self.builder).parameters
        return {name: parameters[name].default for name in names}


_REGISTRY: dict[str, ModelInfo] = {}


def register_model(**facts: Any) -> Callable[[Callable[..., keras.Model]], Callable]:
    """Register the decorated builder under its own name.

    Args:
        **facts: the fields of `ModelInfo` other than `name` and `builder`.

    Returns:
        A decorator that hands the builder back as it is.

    Example:
        >>> import keras
        >>> from tfbio.models import registry
        >>> @registry.register_model(family="example", input_shape=(8, 8, 3), reference="none")
        ... def example_net(input_shape=(8, 8, 3), name="example_net"):
        ...     inputs = keras.Input(input_shape)
        ...     return keras.Model(inputs, keras.layers.Flatten()(inputs), name=name)
        >>> registry.create_model("example_net").output_shape
        (None, 192)
        >>> del registry._REGISTRY["example_net"]
    """

    def register(builder: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
        name = builder.__name__
        if name in _REGISTRY:
            raise ValueError(f"Expected a new model name, received {name!r}, registered already.")
        _REGISTRY[name] = ModelInfo(name=name, builder=builder, **facts)
        return builder

    return register


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that match a glob pattern, sorted.

    Args:
        pattern: as in a shell: `*` any characters, `?` one, `[ab]` one of these.

    Returns:
        A list of names; empty if none matches.

    Example:
        >>> import tfbio
        >>> tfbio.list_models("b_?_cnn")
        ['b_d_cnn', 'b_f_cnn', 'b_k_cnn']
    """
    return sorted(fnmatch.filter(_REGISTRY, pattern))


def model_info(name: str) -> ModelInfo:
    """What the registry knows of a model.

    Args:
        name: a registered name.

    Returns:
        A `ModelInfo`.

    Raises:
        UnknownNameError: there is no such model; the message offers the nearest names.

    Example:
        >>> import tfbio
        >>> tfbio.model_info("bl_rcnn").input_shape
        (128, 128, 3)
    """
    try:
        return _REGISTRY[name]
    except KeyError:
        raise UnknownNameError("model", name, _REGISTRY) from None


def create_model(name: str, /, **arguments: Any) -> keras.Model:
    """Build a registered model.

    Args:
        name: a registered name.
        **arguments: passed to the builder: `input_shape`, `classes`, `weights`,
            `classifier_activation`, `include_preprocessing`, `name`, and what is the model's own.

    Returns:
        A functional `keras.Model`.

    Raises:
        UnknownNameError: there is no such model.
        InputError: the model does not take one of the arguments, or not with this value.
        WeightsError: the weights do not fit.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=16, width=0.125)
        >>> model.output_shape
        (None, 16)
    """
    info = model_info(name)
    strange = sorted(set(arguments) - set(info.arguments))
    if strange:
        raise InputError(
            f"{name} takes no argument {', '.join(map(repr, strange))}; it takes "
            f"{', '.join(info.arguments)}."
        )
    return info.builder(**arguments)
