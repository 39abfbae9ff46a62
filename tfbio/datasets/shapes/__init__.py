"""The embedded data set `shapes`: sixteen classes of rendered three-dimensional objects.

`rendering` draws the pictures and needs NumPy only; `Shapes`, the TFDS builder, is imported with
TensorFlow Datasets when it is asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfbio.datasets.shapes.shapes_dataset_builder import Shapes

__all__ = ["Shapes"]


def __getattr__(name: str) -> Any:
    if name == "Shapes":
        from tfbio.datasets.shapes.shapes_dataset_builder import Shapes

        return Shapes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
