"""The `imagenet16` data set as a TFDS builder."""

import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfbio.datasets.chosen_by_hash import chosen_by_hash
from tfbio.datasets.download import Download, is_image
from tfbio.datasets.imagenet16.classes import wordnet_ids
from tfbio.datasets.manual import Files, ManualBuilder, open_files, tar_files, walk_tar
from tfbio.errors import InputError

_logger = logging.getLogger("tfbio")

# One in so many training images is for validation.
_VALIDATION_SHARE = 10
_NAMED = 5

_DOWNLOAD = Download(
    archives=("ILSVRC2012_img_train.tar",),
    folders=("imagenet", "ImageNet", "ILSVRC2012", "imagenet2012", "ILSVRC/Data/CLS-LOC"),
    holds=("train",),
    page="https://image-net.org/download.php",
    size="138 GB",
)

_DESCRIPTION = """\
Sixteen everyday classes made of 202 of ImageNet's, chosen for comparing networks with people. A
tenth of each class's training images, always the same, is the validation split; ImageNet's
validation images, where they are sorted into class folders, are the test split. The classes differ
in size up to a hundredfold; the metadata have the number of images of each.
"""

_CITATION = """\
@inproceedings{geirhos2018generalisation,
  title={Generalisation in humans and deep neural networks},
  author={Geirhos, Robert and Temme, Carlos R. M. and Rauber, Jonas and Sch{\\"u}tt, Heiko H. and
          Bethge, Matthias and Wichmann, Felix A.},
  booktitle={Advances in Neural Information Processing Systems},
  year={2018}
}"""


class Imagenet16(ManualBuilder):
    """Sixteen everyday classes of ImageNet.

    From a folder `train/<WordNet id>/*.JPEG`, or from `ILSVRC2012_img_train.tar`, a tar of one tar
    a class; with `val/<WordNet id>/*.JPEG` in the folder, or beside the tar, as the test split.

    Args:
        data_dir: directory the prepared data set is kept in.
        max_bad_images: see `ManualBuilder`.

    Example:
        >>> Imagenet16(data_dir="data").info.features["label"].names[:3]
        ['airplane', 'bear', 'bicycle']
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    DOWNLOAD = _DOWNLOAD
    MANUAL_DOWNLOAD_INSTRUCTIONS = _DOWNLOAD.instructions

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=list(wordnet_ids())),
                "wordnet_id": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
            homepage="https://github.com/rgeirhos/generalisation-humans-DNNs",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self._find(dl_manager)
        if source.is_dir():
            folder, files = source, _from_folder(source)
        else:
            folder, files = source.parent, _from_tar(source)
        training = _by_class(files, source)
        tenth = {
            name: chosen_by_hash(images, len(images) // _VALIDATION_SHARE)
            for name, images in training.items()
        }
        parts: dict[str, tuple[Files, dict[str, list[str]]]] = {
            "train": (
                files,
                {
                    name: [image for image in images if image not in tenth[name]]
                    for name, images in training.items()
                },
            ),
            "validation": (files, {name: sorted(images) for name, images in tenth.items()}),
        }
        test = open_files(folder, "", [f"val/{each}/" for each in _class_of()])
        if any(map(is_image, test)):
            parts["test"] = (test, _by_class(test, folder / "val"))
        else:
            _logger.info("No test split: %s has no class folders of images.", folder / "val")
        self.info.metadata["counts"] = {split: [0] * len(training) for split in parts}
        return {split: self._generate_examples(split, *part) for split, part in parts.items()}

    def _generate_examples(
        self, split: str, files: Files, images: dict[str, list[str]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        examples = (
            (name, {"label": label, "wordnet_id": name.split("/")[1]})
            for label, names in enumerate(images.values())
            for name in names
        )
        for key, example in self._examples(split, files, examples):
            self.info.metadata["counts"][split][example["label"]] += 1
            yield key, example


@functools.lru_cache(maxsize=1)
def _class_of() -> dict[str, str]:
    """WordNet id to class name."""
    return {wnid: name for name, wnids in wordnet_ids().items() for wnid in wnids}


def _from_folder(root: Path) -> Files:
    return open_files(root, "", [f"train/{wnid}/" for wnid in _class_of()])


def _from_tar(path: Path) -> Files:
    """The images of the tars in a tar, found by their place in the outermost one."""
    places = {}
    for archive in walk_tar(path):
        wnid, _, ending = archive.name.rpartition("/")[2].partition(".")
        if ending == "tar" and wnid in _class_of():
            end = archive.offset_data + archive.size
            for member in walk_tar(path, archive.offset_data, end):
                name = member.name.rpartition("/")[2]
                places[f"train/{wnid}/{name}"] = (member.offset_data, member.size)
    return tar_files(path, places)


def _by_class(files: Files, source: Path) -> dict[str, list[str]]:
    """Class name to its images, sorted; a class without images is an error."""
    images: dict[str, list[str]] = {name: [] for name in wordnet_ids()}
    found = set()
    for name in filter(is_image, files):
        wnid = name.split("/")[1]
        images[_class_of()[wnid]].append(name)
        found.add(wnid)
    if empty := [name for name, names in images.items() if not names]:
        wnids = ", ".join(wordnet_ids()[empty[0]][:3])
        raise InputError(
            f"Expected images of all sixteen classes in {source}, found none of "
            f"{', '.join(empty)}: add the class folders of ImageNet (for {empty[0]}: {wnids})."
        )
    if missing := sorted(set(_class_of()) - found):
        named = ", ".join(missing[:_NAMED])
        more = ", ..." if len(missing) > _NAMED else ""
        _logger.warning(
            "%s lacks %d of the 202 WordNet ids: %s", source, len(missing), named + more
        )
    return images
