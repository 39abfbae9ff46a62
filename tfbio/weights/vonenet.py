"""What is peculiar to the checkpoints of VOneNets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfbio.weights.errors import WeightsError
from tfbio.weights.front_end import ARGUMENTS, front_end, settings_of_block
from tfbio.weights.reading import Tensors

# Tensors of an adversarial training, of no use afterwards.
_OBSOLETE = frozenset({"vone_block.div_u.weight", "vone_block.div_t.weight"})
_FILTERS = "vone_block.simple_conv_q0.weight"


def obsolete_tensors(model: keras.Model) -> frozenset[str]:
    """Names of tensors that a checkpoint may have and the model has no use for.

    Example:
        >>> import tfbio
        >>> obsolete_tensors(tfbio.create_model("resnet50", width=0.125, blocks=(1, 1, 1, 1)))
        frozenset()
    """
    return _OBSOLETE if front_end(model) is not None else frozenset()


def front_end_settings(tensors: Tensors) -> dict[str, Any]:
    """The arguments of the VOneBlock that a checkpoint was trained with.

    Args:
        tensors: of a VOneNet, with the settings of its training if the file has them.

    Returns:
        Arguments of `VOneBlock`: as far as the settings tell, and the shape of its filters. Without
        settings half of the cells are simple, as in all published networks.

    Example:
        >>> import numpy as np
        >>> from tfbio.weights import read_tensors
        >>> checkpoint = {
        ...     "flags": {"stride": 2, "noise_mode": None},
        ...     "state_dict": {"module.vone_block.simple_conv_q0.weight": np.zeros((8, 3, 25, 25))},
        ... }
        >>> found = front_end_settings(read_tensors(checkpoint))
        >>> found["strides"], found["noise_mode"], found["kernel_size"], found["complex_channels"]
        (2, None, 25, 4)
    """
    filters = tensors.arrays.get(_FILTERS)
    found: dict[str, Any] = {}
    if filters is not None and filters.ndim == 4:
        cells = filters.shape[0]
        found.update(
            kernel_size=filters.shape[-1],
            simple_channels=cells // 2,
            complex_channels=cells - cells // 2,
        )
    found.update(_named(tensors.settings))
    return found


def check_settings(model: keras.Model, tensors: Tensors) -> None:
    """Refuse a checkpoint whose front end answers otherwise than the model's.

    Noise may differ: it is a matter of how a model is used. Without settings in the file nothing
    can be said of stride and gain.

    Args:
        model: any model.
        tensors: about to be loaded.

    Raises:
        WeightsError: the numbers of cells, stride or gain differ.
    """
    block = front_end(model)
    if block is None:
        return
    trained_with = _named(tensors.settings)
    if "strides" in trained_with:
        trained_with["strides"] = _both(trained_with["strides"])
    own = settings_of_block(block)
    for name in ("simple_channels", "complex_channels", "strides", "k_exc"):
        value = own[name]
        if name in trained_with and trained_with[name] != value:
            raise WeightsError(
                f"{tensors.description} does not fit the model {model.name!r}, which is left as it "
                f"was: it was trained with {name}={trained_with[name]}, the model has {value}. "
                "Pass the file as `weights` when the model is made; it decides then."
            )


def _both(strides: Any) -> tuple[int, int]:
    return tuple(strides) if isinstance(strides, (tuple, list)) else (strides, strides)


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {ours: settings[theirs] for theirs, ours in ARGUMENTS.items() if theirs in settings}
