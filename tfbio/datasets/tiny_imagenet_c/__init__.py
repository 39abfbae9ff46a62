"""Tiny-ImageNet-C, stored corrupted; `TinyImagenetC` is the TFDS builder."""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.tiny_imagenet_c.builder import TinyImagenetC as TinyImagenetC

_BUILDER = "tfbio.datasets.tiny_imagenet_c.builder"

__getattr__, __dir__, __all__ = attach(__name__, {"TinyImagenetC": _BUILDER})

register_dataset(
    DatasetInfo(
        name="tiny_imagenet_c",
        kind="downloaded",
        description="Images of Tiny ImageNet's classes under 15 corruptions at five severities.",
        builder=f"{_BUILDER}:TinyImagenetC",
        images="75 sets of 10,000 of 64 x 64, 200 classes",
        splits="test",
        access="by hand, one tar",
        licence="see its page; ImageNet's terms",
        reference="10.48550/arXiv.1903.12261",
    )
)
