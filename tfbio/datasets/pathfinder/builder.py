"""The `pathfinder` data set as a TFDS builder."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from tfbio.datasets.pathfinder.paths import Geometry
from tfbio.datasets.pathfinder.rendering import CLASS_NAMES, Examples, render_examples

_CHUNK = 256
_THREADS = 2

_DESCRIPTION = """\
Two discs among dashed paths, white on black: do they lie on the two ends of one path, or on ends of
two? Every picture has two equally long main paths and shorter distractors, and only the place of
the second disc depends on the class. In both classes the discs are equally far apart, and the paths
leave them at the same angles to the line between them, so that a path must be followed from disc to
disc. The pictures are drawn on the spot; nothing is downloaded.
"""

_CITATION = """\
@inproceedings{linsley2018learning,
  title={Learning long-range spatial dependencies with horizontal gated recurrent units},
  author={Linsley, Drew and Kim, Junkyung and Veerabadran, Vijay and Windolf, Charles and
          Serre, Thomas},
  booktitle={Advances in Neural Information Processing Systems},
  volume={31},
  year={2018}
}"""


@dataclasses.dataclass(eq=False)
class PathfinderConfig(tfds.core.BuilderConfig):
    """Sizes and numbers of what the pictures show; see `Geometry`.

    Args:
        name: of the configuration, one for each set of values, as its pictures are kept under it.
        contour_length: number of dashes of each of the two main paths, 3 or more.
        image_size: width and height of the pictures in pixels.
        distractors: number of short paths; by default those that have 35 dashes together.
        dash_length: in pixels; by default a twenty-eighth of the picture's width.

    Raises:
        InputError: if a number is out of range, or a path does not fit into the picture.

    Example:
        >>> easy = PathfinderConfig("easy", contour_length=6, image_size=32, distractors=3)
        >>> Pathfinder(data_dir="data", config=easy).info.features["image"].shape
        (32, 32, 3)
    """

    contour_length: int = 6
    image_size: int = 64
    distractors: int | None = None
    dash_length: float | None = None

    def __post_init__(self) -> None:
        geometry = self.geometry
        if self.description is None:  # type: ignore[has-type]
            self.description = (
                f"Paths of {geometry.contour_length} dashes in {geometry.image_size} x "
                f"{geometry.image_size} pixels."
            )

    @property
    def geometry(self) -> Geometry:
        """What the renderer takes."""
        return Geometry(self.contour_length, self.image_size, self.distractors, self.dash_length)


def _rendered_chunks(
    geometry: Geometry, split: str, size: int, seed: int
) -> Iterator[tuple[range, Examples]]:
    """Renders a split on threads that stay a few chunks ahead of the writer.

    NumPy releases the interpreter lock in its loops, so that rendering and writing overlap.
    """
    chunks = [range(start, min(start + _CHUNK, size)) for start in range(0, size, _CHUNK)]
    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        pending: collections.deque[tuple[range, concurrent.futures.Future[Examples]]]
        pending = collections.deque()
        for chunk in chunks:
            pending.append((chunk, pool.submit(render_examples, geometry, split, chunk, seed)))
            if len(pending) > 2 * _THREADS:
                indices, future = pending.popleft()
                yield indices, future.result()
        for indices, future in pending:
            yield indices, future.result()


class Pathfinder(tfds.core.GeneratorBasedBuilder):
    """Do two discs lie on the ends of one path? Written once and then read from disk.

    Args:
        data_dir: directory the prepared data set is kept in.
        config: `length_6` (the default), `length_9`, `length_14`; these followed by `_300px`, the
            published sizes; or a `PathfinderConfig`.

    Reference:
        Linsley et al. (2018), doi:10.48550/arXiv.1805.08315;
        Houtkamp & Roelfsema (2010), doi:10.1037/a0020248

    Example:
        >>> builder = Pathfinder(data_dir="data", config="length_14")
        >>> builder.info.features["label"].names
        ['two paths', 'one path']
        >>> builder.builder_config.contour_length
        14
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar[list[PathfinderConfig]] = [
        *(PathfinderConfig(f"length_{n}", contour_length=n) for n in (6, 9, 14)),
        *(
            PathfinderConfig(f"length_{n}_300px", contour_length=n, image_size=300, dash_length=5.0)
            for n in (6, 9, 14)
        ),
    ]
    SPLIT_SIZES: ClassVar[dict[str, int]] = {"train": 20_000, "validation": 1000, "test": 2000}
    SEED: ClassVar[int] = 0

    def _info(self) -> tfds.core.DatasetInfo:
        size = self.builder_config.image_size
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(size, size, 3), encoding_format="png"),
                "paths": tfds.features.Image(shape=(size, size, 1), encoding_format="png"),
                "discs": tfds.features.Tensor(shape=(2, 2), dtype=np.float32),
                "label": tfds.features.ClassLabel(names=list(CLASS_NAMES)),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=features,
            supervised_keys=("image", "label"),
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        del dl_manager  # Nothing is downloaded.
        return {split: self._generate_examples(split) for split in self.SPLIT_SIZES}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        geometry = self.builder_config.geometry
        size = self.SPLIT_SIZES[split]
        for indices, examples in _rendered_chunks(geometry, split, size, self.SEED):
            for index, image, paths, discs, label in zip(indices, *examples, strict=True):
                yield index, {"image": image, "paths": paths, "discs": discs, "label": int(label)}
