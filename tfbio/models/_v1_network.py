"""The network of Pogoncheff et al. 2023: ResNet50 with components of primary visual cortex.

Layer names are those of the originals' modules, `_` for `.`, so that their weight files fit by
name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import keras

from tfbio.framing import Framing
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.polar_transform import PolarTransform
from tfbio.layers.tuned_div_norm import TunedDivNorm
from tfbio.models import resnet
from tfbio.models.construction import (
    CommonArguments,
    check_blocks,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    torch_uniform,
    weights_and_classes,
)
from tfbio.weights.loading import load_weights
from tfbio.weights.v1_components import ANGLE_BINS, POLAR_SIZE, RADIUS_BINS

# What the registry knows of every model with these components.
FACTS: dict[str, Any] = {
    "family": "V1 components",
    "input_shape": (64, 64, 3),
    "reference": "10.48550/arXiv.2305.11275",
    # Of ImageNet: the shorter side to 256, the centre of 224 x 224, and that to 64 x 64.
    "framing": Framing(crop_ratio=0.875, resize_through=(224, 224)),
    "weight_formats": ("PyTorch state dict",),
    "quick_start": {"input_shape": (64, 64, 3), "width": 0.25},
    "recipe": "recipes/resnet50_imagenet64.flags",
}
# Numbers of blocks of the four stages.
BLOCKS = (3, 4, 6, 3)
_FILTERS = (64, 128, 256, 512)
# Of the 64 channels that the filters of the first stage have.
_CENTER_SURROUND_CHANNELS = 16
_CENTER_SURROUND_KERNEL = 5
_SMALLEST_INPUT = 32


@dataclass(frozen=True)
class Components:
    """Which components a ResNet50 has, and where.

    Attributes:
        cortical_magnification: a polar map follows the stem, in place of max-pooling.
        center_surround: in the first stage, difference-of-Gaussians filters follow the spatial
            convolution of `"all"` blocks, or of all `"but the last"`.
        local_receptive_fields: the last block of the first stage does not share its spatial
            filters over the image.
        dropout: of the channels that the local receptive fields see.
        normalization: follows every block of the first stage.
    """

    cortical_magnification: bool = False
    center_surround: Literal["all", "but the last"] | None = None
    local_receptive_fields: bool = False
    dropout: float = 0.0
    normalization: Literal["gaussian", "tuned"] | None = None

    @property
    def fixed_size(self) -> bool:
        """Whether a component is made for one image size."""
        return self.cortical_magnification or self.local_receptive_fields


def resnet50_with(
    components: Components,
    common: CommonArguments,
    upstream_exact: bool,
    width: float,
    blocks: Sequence[int],
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
) -> keras.Model:
    """A ResNet50 with some components; the other arguments are those of its builder.

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Example:
        >>> common = CommonArguments((64, 64, 3), 10, None, "softmax", False, "small")
        >>> components = Components(normalization="tuned")
        >>> pixels = (0.5, 0.5, 0.5)
        >>> resnet50_with(components, common, True, 1 / 16, (1, 1, 1, 1), pixels, pixels).name
        'small'
    """
    weights, classes = weights_and_classes(common.weights, common.classes)
    check_input_shape(common.input_shape, _SMALLEST_INPUT, components.fixed_size)
    check_blocks(blocks, BLOCKS)
    filters = scaled(_FILTERS, width)
    # === Functional model ===
    image = keras.Input(common.input_shape, name="image")
    outputs = image
    if common.include_preprocessing:
        outputs = normalized_pixels(image, pixel_mean, pixel_std)
    outputs = resnet.stem(outputs, filters[0])
    pool = _polar_map if components.cortical_magnification else resnet.max_pool
    outputs = pool(outputs)
    outputs = resnet.stage(
        outputs,
        "layer1",
        blocks[0],
        filters[0],
        strides=1,
        spatial_convolution=partial(
            _spatial_convolution, components, f"layer1_{blocks[0] - 1}", width, upstream_exact
        ),
        after_block=partial(_normalization, components.normalization, upstream_exact),
    )
    for number in range(1, len(blocks)):
        outputs = resnet.stage(
            outputs, f"layer{number + 1}", blocks[number], filters[number], strides=2
        )
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="avgpool")(
        outputs
    )
    logits = readout(pooled, classes, "fc")
    model = keras.Model(image, predictions(logits, common.classifier_activation), name=common.name)
    # === Weights ===
    if weights is not None:
        load_weights(model, weights, skip_mismatch=True)
    return model


def _polar_map(responses: Any) -> Any:
    """Cortical magnification to half the size; rings and input grow together."""
    height, width = responses.shape[1:3]
    scale = min(height, width) / POLAR_SIZE
    return PolarTransform(
        (-(-height // 2), -(-width // 2)),
        radius_bins=[scale * edge for edge in RADIUS_BINS],
        angle_bins=ANGLE_BINS,
        name="lpp",
    )(responses)


def _spatial_convolution(
    components: Components,
    last_block: str,
    width: float,
    upstream_exact: bool,
    inputs: Any,
    filters: int,
    strides: int,
    block: str,
) -> Any:
    """The second convolution of a block of the first stage, or what stands for it."""
    if components.local_receptive_fields and block == last_block:
        alone = bool(components.dropout)
        if alone:
            inputs = keras.layers.SpatialDropout2D(
                components.dropout, data_format="channels_last", name=f"{block}_conv2_0"
            )(inputs)
        return LocallyConnected2D(
            filters,
            3,
            padding="same",
            use_bias=False,
            kernel_initializer=(
                keras.initializers.RandomNormal(stddev=1.0) if upstream_exact else "he_normal"
            ),
            name=f"{block}_conv2_1" if alone else f"{block}_conv2",
        )(inputs)
    if components.center_surround is None or (
        components.center_surround == "but the last" and block == last_block
    ):
        return resnet.plain_convolution(inputs, filters, strides, block)
    whole_stage = components.center_surround == "all"
    outputs = resnet.convolution(
        inputs,
        filters,
        3,
        f"{block}_conv2_0" if whole_stage else f"{block}_conv2_conv",
        strides,
        # The original made these three anew, after it had initialised the network.
        torch_uniform() if whole_stage else None,
    )
    (channels,) = scaled([_CENTER_SURROUND_CHANNELS], width)
    return CenterSurround(
        min(channels, filters),
        _CENTER_SURROUND_KERNEL,
        use_bias=False,
        upstream_exact=upstream_exact,
        name=f"{block}_conv2_1" if whole_stage else f"{block}_conv2_dog",
    )(outputs)


def _normalization(kind: str | None, upstream_exact: bool, inputs: Any, block: str) -> Any:
    if kind == "gaussian":
        return GaussianDivNorm(3, upstream_exact=upstream_exact, name=f"{block}_dn")(inputs)
    if kind == "tuned":
        return TunedDivNorm(name=f"{block}_dn")(inputs)
    return inputs
