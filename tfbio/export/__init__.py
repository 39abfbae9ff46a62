"""Export: trained models as SavedModels that TensorFlow Serving loads.

The package is a function too: `tfbio.export(trained, folder)` is `tfbio.export.api.export`.
"""

from __future__ import annotations

import inspect
import sys
import types
from pathlib import Path
from typing import Any

from tfbio.export import signatures as _signatures  # noqa: F401  registers them
from tfbio.export.api import export
from tfbio.export.context import ExportContext
from tfbio.export.labels import load_labels
from tfbio.export.saved_model import export_saved_model
from tfbio.export.signature import (
    Signature,
    TensorInfo,
    list_signatures,
    register_signature,
    signature_info,
    signature_table,
)

__all__ = [
    "ExportContext",
    "Signature",
    "TensorInfo",
    "export",
    "export_saved_model",
    "list_signatures",
    "load_labels",
    "register_signature",
    "signature_info",
    "signature_table",
]


class _CallablePackage(types.ModuleType):
    """A package whose name is a verb as well."""

    __signature__ = inspect.signature(export)

    def __call__(self, *arguments: Any, **options: Any) -> Path:
        return export(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
