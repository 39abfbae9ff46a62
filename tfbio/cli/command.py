"""How every command starts and ends: flags in, exit code out, no traceback for a user's mistake."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from absl import flags

from tfbio._configuration import Option, options_of
from tfbio.cli.flags import define_model_flags, define_options, described_flags
from tfbio.errors import InputError, UnknownNameError

USAGE_ERROR = 2
INTERRUPTED = 130

_HELP = Option("help", (), bool, False, "Show this help.", "Help")
_FLAGFILE = Option("flagfile", (), str | None, None, "File of flags, one a line.", "Help")


@dataclass(frozen=True)
class Command:
    """A command of tfbio.

    Attributes:
        name: `tfbio NAME`.
        summary: what it does, in one sentence.
        configuration: the dataclass whose options are its flags.
        run: does the work.
        default_model: the model where none is named, if the command has one.
        has_models: whether arguments of models are flags.
        more_options: further options, which depend on the command line.
        on_interrupt: said after Ctrl-C.
    """

    name: str
    summary: str
    configuration: type
    run: Callable[[flags.FlagValues], None]
    default_model: str | None = None
    has_models: bool = True
    more_options: Callable[[Sequence[str]], Iterable[Option]] = lambda argv: ()
    on_interrupt: str = ""

    def define(self, argv: Sequence[str] = ()) -> tuple[flags.FlagValues, list[Option]]:
        """The flags of the command for a command line, and the options that its help shows.

        Args:
            argv: program name and arguments, flag files read.
        """
        values = flags.FlagValues()
        options = [*options_of(self.configuration).values(), *self.more_options(argv)]
        define_options(options, values)
        shown = list(options)
        if self.has_models:
            chosen = named(argv, "model")
            own = define_model_flags(values, chosen or self.default_model)
            shown += own if chosen else []
        flags.DEFINE_boolean("help", False, _HELP.description, short_name="h", flag_values=values)
        # Read by absl itself, before all others; defined for the help.
        flags.DEFINE_string("flagfile", None, _FLAGFILE.description, flag_values=values)
        return values, [*shown, _FLAGFILE, _HELP]

    def main(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Parse flags, run, and exit: 0 if all went well, 2 on a user's mistake, which is printed.

        Args:
            argv: program name and arguments; `sys.argv` by default.
        """
        argv = list(sys.argv if argv is None else argv)
        _show_messages()
        program = os.path.basename(argv[0])
        try:
            values = self._parse(argv)
            if values is not None:
                self.run(values)
        except InputError as error:
            print(f"{program}: {error}", file=sys.stderr)
            sys.exit(USAGE_ERROR)
        except KeyboardInterrupt:
            print(f"\nInterrupted. {self.on_interrupt}".rstrip(), file=sys.stderr)
            sys.exit(INTERRUPTED)
        sys.exit(0)

    def _parse(self, argv: list[str]) -> flags.FlagValues | None:
        """The flags; None after the help was shown."""
        try:
            argv = flags.FlagValues().read_flags_from_files(argv, force_gnu=False)
            import_modules(
                (named(argv, "import") or "").split(",") if named(argv, "import") else ()
            )
            values, shown = self.define(argv)
            rest = values(argv)[1:]
        except flags.UnrecognizedFlagError as error:
            raise UnknownNameError(
                "flag", f"--{error.flagname}", [f"--{each}" for each in values]
            ) from error
        except flags.Error as error:
            sentence = str(error).removeprefix("ERROR:: ")
            raise InputError(f"{sentence}; --help lists all flags.") from error
        if values.help:
            self._show_help(os.path.basename(argv[0]), shown)
            return None
        if rest:
            raise InputError(
                "Expected flags only, such as --model=bl_rcnn, received "
                f"{' '.join(map(repr, rest))}."
            )
        return values

    def _show_help(self, program: str, shown: Iterable[Option]) -> None:
        usage = f"python {program}" if program.endswith(".py") else f"tfbio {self.name}"
        print(f"{self.summary}\n\nusage: {usage} [flags]\n")
        print(described_flags(shown))
        if self.has_models:
            print(
                "\n--model=NAME --help also shows the arguments of that model; `tfbio models` "
                "lists the models."
            )


def import_modules(names: Iterable[str]) -> None:
    """Import modules of the user's that register models, data sets and protocols.

    Raises:
        InputError: there is no such module.
    """
    # As with `python -m`, modules of the current folder are found.
    if "" not in sys.path:
        sys.path.insert(0, "")
    for name in names:
        _import(name)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and not name.startswith(error.name):
            raise
        raise InputError(
            f"Expected a module with --import, found no {name!r}: it has to lie in this folder or "
            "be installed."
        ) from error


def named(argv: Sequence[str], flag: str) -> str | None:
    """The last value of a flag on a command line, before anything is parsed.

    Example:
        >>> named(["train.py", "--model", "b_cnn", "--epochs=2"], "model")
        'b_cnn'
    """
    found = None
    for position, argument in enumerate(argv):
        for prefix in (f"--{flag}", f"-{flag}"):
            if argument.startswith(f"{prefix}="):
                found = argument.removeprefix(f"{prefix}=")
            elif argument == prefix and position + 1 < len(argv):
                found = argv[position + 1]
    return found


def _show_messages() -> None:
    """Let the library's messages appear as they are, between the command's own lines."""
    logger = logging.getLogger("tfbio")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers = [handler]
