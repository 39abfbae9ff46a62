"""Tiny-ImageNet-C as a TFDS builder: a configuration for each corruption and severity."""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from tfbio.datasets.download import Download, is_image
from tfbio.datasets.manual import Files, ManualBuilder, inside, open_files, tar_files, walk_tar
from tfbio.datasets.names import CORRUPTIONS, SEVERITIES
from tfbio.errors import InputError

_TOP = "Tiny-ImageNet-C"

_DOWNLOAD = Download(
    archives=("Tiny-ImageNet-C.tar",),
    folders=(_TOP,),
    holds=CORRUPTIONS,
    page="https://zenodo.org/records/2536630",
    size="750,000 small images",
)

_DESCRIPTION = """\
Images of Tiny ImageNet's 200 classes at 64 x 64 pixels under 15 corruptions at five severities,
10,000 images each. They are not the corrupted validation images of Tiny ImageNet, so that clean and
corrupted accuracy are measured on different pictures. Labels follow the sorted WordNet ids, as in
tiny_imagenet.
"""

_CITATION = """\
@inproceedings{hendrycks2019benchmarking,
  title={Benchmarking Neural Network Robustness to Common Corruptions and Perturbations},
  author={Hendrycks, Dan and Dietterich, Thomas},
  booktitle={International Conference on Learning Representations},
  year={2019}
}"""


class TinyImagenetC(ManualBuilder):
    """Corrupted images of Tiny ImageNet's classes; configurations such as `fog_3`.

    `Tiny-ImageNet-C.tar`, or its folder, as published: `<corruption>/<severity>/<class>/*.JPEG`.

    Args:
        data_dir: directory the prepared data set is kept in.
        config: `<corruption>_<severity>`.
        max_bad_images: see `ManualBuilder`.

    Example:
        >>> len(TinyImagenetC.BUILDER_CONFIGS)
        75
        >>> TinyImagenetC(data_dir="data", config="fog_3").builder_config.description
        'Corruption fog at severity 3 of 5.'
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        tfds.core.BuilderConfig(
            name=f"{corruption}_{severity}",
            description=f"Corruption {corruption} at severity {severity} of 5.",
        )
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    ]
    DOWNLOAD = _DOWNLOAD
    MANUAL_DOWNLOAD_INSTRUCTIONS = _DOWNLOAD.instructions
    PUBLISHED: ClassVar[dict[str, int]] = {"test": 10_000}

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
            homepage="https://github.com/hendrycks/robustness",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self._find(dl_manager)
        corruption, _, severity = self.builder_config.name.rpartition("_")
        folder = f"{corruption}/{severity}"
        if source.is_dir():
            classes, found = _folder_layout(source)
            files = open_files(source, _TOP, (f"{folder}/",))
        else:
            status = source.stat()
            classes, ranges = _tar_layout(source, status.st_size, status.st_mtime_ns)
            found = set(ranges)
            files = _tar_part(source, folder, *ranges.get(folder, (0, 0)))
        if folder not in found:
            raise InputError(
                f"Expected the folder {folder} in {source}, found {len(found)} of the 75 others: "
                f"download {_DOWNLOAD.archives[0]} again from {_DOWNLOAD.page}."
            )
        self.info.features["label"].names = list(classes)
        return {"test": self._generate_examples("test", files)}

    def _generate_examples(self, split: str, files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
        return self._examples(
            split,
            files,
            ((name, {"label": name.split("/")[2]}) for name in files if is_image(name)),
        )


def _folder_layout(root: Path) -> tuple[tuple[str, ...], set[str]]:
    """The classes of all configurations, sorted, and the folders of the configurations."""
    folders = {
        f"{corruption}/{severity}": root / corruption / str(severity)
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    }
    present = {name: folder for name, folder in folders.items() if folder.is_dir()}
    classes = {
        entry.name
        for folder in present.values()
        for entry in folder.iterdir()
        if entry.is_dir() and not entry.name.startswith(".")
    }
    return tuple(sorted(classes)), set(present)


@functools.lru_cache(maxsize=1)
def _tar_layout(
    path: Path, size: int, changed: int
) -> tuple[tuple[str, ...], dict[str, tuple[int, int]]]:
    """The classes of all configurations, sorted, and where the files of each begin and end.

    The tar is looked through once in a process, not once for each of the 75 configurations.
    """
    del size, changed  # A tar that was exchanged is looked through again.
    classes: set[str] = set()
    ranges: dict[str, tuple[int, int]] = {}
    for member in walk_tar(path):
        corruption, _, rest = inside(member.name, _TOP).partition("/")
        severity, _, rest = rest.partition("/")
        wnid, _, image = rest.partition("/")
        if corruption not in CORRUPTIONS or not is_image(image):
            continue
        classes.add(wnid)
        folder = f"{corruption}/{severity}"
        start, _ = ranges.get(folder, (member.offset, 0))
        ranges[folder] = (start, member.offset_data)
    return tuple(sorted(classes)), ranges


def _tar_part(path: Path, folder: str, start: int, end: int) -> Files:
    places = {
        name: (member.offset_data, member.size)
        for member in walk_tar(path, start, end)
        if (name := inside(member.name, _TOP)).startswith(f"{folder}/")
    }
    return tar_files(path, places)
