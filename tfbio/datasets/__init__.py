"""Data sets: the embedded generators, image folders and TFDS, through one input pipeline.

Names and facts are here without TensorFlow, which is imported with the first thing that needs it.
"""

from typing import TYPE_CHECKING

from tfbio._lazy import attach

# Every data set registers itself: one line each.
from tfbio.datasets import cifar as cifar
from tfbio.datasets import imagenet16 as imagenet16
from tfbio.datasets import imagenet2012 as imagenet2012
from tfbio.datasets import imagenet_kaggle as imagenet_kaggle
from tfbio.datasets import pascal_voc_stimuli as pascal_voc_stimuli
from tfbio.datasets import pathfinder as pathfinder
from tfbio.datasets import sat_human as sat_human
from tfbio.datasets import shapes as shapes
from tfbio.datasets import tiny_imagenet as tiny_imagenet
from tfbio.datasets import tiny_imagenet_c as tiny_imagenet_c

# The function is named as its module, and stands before it.
from tfbio.datasets.image_folder import image_folder as image_folder

if TYPE_CHECKING:
    from tfbio.datasets.augmentation import AUGMENTATIONS as AUGMENTATIONS
    from tfbio.datasets.cache import cached as cached
    from tfbio.datasets.catalog import load_dataset as load_dataset
    from tfbio.datasets.conditions import ViewingCondition as ViewingCondition
    from tfbio.datasets.corrupted import CorruptedSet as CorruptedSet
    from tfbio.datasets.corrupted import corrupted_sets as corrupted_sets
    from tfbio.datasets.corruptions import CORRUPTION_GROUPS as CORRUPTION_GROUPS
    from tfbio.datasets.corruptions import Corruption as Corruption
    from tfbio.datasets.corruptions import corrupt as corrupt
    from tfbio.datasets.images import decode_image as decode_image
    from tfbio.datasets.images import resize_and_crop as resize_and_crop
    from tfbio.datasets.names import CONDITIONS as CONDITIONS
    from tfbio.datasets.names import CORRUPTIONS as CORRUPTIONS
    from tfbio.datasets.names import STIMULI as STIMULI
    from tfbio.datasets.own_data import as_data_source as as_data_source
    from tfbio.datasets.pipeline import TrainingBatches as TrainingBatches
    from tfbio.datasets.pipeline import evaluation_batches as evaluation_batches
    from tfbio.datasets.presentation import Presentation as Presentation
    from tfbio.datasets.registry import DatasetInfo as DatasetInfo
    from tfbio.datasets.registry import dataset_info as dataset_info
    from tfbio.datasets.registry import list_datasets as list_datasets
    from tfbio.datasets.registry import register_dataset as register_dataset
    from tfbio.datasets.registry import unregister_dataset as unregister_dataset
    from tfbio.datasets.source import DataSource as DataSource
    from tfbio.datasets.source import Split as Split
    from tfbio.datasets.source import UnreadableImage as UnreadableImage
    from tfbio.datasets.stimuli import Stimulus as Stimulus

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AUGMENTATIONS": "tfbio.datasets.augmentation",
        "CONDITIONS": "tfbio.datasets.names",
        "CORRUPTIONS": "tfbio.datasets.names",
        "CORRUPTION_GROUPS": "tfbio.datasets.corruptions",
        "STIMULI": "tfbio.datasets.names",
        "CorruptedSet": "tfbio.datasets.corrupted",
        "Corruption": "tfbio.datasets.corruptions",
        "DataSource": "tfbio.datasets.source",
        "DatasetInfo": "tfbio.datasets.registry",
        "Presentation": "tfbio.datasets.presentation",
        "Split": "tfbio.datasets.source",
        "Stimulus": "tfbio.datasets.stimuli",
        "TrainingBatches": "tfbio.datasets.pipeline",
        "UnreadableImage": "tfbio.datasets.source",
        "ViewingCondition": "tfbio.datasets.conditions",
        "as_data_source": "tfbio.datasets.own_data",
        "cached": "tfbio.datasets.cache",
        "corrupt": "tfbio.datasets.corruptions",
        "corrupted_sets": "tfbio.datasets.corrupted",
        "dataset_info": "tfbio.datasets.registry",
        "decode_image": "tfbio.datasets.images",
        "evaluation_batches": "tfbio.datasets.pipeline",
        "list_datasets": "tfbio.datasets.registry",
        "load_dataset": "tfbio.datasets.catalog",
        "register_dataset": "tfbio.datasets.registry",
        "resize_and_crop": "tfbio.datasets.images",
        "unregister_dataset": "tfbio.datasets.registry",
    },
)
__all__ += ["image_folder"]
