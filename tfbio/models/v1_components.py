"""The ResNet50s of Pogoncheff et al. 2023: one network, with components of primary visual cortex.

Thirteen models differ in which components stand where; a table says which. Layer names are those of
the originals' modules, `_` for `.`, so that their weight files fit by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import keras
import numpy as np

from tfbio.errors import InputError
from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.polar_transform import PolarTransform
from tfbio.layers.tuned_div_norm import TunedDivNorm
from tfbio.models import resnet
from tfbio.models.construction import (
    InputShape,
    check_input_shape,
    normalized_pixels,
    predictions,
    readout,
    scaled,
    torch_uniform,
    weights_and_classes,
)
from tfbio.models.registry import register_model
from tfbio.weights.loading import load_weights
from tfbio.weights.v1_components import ANGLE_BINS, POLAR_SIZE, RADIUS_BINS

_FILTERS = (64, 128, 256, 512)
_BLOCKS = (3, 4, 6, 3)
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


def _resnet50(
    components: Components,
    input_shape: InputShape,
    classes: int | None,
    weights: Any,
    classifier_activation: str | None,
    include_preprocessing: bool,
    name: str,
    upstream_exact: bool,
    width: float,
    blocks: Sequence[int],
    pixel_mean: Sequence[float],
    pixel_std: Sequence[float],
) -> keras.Model:
    weights, classes = weights_and_classes(weights, classes)
    check_input_shape(input_shape, _SMALLEST_INPUT, components.fixed_size)
    if np.shape(blocks) != (len(_BLOCKS),) or min(blocks) < 1:
        raise InputError(
            f"Expected numbers of blocks for four stages, such as {_BLOCKS}, received {blocks!r}."
        )
    filters = scaled(_FILTERS, width)
    # === Functional model ===
    image = keras.Input(input_shape, name="image")
    normalized = normalized_pixels(image, pixel_mean, pixel_std) if include_preprocessing else image
    outputs = resnet.stem(normalized, filters[0])
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
    model = keras.Model(image, predictions(logits, classifier_activation), name=name)
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


# === The thirteen models ===

_DOCUMENTATION = """{headline}

    {description}

    Args:
        input_shape: (H, W, 3), each side {smallest} or more{any_size}.
        classes: number of classes; by default the number of readouts in the weights file, or 1000.
        weights: a file or dict of arrays, see `tfbio.load_weights`; None initialises at random. If
            the file has another number of classes than `classes`, the readout stays random.
        classifier_activation: `"softmax"`, or None for logits.
        include_preprocessing: normalize pixels from [0, 255] with mean and standard deviation
            inside the model. Without it the model expects normalized pixels.
        name: name of the model.
        upstream_exact: components compute and initialise as the original's, as its weights
            demand; False takes the textbook forms. It concerns difference-of-Gaussians filters,
            Gaussian normalization, and the initial values of local receptive fields.
        width: factor on the number of filters of every layer; 1 is the published network.
        blocks: number of blocks of the four stages; (3, 4, 6, 3) is ResNet50.
        pixel_mean: mean of each colour, for pixels in [0, 1]. torchvision's ResNet50 was trained
            with (0.485, 0.456, 0.406).
        pixel_std: standard deviation of each colour, for pixels in [0, 1]. torchvision's:
            (0.229, 0.224, 0.225).

    Input shape:
        (N, H, W, 3), pixel values in [0, 255], any number type.

    Output shape:
        (N, classes)

    Raises:
        InputError: an argument is out of range.
        WeightsError: the weights do not fit.

    Reference:
        Pogoncheff, Granley, Beyeler (2023), "Explaining V1 Properties with a Biologically
        Constrained Deep Learning Architecture", doi:10.48550/arXiv.2305.11275. The network: He,
        Zhang, Ren, Sun (2016), doi:10.1109/CVPR.2016.90.

    Upstream:
        2023-Pogoncheff-Explaining-V1-Properties, models/; {upstream}

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("{name}", input_shape=(64, 64, 3), classes=10,
        ...                            width=0.125, blocks=(3, 1, 1, 1))
        >>> model.output_shape
        (None, 10)
    """


def _register(
    name: str, components: Components, headline: str, description: str, upstream: str
) -> Callable[..., keras.Model]:
    """Make the builder of a ResNet50 with these components, and register it."""

    def build(
        input_shape: InputShape = (64, 64, 3),
        classes: int | None = None,
        weights: Any = None,
        classifier_activation: str | None = "softmax",
        include_preprocessing: bool = True,
        name: str = name,
        upstream_exact: bool = True,
        width: float = 1.0,
        blocks: Sequence[int] = _BLOCKS,
        pixel_mean: Sequence[float] = (0.5, 0.5, 0.5),
        pixel_std: Sequence[float] = (0.5, 0.5, 0.5),
    ) -> keras.Model:
        return _resnet50(
            components,
            input_shape,
            classes,
            weights,
            classifier_activation,
            include_preprocessing,
            name,
            upstream_exact,
            width,
            blocks,
            pixel_mean,
            pixel_std,
        )

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _DOCUMENTATION.format(
        name=name,
        headline=headline,
        description=description,
        upstream=upstream,
        smallest=_SMALLEST_INPUT,
        any_size="" if components.fixed_size else ", or None for any size",
    )
    return register_model(
        family="V1 components",
        input_shape=(64, 64, 3),
        reference="10.48550/arXiv.2305.11275",
        # Of ImageNet: the shorter side to 256, the centre of 224 x 224, and that to 64 x 64.
        crop_ratio=0.875,
        resize_through=(224, 224),
        weight_formats=("PyTorch state dict",),
        quick_start={"input_shape": (64, 64, 3), "width": 0.25},
        recipe="recipes/resnet50_imagenet64.flags",
    )(build)


_POLAR_NAMES = (
    "the state dict has the polar map's masks whether the map is used or not, so the files of "
    "{}\n        fit one another by name and shape."
)

resnet50 = _register(
    "resnet50",
    Components(),
    "ResNet50 (v1.5), the network that the others put components of visual cortex into.",
    "Bottleneck blocks with the stride on the 3 x 3 convolution, as torchvision has it. Its\n"
    "    weights load too, and want its `pixel_mean` and `pixel_std`.",
    "`resnet50` of torchvision. No known difference.",
)

resnet50_center_surround = _register(
    "resnet50_center_surround",
    Components(center_surround="all"),
    "ResNet50 with difference-of-Gaussians filters in all blocks of the first stage.",
    "A quarter of the channels go through centre-surround receptive fields, as in the lateral\n"
    "    geniculate nucleus, after each 3 x 3 convolution.",
    "center_surround. No known difference.",
)

resnet50_local_rf = _register(
    "resnet50_local_rf",
    Components(local_receptive_fields=True, dropout=0.5),
    "ResNet50 whose first stage ends in local receptive fields.",
    "Its last 3 x 3 filters are not shared over the image, as no two places of the cortex share a\n"
    "    receptive field; half of the channels before them are dropped in training.",
    "local_rf. No known difference.",
)

resnet50_div_norm = _register(
    "resnet50_div_norm",
    Components(normalization="gaussian"),
    "ResNet50 with Gaussian divisive normalization after every block of the first stage.",
    "Responses are divided by a pool of neighbours in space and in channels, gain control as in\n"
    "    primary visual cortex.",
    "div_norm. No known difference.",
)

resnet50_tuned_norm = _register(
    "resnet50_tuned_norm",
    Components(normalization="tuned"),
    "ResNet50 with tuned divisive normalization after every block of the first stage.",
    "Responses are divided by a pool in which channels on the other side of the circle weigh most.",
    "tuned_norm; " + _POLAR_NAMES.format("this model and `resnet50_composite_e`"),
)

resnet50_cortical_magnification = _register(
    "resnet50_cortical_magnification",
    Components(cortical_magnification=True),
    "ResNet50 that sees the image as the cortex does: a polar map follows the stem.",
    "The centre of gaze takes most of the map, as the fovea takes most of primary visual cortex.\n"
    "    Rings are scaled with the image; in a small one some hold no pixel, which is refused.",
    "cortical_magnification, a plain sequence of modules whose\n"
    "        state dict numbers them. Fine-tuning it there trains nothing, by a wrong name.",
)

resnet50_composite_a = _register(
    "resnet50_composite_a",
    Components(
        cortical_magnification=True,
        center_surround="but the last",
        local_receptive_fields=True,
        normalization="tuned",
    ),
    "ResNet50 with all components: polar map, centre-surround, local fields, tuned normalization.",
    "After the polar map the first stage has difference-of-Gaussians filters in all blocks but\n"
    "    the last, local receptive fields in the last, and tuned normalization after each.",
    "composite_a; " + _POLAR_NAMES.format("this model and `resnet50_composite_d`"),
)

resnet50_composite_b = _register(
    "resnet50_composite_b",
    Components(cortical_magnification=True, local_receptive_fields=True, normalization="tuned"),
    "ResNet50 with polar map, local receptive fields and tuned normalization.",
    "Composite a without difference-of-Gaussians filters.",
    "composite_b; " + _POLAR_NAMES.format("this model and `resnet50_composite_g`"),
)

resnet50_composite_c = _register(
    "resnet50_composite_c",
    Components(
        cortical_magnification=True, center_surround="but the last", local_receptive_fields=True
    ),
    "ResNet50 with polar map, centre-surround filters and local receptive fields.",
    "Composite a without tuned normalization.",
    "composite_c. Built after composite d or g, it silently had\n        max-pooling in place of "
    "the polar map; here that cannot be.",
)

resnet50_composite_d = _register(
    "resnet50_composite_d",
    Components(center_surround="but the last", local_receptive_fields=True, normalization="tuned"),
    "ResNet50 with centre-surround filters, local receptive fields and tuned normalization.",
    "Composite a without the polar map.",
    "composite_d; " + _POLAR_NAMES.format("this model and `resnet50_composite_a`"),
)

resnet50_composite_e = _register(
    "resnet50_composite_e",
    Components(cortical_magnification=True, normalization="tuned"),
    "ResNet50 with polar map and tuned normalization.",
    "Composite b without local receptive fields.",
    "composite_e; " + _POLAR_NAMES.format("this model and `resnet50_tuned_norm`"),
)

resnet50_composite_f = _register(
    "resnet50_composite_f",
    Components(cortical_magnification=True, local_receptive_fields=True),
    "ResNet50 with polar map and local receptive fields.",
    "Composite b without tuned normalization.",
    "composite_f. No known difference.",
)

resnet50_composite_g = _register(
    "resnet50_composite_g",
    Components(local_receptive_fields=True, normalization="tuned"),
    "ResNet50 with local receptive fields and tuned normalization.",
    "Composite b without the polar map.",
    "composite_g; " + _POLAR_NAMES.format("this model and `resnet50_composite_b`"),
)
