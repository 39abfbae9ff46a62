"""The `shapes` data set as a TFDS builder."""

import collections
import concurrent.futures
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from tfbio.datasets.shapes.rendering import CLASS_NAMES, IMAGE_SIZE, bounding_box, render_examples

_CHUNK = 256
_THREADS = 2

Rendered = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.int64]]

_DESCRIPTION = """\
Sixteen classes of rendered three-dimensional objects, varied in pose, size, position, lighting,
colour and texture, on textured backgrounds among clutter that hides parts of them. Nothing but
its shape tells the class of an object. Each picture comes with the mask and the bounding box of
the visible part of the object. The pictures are rendered on the spot; nothing is downloaded.
"""


def _rendered_chunks(split: str, size: int, seed: int) -> Iterator[tuple[range, Rendered]]:
    """Renders a split on threads that stay a few chunks ahead of the writer.

    NumPy releases the interpreter lock in its loops, so that rendering and writing overlap.
    """
    chunks = [range(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        pending: collections.deque[tuple[range, concurrent.futures.Future[Rendered]]]
        pending = collections.deque()
        for chunk in chunks:
            pending.append((chunk, pool.submit(render_examples, split, chunk, seed)))
            if len(pending) > 2 * _THREADS:
                indices, future = pending.popleft()
                yield indices, future.result()
        for indices, future in pending:
            yield indices, future.result()


class Shapes(tfds.core.GeneratorBasedBuilder):
    """Sixteen classes of rendered objects, written once and then read from disk.

    Args:
        data_dir: directory the prepared data set is kept in.

    Example:
        >>> Shapes(data_dir="data").info.features["label"].num_classes
        16
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 8000, "validation": 800, "test": 1600}
    SEED: ClassVar[int] = 0

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(IMAGE_SIZE, IMAGE_SIZE, 3), encoding_format="png"
                ),
                "mask": tfds.features.Image(
                    shape=(IMAGE_SIZE, IMAGE_SIZE, 1), encoding_format="png"
                ),
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=list(CLASS_NAMES)),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in self.SPLIT_SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        for indices, rendered in _rendered_chunks(split, self.SPLIT_SIZES[split], self.SEED):
            for index, image, mask, label in zip(indices, *rendered, strict=True):
                example = {
                    "image": image,
                    "mask": mask,
                    "bbox": tfds.features.BBox(*bounding_box(mask)),
                    "label": int(label),
                }
                yield index, example
