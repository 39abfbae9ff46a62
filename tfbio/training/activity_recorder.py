"""A callback that writes down what the layers of a model do while it learns."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfbio import layers as tfbio_layers
from tfbio.errors import InputError
from tfbio.models.features import chosen_outputs, layer_outputs
from tfbio.training.activity import STATISTICS, ActivityStatistics
from tfbio.training.curves import plot_activity
from tfbio.training.random_state import random_state, set_random_state

_COLUMNS = ("epoch", "step", "layer", *STATISTICS)
_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    tfbio_layers.BLConv2D,
    tfbio_layers.CenterSurround,
    tfbio_layers.DoGConv2D,
    tfbio_layers.GaborConv2D,
    tfbio_layers.LocallyConnected2D,
    tfbio_layers.MultiStrideConv2D,
    tfbio_layers.VOneBlock,
)
_NONLINEARITIES = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    tfbio_layers.ExponentialDivNorm,
    tfbio_layers.GaussianDivNorm,
    tfbio_layers.PooledDivNorm,
    tfbio_layers.TunedDivNorm,
)
_NO_RESPONSES = (keras.activations.linear, keras.activations.softmax)


def recorded_outputs(
    model: keras.Model, layers: str | Sequence[str] | None = None
) -> dict[str, Any]:
    """The symbolic outputs of the layers that an `ActivityRecorder` records, by name.

    Args:
        model: a functional model.
        layers: glob patterns as of `tfbio.features`; by default convolutions, activations and
            divisive normalizations, without the model's output.

    Returns:
        A dict as of `tfbio.models.features.layer_outputs`.

    Raises:
        InputError: a pattern matches no layer, the model has no layer of the default, or a layer
            has several outputs.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> list(recorded_outputs(model))[:4]
        ['Conv_Layer_0', 'ReLU_Layer_0', 'Conv_Layer_1', 'ReLU_Layer_1']
    """
    if layers is None:
        responding = {layer.name for layer in model.layers if _responds(layer)}
        last = {id(output) for output in model.outputs}
        chosen = {
            key: output
            for key, output in layer_outputs(model).items()
            if key.split(":")[0] in responding and id(output) not in last
        }
        if not chosen:
            raise InputError(
                f"{model.name!r} has no convolution, activation or divisive normalization to "
                "record: name layers."
            )
    else:
        chosen = chosen_outputs(model, layers)
    for key, output in chosen.items():
        if not hasattr(output, "shape"):
            raise InputError(
                f"Expected layers of one output to record, received {key!r} of {model.name!r}, "
                f"which has {len(output)}."
            )
    return chosen


def _responds(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, keras.layers.Activation):
        return layer.activation not in _NO_RESPONSES
    return isinstance(layer, _CONVOLUTIONS + _NONLINEARITIES)


class ActivityRecorder(keras.callbacks.Callback):
    """Records the statistics of layers on the same images, at every epoch's end.

    They go to `activity.csv`, a row for each layer with its `epoch` (from 1), the `step` (steps
    trained so far) and `STATISTICS`; to TensorBoard, where a default writer is set, as
    `activity/<layer>/<statistic>` over steps; and at every epoch's end to `activity.png`.

    The training is the same with it and without: layers are in inference mode, and random draws
    go on from where they stood. A resumed training has the rows of one that was not interrupted;
    rows from after the place where it goes on are written anew.

    Args:
        model: the functional model that is trained.
        images: array (N, H, W, C), pixel values as the model takes them.
        folder: for the files.
        layers: see `recorded_outputs`.
        steps: also record every so many steps.
        batch_size: images per forward pass.

    Raises:
        InputError: there is no image, a layer cannot be recorded, or a number is not positive.

    Example:
        >>> import tempfile, numpy as np, keras, tfbio
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
        >>> model.compile("sgd", "sparse_categorical_crossentropy")
        >>> images, labels = np.random.uniform(0, 255, (4, 32, 32, 3)), np.array([0, 1, 0, 1])
        >>> recorder = ActivityRecorder(model, images, tempfile.mkdtemp(), layers="ReLU*")
        >>> _ = model.fit(images, labels, epochs=2, verbose=0, callbacks=[recorder])
        >>> rows = recorder.rows()
        >>> len(rows), rows[-1]["epoch"], rows[-1]["step"], rows[-1]["layer"]
        (14, 2, 2, 'ReLU_Layer_6')
    """

    def __init__(
        self,
        model: keras.Model,
        images: Any,
        folder: str | os.PathLike,
        layers: str | Sequence[str] | None = None,
        steps: int | None = None,
        batch_size: int = 8,
    ):
        super().__init__()
        if len(images) == 0:
            raise InputError("Expected at least one image to record on, received none.")
        for name, value in {"steps": steps, "batch_size": batch_size}.items():
            if value is not None and value < 1:
                raise InputError(f"Expected `{name}` of 1 or more, received {value}.")
        self._observed = model
        self._probe = _compiled(keras.Model(model.input, recorded_outputs(model, layers)))
        self._images = np.asarray(images)
        self._batch_size = batch_size
        self._folder = Path(folder)
        self._path = self._folder / "activity.csv"
        self._steps = steps
        self._epoch = self._step = 0
        self._last_recorded: int | None = None
        # The last row of every layer in each epoch, for the plot.
        self._ends: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._begun = False

    def rows(self) -> list[dict[str, Any]]:
        """The rows of `activity.csv`, in the order of recording."""
        if not self._path.exists():
            return []
        # A process that was killed may leave part of a line.
        lines = self._path.read_bytes().decode().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        rows = [
            {name: _KINDS.get(name, float)(value) for name, value in row.items()}
            for row in csv.DictReader(whole)
        ]
        if rows and rows[0]["epoch"] == 0:
            # Runs of tfbio before 0.2 counted from 0.
            rows = [{**row, "epoch": row["epoch"] + 1} for row in rows]
        return rows

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._epoch = epoch + 1
        self._step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        if not self._begun:
            self._begun = True
            self._go_on()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._step += 1
        if self._due():
            self._record()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._last_recorded != self._step:
            self._record()
        plot_activity(list(self._ends.values()), self._folder / "activity.png")

    def _due(self) -> bool:
        return bool(self._steps and self._step and self._step % self._steps == 0)

    def _go_on(self) -> None:
        """Drop what comes after the place where the training goes on, or begins."""
        kept = [
            row for row in self.rows() if row["epoch"] < self._epoch or row["step"] < self._step
        ]
        partial = self._folder / ".activity.partial"
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=_COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        partial.replace(self._path)
        self._note(kept)
        # Killed between a checkpoint and the record of the same step, or after both.
        if self._due() and self._last_recorded != self._step:
            self._record()

    def _record(self) -> None:
        rows = [
            {"epoch": self._epoch, "step": self._step, "layer": layer, **statistics.all()}
            for layer, statistics in self._measure().items()
        ]
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, fieldnames=_COLUMNS).writerows(rows)
        for row in rows:
            for name in STATISTICS:
                tf.summary.scalar(f"activity/{row['layer']}/{name}", row[name], step=self._step)
        self._note(rows)

    def _note(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._ends[row["epoch"], row["layer"]] = row
            self._last_recorded = row["step"]

    def _measure(self) -> dict[str, ActivityStatistics]:
        found: dict[str, ActivityStatistics] = {}
        # Noise is drawn in inference, too: the training must not miss these draws.
        before = random_state(self._observed)
        try:
            for start in range(0, len(self._images), self._batch_size):
                batch = self._probe(self._images[start : start + self._batch_size])
                for layer, activity in batch.items():
                    statistics = found.setdefault(layer, ActivityStatistics())
                    statistics.update(keras.ops.convert_to_numpy(activity))
        finally:
            set_random_state(self._observed, before)
        return found


_KINDS = {"epoch": int, "step": int, "layer": str}


def _compiled(probe: keras.Model) -> Any:
    """The model in inference mode, compiled once for every batch size."""
    signature = tf.TensorSpec((None, *probe.input_shape[1:]), tf.float32)

    @tf.function(input_signature=[signature])
    def forward(images):
        return probe(images, training=False)

    return lambda images: forward(tf.cast(images, tf.float32))
