"""Where every command starts: `tfbio COMMAND`, `python -m tfbio COMMAND`, `python train.py`.

Nothing here imports Keras or TensorFlow: what they read from the environment is set first.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfbio._version import __version__
from tfbio.errors import UnknownNameError
from tfbio.onednn import enable_onednn

COMMANDS = {
    "train": "Train a model, or go on with its training.",
    "evaluate": "Evaluate a trained model.",
    "export": "Write a trained model for TF Serving.",
    "models": "List the registered models.",
}
_HELP = ("--help", "-h", "-help")


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run `tfbio COMMAND`; `argv` is program name and arguments, `sys.argv` by default."""
    _, *arguments = sys.argv if argv is None else argv
    if not arguments or arguments[0] in (*_HELP, "help"):
        print(_usage())
        sys.exit(0 if arguments else 2)
    name, *rest = arguments
    if name == "--version":
        print(__version__)
        sys.exit(0)
    if name not in COMMANDS:
        print(f"tfbio: {UnknownNameError('command', name, COMMANDS)}", file=sys.stderr)
        sys.exit(2)
    start(name, [f"tfbio {name}", *rest])


def start(command: str, argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command.

    Args:
        command: a name of `COMMANDS`.
        argv: program name and arguments; `sys.argv` by default.
    """
    argv = list(sys.argv if argv is None else argv)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # fewer of TensorFlow's notices
    enable_onednn()
    if command == "models" or any(argument in _HELP for argument in argv):
        # Names, arguments and their documentation need no TensorFlow, which takes seconds.
        os.environ["KERAS_BACKEND"] = "numpy"
    importlib.import_module(f"tfbio.cli.{command}").main(argv)
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
