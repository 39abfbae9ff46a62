"""What a docstring says of each argument: flags and tables are made from it."""

from __future__ import annotations

import inspect
import re
from typing import Any

_SECTIONS = ("Args:", "Attributes:")
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*):\s*(.*)$")


def described_arguments(documented: Any) -> dict[str, str]:
    """The descriptions of arguments or fields, out of a docstring.

    Args:
        documented: a function or a class whose docstring has a section `Args:` or `Attributes:`.
            Several names before a colon share their description; a class has its bases' too.

    Returns:
        Name to description, as one line each, in the order of the docstring.

    Example:
        >>> def scale(width, height):
        ...     '''Scale an image.
        ...
        ...     Args:
        ...         width, height: of the result,
        ...             pixels.
        ...     '''
        >>> described_arguments(scale)
        {'width': 'of the result, pixels.', 'height': 'of the result, pixels.'}
    """
    found: dict[str, str] = {}
    if isinstance(documented, type):
        for base in reversed(documented.__mro__[1:-1]):
            found |= described_arguments(base)
    lines = iter(inspect.cleandoc(documented.__doc__ or "").splitlines())
    for line in lines:
        if line.strip() not in _SECTIONS:
            continue
        depth = None
        names: list[str] = []
        text: list[str] = []
        for inside in lines:
            indent = len(inside) - len(inside.lstrip())
            if inside.strip() and indent == 0:
                break
            if not inside.strip():
                continue
            depth = indent if depth is None else depth
            entry = _ENTRY.match(inside.strip()) if indent == depth else None
            if entry is None:
                text.append(inside.strip())
            else:
                found.update(dict.fromkeys(names, " ".join(text)))
                names = [name.lstrip("*") for name in entry[1].split(", ")]
                text = [entry[2]] if entry[2] else []
        found.update(dict.fromkeys(names, " ".join(text)))
    return found
