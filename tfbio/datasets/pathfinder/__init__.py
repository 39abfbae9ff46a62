"""The embedded data set `pathfinder`: do two discs lie on the ends of one dashed path?

`paths` lays the paths out and `rendering` draws them, both with NumPy only; `Pathfinder`, the TFDS
builder, and `PathfinderConfig` are imported with TensorFlow Datasets when they are asked for.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfbio.datasets.pathfinder.pathfinder_dataset_builder import Pathfinder, PathfinderConfig

__all__ = ["Pathfinder", "PathfinderConfig"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from tfbio.datasets.pathfinder import pathfinder_dataset_builder

        return getattr(pathfinder_dataset_builder, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
