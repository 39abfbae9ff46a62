"""Trees of frozen dataclasses as one configuration: flags, files and keywords are made from them.

Every option of a command is a field of one of these dataclasses, documented where it is declared.
A field that holds another dataclass is a branch; one that holds one of several (a schedule of the
learning rate) is a choice among them by name; all others are options, and their names are unique
in the whole tree.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfbio._documentation import described_arguments
from tfbio.errors import InputError, UnknownNameError


def option(default: Any = None, **facts: Any) -> Any:
    """A field of a configuration, with what its flag needs to know beyond type and default.

    Args:
        default: value of the field where none is given.
        **facts: `name` of the option, if it is not the field's; `minimum` and `maximum` of a
            number; `example` of a list, for a sentence; `hidden` if there is no flag; `setting`,
            False for what says where things are or how far to go, and not what is trained;
            `path`, True for a file or folder.

    Example:
        >>> @dataclass(frozen=True)
        ... class Walk:
        ...     steps: int = option(3, minimum=1)
        >>> Walk().steps
        3
    """
    return dataclasses.field(default=default, metadata=facts)


@dataclass(frozen=True)
class Option:
    """One option of a configuration tree.

    Attributes:
        name: unique in the tree; the flag's and the keyword's.
        path: names of the fields that lead to it.
        annotation: type of the value.
        default: where none is given.
        description: one sentence or phrase.
        group: headline of the part of the tree that it belongs to.
        variants: names of the variants that have it; empty if all configurations have it.
        facts: see `option`.
    """

    name: str
    path: tuple[str, ...]
    annotation: Any
    default: Any
    description: str
    group: str
    variants: tuple[str, ...] = ()
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_setting(self) -> bool:
        """Whether it decides what is trained."""
        return self.facts.get("setting", True)


def variants_of(annotation: Any) -> dict[str, type]:
    """The dataclasses among which a field chooses, by name; empty for any other field."""
    members = typing.get_args(annotation) if _is_union(annotation) else ()
    if members and all(dataclasses.is_dataclass(member) for member in members):
        return {member.name: member for member in members}
    return {}


def branch_of(annotation: Any) -> type | None:
    """The dataclass that a field holds, or None."""
    is_class = isinstance(annotation, type) and dataclasses.is_dataclass(annotation)
    return annotation if is_class else None


@functools.cache
def options_of(configuration: type) -> dict[str, Option]:
    """The options of a configuration tree by name, in the order of the fields.

    Args:
        configuration: a dataclass.

    Example:
        >>> from tfbio.framing import Framing
        >>> list(options_of(Framing))
        ['crop_ratio', 'resize_through']
    """
    found: dict[str, Option] = {}
    for each in _walk(configuration, (), (), None):
        known = found.get(each.name)
        if known is not None:
            if not (known.variants and each.variants):
                raise ValueError(f"Expected options of different names, found {each.name} twice.")
            each = dataclasses.replace(known, variants=(*known.variants, *each.variants))
        found[each.name] = each
    return found


def _walk(
    configuration: type, path: tuple[str, ...], variants: tuple[str, ...], group: str | None
) -> Iterator[Option]:
    """The options in the order of the fields; parts of a part belong to its group."""
    hints = typing.get_type_hints(configuration)
    described = described_arguments(configuration)
    own_group = group or (configuration.__doc__ or "").splitlines()[0].rstrip(".")
    for field in dataclasses.fields(configuration):
        where = (*path, field.name)
        annotation = hints[field.name]
        if branch := branch_of(annotation):
            yield from _walk(branch, where, variants, group=own_group if path else None)
            continue
        chosen = variants_of(annotation)
        yield Option(
            name=field.metadata.get("name", field.name),
            path=where,
            annotation=typing.Literal[tuple(chosen)] if chosen else annotation,
            default=_default(field).name if chosen else _default(field),
            description=described.get(field.name, ""),
            group=own_group,
            variants=variants,
            facts=field.metadata,
        )
        for name, variant in chosen.items():
            yield from _walk(variant, where, (name,), own_group)


def build(configuration: type, values: Mapping[str, Any]) -> Any:
    """A configuration out of the values of its options.

    Args:
        configuration: a dataclass.
        values: by name of the option, or by name of a field whole parts of the tree; what is not
            there has its default.

    Raises:
        UnknownNameError: there is no such option.
        InputError: a value is refused, or belongs to a variant that is not chosen.

    Example:
        >>> from tfbio.framing import Framing
        >>> build(Framing, {"crop_ratio": 0.875})
        Framing(crop_ratio=0.875, resize_through=None)
    """
    rest = dict(values)
    made = _build(configuration, rest)
    for name in rest:
        raise UnknownNameError("option", name, options_of(configuration))
    return made


def _build(configuration: type, values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(configuration)
    arguments = {}
    for field in dataclasses.fields(configuration):
        annotation = hints[field.name]
        name = field.metadata.get("name", field.name)
        parts = tuple(variants_of(annotation).values()) or branch_of(annotation)
        if parts and isinstance(values.get(field.name), parts):
            arguments[field.name] = _changed(values.pop(field.name), values)
        elif branch := branch_of(annotation):
            arguments[field.name] = _build(branch, values)
        elif variants := variants_of(annotation):
            arguments[field.name] = _variant(
                name, variants, values.pop(name, _default(field).name), values
            )
        elif name in values:
            arguments[field.name] = values.pop(name)
    return configuration(**arguments)


def _changed(part: Any, values: dict[str, Any]) -> Any:
    """A part of a configuration with those of its options that are given beside it."""
    hints = typing.get_type_hints(type(part))
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(part):
        name = field.metadata.get("name", field.name)
        variants = variants_of(hints[field.name])
        inner = tuple(variants.values()) or branch_of(hints[field.name])
        if inner and isinstance(values.get(field.name), inner):
            changes[field.name] = _changed(values.pop(field.name), values)
        elif variants and name in values:
            changes[field.name] = _variant(name, variants, values.pop(name), values)
        elif inner:
            changes[field.name] = _changed(getattr(part, field.name), values)
        elif name in values:
            changes[field.name] = values.pop(name)
    return dataclasses.replace(part, **changes) if changes else part


def _variant(kind: str, variants: Mapping[str, type], name: str, values: dict[str, Any]) -> Any:
    """The variant of this name; options of the others are refused."""
    if name not in variants:
        raise UnknownNameError(kind, name, variants)
    own = {field.metadata.get("name", field.name) for field in dataclasses.fields(variants[name])}
    takers: dict[str, list[str]] = {}
    for other, variant in variants.items():
        for field in dataclasses.fields(variant):
            takers.setdefault(field.metadata.get("name", field.name), []).append(other)
    for each, names in takers.items():
        if each in values and each not in own:
            raise InputError(
                f"Expected {each} with the {kind} {' or '.join(names)} only, received the {kind} "
                f"{name}."
            )
    return _build(variants[name], values)


def values_of(configuration: Any) -> dict[str, Any]:
    """The values of all options of a configuration, by name: what `build` makes it from.

    Example:
        >>> from tfbio.framing import Framing
        >>> values_of(Framing(0.875))
        {'crop_ratio': 0.875, 'resize_through': None}
    """
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(type(configuration))
    for field in dataclasses.fields(configuration):
        value = getattr(configuration, field.name)
        if branch_of(hints[field.name]):
            found |= values_of(value)
        elif variants_of(hints[field.name]):
            found[field.metadata.get("name", field.name)] = value.name
            found |= values_of(value)
        else:
            found[field.metadata.get("name", field.name)] = value
    return found


def as_json(configuration: Any, settings_only: bool = True) -> dict[str, Any]:
    """A configuration as nested dicts of plain values, for a file; its paths are absolute.

    Args:
        configuration: a configuration.
        settings_only: leave out what says where things are or how far to go.

    Example:
        >>> from tfbio.framing import Framing
        >>> as_json(Framing(0.875, 224))
        {'crop_ratio': 0.875, 'resize_through': [224, 224]}
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(configuration):
        if settings_only and not field.metadata.get("setting", True):
            continue
        value = getattr(configuration, field.name)
        if field.metadata.get("path"):
            value = absolute(value)
        if dataclasses.is_dataclass(value):
            name = getattr(value, "name", None)
            is_variant = not any(each.name == "name" for each in dataclasses.fields(value))
            found[field.name] = {
                **({"name": name} if is_variant and name is not None else {}),
                **as_json(value, settings_only),
            }
        else:
            found[field.name] = _plain(value)
    return found


def absolute(path: Any) -> str | None:
    """A path that leads to the same place from every folder; addresses stay as they are.

    Example:
        >>> absolute("https://example.org/weights.h5"), absolute(None)
        ('https://example.org/weights.h5', None)
    """
    if path is None or "://" in str(path):
        return path
    return str(Path(path).resolve())


def from_json(configuration: type, content: Mapping[str, Any]) -> Any:
    """A configuration out of what `as_json` gave; what is not there has its default.

    Raises:
        InputError: a field is not known, or a value is refused.
    """
    hints = typing.get_type_hints(configuration)
    fields = {field.name: field for field in dataclasses.fields(configuration)}
    arguments = {}
    for name, value in content.items():
        if name not in fields:
            raise UnknownNameError(f"field of {configuration.__name__}", name, fields)
        if branch := branch_of(hints[name]):
            arguments[name] = from_json(branch, value)
        elif variants := variants_of(hints[name]):
            rest = dict(value)
            chosen = rest.pop("name", None)
            if chosen not in variants:
                raise UnknownNameError(name, str(chosen), variants)
            arguments[name] = from_json(variants[chosen], rest)
        else:
            arguments[name] = _immutable(value)
    return configuration(**arguments)


def value_type(annotation: Any) -> tuple[Any, bool]:
    """A type without None, and whether None was allowed.

    Example:
        >>> value_type(int | None)
        (<class 'int'>, True)
    """
    if not _is_union(annotation):
        return annotation, False
    members = typing.get_args(annotation)
    others = tuple(member for member in members if member is not type(None))
    rest = others[0] if len(others) == 1 else typing.Union[others]  # noqa: UP007
    return rest, len(others) < len(members)


def as_native(value: Any) -> Any:
    """Numbers of NumPy, alone or in tuples and lists, as Python's own; anything else as it is.

    Example:
        >>> import numpy as np
        >>> as_native((np.int64(3), np.float32(0.5))), as_native("text")
        ((3, 0.5), 'text')
    """
    if isinstance(value, (tuple, list)):
        return type(value)(map(as_native, value)) if type(value) in (tuple, list) else value
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def check_options(configuration: Any) -> None:
    """Refuse values of fields that are of another type, no choice, or out of range.

    Numbers of NumPy become Python's own, lists tuples. For the `__post_init__` of a configuration.

    Args:
        configuration: a frozen dataclass.

    Raises:
        InputError: a value is refused.

    Example:
        >>> @dataclass(frozen=True)
        ... class Walk:
        ...     steps: int = option(3, minimum=1)
        ...     def __post_init__(self):
        ...         check_options(self)
        >>> Walk("three")
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected steps to be a whole number of 1 or more, received 'three'.
    """
    hints = typing.get_type_hints(type(configuration))
    for field in dataclasses.fields(configuration):
        annotation = hints[field.name]
        if branch_of(annotation) or variants_of(annotation) or annotation is Any:
            continue
        kind, optional = value_type(annotation)
        value = as_native(getattr(configuration, field.name))
        if isinstance(value, list):
            value = tuple(value)
        if not (value is None and optional) and not _fits(kind, value, field.metadata):
            name = field.metadata.get("name", field.name)
            raise InputError(
                f"Expected {name} to be {_wanted(kind, field.metadata)}, received {value!r}."
            )
        object.__setattr__(configuration, field.name, value)


def _fits(kind: Any, value: Any, facts: Mapping[str, Any]) -> bool:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return value in typing.get_args(kind)
    if origin in (tuple, typing.Union, types.UnionType):
        # What stands in a tuple is for the configuration itself to check.
        return isinstance(value, tuple) or _is_union(kind)
    if kind is float:
        kind = (int, float)
    if kind is str:
        return isinstance(value, (str, os.PathLike))
    if kind not in (bool, int, (int, float)):
        return True
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return False
    # Not a number is for the configuration itself to refuse.
    return not (value < facts.get("minimum", value) or value > facts.get("maximum", value))


def _wanted(kind: Any, facts: Mapping[str, Any]) -> str:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    if origin is tuple:
        return "a tuple, such as " + repr(tuple(facts.get("example", "1,2").split(",")))
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
    limits = [f"of {facts['minimum']} or more"] if "minimum" in facts else []
    limits += [f"{facts['maximum']} at most"] if "maximum" in facts else []
    return " ".join([names.get(kind, str(kind)), " and ".join(limits)]).strip()


def _default(field: dataclasses.Field) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    native = as_native(value)
    return str(value) if native is value else _plain(native)


def _immutable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_immutable(each) for each in value)
    if isinstance(value, Mapping):
        return {name: _immutable(each) for name, each in value.items()}
    return value


# === As text: flag files ===


def as_text(value: Any) -> str:
    """A value as it stands behind a flag.

    Example:
        >>> as_text(True), as_text((60, 80)), as_text((224, 224)), as_text(()), as_text(None)
        ('true', '60,80', '224,224', 'none', 'none')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or (isinstance(value, (tuple, list)) and not value):
        return "none"
    if isinstance(value, (tuple, list)):
        return ",".join(map(as_text, value))
    return str(value)


def from_text(annotation: Any, text: str) -> Any:
    """A value of a type out of the text behind a flag.

    Args:
        annotation: type of the value: bool, int, float, str, Literal, tuples and sequences of
            these, or a union.
        text: what stands behind the flag.

    Raises:
        ValueError: the text is no value of the type.

    Example:
        >>> from_text(tuple[int, ...], "60,80"), from_text(tuple[int, int] | None, "224")
        ((60, 80), (224, 224))
        >>> from_text(float | None, "none") is None
        True
    """
    kind, optional = value_type(annotation)
    if text == "none" and optional:
        # An empty list is something else than the default.
        return () if Ellipsis in _items_of(kind) else None
    if _is_union(kind):
        return _first_that_fits(typing.get_args(kind), text)
    if typing.get_origin(kind) is typing.Literal:
        return _choice(kind, text)
    items = _items_of(kind)
    if items:
        parts = [] if text in ("", "none") else text.split(",")
        values = tuple(from_text(items[0], part) for part in parts)
        fixed = len(items) if Ellipsis not in items else None
        return values * fixed if fixed and len(values) == 1 else values
    if kind is bool:
        return _switch(text)
    return kind(text) if kind in (int, float) else text


def _first_that_fits(kinds: Sequence[Any], text: str) -> Any:
    first, *others = kinds
    try:
        return from_text(first, text)
    except ValueError:
        if not others:
            raise
        return _first_that_fits(others, text)


def _items_of(kind: Any) -> tuple[Any, ...]:
    """Types of the items of a sequence; two or more of one of a fixed length."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return typing.get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return (*typing.get_args(kind), Ellipsis)
    return ()


def _choice(kind: Any, text: str) -> Any:
    for value in typing.get_args(kind):
        if str(value) == text:
            return value
    raise ValueError(f"{text!r} is none of {', '.join(map(str, typing.get_args(kind)))}")


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise ValueError(f"could not convert {text!r} to true or false")
    return text.lower() in ("true", "1")
