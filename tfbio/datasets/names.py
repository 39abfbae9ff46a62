"""The names that a configuration chooses from; nothing else is imported with them.

The modules that implement them are tested to implement exactly these.
"""

from __future__ import annotations

from typing import Literal, get_args

ConditionName = Literal["colour", "grayscale", "noise", "blur"]
StimulusName = Literal["normal", "foreground", "silhouette", "frankenstein", "serrated"]
AugmentationName = Literal["crop", "flip", "random_resized_crop"]
CorruptionName = Literal[
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
]
# How a data set is had: generated here, read from a folder as it lies, prepared from what was
# downloaded by hand, or had from TensorFlow Datasets.
DatasetKind = Literal["embedded", "folder", "downloaded", "tfds"]

CONDITIONS: tuple[ConditionName, ...] = get_args(ConditionName)
STIMULI: tuple[StimulusName, ...] = get_args(StimulusName)
# In ImageNet-C's order.
CORRUPTIONS: tuple[CorruptionName, ...] = get_args(CorruptionName)
SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)
