"""Checkpoints of VOneNets: a fixed bank of filters, and the settings of the front end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfbio.layers.gabor_conv2d import GaborConv2D
from tfbio.layers.single_channel import channels_of
from tfbio.layers.v_one_block import VOneBlock
from tfbio.weights.errors import WeightsError
from tfbio.weights.origin import Origin, PublishedWeights, Shapes, register_origin
from tfbio.weights.reading import Tensors
from tfbio.weights.tensor_map import (
    Constant,
    NamedTensors,
    Target,
    Tensor,
    TensorRole,
    inside,
    transposed,
)

# Our name of a setting in a checkpoint.
_ARGUMENTS = {
    "simple_channels": "simple_channels",
    "complex_channels": "complex_channels",
    "ksize": "kernel_size",
    "stride": "strides",
    "k_exc": "k_exc",
    "noise_mode": "noise_mode",
    "noise_scale": "noise_scale",
    "noise_level": "noise_level",
}
# Noise may differ: it is a matter of how a model is used.
_DECISIVE = ("simple_channels", "complex_channels", "strides", "k_exc")
_FILTERS = "vone_block.simple_conv_q0.weight"
# Of an adversarial training.
_OBSOLETE = ("vone_block.div_u.weight", "vone_block.div_t.weight")
# A tensor that tells the back end.
_BACK_ENDS = {
    "model.V2.conv_input.weight": "vone_cornet_s",
    "model.features.0.weight": "vone_alexnet",
    "model.layer1.0.conv1.weight": "vone_resnet50",
}


# === Layers ===


@dataclass(frozen=True)
class FilterBank(Target):
    """The kernel of a bank of filters that see one channel each.

    Attributes:
        layer: whose kernel it is.
    """

    layer: GaborConv2D | None = None

    def problem(self, array: np.ndarray) -> str | None:
        """Filters that see several channels."""
        try:
            channels_of(self.from_file(array))
        except ValueError as error:
            return str(error)
        return None

    def assign(self, array: np.ndarray) -> None:
        """Set the kernel, and take the filters' channels from it."""
        super().assign(array)
        if self.layer is not None:
            self.layer.find_channels()


def _gabor_conv(layer: GaborConv2D) -> NamedTensors:
    whole = transposed(layer.kernel, 2, 3, 1, 0)
    yield "weight", FilterBank(layer.kernel, whole.from_file, whole.to_file, layer)


def _gabor_conv_in_keras(layer: GaborConv2D) -> Iterable[Target]:
    yield FilterBank(layer.kernel, layer=layer)


def _v_one_block(layer: VOneBlock) -> NamedTensors:
    for bank in (layer.simple_conv_q0, layer.simple_conv_q1):
        yield from inside(bank.name, _gabor_conv(bank))


# === Settings ===


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


def _front_end(model: keras.Model) -> VOneBlock | None:
    return next((layer for layer in model.layers if isinstance(layer, VOneBlock)), None)


def _settings_of_block(block: VOneBlock) -> dict[str, Any]:
    config = block.get_config()
    return {name: config[name] for name in _ARGUMENTS.values()}


def _both(strides: Any) -> tuple[int, int]:
    return tuple(strides) if isinstance(strides, (tuple, list)) else (strides, strides)


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {ours: settings[theirs] for theirs, ours in _ARGUMENTS.items() if theirs in settings}


# === The family ===


class VOneNetOrigin(Origin):
    """The file decides the front end: stride, gain and noise are settings beside the tensors."""

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """By the filters of the front end, then by the back end."""
        if not any(name.endswith("simple_conv_q0.weight") for name in shapes):
            return ()
        return next(
            ((model,) for tensor, model in _BACK_ENDS.items() if tensor in shapes), ("vone_block",)
        )

    def beside(self, expected: Mapping[str, Tensor]) -> dict[str, Constant]:
        """What adversarial training leaves."""
        return {name: Constant(None, TensorRole.OBSOLETE) for name in _OBSOLETE}

    def settings(self, model: keras.Model) -> dict[str, Any]:
        """The arguments of the front end under the original's names; empty without one."""
        block = _front_end(model)
        if block is None:
            return {}
        own = _settings_of_block(block)
        strides = own["strides"]
        own["strides"] = strides[0] if len(set(strides)) == 1 else strides
        return {theirs: own[ours] for theirs, ours in _ARGUMENTS.items()}

    def check_settings(self, model: keras.Model, tensors: Tensors) -> None:
        """Refuse a file whose front end answers otherwise than the model's.

        Without settings in the file nothing can be said of stride and gain.
        """
        block = _front_end(model)
        if block is None:
            return
        trained_with = _named(tensors.settings)
        if "strides" in trained_with:
            trained_with["strides"] = _both(trained_with["strides"])
        own = _settings_of_block(block)
        for name in _DECISIVE:
            if name in trained_with and trained_with[name] != own[name]:
                raise WeightsError(
                    f"{tensors.description} does not fit the model {model.name!r}, which is left "
                    f"as it was: it was trained with {name}={trained_with[name]}, the model has "
                    f"{own[name]}. Pass the file as `weights` when the model is made; it decides "
                    "then."
                )


def _published(name: str, model: str, file: str, remark: str = "") -> PublishedWeights:
    return PublishedWeights(
        name=name,
        model=model,
        url=f"https://vonenet-models.s3.us-east-2.amazonaws.com/{file}.pth.tar",
        classes=1000,
        trained_on="ImageNet",
        doi="10.1101/2020.06.16.154542",
        licence="GPL-3.0-or-later",
        remark=remark,
    )


VONENET = register_origin(
    VOneNetOrigin(
        "VOneNet",
        tensor_maps={GaborConv2D: _gabor_conv, VOneBlock: _v_one_block},
        keras_maps={GaborConv2D: _gabor_conv_in_keras},
        module_names=("vone_block",),
        settings_key="flags",
        published={
            each.name: each
            for each in (
                _published("vone_resnet50", "vone_resnet50", "voneresnet50_e70"),
                _published(
                    "vone_resnet50_at",
                    "vone_resnet50",
                    "voneresnet50_at_e96",
                    "It was trained against adversarial images.",
                ),
                _published(
                    "vone_resnet50_ns",
                    "vone_resnet50",
                    "voneresnet50_ns_e70",
                    "It was trained without noise.",
                ),
                _published("vone_cornet_s", "vone_cornet_s", "vonecornets_e70"),
                _published("vone_alexnet", "vone_alexnet", "vonealexnet_e70"),
            )
        },
    )
)
