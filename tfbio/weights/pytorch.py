"""PyTorch's files into named arrays, without executing what they hold."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfbio.weights.errors import WeightsError

# Under these names training scripts put the state dict into a checkpoint.
_STATE_DICT_KEYS = ("model", "state_dict", "model_state_dict")
# In front of every name, from a model that was trained on several devices.
PARALLEL_PREFIX = "module."


def import_torch() -> Any:
    """PyTorch, which is an extra.

    Raises:
        WeightsError: it is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise WeightsError(
            "Expected PyTorch for a file of PyTorch, found none: pip install 'tfbio[torch]', or "
            "pass the tensors as a dict of NumPy arrays."
        ) from error
    return torch


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """What a file that `torch.save` wrote holds: a state dict, or a checkpoint with one.

    Only tensors and plain containers are read (`weights_only=True`): a file with code in it is
    refused, and the code is not executed.

    Args:
        path: of a `.pt` or `.pth` file.

    Returns:
        Names to tensors, or to what else a checkpoint has; see `plain_arrays`.

    Raises:
        WeightsError: PyTorch is not installed, the file is damaged, or holds code, or no mapping.
    """
    if _is_torchscript(path):
        raise WeightsError(
            f"Expected a state dict or a checkpoint with one, received {path}, a TorchScript "
            "archive, which is a program: save its state dict, torch.save(model.state_dict(), "
            "path)."
        )
    torch = import_torch()
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # What PyTorch says goes on to advise executing the code.
        strange = re.search(r"GLOBAL ([\w.]+) was not an allowed", str(error))
        raise WeightsError(
            f"Expected a file of tensors, received {path}, whose pickle "
            f"{f'asks for {strange[1]}' if strange else 'holds more than that or is damaged'}. It "
            "was refused and no code in it was executed: save the state dict alone, "
            "torch.save(model.state_dict(), path)."
        ) from error
    except Exception as error:
        # PyTorch raises whatever the damaged part raises.
        raise WeightsError(
            f"{path} is damaged, truncated or no file that torch.save wrote, and was refused: "
            "download or copy it again."
        ) from error
    if not isinstance(content, Mapping):
        raise WeightsError(
            f"Expected a state dict or a checkpoint with one, received {path}, which holds a "
            f"{type(content).__name__}."
        )
    return content


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _numpy_scalars() -> list[Any]:
    """What a pickled NumPy number is made of, data alone: accuracies in checkpoints may be such."""
    scalar = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "?")}
    # Older NumPys pickled the same function under another name.
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]


def plain_arrays(content: Mapping[str, Any], origin: str) -> dict[str, np.ndarray]:
    """Names to arrays, out of a state dict or of a checkpoint that has one.

    Args:
        content: names to tensors or arrays, or a checkpoint with such a mapping as `"model"`,
            `"state_dict"` or `"model_state_dict"`.
        origin: for the error.

    Raises:
        WeightsError: it holds something that is no tensor.

    Example:
        >>> checkpoint = {"model": {"module.fc.bias": np.zeros(3)}, "current_epoch": 7}
        >>> plain_arrays(checkpoint, "checkpoint.pt")
        {'fc.bias': array([0., 0., 0.])}
    """
    for key in _STATE_DICT_KEYS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    arrays: dict[str, np.ndarray] = {}
    strange = []
    for name, tensor in content.items():
        array = _array(tensor)
        if array is None:
            strange.append(str(name))
        else:
            arrays[str(name)] = array
    if strange:
        raise WeightsError(
            f"Expected tensors only, received {origin} with {', '.join(strange[:4])}"
            f"{', ...' if len(strange) > 4 else ''}: pass the state dict alone."
        )
    if arrays and all(name.startswith(PARALLEL_PREFIX) for name in arrays):
        arrays = {name.removeprefix(PARALLEL_PREFIX): array for name, array in arrays.items()}
    return arrays


def _array(tensor: Any) -> np.ndarray | None:
    """A tensor of any library, or anything like an array of numbers; None for other things."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        if str(tensor.dtype) == "torch.bfloat16":
            # NumPy has no such type; every value of it is a float32.
            tensor = tensor.float()
        return tensor.numpy()
    try:
        array = np.asarray(tensor)
    except (TypeError, ValueError):
        return None
    return array if array.dtype.kind in "biuf" else None
