"""The registry: every model under its own name, with what is known about it."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.models.parameters import Parameter, argument_names, parameters_of

Builder = TypeVar("Builder", bound=Callable[..., keras.Model])


@dataclass(frozen=True)
class ModelInfo:
    """What the registry knows of a model.

    Attributes:
        name: the registered name.
        builder: the function that builds it.
        input_shape: the published input shape (H, W, C), pixels.
        family: the research project it comes from, as the documentation groups them.
        reference: DOI of the paper.
        framing: how the published evaluation brings an image to the size of the input.
        weight_formats: what `tfbio.load_weights` reads into it.
        recurrent: whether the output can have a time axis (`return_sequences`).
        trained_over_time: whether the published training takes the mean loss over all time steps;
            otherwise that of the last.
        quick_start: arguments that make it small enough to train on a laptop in minutes; the
            commands use them on the embedded data sets, and say so.
        recipe: the flag file of the published training, if there is one.
        classifier: whether the output is one probability per class.
        options: the dataclass whose fields the builder takes as keywords, beside the arguments of
            its signature, if there is one.
    """

    name: str
    builder: Callable[..., keras.Model]
    input_shape: tuple[int, int, int]
    family: str = "other"
    reference: str = ""
    framing: Framing = field(default_factory=Framing)
    weight_formats: tuple[str, ...] = ()
    recurrent: bool = False
    trained_over_time: bool = False
    quick_start: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None
    classifier: bool = True
    options: type[Any] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The names of the builder's arguments, and of the fields that it takes as keywords."""
        return argument_names(self.builder, self.options)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The builder's arguments with their types, published values and descriptions, by name.

        What a docstring leaves to another model's ("Arguments are `resnet50`'s") is looked up in
        the models of the same file, then of the same family, then in all.
        """

        def distance(other: ModelInfo) -> int:
            if other.builder.__module__ == self.builder.__module__:
                return 0
            return 1 if other.family == self.family else 2

        others = sorted(_REGISTRY.values(), key=distance)
        return parameters_of(
            self.builder, self.options, [(other.builder, other.options) for other in others]
        )

    def published(self, names: Iterable[str]) -> dict[str, Any]:
        """The published values of some arguments: the builder's defaults."""
        parameters = self.parameters
        return {name: parameters[name].default for name in names}


_REGISTRY: dict[str, ModelInfo] = {}


def register_model(
    *,
    family: str = "other",
    input_shape: tuple[int, int, int] | None = None,
    **facts: Any,
) -> Callable[[Builder], Builder]:
    """Register the decorated builder under its own name.

    A builder is any function that returns a `keras.Model`. It needs none of the usual arguments;
    those that it has are flags of the commands, described by its docstring.

    Args:
        family: what the documentation groups it with.
        input_shape: published input shape (H, W, C), pixels; by default that of the builder's
            argument `input_shape`.
        **facts: the other fields of `ModelInfo`, but for `name` and `builder`.

    Returns:
        A decorator that hands the builder back as it is.

    Raises:
        InputError: the name is taken, or there is no input shape.

    Example:
        >>> import keras
        >>> from tfbio.models import registry
        >>> @registry.register_model()
        ... def example_net(input_shape=(8, 8, 3), units: int = 4, name="example_net"):
        ...     inputs = keras.Input(input_shape)
        ...     outputs = keras.layers.Dense(units)(keras.layers.Flatten()(inputs))
        ...     return keras.Model(inputs, outputs, name=name)
        >>> registry.create_model("example_net").output_shape
        (None, 4)
        >>> registry.model_info("example_net").parameters["units"].annotation
        <class 'int'>
        >>> del registry._REGISTRY["example_net"]
    """

    def register(builder: Builder) -> Builder:
        name = builder.__name__
        known = _REGISTRY.get(name)
        # A cell of a notebook that is run again replaces what it registered.
        if known is not None and known.builder.__module__ != builder.__module__:
            raise InputError(f"Expected a new model name, received {name!r}, registered already.")
        shape = input_shape
        if shape is None:
            argument = inspect.signature(builder).parameters.get("input_shape")
            shape = None if argument is None else argument.default
        if not (isinstance(shape, tuple) and len(shape) == 3):
            raise InputError(
                f"Expected {name!r} to say its input shape (height, width, channels), received "
                f"{shape!r}: give `input_shape` to `register_model`, or the builder an argument "
                "`input_shape` with a default."
            )
        _REGISTRY[name] = ModelInfo(
            name=name, builder=builder, input_shape=shape, family=family, **facts
        )
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
