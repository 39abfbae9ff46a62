"""Single objects of PASCAL VOC 2012 with their masks, as a TFDS builder."""

import io
from collections.abc import Iterator
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from PIL import Image

from tfbio.datasets.download import Download
from tfbio.datasets.manual import Files, ManualBuilder, open_files
from tfbio.errors import InputError

CLASS_NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
_SPLITS = {"train": "train", "validation": "val"}
_BORDER, _BORDER_COLOUR = 255, (224, 224, 192)

_DOWNLOAD = Download(
    archives=("VOCtrainval_11-May-2012.tar",),
    folders=("VOCdevkit/VOC2012", "VOC2012"),
    holds=("SegmentationObject",),
    page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
    size="2.0 GB",
)

_DESCRIPTION = """\
The images of PASCAL VOC 2012 with exactly one object, neither truncated nor difficult nor occluded,
each with the object's mask and bounding box, for making diagnostic stimuli. Only images that have a
segmentation are used; its border pixels count as background.
"""

_CITATION = """\
@article{everingham2015pascal,
  title={The {PASCAL} Visual Object Classes Challenge: A Retrospective},
  author={Everingham, Mark and Eslami, S. M. Ali and Van Gool, Luc and Williams, Christopher K. I.
          and Winn, John and Zisserman, Andrew},
  journal={International Journal of Computer Vision},
  volume={111},
  pages={98--136},
  year={2015},
  doi={10.1007/s11263-014-0733-5}
}"""


class PascalVocStimuli(ManualBuilder):
    """Images of PASCAL VOC 2012 with one whole object, its mask and its bounding box.

    `VOCtrainval_11-May-2012.tar`, or its folder `VOCdevkit/VOC2012`, as published.

    Args:
        data_dir: directory the prepared data set is kept in.
        max_bad_images: see `ManualBuilder`.

    Example:
        >>> sorted(PascalVocStimuli(data_dir="data").info.features)
        ['bbox', 'image', 'label', 'mask', 'name']
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    DOWNLOAD = _DOWNLOAD
    MANUAL_DOWNLOAD_INSTRUCTIONS = _DOWNLOAD.instructions

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=list(CLASS_NAMES)),
                "name": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
            homepage="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        source = self._find(dl_manager)
        files = open_files(
            source,
            "VOCdevkit/VOC2012",
            ("JPEGImages/", "Annotations/", "SegmentationObject/", "ImageSets/Segmentation/"),
        )
        lists = {split: f"ImageSets/Segmentation/{name}.txt" for split, name in _SPLITS.items()}
        for listed in lists.values():
            if listed not in files:
                raise InputError(
                    f"Expected the list {listed} in {source}, found none: download "
                    f"{_DOWNLOAD.archives[0]} again."
                )
        return {split: self._generate_examples(split, files, each) for split, each in lists.items()}

    def _generate_examples(
        self, split: str, files: Files, listed: str
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        names = files[listed].decode().split()
        return self._examples(split, files, self._with_one_object(split, files, names))

    def _with_one_object(
        self, split: str, files: Files, names: list[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for name in names:
            annotation, segmentation = f"Annotations/{name}.xml", f"SegmentationObject/{name}.png"
            try:
                found = single_object(files[annotation])
            except (KeyError, ElementTree.ParseError, AttributeError, ValueError):
                self._leave_out(split, annotation, "the annotation is missing or damaged")
                continue
            if found is None:
                continue
            try:
                mask = object_mask(files[segmentation])
            except (KeyError, OSError, SyntaxError):
                self._leave_out(split, segmentation, "the segmentation is missing or damaged")
                continue
            if mask is None:
                continue
            label, box, size = found
            if mask.shape[:2] != size:
                self._leave_out(split, segmentation, "the segmentation is not of the image's size")
                continue
            encoded = io.BytesIO()
            Image.fromarray(mask).save(encoded, "PNG")
            yield (
                f"JPEGImages/{name}.jpg",
                {
                    "mask": encoded.getvalue(),
                    "bbox": tfds.features.BBox(*box),
                    "label": label,
                    "name": name,
                },
            )


def single_object(
    annotation: bytes,
) -> tuple[str, tuple[float, float, float, float], tuple[int, int]] | None:
    """The object of an image that has one only, if it is not truncated, difficult or occluded.

    Args:
        annotation: VOC's XML.

    Returns:
        Its class, its bounding box (ymin, xmin, ymax, xmax, as fractions of the image) and the
        image's height and width in pixels, or None.

    Example:
        >>> single_object(
        ...     b"<annotation><size><width>50</width><height>40</height></size><object>"
        ...     b"<name>cat</name><bndbox><xmin>1</xmin><ymin>11</ymin><xmax>25</xmax>"
        ...     b"<ymax>20</ymax></bndbox></object></annotation>"
        ... )
        ('cat', (0.25, 0.0, 0.5, 0.5), (40, 50))
    """
    root = ElementTree.fromstring(annotation)
    objects = root.findall("object")
    if len(objects) != 1:
        return None
    flags = (objects[0].findtext(flag, "0") for flag in ("truncated", "difficult", "occluded"))
    if any(int(flag) for flag in flags):
        return None
    height, width = (int(root.findtext(f"size/{side}", "")) for side in ("height", "width"))
    xmin, ymin, xmax, ymax = (
        float(objects[0].findtext(f"bndbox/{side}", ""))
        for side in ("xmin", "ymin", "xmax", "ymax")
    )
    # VOC counts pixels from 1, and the last one belongs to the box.
    box = ((ymin - 1) / height, (xmin - 1) / width, ymax / height, xmax / width)
    top, left, bottom, right = (min(max(side, 0.0), 1.0) for side in box)
    return objects[0].findtext("name", ""), (top, left, bottom, right), (height, width)


def object_mask(segmentation: bytes) -> NDArray[np.uint8] | None:
    """The mask of the one object in a segmentation by objects.

    Args:
        segmentation: VOC's PNG, with a palette or in its colours.

    Returns:
        uint8 array (H, W): 255 on the object, 0 elsewhere, the border included; None if there is
        no object, or more than one.

    Example:
        >>> import io
        >>> import numpy as np
        >>> from PIL import Image
        >>> encoded = io.BytesIO()
        >>> Image.fromarray(np.array([[0, 255, 1]], np.uint8)).save(encoded, "PNG")
        >>> object_mask(encoded.getvalue()).tolist()
        [[0, 0, 255]]
    """
    with Image.open(io.BytesIO(segmentation)) as picture:
        if picture.mode in ("P", "L"):
            numbers = np.asarray(picture)
            is_object = (numbers != 0) & (numbers != _BORDER)
        else:
            colours = np.asarray(picture.convert("RGB"))
            is_object = colours.any(axis=-1) & (colours != _BORDER_COLOUR).any(axis=-1)
            numbers = colours @ np.array([65536, 256, 1])
    if np.unique(numbers[is_object]).size != 1:
        return None
    return np.where(is_object, 255, 0).astype(np.uint8)
