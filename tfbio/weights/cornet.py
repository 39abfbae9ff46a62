"""State dicts of CORnet-S."""

from __future__ import annotations

from tfbio.layers.multi_stride_conv2d import MultiStrideConv2D
from tfbio.weights.origin import Origin, PublishedWeights, Shapes, register_origin
from tfbio.weights.tensor_map import NamedTensors, transposed


def _multi_stride_convolution(layer: MultiStrideConv2D) -> NamedTensors:
    yield "weight", transposed(layer.kernel, 2, 3, 1, 0)


class CORnetOrigin(Origin):
    """Convolutions are shared over time, normalizations are numbered by their time step."""

    def recognise(self, shapes: Shapes) -> tuple[str, ...]:
        """By its first area and a recurrent one: a VOneNet has the latter too."""
        parts = ("V1.conv1.weight", "V2.conv_input.weight")
        return ("cornet_s",) if all(part in shapes for part in parts) else ()


CORNET = register_origin(
    CORnetOrigin(
        "CORnet",
        tensor_maps={MultiStrideConv2D: _multi_stride_convolution},
        module_names=("conv_input", "norm_skip", r"norm\d_\d+"),
        published={
            "cornet_s": PublishedWeights(
                name="cornet_s",
                model="cornet_s",
                url="https://s3.amazonaws.com/cornet-models/cornet_s-1d3f7974.pth",
                classes=1000,
                trained_on="ImageNet",
                doi="10.48550/arXiv.1909.06161",
                sha256_prefix="1d3f7974",
                licence="GPL-3.0-or-later",
            )
        },
    )
)
