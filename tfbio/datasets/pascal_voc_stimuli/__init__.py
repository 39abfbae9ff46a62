"""Single objects of PASCAL VOC 2012 with masks; `PascalVocStimuli` is the TFDS builder."""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.pascal_voc_stimuli.builder import CLASS_NAMES as CLASS_NAMES
    from tfbio.datasets.pascal_voc_stimuli.builder import PascalVocStimuli as PascalVocStimuli
    from tfbio.datasets.pascal_voc_stimuli.builder import object_mask as object_mask
    from tfbio.datasets.pascal_voc_stimuli.builder import single_object as single_object

_BUILDER = "tfbio.datasets.pascal_voc_stimuli.builder"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "CLASS_NAMES": _BUILDER,
        "PascalVocStimuli": _BUILDER,
        "object_mask": _BUILDER,
        "single_object": _BUILDER,
    },
)

register_dataset(
    DatasetInfo(
        name="pascal_voc_stimuli",
        kind="downloaded",
        description="Images of PASCAL VOC 2012 with one whole object, and its mask.",
        builder=f"{_BUILDER}:PascalVocStimuli",
        images="PASCAL VOC's with one whole object, with masks, 20 classes",
        splits="train, validation",
        access="by hand, 2.0 GB",
        licence="Flickr's terms",
        reference="10.1007/s11263-014-0733-5",
    )
)
