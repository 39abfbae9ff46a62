"""oneDNN, TensorFlow's faster operations for x86 CPUs, wherever the CPU can run them."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
# Of Linux. TensorFlow for macOS has no oneDNN, and TensorFlow for Windows uses it anyway.
_CPU_INFORMATION = Path("/proc/cpuinfo")


def enable_onednn() -> None:
    """Let TensorFlow use oneDNN on every CPU with AVX2.

    TensorFlow on Linux does so by itself on CPUs with AVX-512 VNNI, AVX-VNNI or AMX only. On one
    without them, a training step takes two and a half times as long as it would with oneDNN. Sums
    are taken in another order, so the last bits of results differ.

    TensorFlow reads its environment once, when it is imported. The commands call this first, and a
    program of your own calls it before it imports Keras or TensorFlow. The environment variable
    `TF_ENABLE_ONEDNN_OPTS` wins if it is set: 0 leaves oneDNN off. Nothing is changed on a CPU
    without AVX2, such as an ARM processor.

    Warns:
        UserWarning: TensorFlow is imported already and does not use oneDNN.

    Example:
        >>> import tfbio
        >>> tfbio.enable_onednn()
        >>> import keras
    """
    if VARIABLE in os.environ or not _has_avx2():
        return
    if "tensorflow" not in sys.modules:
        os.environ[VARIABLE] = "1"
    elif _is_enabled() is False:
        warnings.warn(
            "Expected enable_onednn() before TensorFlow is imported, found it imported without "
            "oneDNN: restart Python and call it before Keras and TensorFlow are imported, or set "
            f"{VARIABLE}=1 in the environment.",
            stacklevel=2,
        )


def onednn_setting() -> dict[str, Any]:
    """Whether TensorFlow uses oneDNN, and by whose decision, as `summary.json` keeps it.

    Returns:
        `enabled`, True, False, or None if TensorFlow does not tell; and `decided_by`, the variable
        of the environment with its value, or TensorFlow's default.

    Example:
        >>> sorted(onednn_setting())
        ['decided_by', 'enabled']
    """
    value = os.environ.get(VARIABLE)
    return {
        "enabled": _is_enabled(),
        "decided_by": (
            "TensorFlow's default for this CPU" if value is None else f"{VARIABLE}={value}"
        ),
    }


def _has_avx2() -> bool:
    try:
        lines = _CPU_INFORMATION.read_text().splitlines()
    except OSError:
        return False
    return any("avx2" in line.split() for line in lines if line.startswith("flags"))


def _is_enabled() -> bool | None:
    """What TensorFlow's own tests ask; there is no public function for it."""
    try:
        from tensorflow.python.util import _pywrap_util_port

        return bool(_pywrap_util_port.IsMklEnabled())
    except (ImportError, AttributeError):
        return None
