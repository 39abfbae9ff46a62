"""Tiny ImageNet; `TinyImagenet` is the TFDS builder."""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.tiny_imagenet.builder import TinyImagenet as TinyImagenet

_BUILDER = "tfbio.datasets.tiny_imagenet.builder"

__getattr__, __dir__, __all__ = attach(__name__, {"TinyImagenet": _BUILDER})

register_dataset(
    DatasetInfo(
        name="tiny_imagenet",
        kind="downloaded",
        description="Two hundred classes of ImageNet at 64 x 64 pixels.",
        builder=f"{_BUILDER}:TinyImagenet",
        images="110,000 of 64 x 64, 200 classes",
        splits="train, validation",
        access="by hand, 240 MB",
        licence="not stated; ImageNet's terms",
        reference="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    )
)
