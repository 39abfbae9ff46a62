"""The images that a model is evaluated on: what was asked for, and what was loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfbio.datasets.registry import corrupted_base, dataset_info
from tfbio.errors import InputError
from tfbio.framing import Framing

if TYPE_CHECKING:
    from tfbio.datasets.corrupted import CorruptedSet
    from tfbio.datasets.presentation import Presentation
    from tfbio.datasets.source import DataSource, Split
    from tfbio.training.trained import TrainedModel

_NAMES_SHOWN = 4


@dataclass(frozen=True)
class EvaluationData:
    """Images and labels, as a model is to see them.

    Attributes:
        dataset: the canonical name of the data set.
        label: what results call it: the same, or the name of its folder.
        source: the data set; of several sets of corrupted images the first.
        split: the part of it to evaluate on.
        batch_size: images a step.
        image_size: (height, width) of the model's input, pixels.
        framing: which part of an image the model sees.
        presentation: what else is made of an image.
        images: number of images that the protocol will report to `Work.progress`; those of the
            split, unless it sees some of them only, or more than once.
        sets: of a data set of corrupted images, those to evaluate on; empty for others.
    """

    dataset: str
    label: str
    source: DataSource
    split: Split
    batch_size: int
    image_size: tuple[int, int]
    framing: Framing
    presentation: Presentation
    images: int
    sets: tuple[CorruptedSet, ...] = ()

    def batches(self, split: Split | None = None, presentation: Presentation | None = None) -> Any:
        """Every example of a split once, in stored order.

        Args:
            split: in place of `EvaluationData.split`, such as the validation split of `source`.
            presentation: in place of `EvaluationData.presentation`.

        Returns:
            A `tf.data.Dataset` of (images, labels): float32 (batch, height, width, 3) in
            [0, 255], int64 (batch,).

        Raises:
            InputError: the framing does not fit the size, or a stimulus needs masks.
        """
        from tfbio.datasets.pipeline import evaluation_batches

        return evaluation_batches(
            self.split if split is None else split,
            self.batch_size,
            self.image_size,
            self.framing,
            self.presentation if presentation is None else presentation,
        )


@dataclass(frozen=True)
class DataRequest:
    """What data was asked for, before anything is loaded.

    Attributes:
        trained: the model that it is for.
        dataset: the canonical name of the data set; None if a source is given.
        source: what the user gave in place of a name.
        data_dir: where data sets are kept, or the folder of images.
        max_bad_images: number of unreadable images to go on with.
        split: its name; None for the one to evaluate on.
        batch_size, image_size, framing, presentation: see `EvaluationData`.
    """

    trained: TrainedModel
    dataset: str | None
    source: DataSource | None
    data_dir: str | None
    max_bad_images: int
    split: str | None
    batch_size: int
    image_size: tuple[int, int]
    framing: Framing
    presentation: Presentation

    @property
    def name(self) -> str:
        """The name of the data set.

        Raises:
            InputError: neither the user nor the training gives one.
        """
        if self.dataset is None:
            raise InputError(
                f"Expected data to evaluate {self.trained.description} on, received none: what it "
                "was trained on has no name."
            )
        return self.dataset

    def load(self) -> DataSource:
        """The data set that was asked for, as it is stored."""
        if self.source is not None:
            return self.source
        from tfbio.datasets.catalog import load_dataset

        return load_dataset(self.name, self.data_dir, self.max_bad_images)

    def chosen(
        self, source: DataSource, sets: Sequence[CorruptedSet] = (), passes: int = 1
    ) -> EvaluationData:
        """The data of a source, in the split that was asked for.

        Args:
            source: loaded.
            sets: see `EvaluationData`.
            passes: how often the split's images are seen.

        Raises:
            InputError: the classes are not those of the model.
            UnknownNameError: there is no such split.
        """
        check_classes(self.trained, source)
        split = source.split(self.split) if self.split else source.evaluation_split
        dataset = self.dataset or source.name
        return EvaluationData(
            dataset=dataset,
            label=self._label(dataset),
            source=source,
            split=split,
            batch_size=self.batch_size,
            image_size=self.image_size,
            framing=self.framing,
            presentation=self.presentation,
            images=passes * split.size,
            sets=tuple(sets),
        )

    def _label(self, dataset: str) -> str:
        """A folder that the model was not trained on goes by its own name."""
        label = dataset.replace("/", "-")
        if self.source is not None:
            return label
        images = corrupted_base(dataset) or dataset
        folder = self.data_dir
        if folder is None or dataset_info(images).kind != "folder":
            return label
        of_training = self.trained.data_dir
        if of_training is not None and Path(of_training).resolve() == Path(folder).resolve():
            return label
        return label.replace(images, Path(folder).resolve().name)


def one_split(request: DataRequest, options: Any) -> EvaluationData:
    """One split of one data set: what most protocols are about.

    Args:
        request: what was asked for.
        options: not used.

    Raises:
        InputError: it is a data set of many corruptions, cannot be had, or has other classes.
    """
    del options
    if request.dataset is not None:
        from tfbio.datasets.corrupted import is_corrupted

        if is_corrupted(request.dataset):
            raise InputError(
                "Expected a data set of one kind of image, received "
                f"{request.dataset!r}: take the protocol corruptions, or leave out '_c', or name "
                "one kind, such as tiny_imagenet_c/fog_3."
            )
    return request.chosen(request.load())


def check_classes(trained: TrainedModel, source: DataSource) -> None:
    """Refuse a data set whose classes are not those of a model.

    Args:
        trained: the model; where the names of its classes are not known, their number counts.
        source: the data set.

    Raises:
        InputError: they are others.
    """
    classes = trained.model.output_shape[-1]
    names = tuple(source.class_names)
    if len(names) != classes or (trained.class_names and tuple(trained.class_names) != names):
        raise InputError(
            f"Expected a data set of the {classes} classes of {trained.description}"
            f"{_some(trained.class_names)}, received {source.name} with {len(names)}"
            f"{_some(names)}."
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f" ({shown}{', ...' if len(names) > _NAMES_SHOWN else ''})" if names else ""
