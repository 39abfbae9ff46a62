"""Keys of another project's configuration: what becomes of each, and how they are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tfbio.errors import InputError, UnknownNameError

Convert = Callable[[str, Any], Any]


@dataclass(frozen=True)
class Key:
    """A key of another project's configuration, and what becomes of it.

    Attributes:
        name: the key, after the sections that it stands in: `optimizer.lr`.
        options: names of the options that it decides; empty if nothing corresponds to it.
        remark: what is done, or what there is in its place. Where nothing corresponds to the key,
            a note says it.
        lossless: values of a key without counterpart with which nothing is lost.
    """

    name: str
    options: tuple[str, ...] = ()
    remark: str = ""
    lossless: tuple[Any, ...] = ()


class Reading:
    """The keys of one file, on their way to values of options and notes.

    Args:
        project: what the project is called in sentences.
        content: names of keys to values, sections written out: `optimizer.lr`.
        keys: the keys of the project.

    Raises:
        UnknownNameError: the project has no such key.
    """

    def __init__(self, project: str, content: Mapping[str, Any], keys: tuple[Key, ...]):
        self._keys = {key.name: key for key in keys}
        for name in content:
            if name not in self._keys:
                raise UnknownNameError(f"key of {project}", name, self._keys)
        self._content = dict(content)
        self._notes: list[tuple[str, str]] = []
        self.values: dict[str, Any] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._content

    def get(self, name: str, convert: Convert, default: Any = None) -> Any:
        """The value of a key, checked; the original's default where the key is absent."""
        if name not in self._content:
            return default
        return convert(name, self._content[name])

    def needed(self, name: str, convert: Convert) -> Any:
        """The value of a key that the original has no default for; None, and a note, without."""
        if name not in self._content:
            self._note(
                name, f"{name} is not given, and the original has no default: tfbio's holds."
            )
        return self.get(name, convert)

    def copy(self, name: str, option: str, convert: Convert) -> None:
        """Set an option to the value of a key that the original has no default for."""
        value = self.needed(name, convert)
        if name in self._content:
            self.values[option] = value

    def differs(self, name: str, sentence: str) -> None:
        """Note in which other sense a key is read."""
        self._note(name, f"{self._written(name)}: {sentence}")

    def idle(self, name: str, because: str) -> None:
        """Note, if the key is given, that it decides nothing, neither there nor here."""
        if name in self._content:
            self._note(name, f"{self._written(name)} has no effect with {because}.")

    def lost(self, name: str, remark: str | None = None) -> None:
        """Note, if the key is given, that nothing corresponds to it."""
        if name in self._content:
            sentence = remark or self._keys[name].remark
            self._note(name, f"{self._written(name)} has no counterpart: {sentence}")

    def without_counterpart(self, *but: str) -> None:
        """Note all given keys that nothing corresponds to, unless nothing is lost with them.

        Args:
            *but: keys that are not read in this file.
        """
        for name, value in self._content.items():
            key = self._keys[name]
            kept = any(value == each and type(value) is type(each) for each in key.lossless)
            if not key.options and not kept and name not in but:
                self.lost(name)

    @property
    def notes(self) -> tuple[str, ...]:
        """The notes, in the order of the project's keys."""
        order = list(self._keys)
        return tuple(note for _, note in sorted(self._notes, key=lambda each: order.index(each[0])))

    def _note(self, name: str, sentence: str) -> None:
        if (name, sentence) not in self._notes:
            self._notes.append((name, sentence))

    def _written(self, name: str) -> str:
        if name not in self._content:
            return name
        value = self._content[name]
        return f"{name}={value if isinstance(value, str) else json.dumps(value)}"


# === Values ===


def whole(name: str, value: Any) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"Expected {name} to be a whole number, received {value!r}.")
    return value


def number(name: str, value: Any) -> float:
    """A number, as a float."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"Expected {name} to be a number, received {value!r}.")
    return float(value)


def switch(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise InputError(f"Expected {name} to be true or false, received {value!r}.")
    return value


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise InputError(f"Expected {name} to be a text, received {value!r}.")
    return value


def one_of(choices: Mapping[Any, Any]) -> Convert:
    """One of the original's names, as that of tfbio.

    Args:
        choices: the original's names to those of tfbio.
    """

    def convert(name: str, value: Any) -> Any:
        if isinstance(value, (list, dict)) or value not in choices:
            names = ", ".join("null" if choice is None else str(choice) for choice in choices)
            raise InputError(f"Expected {name} to be one of {names}, received {value!r}.")
        return choices[value]

    return convert
