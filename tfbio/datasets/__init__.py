"""Data sets: the embedded generators, image folders and TFDS, through one input pipeline."""

from tfbio.datasets.augmentation import AUGMENTATIONS
from tfbio.datasets.catalog import dataset_names, load_dataset
from tfbio.datasets.image_folder import image_folder
from tfbio.datasets.images import decode_image, resize_and_crop
from tfbio.datasets.pipeline import TrainingBatches, evaluation_batches
from tfbio.datasets.source import DataSource, Split, UnreadableImage

__all__ = [
    "AUGMENTATIONS",
    "DataSource",
    "Split",
    "TrainingBatches",
    "UnreadableImage",
    "dataset_names",
    "decode_image",
    "evaluation_batches",
    "image_folder",
    "load_dataset",
    "resize_and_crop",
]
