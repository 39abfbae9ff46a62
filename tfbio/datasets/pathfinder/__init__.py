"""The embedded data set `pathfinder`: do two discs lie on the ends of one dashed path?

`paths` lays the paths out and `rendering` draws them, both with NumPy only; `Pathfinder`, the TFDS
builder, and `PathfinderConfig` are imported with TensorFlow Datasets when they are asked for.
"""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.pathfinder.builder import Pathfinder as Pathfinder
    from tfbio.datasets.pathfinder.builder import PathfinderConfig as PathfinderConfig

_BUILDER = "tfbio.datasets.pathfinder.builder"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Pathfinder": _BUILDER,
        "PathfinderConfig": _BUILDER,
    },
)

register_dataset(
    DatasetInfo(
        name="pathfinder",
        kind="embedded",
        description="Do two discs lie on the ends of one dashed path?",
        builder=f"{_BUILDER}:Pathfinder",
        augment=("flip",),
        smallest_size=64,
        images="23,000 of 64 x 64, 2 classes",
        splits="train, validation, test",
        access="drawn on the spot",
        licence="that of tfbio",
        reference="10.48550/arXiv.1805.08315",
    )
)
