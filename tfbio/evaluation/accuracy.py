"""Accuracy at every time step of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tfbio.errors import InputError
from tfbio.evaluation.data import EvaluationData
from tfbio.evaluation.protocol import NoOptions, Work, register_protocol
from tfbio.evaluation.table import Table
from tfbio.models.logits import logits_model

if TYPE_CHECKING:
    from tfbio.training.trained import TrainedModel

# Of so many classes, every answer is among the first five.
_TOP = 5


@dataclass(frozen=True)
class AccuracyTable(Table):
    """Accuracy and loss per time step over a set of images.

    Attributes:
        top1: (T,) fraction of images whose largest readout is the true class.
        top5: (T,) fraction whose true class is among the five largest readouts.
        loss: (T,) mean cross-entropy, nats, over the images that could be read.
        predictions: (images, T) predicted classes.
        labels: (images,) true classes.
        unreadable: number of images that could not be read. They are in no row of `predictions`;
            in `top1` and `top5` they count as wrong.
        classes: number of classes, None if it is not known. Of five or fewer, `top5` says nothing:
            text and figure leave it out.

    Example:
        >>> import numpy as np
        >>> half = np.array([0.5])
        >>> print(AccuracyTable(half, half, half, np.zeros((2, 1)), np.zeros(2)))
        time step    top-1    top-5    loss
                0   50.0 %   50.0 %   0.500
    """

    figure_file: ClassVar[str] = "accuracy_over_time.png"

    top1: np.ndarray
    top5: np.ndarray
    loss: np.ndarray
    predictions: np.ndarray
    labels: np.ndarray
    unreadable: int = 0
    classes: int | None = None

    @property
    def images(self) -> int:
        """Number of images that the accuracies are fractions of."""
        return len(self.labels) + self.unreadable

    @property
    def has_top5(self) -> bool:
        """Whether `top5` says anything: there are more than five classes."""
        return self.classes is None or self.classes > _TOP

    def rows(self) -> list[dict[str, float]]:
        """One dict per time step, counted from 0."""
        return [
            {"time_step": t, "top1": float(top1), "top5": float(top5), "loss": float(loss)}
            for t, (top1, top5, loss) in enumerate(
                zip(self.top1, self.top5, self.loss, strict=True)
            )
        ]

    def lines(self) -> list[str]:
        """One line a time step, and how many images count as wrong unseen."""
        lines = [f"time step    top-1{'    top-5' if self.has_top5 else ''}    loss"]
        for row in self.rows():
            top5 = f"  {100 * row['top5']:5.1f} %" if self.has_top5 else ""
            lines.append(
                f"{row['time_step']:9d}  {100 * row['top1']:5.1f} %{top5}  {row['loss']:6.3f}"
            )
        if self.unreadable:
            lines.append(
                f"{self.unreadable} of {self.images} images could not be read and count as wrong."
            )
        return lines

    def results(self) -> dict[str, Any]:
        """Number of images, and the rows."""
        return {
            "images": self.images,
            "unreadable_images": self.unreadable,
            "time_steps": self.rows(),
        }

    def draw(self, figure: Figure) -> None:
        """Accuracy over time steps."""
        axes = figure.subplots()
        steps = range(len(self.top1))
        axes.plot(steps, 100 * self.top1, "o-", label="top-1")
        if self.has_top5:
            axes.plot(steps, 100 * self.top5, "s--", label="top-5")
            figure.legend(loc="outside lower center", ncols=2, frameon=False)
        what = "accuracy (%)" if self.has_top5 else "top-1 accuracy (%)"
        axes.set(xlabel="time step", ylabel=what, ylim=(-2, 102))
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid(alpha=0.3)


@register_protocol("accuracy")
def accuracy(
    trained: TrainedModel, data: EvaluationData, options: NoOptions, work: Work
) -> AccuracyTable:
    """Top-1 and top-5 accuracy and loss at each of the model's time steps.

    Args:
        trained: the model.
        data: one split of one data set.
        options: none.
        work: told of every batch.

    Returns:
        An `AccuracyTable`.
    """
    del options
    measure = AccuracyOverTime(trained.model)
    return measure(data.batches(), len(data.split.unreadable), work.progress)


class AccuracyOverTime:
    """Measures a model's top-1, top-5 and loss at each of its time steps.

    Equations: with z(t) the logits and y the true class, rank(t) is the number of classes with a
    larger logit than y's (equal ones of lower index count as larger); top-k is the fraction of
    images with rank(t) < k; the loss is the mean of log sum exp z(t) - z_y(t). Ranks and sums
    are in float64.

    Args:
        model: a classifier, with or without a time axis; see `tfbio.models.logits_model`.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("bl_rcnn", input_shape=(32, 32, 3), classes=2, width=0.125,
        ...                            timesteps=3, return_sequences=True)
        >>> table = AccuracyOverTime(model)([(np.zeros((4, 32, 32, 3)), np.array([0, 1, 0, 1]))])
        >>> table.top1.shape, table.images
        ((3,), 4)
    """

    def __init__(self, model: keras.Model):
        self._name = model.name
        self._forward = _compiled(logits_model(model))

    def __call__(
        self, batches: Iterable[tuple[Any, Any]], unreadable: int = 0, progress: Any = None
    ) -> AccuracyTable:
        """Measure over batches of images and labels.

        Args:
            batches: (images, labels) pairs, each image once.
            unreadable: number of images that are in no batch because they cannot be read.
            progress: called with the number of images after every batch.

        Returns:
            An `AccuracyTable`.

        Raises:
            InputError: there are no images, a label is none of the classes, or the model's output
                is not finite.
        """
        ranks: list[np.ndarray] = []
        losses: list[np.ndarray] = []
        predictions: list[np.ndarray] = []
        all_labels: list[np.ndarray] = []
        for images, labels in batches:
            logits = np.asarray(keras.ops.convert_to_numpy(self._forward(images)), np.float64)
            logits = logits[:, None] if logits.ndim == 2 else logits
            labels = np.asarray(labels).reshape(-1)
            self._check(logits, labels)
            rank, loss = rank_and_loss(logits, labels)
            ranks.append(rank)
            losses.append(loss)
            predictions.append(np.argmax(logits, axis=-1))
            all_labels.append(labels)
            if progress is not None:
                progress(len(labels))
        if not ranks:
            raise InputError("Expected at least one image to evaluate on, received none.")
        rank = np.concatenate(ranks)
        images_in_all = len(rank) + unreadable
        return AccuracyTable(
            top1=np.sum(rank < 1, axis=0) / images_in_all,
            top5=np.sum(rank < 5, axis=0) / images_in_all,
            loss=np.mean(np.concatenate(losses), axis=0),
            predictions=np.concatenate(predictions),
            labels=np.concatenate(all_labels),
            unreadable=unreadable,
            classes=logits.shape[-1],
        )

    def _check(self, logits: np.ndarray, labels: np.ndarray) -> None:
        if not np.isfinite(logits).all():
            raise InputError(
                f"The output of {self._name!r} is not finite: its weights are damaged, or its "
                "training diverged."
            )
        classes = logits.shape[-1]
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(
                f"Expected labels from 0 to {classes - 1}, the classes of {self._name!r}, received "
                f"{labels.min()} to {labels.max()}: the split has no labels, or more classes."
            )


def rank_and_loss(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The true class's rank and cross-entropy, for each image and time step.

    Args:
        logits: (N, T, classes).
        labels: (N,).

    Returns:
        Two arrays (N, T): ranks from 0, and losses in nats.

    Example:
        >>> import numpy as np
        >>> tie = np.zeros((1, 1, 4))  # the lower indices come first
        >>> rank, loss = rank_and_loss(tie, np.array([2]))
        >>> rank.item(), round(loss.item(), 4)
        (2, 1.3863)
    """
    classes = logits.shape[-1]
    index = np.asarray(labels)[:, None, None]
    true = np.take_along_axis(logits, index, axis=-1)
    larger = (logits > true) | ((logits == true) & (np.arange(classes) < index))
    peak = logits.max(axis=-1, keepdims=True)
    log_partition = peak[..., 0] + np.log(np.exp(logits - peak).sum(axis=-1))
    return larger.sum(axis=-1), log_partition - true[..., 0]


def _compiled(model: keras.Model) -> Any:
    """The model in inference mode, compiled once for every batch size."""
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    signature = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)

    @tf.function(input_signature=[signature])
    def forward(images):
        return model(images, training=False)

    return lambda images: forward(tf.cast(images, tf.float32))
