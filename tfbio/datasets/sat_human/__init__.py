"""The images that people saw in SATBench; `SatHuman` is the TFDS builder."""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.sat_human.builder import REACTION_TIMES as REACTION_TIMES
    from tfbio.datasets.sat_human.builder import SatHuman as SatHuman

_BUILDER = "tfbio.datasets.sat_human.builder"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "REACTION_TIMES": _BUILDER,
        "SatHuman": _BUILDER,
    },
)

register_dataset(
    DatasetInfo(
        name="sat_human",
        kind="downloaded",
        description="The images that people saw in SATBench: coloured, gray, noisy, blurred.",
        builder=f"{_BUILDER}:SatHuman",
        images="3,150 of 224 x 224, 16 classes",
        splits="test",
        access="by hand",
        licence="not stated; ImageNet's terms",
        reference="10.1167/jov.25.1.4",
    )
)
