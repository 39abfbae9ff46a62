"""Sixteen everyday classes of ImageNet; `Imagenet16` is the TFDS builder."""

from typing import TYPE_CHECKING

from tfbio._lazy import attach
from tfbio.datasets.imagenet16.classes import wordnet_ids as wordnet_ids
from tfbio.datasets.registry import DatasetInfo, register_dataset

if TYPE_CHECKING:
    from tfbio.datasets.imagenet16.builder import Imagenet16 as Imagenet16

_BUILDER = "tfbio.datasets.imagenet16.builder"

__getattr__, __dir__, __all__ = attach(__name__, {"Imagenet16": _BUILDER})
__all__ += ["wordnet_ids"]

register_dataset(
    DatasetInfo(
        name="imagenet16",
        kind="downloaded",
        description="Sixteen everyday classes made of 202 of ImageNet's.",
        builder=f"{_BUILDER}:Imagenet16",
        images="ImageNet's in 16 of 202 classes",
        splits="train, validation, perhaps test",
        access="from ImageNet, 138 GB",
        licence="ImageNet's terms",
        reference="10.48550/arXiv.1808.08750",
    )
)
