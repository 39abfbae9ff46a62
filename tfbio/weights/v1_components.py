"""State dicts of the V1 components' ResNet50s, and Keras 2's files of local receptive fields."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from tfbio.layers.center_surround import CenterSurround
from tfbio.layers.dog_conv2d import DoGConv2D, squared_distances
from tfbio.layers.gaussian_div_norm import GaussianDivNorm
from tfbio.layers.locally_connected_2d import LocallyConnected2D
from tfbio.layers.polar_transform import PolarTransform, pooling_masks
from tfbio.layers.tuned_div_norm import TunedDivNorm, channel_distances
from tfbio.weights.origin import Origin, Shapes, register_origin
from tfbio.weights.tensor_map import Constant, NamedTensors, Target, Tensor, TensorRole, inside

# The polar map as published: of 32 x 32 responses, edges of the rings in pixels, number of angles.
POLAR_SIZE = 32
RADIUS_BINS = (*range(15), 16, 18, 20, 23)
ANGLE_BINS = 30

_MASKS, _COUNTS = "pooling_masks", "pooling_mask_counts"
_CORTICAL_MAGNIFICATION = ("resnet50_cortical_magnification",)
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


# === Layers ===


def _dog_conv(layer: DoGConv2D) -> NamedTensors:
    """Filter f = out x in + i, flat, with two axes for the pixels."""

    def per_kernel(variable: keras.Variable) -> Target:
        inputs, filters = variable.shape
        return Target(
            variable,
            lambda array: array.reshape(filters, inputs).T,
            lambda array: array.T.reshape(filters * inputs, 1, 1),
        )

    yield "kernel_dists", Constant(squared_distances(layer.kernel_size).astype(np.float32))
    yield "sigma1", per_kernel(layer.sigma1)
    yield "sigma2_scale", per_kernel(layer.sigma2_scale)
    yield "total_scale", per_kernel(layer.total_scale)
    if layer.use_bias:
        yield "bias", Target(layer.bias)
    else:
        yield "bias", Constant(np.zeros(layer.filters, np.float32))


def _center_surround(layer: CenterSurround) -> NamedTensors:
    return inside("dog_conv", _dog_conv(layer.dog_conv))


def _locally_connected(layer: LocallyConnected2D) -> NamedTensors:
    """[1, out, in, rows, columns, window]; ours is (rows columns, window in, out)."""
    rows, columns = layer.output_size
    positions, elements, filters = layer.kernel.shape
    window = layer.kernel_size[0] * layer.kernel_size[1]
    channels = elements // window

    def from_file(array: np.ndarray) -> np.ndarray:
        return array[0].transpose(2, 3, 4, 1, 0).reshape(positions, elements, filters)

    def to_file(array: np.ndarray) -> np.ndarray:
        split = array.reshape(rows, columns, window, channels, filters)
        return split.transpose(4, 3, 0, 1, 2)[np.newaxis]

    yield "weight", Target(layer.kernel, from_file, to_file)
    if layer.use_bias:
        yield (
            "bias",
            Target(
                layer.bias,
                lambda array: array[0].transpose(1, 2, 0),
                lambda array: array.transpose(2, 0, 1)[np.newaxis],
            ),
        )


@dataclass(frozen=True)
class LocalKernel(Target):
    """The kernel of local receptive fields, which Keras 2 stored in three ways.

    Attributes:
        layer: whose kernel it is.
    """

    layer: LocallyConnected2D | None = None

    def prepared(self, array: np.ndarray) -> np.ndarray:
        """The kernel as our layer stores it; as it is, if it is of no known way."""
        if self.layer is not None and array.shape != self.file_shape:
            with contextlib.suppress(ValueError):
                return self.layer.kernel_from_keras2(array)
        return array


def _locally_connected_in_keras(layer: LocallyConnected2D) -> Iterable[Target]:
    yield LocalKernel(layer.kernel, layer=layer)


def _gaussian_div_norm(layer: GaussianDivNorm) -> NamedTensors:
    def pairwise(variable: keras.Variable) -> Target:
        return Target(
            variable,
            lambda array: array[:, :, 0, 0].T,
            lambda array: array.T[:, :, np.newaxis, np.newaxis],
        )

    for suffix in ("amplitude", "rho", "sigma", "theta", "v", "w"):
        yield "A" if suffix == "amplitude" else suffix, pairwise(getattr(layer, suffix))
    yield "bias", Target(layer.bias)
    steps = np.arange(1, layer.kernel_size + 1, dtype=np.float32)
    columns, rows = np.meshgrid(steps, steps)
    yield "x_coords", Constant(columns)
    yield "y_coords", Constant(rows)


def _tuned_div_norm(layer: TunedDivNorm) -> NamedTensors:
    (channels,) = layer.sigmas.shape
    yield "channel_distances", Constant(channel_distances(channels).astype(np.float32))
    yield "sigmas", Target(layer.sigmas)


def _polar_transform(layer: PolarTransform) -> NamedTensors:
    masks, counts = pooling_masks(
        *layer.input_size, layer.radius_bins, layer.angle_bins, layer.interpolation
    )
    yield _MASKS, Constant(masks)
    yield _COUNTS, Constant(counts)


# === The family ===


class V1ComponentsOrigin(Origin):
    """ResNet50s, told apart by what their components keep."""

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """By the components. Files that differ in the polar map alone have the same tensors."""
        if "4.0.conv1.weight" in shapes:
            return _CORTICAL_MAGNIFICATION
        if "layer1.0.conv3.weight" not in shapes:
            return ()

        def has(part: str) -> bool:
            return any(part in name for name in shapes)

        local = any(len(shape) == 6 for shape in shapes.values())
        if has(".dn.sigmas"):
            if has(".dog_conv."):
                return "resnet50_composite_a", "resnet50_composite_d"
            if local:
                return "resnet50_composite_b", "resnet50_composite_g"
            return "resnet50_composite_e", "resnet50_tuned_norm"
        if has(".dn.A"):
            return ("resnet50_div_norm",)
        if has(".conv2.dog."):
            return ("resnet50_composite_c",)
        if has(".dog_conv."):
            return ("resnet50_center_surround",)
        if local:
            return ("resnet50_local_rf" if has(".conv2.1.weight") else "resnet50_composite_f",)
        # A model before its modules are numbered.
        return _CORTICAL_MAGNIFICATION if has(f"lpp.{_MASKS}") else ("resnet50",)

    def file_names(self, expected: Mapping[str, Tensor]) -> dict[str, str]:
        """With the module's number in place of its name, where the original is a sequence."""
        shapes = {name: tensor.file_shape for name, tensor in expected.items()}
        if self.recognise(shapes) != _CORTICAL_MAGNIFICATION:
            return {}
        found = {}
        for name in expected:
            module, dot, rest = name.partition(".")
            if module in _MODULE_NUMBERS:
                found[name] = f"{_MODULE_NUMBERS[module]}{dot}{rest}"
        return found

    def beside(self, expected: Mapping[str, Tensor]) -> dict[str, Constant]:
        """The polar map's masks, which models with normalization keep whether they use them."""
        masks, counts = f"lpp.{_MASKS}", f"lpp.{_COUNTS}"
        if masks in expected or not any(".dn." in name for name in expected):
            return {}
        found = pooling_masks(POLAR_SIZE, POLAR_SIZE, RADIUS_BINS, ANGLE_BINS, "linear")
        return {
            name: Constant(array, TensorRole.UNUSED)
            for name, array in zip((masks, counts), found, strict=True)
        }

    def advice(self, expected: Mapping[str, Tensor], received: Shapes) -> str:
        """If the file is of images of another size."""
        size = input_size_of(received)
        own = input_size_of({name: tensor.file_shape for name, tensor in expected.items()})
        if size is None or own is None or size == own:
            return ""
        return (
            f" It was made for images of {size[0]} x {size[1]} pixels: build the model with "
            f"input_shape=({size[0]}, {size[1]}, 3)."
        )


def input_size_of(shapes: Shapes) -> tuple[int, int] | None:
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
        if name.endswith(_MASKS):
            return 2 * shape[1], 2 * shape[2]
    return None


V1_COMPONENTS = register_origin(
    V1ComponentsOrigin(
        "V1 components",
        tensor_maps={
            DoGConv2D: _dog_conv,
            CenterSurround: _center_surround,
            LocallyConnected2D: _locally_connected,
            GaussianDivNorm: _gaussian_div_norm,
            TunedDivNorm: _tuned_div_norm,
            PolarTransform: _polar_transform,
        },
        keras_maps={LocallyConnected2D: _locally_connected_in_keras},
    )
)
