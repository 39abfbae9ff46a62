"""The embedded data set `shapes`: sixteen classes of rendered three-dimensional objects.

`rendering` draws the pictures and needs NumPy only; `Shapes`, the TFDS builder, is imported with
TensorFlow Datasets when it is asked for.
"""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.shapes.builder import Shapes as Shapes

_BUILDER = "tfbio.datasets.shapes.builder"

__getattr__, __dir__, __all__ = attach(__name__, {"Shapes": _BUILDER})

register_dataset(
    DatasetInfo(
        name="shapes",
        kind="embedded",
        description="Sixteen classes of rendered objects among clutter, with masks and boxes.",
        builder=f"{_BUILDER}:Shapes",
        augment=("crop", "flip"),
        images="10,400 of 64 x 64, 16 classes",
        splits="train, validation, test",
        access="rendered on the spot",
        licence="that of tfbio",
    )
)
