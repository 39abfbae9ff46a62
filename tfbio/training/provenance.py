"""What a run was made with: versions, revision, hardware, memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfbio._version import __version__
from tfbio.onednn import onednn_setting


def provenance() -> dict[str, Any]:
    """Versions, git revision, hardware and the use of oneDNN, as `summary.json` keeps them.

    Example:
        >>> sorted(provenance())
        ['git_revision', 'hardware', 'onednn', 'versions']
    """
    return {
        "versions": {
            "tfbio": __version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "git_revision": _git_revision(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "devices": [device.name for device in tf.config.list_logical_devices()],
        },
        "onednn": onednn_setting(),
    }


def peak_memory() -> float:
    """The largest resident size of this process so far, GiB.

    Example:
        >>> 0.01 < peak_memory() < 1000
        True
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak / (2**30 if sys.platform == "darwin" else 2**20)


def _git_revision() -> str | None:
    """The revision of the checkout that the package lies in, if it lies in one."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
