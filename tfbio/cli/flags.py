"""Flags, made from the fields of configurations and from the arguments of models."""

from __future__ import annotations

import collections
import inspect
import textwrap
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from absl import flags

from tfbio._configuration import Option, as_text, from_text, options_of, value_type
from tfbio.errors import InputError
from tfbio.models.registry import ModelInfo, list_models, model_info

# Arguments of every builder that other flags decide, or that only Python needs.
_NO_FLAGS = frozenset(
    {
        "input_shape",
        "classes",
        "weights",
        "classifier_activation",
        "include_preprocessing",
        "name",
    }
)
_WIDTH = 100
_COLUMN = 30


def is_sequence(annotation: Any) -> bool:
    """Whether a type is that of several values, which stand behind a flag with commas between.

    Example:
        >>> is_sequence(tuple[int, ...] | None), is_sequence(str)
        (True, False)
    """
    kind, _ = value_type(annotation)
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Sequence)


def has_flag(annotation: Any) -> bool:
    """Whether a value of this type can stand behind a flag.

    Example:
        >>> has_flag(float | None), has_flag(dict)
        (True, False)
    """
    kind, _ = value_type(annotation)
    if typing.get_origin(kind) is typing.Literal or is_sequence(annotation):
        return True
    members = typing.get_args(kind) or (kind,)
    return all(member in (bool, int, float, str) or is_sequence(member) for member in members)


def model_options(info: ModelInfo) -> list[Option]:
    """The arguments of a model as options.

    Example:
        >>> [each.name for each in model_options(model_info("bl_rcnn"))][:2]
        ['timesteps', 'cumulative_readout']
    """
    return [
        Option(
            name,
            ("model", "arguments"),
            parameter.annotation,
            parameter.default,
            parameter.description,
            f"Arguments of {info.name}",
        )
        for name, parameter in info.parameters.items()
        if name not in _NO_FLAGS and has_flag(parameter.annotation)
    ]


def define_options(options: Iterable[Option], values: flags.FlagValues) -> None:
    """Define a flag for each option that has none yet; without a default, so that one can tell."""
    for each in options:
        if each.name not in values and not each.facts.get("hidden"):
            _define(each, values)


def define_model_flags(values: flags.FlagValues, model: str | None) -> list[Option]:
    """Define the flags of all models; where they differ, as the chosen model has them.

    Args:
        values: where to.
        model: the name of the chosen model, if one is chosen.

    Returns:
        The options of the chosen model.
    """
    known = list_models()
    own = model_options(model_info(model)) if model in known else []
    define_options(own, values)
    for name in known:
        define_options(model_options(model_info(name)), values)
    return own


def given(values: flags.FlagValues, options: Mapping[str, Option]) -> dict[str, Any]:
    """The values of those flags that are given, by name.

    Args:
        values: parsed.
        options: that are asked for.

    Raises:
        InputError: a flag holds what is no value of its type.
    """
    found = {}
    for name, each in options.items():
        if name in values and values[name].value is not None:
            found[name] = _value(each, values[name].value)
    return found


def given_arguments(values: flags.FlagValues, configuration: type) -> dict[str, Any]:
    """The arguments of models that are given, of the chosen model if one is chosen.

    Args:
        values: parsed.
        configuration: of the command; its own options are no arguments of models.

    Raises:
        InputError: the chosen model takes none of this name.
    """
    options: dict[str, Option] = {}
    chosen = values["model"].value if "model" in values else None
    names = list_models()
    for name in [*([chosen] if chosen in names else []), *names]:
        for each in model_options(model_info(name)):
            if each.name not in options_of(configuration):
                options.setdefault(each.name, each)
    found = given(values, options)
    # The configuration refuses one without a classifier, whatever is asked of it.
    if chosen in names and model_info(chosen).classifier:
        own = {each.name for each in model_options(model_info(chosen))}
        strange = [f"--{name}" for name in found if name not in own]
        if strange:
            raise InputError(f"{chosen} takes no {' or '.join(strange)}: leave it out.")
    return found


def _define(each: Option, values: flags.FlagValues) -> None:
    kind, optional = value_type(each.annotation)
    facts: dict[str, Any] = {"flag_values": values}
    text = each.description
    if typing.get_origin(kind) is typing.Literal:
        choices = [str(choice) for choice in typing.get_args(kind)]
        flags.DEFINE_enum(
            each.name, None, [*choices, *(["none"] if optional else [])], text, **facts
        )
    elif is_sequence(each.annotation):
        flags.DEFINE_list(each.name, None, text, **facts)
    elif kind is bool:
        flags.DEFINE_boolean(each.name, None, text, **facts)
    elif kind in (int, float):
        define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
        limits = {
            limit: each.facts[fact]
            for limit, fact in (("lower_bound", "minimum"), ("upper_bound", "maximum"))
            if fact in each.facts
        }
        define(each.name, None, text, **limits, **facts)
    else:
        flags.DEFINE_string(each.name, None, text, **facts)


def _value(each: Option, value: Any) -> Any:
    kind, _ = value_type(each.annotation)
    if value == "":
        raise InputError(f"Expected a value behind --{each.name}=, received none: leave it out.")
    if kind in (bool, int, float, str):
        return value
    text = ",".join(value) if isinstance(value, list) else value
    try:
        return from_text(each.annotation, text)
    except ValueError as error:
        if typing.get_origin(kind) is tuple and Ellipsis not in typing.get_args(kind):
            raise InputError(
                f"Expected --{each.name} as one whole number or two, such as 64 or 64,48, received "
                f"{text}."
            ) from error
        if isinstance(value, list) and typing.get_origin(typing.get_args(kind)[0]):
            # Names, of which the configuration knows which there are.
            return tuple(value)
        example = each.facts.get("example", "1,2")
        expected = each.facts.get("expected", f"that are whole numbers, such as {example}")
        raise InputError(f"Expected --{each.name} {expected}, received {text}.") from error


# === Help ===


def described_flags(options: Iterable[Option]) -> str:
    """The flags of a command, by group, as `--help` shows them.

    Args:
        options: in their order; those of one group are put together.
    """
    groups: dict[str, list[Option]] = collections.defaultdict(list)
    for each in options:
        if not each.facts.get("hidden"):
            groups[each.group].append(each)
    parts = []
    for group, members in groups.items():
        lines = [line for each in members for line in _described(each)]
        parts.append("\n".join([f"{group}:", *lines]))
    return "\n\n".join(parts)


def option_table(options: Iterable[Option]) -> str:
    """The options of a command as a table in Markdown, for the documentation.

    Args:
        options: in their order.
    """
    rows = ["| option | what it is |", "|---|---|"]
    rows += [
        f"| `{each.name}` | {_sentence(each)} |" for each in options if not each.facts.get("hidden")
    ]
    return "\n".join(rows)


def _described(each: Option) -> list[str]:
    kind, _ = value_type(each.annotation)
    flag = f"--[no]{each.name}" if kind is bool else f"--{each.name}"
    wrapped = textwrap.wrap(_sentence(each), _WIDTH - _COLUMN) or [""]
    start = f"  {flag}"
    first = f"{start:<{_COLUMN}}{wrapped[0]}"
    rest = [" " * _COLUMN + line for line in wrapped[1:]]
    if len(start) >= _COLUMN:
        return [start, *(" " * _COLUMN + line for line in wrapped)]
    return [first, *rest]


def _sentence(each: Option) -> str:
    """What an option is, its choices and its default."""
    kind, optional = value_type(each.annotation)
    text, _, default = each.description.partition(" Default: ")
    text = text.rstrip(".")
    if each.variants:
        text = f"With --schedule={' or '.join(each.variants)}: {text}"
    if typing.get_origin(kind) is typing.Literal:
        choices = [str(choice) for choice in typing.get_args(kind)]
        text += f". One of {', '.join([*choices, *(['none'] if optional else [])])}"
    known = each.default not in (None, (), inspect.Parameter.empty, False)
    default = default.rstrip(".") or (as_text(each.default) if known else "")
    return f"{text[:1].upper()}{text[1:]}.{f' Default: {default}.' if default else ''}"
