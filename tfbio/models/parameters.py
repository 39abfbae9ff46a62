"""What the arguments of a builder are: flags, `--help` and tables are made from it."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tfbio._documentation import described_arguments

_OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Parameter:
    """One argument of a builder.

    Attributes:
        name: of the argument.
        annotation: its type, such as `int`, `float | None` or `Literal["a", "b"]`; of an argument
            without one, the type of its default.
        default: the published value; `inspect.Parameter.empty` if the builder has none.
        description: what the docstring says of it, as one line; empty if nothing does.
    """

    name: str
    annotation: Any
    default: Any
    description: str


def parameters_of(
    builder: Callable[..., Any],
    options: Any = None,
    others: Iterable[tuple[Callable[..., Any], Any]] = (),
) -> dict[str, Parameter]:
    """The arguments of a builder, those among them that it takes as fields of a dataclass.

    Args:
        builder: any function with a signature and a docstring.
        options: the dataclass whose fields its `**options` are, if it has any.
        others: builders and their dataclasses that are asked, one after the other, what an argument
            is that the builder's own docstring does not describe.

    Returns:
        Name to `Parameter`, in the order of the signature, and of the fields after that.

    Example:
        >>> def example_net(width: float = 1.0):
        ...     '''An example.
        ...
        ...     Args:
        ...         width: factor on the number of filters.
        ...     '''
        >>> parameters_of(example_net)["width"]
        Parameter(name='width', annotation=<class 'float'>, default=1.0,
        description='factor on the number of filters.')
    """
    found: dict[str, Parameter] = {}
    descriptions = [_described(builder, options)]
    rest = iter(others)

    def describe(name: str) -> str:
        for known in descriptions:
            if name in known:
                return known[name]
        for other in rest:
            descriptions.append(_described(*other))
            if name in descriptions[-1]:
                return descriptions[-1][name]
        return ""

    for name, annotation, default in (*_arguments(builder), *_fields(options)):
        found[name] = Parameter(name, annotation, default, describe(name))
    return found


def argument_names(builder: Callable[..., Any], options: Any = None) -> tuple[str, ...]:
    """The names of the arguments of a builder, and of the fields that it takes.

    Example:
        >>> def example_net(width: float = 1.0, **options): ...
        >>> argument_names(example_net)
        ('width',)
    """
    fields = dataclasses.fields(options) if options is not None else ()
    return (*(each.name for each in _signature(builder)), *(each.name for each in fields))


@functools.cache
def _described(builder: Callable[..., Any], options: Any) -> Mapping[str, str]:
    of_options = {} if options is None else described_arguments(options)
    return {**of_options, **described_arguments(builder)}


def _signature(builder: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = inspect.signature(builder).parameters.values()
    return [each for each in parameters if each.kind not in _OPEN]


def _arguments(builder: Callable[..., Any]) -> Iterable[tuple[str, Any, Any]]:
    namespace = getattr(inspect.unwrap(builder), "__globals__", {})
    for each in _signature(builder):
        annotation = each.annotation
        if annotation is inspect.Parameter.empty:
            annotation = Any if each.default in (None, each.empty) else type(each.default)
        yield each.name, _resolved(annotation, namespace), each.default


def _fields(options: Any) -> Iterable[tuple[str, Any, Any]]:
    if options is None:
        return
    namespace = vars(sys.modules[options.__module__])
    for each in dataclasses.fields(options):
        default = each.default
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        yield each.name, _resolved(each.type, namespace), default


def _resolved(annotation: Any, namespace: dict[str, Any]) -> Any:
    """The type that an annotation names; `Any` for a name that only type checkers know."""
    stand_in = types.SimpleNamespace(__annotations__={"it": annotation})
    try:
        return typing.get_type_hints(stand_in, namespace)["it"]
    except NameError:
        return Any
