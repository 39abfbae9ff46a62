"""Keras learns of tfbio's layers once both are imported, whichever comes first.

`import tfbio` leaves Keras and its backend alone: a command can answer `--help` at once, and what
TensorFlow reads from the environment at its import can still be set. But Keras builds a saved model
from the classes that it knows, and `keras.saving.load_model` has to find ours after `import tfbio`
alone. So they are imported with tfbio if Keras is there already, and right after Keras otherwise.

All that a saved model consists of is in `tfbio.layers`, which imports no other part of tfbio but
errors: it can be imported in the middle of any other import.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def register_with_keras() -> None:
    """Import `tfbio.layers`, now or as soon as Keras is imported.

    Example:
        >>> import keras
        >>> register_with_keras()
        >>> keras.saving.get_registered_object("tfbio>BLConv2D").__name__
        'BLConv2D'
    """
    if "keras" in sys.modules:
        importlib.import_module("tfbio.layers")
    elif not any(isinstance(finder, _KerasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder(MetaPathFinder):
    """Finds Keras where Python does, and has ours imported when Keras has been executed."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname == "keras" else None
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                importlib.import_module("tfbio.layers")

            spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
