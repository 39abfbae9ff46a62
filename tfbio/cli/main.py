"""`tfbio COMMAND`, and `python -m tfbio COMMAND`: every command by its name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfbio._version import __version__
from tfbio.errors import UnknownNameError

COMMANDS = {
    "train": "Train a model, or go on with its training.",
    "evaluate": "Measure a trained model.",
    "export": "Write a trained model for TF Serving.",
    "models": "List the registered models.",
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run a command; `argv` is program name and arguments, `sys.argv` by default."""
    _, *arguments = sys.argv if argv is None else argv
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(_usage())
        sys.exit(0 if arguments else 2)
    name, *rest = arguments
    if name == "--version":
        print(__version__)
        sys.exit(0)
    if name not in COMMANDS:
        print(f"tfbio: {UnknownNameError('command', name, COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    importlib.import_module(f"tfbio.cli.{name}").main([f"tfbio {name}", *rest])
    raise AssertionError("never reached: a command exits")


def _usage() -> str:
    lines = [f"  {name:<10}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "tfbio: biologically constrained vision models for Keras 3.",
            "",
            "usage: tfbio COMMAND [flags]",
            "",
            *lines,
            "",
            "tfbio COMMAND --help lists the flags of a command.",
        ]
    )


if __name__ == "__main__":
    main()
