"""The convolutions of VGG16 and of its small variant, under the names of shape-processing-rnns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import keras

from tfbio.errors import InputError, UnknownNameError
from tfbio.models.construction import scaled


@dataclass(frozen=True)
class Convolution:
    """One convolution of a VGG.

    Attributes:
        name: without the prefix.
        filters: number of channels at a width of 1.
        pooled: whether its input is pooled, 2 x 2 pixels to their maximum.
        kernel_size: side of the kernel, pixels.
        strides: of its windows; with 1 maps keep their size, otherwise there is no padding.
    """

    name: str
    filters: int
    pooled: bool = False
    kernel_size: int = 3
    strides: int = 1


_VGG16 = tuple(
    Convolution(f"conv{stage}_{number}", filters, pooled=stage > 1 and number == 1)
    for stage, (filters, convolutions) in enumerate(
        zip((64, 128, 256, 512, 512), (2, 2, 3, 3, 3), strict=True), start=1
    )
    for number in range(1, convolutions + 1)
)
_VGG_SMALL = (
    Convolution("conv1", 64, kernel_size=7, strides=2),
    *(
        Convolution(f"conv{number}", filters, pooled=True)
        for number, filters in enumerate((128, 256, 256, 512), start=2)
    ),
)
VGGType = Literal["normal", "small"]
VGG: dict[VGGType, tuple[Convolution, ...]] = {"normal": _VGG16, "small": _VGG_SMALL}


def vgg_blocks(
    tower_type: VGGType = "normal",
    cuts: Sequence[str] = (),
    width: float = 1.0,
    relu: bool = True,
    prefix: str = "base_ff_",
) -> list[list[keras.layers.Layer]]:
    """The layers of a VGG without its classifier, in blocks that end at some of its convolutions.

    There is no pooling after the last convolution. Layers are new ones, not built yet; apply them
    one after the other, or over time with `tfbio.layers.OverTime`.

    Args:
        tower_type: `"normal"` for VGG16, `conv1_1` to `conv5_3`, or `"small"`, `conv1` to `conv5`.
        cuts: names of the convolutions that blocks end with, in the order of the network.
        width: factor on the numbers of filters.
        relu: rectify what every convolution gives.
        prefix: in front of every layer's name.

    Returns:
        One list of layers a cut, and one of the layers after the last, which may be empty.

    Raises:
        UnknownNameError: there is no such tower type or convolution.
        InputError: the cuts are not in the order of the network, or the width is not above 0.

    Reference:
        Simonyan, Zisserman (2015), "Very deep convolutional networks for large-scale image
        recognition", https://arxiv.org/abs/1409.1556

    Example:
        >>> first, second = vgg_blocks("small", cuts=["conv2"])
        >>> [layer.name for layer in first]
        ['base_ff_conv1', 'base_ff_pool1', 'base_ff_conv2']
    """
    if tower_type not in VGG:
        raise UnknownNameError("tower type", tower_type, VGG)
    convolutions = VGG[tower_type]
    names = [convolution.name for convolution in convolutions]
    for cut in cuts:
        if cut not in names:
            raise UnknownNameError("convolution", cut, names)
    if list(cuts) != sorted(set(cuts), key=names.index):
        raise InputError(f"Expected cuts in the order of {', '.join(names)}, received {cuts}.")
    blocks: list[list[keras.layers.Layer]] = [[]]
    pools = 0
    filters = scaled([convolution.filters for convolution in convolutions], width)
    for convolution, count in zip(convolutions, filters, strict=True):
        if convolution.pooled:
            pools += 1
            blocks[-1].append(
                keras.layers.MaxPooling2D(
                    2, data_format="channels_last", name=f"{prefix}pool{pools}"
                )
            )
        blocks[-1].append(
            keras.layers.Conv2D(
                count,
                convolution.kernel_size,
                strides=convolution.strides,
                padding="same" if convolution.strides == 1 else "valid",
                activation="relu" if relu else None,
                data_format="channels_last",
                kernel_initializer=keras.initializers.VarianceScaling(
                    2.0, "fan_in", "untruncated_normal"
                ),
                name=f"{prefix}{convolution.name}",
            )
        )
        if convolution.name in cuts:
            blocks.append([])
    return blocks
