"""How every command starts and ends: flags in, exit code out, no traceback for a user's mistake."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from absl import flags

from tfbio.errors import InputError, UnknownNameError

USAGE_ERROR = 2
INTERRUPTED = 130


def run_command(
    description: str,
    define_flags: Callable[[flags.FlagValues], None],
    main: Callable[[flags.FlagValues], None],
    argv: Sequence[str] | None = None,
    on_interrupt: str = "",
) -> NoReturn:
    """Parse flags, run, and exit: 0 if all went well, 2 on a user's mistake, which is printed.

    Args:
        description: what the command does, for `--help`.
        define_flags: defines the command's flags in the values it is given.
        main: does the work.
        argv: program name and arguments; `sys.argv` by default.
        on_interrupt: said after Ctrl-C.
    """
    argv = list(sys.argv if argv is None else argv)
    _show_messages()
    try:
        values = _parse(description, define_flags, argv)
        main(values)
    except InputError as error:
        print(f"{os.path.basename(argv[0])}: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        print(f"\nInterrupted. {on_interrupt}".rstrip(), file=sys.stderr)
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _show_messages() -> None:
    """Let the library's messages appear as they are, between the command's own lines."""
    logger = logging.getLogger("tfbio")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]


def _parse(
    description: str, define_flags: Callable[[flags.FlagValues], None], argv: list[str]
) -> flags.FlagValues:
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    # Read by absl itself, before all others; defined for the help.
    flags.DEFINE_string("flagfile", None, "File of flags, one a line.", flag_values=values)
    define_flags(values)
    try:
        rest = values(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        raise UnknownNameError(
            "flag", f"--{error.flagname}", [f"--{each}" for each in values]
        ) from error
    except flags.Error as error:
        sentence = str(error).removeprefix("ERROR:: ")
        raise InputError(f"{sentence}; --help lists all flags.") from error
    if values.help:
        print(f"{description}\n\nusage: python {os.path.basename(argv[0])} [flags]\n")
        print(values.get_help())
        sys.exit(0)
    if rest:
        raise InputError(
            f"Expected flags only, such as --model=bl_rcnn, received {' '.join(map(repr, rest))}."
        )
    return values


def given(values: flags.FlagValues, names: Sequence[str]) -> dict[str, Any]:
    """The values of those flags that are not None."""
    return {name: values[name].value for name in names if values[name].value is not None}
