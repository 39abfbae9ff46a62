"""What is peculiar to the state dicts of the V1 components' ResNet50s."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np

from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.polar_transform import PolarTransform, pooling_masks
from tfbio.layers.tuned_div_norm import TunedDivNorm
from tfbio.weights.errors import Shape

# The polar map as published: of 32 x 32 responses, edges of the rings in pixels, number of angles.
POLAR_SIZE = 32
RADIUS_BINS = (*range(15), 16, 18, 20, 23)
ANGLE_BINS = 30

_NORMALIZATIONS = (GaussianDivNorm, TunedDivNorm)
# The cortical magnification network is a sequence of modules, numbered in its state dict.
_MODULE_NUMBERS = {
    "conv1": "0",
    "bn1": "1",
    "lpp": "3",
    "layer1": "4",
    "layer2": "5",
    "layer3": "6",
    "layer4": "7",
    "fc": "10",
}


def is_sequential(model: keras.Model) -> bool:
    """Whether the original is a plain sequence: a polar map, and no other component.

    Example:
        >>> import tfbio
        >>> is_sequential(tfbio.create_model("resnet50", width=0.125, blocks=(1, 1, 1, 1)))
        False
    """
    others = (CenterSurround, LocallyConnected2D, *_NORMALIZATIONS)
    return _has(model, PolarTransform) and not _has(model, *others)


def sequential_name(name: str) -> str:
    """A tensor's name with the module's number in place of its name.

    Example:
        >>> sequential_name("layer1.0.conv2.weight")
        '4.0.conv2.weight'
    """
    module, dot, rest = name.partition(".")
    return f"{_MODULE_NUMBERS[module]}{dot}{rest}"


def unused_masks(model: keras.Model) -> dict[str, np.ndarray]:
    """The polar map's masks that models with normalization keep though they do not use them.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("resnet50_tuned_norm", width=0.125, blocks=(1, 1, 1, 1))
        >>> {name: mask.shape for name, mask in unused_masks(model).items()}
        {'lpp.pooling_masks': (540, 32, 32), 'lpp.pooling_mask_counts': (540,)}
    """
    if _has(model, PolarTransform) or not _has(model, *_NORMALIZATIONS):
        return {}
    masks, counts = pooling_masks(POLAR_SIZE, POLAR_SIZE, RADIUS_BINS, ANGLE_BINS, "linear")
    return {"lpp.pooling_masks": masks, "lpp.pooling_mask_counts": counts}


def input_size_of(shapes: Mapping[str, Shape]) -> tuple[int, int] | None:
    """The image size that a state dict was made for, told by its local fields or polar masks.

    Args:
        shapes: name to shape of the tensors.

    Returns:
        Height and width, pixels, multiples of 4 or 2; None for a network that takes any size.

    Example:
        >>> input_size_of({"layer1.2.conv2.weight": (1, 64, 64, 16, 24, 9)})
        (64, 96)
    """
    for shape in shapes.values():
        if len(shape) == 6:
            return 4 * shape[3], 4 * shape[4]
    for name, shape in shapes.items():
        if name.endswith("pooling_masks"):
            return 2 * shape[1], 2 * shape[2]
    return None


def _has(model: keras.Model, *kinds: type) -> bool:
    return any(isinstance(layer, kinds) for layer in model.layers)
