"""Data sets: the embedded generators, image folders and TFDS, through one input pipeline."""

from tfbio.datasets.augmentation import AUGMENTATIONS
from tfbio.datasets.cache import cached
from tfbio.datasets.catalog import dataset_names, load_dataset
from tfbio.datasets.conditions import CONDITIONS, ViewingCondition
from tfbio.datasets.corrupted import CorruptedSet, corrupted_sets
from tfbio.datasets.corruptions import CORRUPTION_GROUPS, CORRUPTIONS, Corruption, corrupt
from tfbio.datasets.image_folder import image_folder
from tfbio.datasets.images import decode_image, resize_and_crop
from tfbio.datasets.pipeline import TrainingBatches, evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import DataSource, Split, UnreadableImage
from tfbio.datasets.stimuli import STIMULI, Stimulus

__all__ = [
    "AUGMENTATIONS",
    "CONDITIONS",
    "CORRUPTIONS",
    "CORRUPTION_GROUPS",
    "STIMULI",
    "CorruptedSet",
    "Corruption",
    "DataSource",
    "Presentation",
    "Split",
    "Stimulus",
    "TrainingBatches",
    "UnreadableImage",
    "ViewingCondition",
    "cached",
    "corrupt",
    "corrupted_sets",
    "dataset_names",
    "decode_image",
    "evaluation_batches",
    "image_folder",
    "load_dataset",
    "resize_and_crop",
]
