"""`tfbio models`: the registered models, or those that match a pattern."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

from tfbio.errors import InputError
from tfbio.models.registry import list_models, model_info

_USAGE = """List the registered models: name, family, input, paper.

usage: tfbio models [PATTERN]

PATTERN is a glob such as '*hgru*'. `tfbio train --model=NAME --help` shows a model's arguments."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """List models; `argv` is program name and arguments, `sys.argv` by default."""
    _, *arguments = sys.argv if argv is None else argv
    if any(argument in ("--help", "-h", "--helpfull") for argument in arguments):
        print(_USAGE)
        sys.exit(0)
    try:
        print(listed(arguments))
    except InputError as error:
        print(f"tfbio models: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def listed(arguments: Sequence[str]) -> str:
    """The table of models, one a line.

    Raises:
        InputError: no model matches, or there is more than one pattern.

    Example:
        >>> print(listed(["b_[df]_cnn"]))
        b_d_cnn   BL-RCNN   128 x 128   10.1371/journal.pcbi.1008215
        b_f_cnn   BL-RCNN   128 x 128   10.1371/journal.pcbi.1008215
    """
    if len(arguments) > 1 or any(argument.startswith("-") for argument in arguments):
        raise InputError(
            "Expected one pattern of names, such as '*hgru*', received "
            f"{' '.join(map(repr, arguments))}."
        )
    pattern = arguments[0] if arguments else "*"
    infos = [model_info(name) for name in list_models(pattern)]
    if not infos:
        raise InputError(
            f"Expected a pattern that a model's name matches, received {pattern!r}: `tfbio models` "
            "lists all."
        )
    names = max(len(info.name) for info in infos)
    families = max(len(info.family) for info in infos)
    return "\n".join(
        f"{info.name:<{names}}   {info.family:<{families}}   "
        f"{info.input_shape[0]} x {info.input_shape[1]}   {info.reference}"
        for info in infos
    )


if __name__ == "__main__":
    main()
