"""The way back: a model's weights as a state dict, or a checkpoint, of the original project."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfbio.weights.model_tensors import origin_of_model, state_dict_tensors
from tfbio.weights.pytorch import PARALLEL_PREFIX, import_torch


def to_torch_state_dict(model: keras.Model, as_arrays: bool = False) -> dict[str, Any]:
    """The weights of a model as a state dict that the original project loads.

    Args:
        model: a model of the registry whose original is written in PyTorch, or one of your own of
            the same layers.
        as_arrays: give NumPy arrays, for which PyTorch is not needed.

    Returns:
        Names of the original's tensors, to tensors on the CPU.

    Raises:
        WeightsError: PyTorch is not installed.
        InputError: the model has a layer that the originals do not have.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50", width=0.125, blocks=(1, 1, 1, 1))
        >>> arrays = to_torch_state_dict(model, as_arrays=True)
        >>> arrays["conv1.weight"].shape, str(arrays["bn1.num_batches_tracked"].dtype)
        ((8, 3, 7, 7), 'int64')
    """
    values = {name: tensor.value() for name, tensor in state_dict_tensors(model).tensors.items()}
    arrays = {name: value for name, value in values.items() if value is not None}
    if as_arrays:
        return arrays
    torch = import_torch()
    return {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}


def to_torch_checkpoint(model: keras.Model, as_arrays: bool = False) -> dict[str, Any]:
    """A VOneNet as the original publishes its networks: state dict, and settings of the front end.

    Without the settings, stride, gain and noise of a state dict are unknown.

    Args:
        model: a VOneNet, or another one whose original keeps settings beside its tensors.
        as_arrays: give NumPy arrays, for which PyTorch is not needed.

    Returns:
        `{"flags": settings, "state_dict": tensors}`, for `torch.save` or `tfbio.load_weights`.

    Raises:
        WeightsError: PyTorch is not installed.
        ValueError: the model has no VOneBlock, or a layer that the originals do not have.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_block", strides=2)
        >>> to_torch_checkpoint(model, as_arrays=True)["flags"]["stride"]
        2
    """
    origin = origin_of_model(model)
    settings = origin.settings(model)
    if not settings or origin.settings_key is None:
        raise ValueError(f"Expected a model with a VOneBlock, received {model.name!r}.")
    tensors = to_torch_state_dict(model, as_arrays)
    # As of a model that was trained on several devices, like all published ones.
    return {
        origin.settings_key: settings,
        "state_dict": {f"{PARALLEL_PREFIX}{name}": tensor for name, tensor in tensors.items()},
    }
