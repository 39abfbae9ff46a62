"""The images that people saw in SATBench, as a TFDS builder."""

import logging
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfbio.datasets.download import Download, is_image
from tfbio.datasets.imagenet16 import wordnet_ids
from tfbio.datasets.manual import Files, ManualBuilder, open_files
from tfbio.errors import InputError

_logger = logging.getLogger("tfbio")

# Milliseconds from the image to the beep that asks for the answer, by block.
REACTION_TIMES = (500, 900, 1100, 1300, 1500)

# Condition to the mark that its images carry in their file names, and its levels.
_MARKS = {"colour": "c", "grayscale": "g", "noise": "noise", "blur": "blur"}
_LEVELS: dict[str, tuple[float, ...]] = {"noise": (0, 0.04, 0.16), "blur": (0, 3, 9)}

# <index>_color_gray_<c or g>_<class>, <index>_noise_<level>_<class>, <index>_blur_<level>_<class>.
# The original's script appends _exit<block> and sorts the files into class folders.
_NAME = re.compile(
    r"\d+_(?:color_gray_(?P<colour>[cg])|(?P<mark>noise|blur)_(?P<level>\d+(?:\.\d+)?))"
    r"_(?P<label>[a-z]+)(?:_exit(?P<block>\d))?\.jpe?g",
    re.IGNORECASE,
)

_FOLDERS = ("ColorGraySplit", "NoiseSplit_gray_contrast0.2", "BlurSplit_color")
_SORTED = ("color", "grayscale", "noise_grayscale", "blur_color")

_DOWNLOAD = Download(
    archives=("human-data.zip", "SAT_human_data.zip"),
    folders=("human-data", "SAT_human_data", "SAT_human_data_convrnn"),
    holds=(*_FOLDERS, *_SORTED),
    page="https://osf.io/2cpmb",
    size="about 3,150 images of 224 x 224 pixels",
)

_DESCRIPTION = """\
The images of the human experiments of SATBench: ImageNet validation images of sixteen classes at
224 x 224 pixels, in colour, in gray, in low-contrast gray under noise, and blurred. Each was shown
in one of five blocks, which differ in the time that the observers had to answer. The configurations
are the conditions (colour, grayscale, noise, blur) and their single levels (noise_0.04, blur_3).
"""

_CITATION = """\
@article{subramanian2025benchmarking,
  title={Benchmarking the speed--accuracy tradeoff in object recognition by humans and neural
         networks},
  author={Subramanian, Ajay and Price, Sara and Kumbhar, Omkar and Sizikova, Elena and
          Majaj, Najib J. and Pelli, Denis G.},
  journal={Journal of Vision},
  volume={25},
  number={1},
  pages={4},
  year={2025},
  doi={10.1167/jov.25.1.4}
}"""


class SatHuman(ManualBuilder):
    """The images that people saw in SATBench; configurations such as `colour` or `blur_3`.

    Reads the folders as published (`ColorGraySplit/<block>/<index>_color_gray_c_<class>.JPEG`,
    `NoiseSplit_gray_contrast0.2`, `BlurSplit_color`), and the class folders into which the
    original's script sorts them. The training images of the observers are left out.

    Args:
        data_dir: directory the prepared data set is kept in.
        config: a condition, or a condition with one of its levels.
        max_bad_images: see `ManualBuilder`.

    Example:
        >>> sorted(SatHuman(data_dir="data", config="blur_3").info.features)
        ['block', 'image', 'label', 'level', 'name']
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar[list[tfds.core.BuilderConfig]] = [
        *(
            tfds.core.BuilderConfig(name=name, description=f"Condition {name}, all levels.")
            for name in _MARKS
        ),
        *(
            tfds.core.BuilderConfig(
                name=f"{name}_{level:g}", description=f"Condition {name}, level {level:g}."
            )
            for name, levels in _LEVELS.items()
            for level in levels
        ),
    ]
    DOWNLOAD = _DOWNLOAD
    MANUAL_DOWNLOAD_INSTRUCTIONS = _DOWNLOAD.instructions

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=list(wordnet_ids())),
                # Standard deviation of the noise (pixels from 0 to 1) or of the blur (pixels).
                "level": tfds.features.Scalar(dtype=np.float32),
                # Index into REACTION_TIMES.
                "block": tfds.features.Scalar(dtype=np.int64),
                "name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
            homepage="https://osf.io/2cpmb",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        files = open_files(self._find(dl_manager), "")
        return {"test": self._generate_examples("test", files)}

    def _generate_examples(self, split: str, files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
        condition, _, level = self.builder_config.name.partition("_")
        chosen = []
        for name in filter(is_image, files):
            if "train" in name.split("/"):
                continue
            example = _described(name)
            if example is None:
                _logger.warning("Left out, as its name does not tell what it is: %s", name)
            elif example.pop("condition") == condition and (
                not level or example["level"] == float(level)
            ):
                chosen.append((name, example))
        if not chosen:
            raise InputError(
                f"Expected images of {self.builder_config.name} in {self._source}, such as "
                f"{_FOLDERS[2]}/0/1_blur_3_dog.JPEG, found none: download them again from "
                f"{_DOWNLOAD.page}."
            )
        return self._examples(split, files, chosen)


def _described(name: str) -> dict[str, Any] | None:
    """What an image's name in the download tells, None if it is not one of SATBench's."""
    folder, _, file_name = name.rpartition("/")
    match = _NAME.fullmatch(file_name)
    block = match and (match["block"] or folder.rpartition("/")[2])
    if match is None or block not in ("0", "1", "2", "3", "4"):
        return None
    label = match["label"].lower()
    if label not in wordnet_ids():
        return None
    mark = (match["colour"] or match["mark"]).lower()
    return {
        "condition": next(condition for condition, each in _MARKS.items() if each == mark),
        "level": float(match["level"] or 0),
        "label": label,
        "block": int(block),
        "name": file_name,
    }
