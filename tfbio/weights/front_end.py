"""The settings of a VOneBlock, as the checkpoints of VOneNets keep them."""

from __future__ import annotations

from typing import Any

import keras

from tfbio.layers.v_one_block import VOneBlock

# Our name of a setting in a checkpoint.
ARGUMENTS = {
    "simple_channels": "simple_channels",
    "complex_channels": "complex_channels",
    "ksize": "kernel_size",
    "stride": "strides",
    "k_exc": "k_exc",
    "noise_mode": "noise_mode",
    "noise_scale": "noise_scale",
    "noise_level": "noise_level",
}


def front_end(model: keras.Model) -> VOneBlock | None:
    """The VOneBlock of a model, if it has one.

    Example:
        >>> import tfbio
        >>> front_end(tfbio.create_model("vone_block")).name
        'vone_block'
    """
    return next((layer for layer in model.layers if isinstance(layer, VOneBlock)), None)


def settings_of_block(block: VOneBlock) -> dict[str, Any]:
    """The arguments that a checkpoint's settings decide, of a block.

    Example:
        >>> settings_of_block(VOneBlock(4, 4))["k_exc"]
        25.0
    """
    config = block.get_config()
    return {name: config[name] for name in ARGUMENTS.values()}


def settings_of_model(model: keras.Model) -> dict[str, Any]:
    """The settings that the original's checkpoints keep, of a model; empty without a front end.

    Example:
        >>> import tfbio
        >>> settings_of_model(tfbio.create_model("vone_block", strides=2))["stride"]
        2
    """
    block = front_end(model)
    if block is None:
        return {}
    own = settings_of_block(block)
    strides = own["strides"]
    own["strides"] = strides[0] if len(set(strides)) == 1 else strides
    return {theirs: own[ours] for theirs, ours in ARGUMENTS.items()}
