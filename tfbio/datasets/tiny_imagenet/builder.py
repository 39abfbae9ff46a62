"""Tiny ImageNet as a TFDS builder."""

from collections.abc import Iterator
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfbio.datasets.download import Download, is_image
from tfbio.datasets.manual import Files, ManualBuilder, open_files
from tfbio.errors import InputError

_DOWNLOAD = Download(
    archives=("tiny-imagenet-200.zip",),
    folders=("tiny-imagenet-200",),
    holds=("wnids.txt",),
    page="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    size="240 MB",
)

_DESCRIPTION = """\
Two hundred classes of ImageNet at 64 x 64 pixels: 500 images of each for training and 50 for
validation. The test images have no labels and are left out. Labels follow the sorted WordNet ids,
as torchvision's ImageFolder numbers them; the metadata have the words for each.
"""

_CITATION = """\
@techreport{le2015tiny,
  title={Tiny {ImageNet} Visual Recognition Challenge},
  author={Le, Ya and Yang, Xuan},
  institution={Stanford University, CS 231N},
  year={2015}
}"""

_ANNOTATIONS = "val/val_annotations.txt"


class TinyImagenet(ManualBuilder):
    """Two hundred classes of ImageNet at 64 x 64 pixels.

    `tiny-imagenet-200.zip`, or its folder, as published; a validation folder that was sorted into
    class folders is read as well.

    Args:
        data_dir: directory the prepared data set is kept in.
        max_bad_images: see `ManualBuilder`.

    Example:
        >>> sorted(TinyImagenet(data_dir="data").info.features)
        ['image', 'label']
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    DOWNLOAD = _DOWNLOAD
    MANUAL_DOWNLOAD_INSTRUCTIONS = _DOWNLOAD.instructions
    PUBLISHED: ClassVar[dict[str, int]] = {"train": 100_000, "validation": 10_000}

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                # Its names are read from the download.
                "label": tfds.features.ClassLabel(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
            homepage="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self._find(dl_manager)
        files = open_files(
            source, "tiny-imagenet-200", ("wnids.txt", "words.txt", "train/", "val/")
        )
        if "wnids.txt" not in files:
            raise InputError(
                f"Expected the list wnids.txt in {source}, found none: download it again."
            )
        wnids = sorted(files["wnids.txt"].decode().split())
        self.info.features["label"].names = wnids
        self.info.metadata["words"] = _words(files, wnids)
        return {
            "train": self._generate_examples("train", files, _in_class_folders(files, "train/")),
            "validation": self._generate_examples("validation", files, _validation(files)),
        }

    def _generate_examples(
        self, split: str, files: Files, wnids: dict[str, str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        known = set(self.info.features["label"].names)
        if unknown := sorted(set(wnids.values()) - known):
            raise InputError(
                f"Expected the {len(known)} classes of wnids.txt in the split {split} of "
                f"{self.name}, found also {', '.join(unknown[:5])}: download it again."
            )
        return self._examples(split, files, ((name, {"label": wnids[name]}) for name in wnids))


def _words(files: Files, wnids: list[str]) -> dict[str, str]:
    """WordNet id to the words for it; the download has them for all of WordNet."""
    lines = files["words.txt"].decode().splitlines() if "words.txt" in files else []
    words = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return {wnid: words[wnid] for wnid in wnids if wnid in words}


def _in_class_folders(files: Files, folder: str) -> dict[str, str]:
    """Image name to the WordNet id of the folder that it is in."""
    return {
        name: name.split("/")[1] for name in files if name.startswith(folder) and is_image(name)
    }


def _validation(files: Files) -> dict[str, str]:
    """Image name to WordNet id, from the annotations, or else from the folders."""
    annotated: dict[str, str] = {}
    if _ANNOTATIONS in files:
        rows = [line.split("\t") for line in files[_ANNOTATIONS].decode().splitlines() if line]
        annotated = {f"val/images/{row[0]}": row[1] for row in rows}
    # Whoever sorts the images into class folders may have left the annotations behind.
    if annotated and any(name in files for name in annotated):
        return annotated
    return _in_class_folders(files, "val/")
