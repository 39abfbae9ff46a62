"""The training loop: epochs of Keras' `fit`, with validation, checkpoints and resume between."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from tfbio._progress import progress_bar
from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.models.logits import logits_model
from tfbio.training.best_epoch import best_key, epochs_since_best
from tfbio.training.curves import plot_learning_curve
from tfbio.training.loss_scale import LossScaleOptimizer
from tfbio.training.losses import TimeAveragedCrossentropy, last_step_accuracy
from tfbio.training.plateau import PlateauDecay
from tfbio.training.run_directory import Checkpoint, RunDirectory
from tfbio.training.strategy import (
    check_batch_size,
    replicas,
    strategy_scope,
    synchronize_batch_normalization,
)

_logger = logging.getLogger("tfbio")


class DivergedError(InputError):
    """The training cannot go on: its loss is not finite.

    Example:
        >>> raise DivergedError("The loss is nan at step 3: lower the learning rate.")
        Traceback (most recent call last):
            ...
        tfbio.training.loop.DivergedError: The loss is nan at step 3: lower the learning rate.
    """


def fit(
    model: keras.Model,
    batches: TrainingBatches,
    epochs: int,
    optimizer: keras.optimizers.Optimizer,
    run: RunDirectory,
    validate: Callable[[], Mapping[str, float]],
    strategy: tf.distribute.Strategy | None = None,
    checkpoint_steps: int | None = None,
    max_steps: int | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    plateau: PlateauDecay | None = None,
    early_stopping: int | None = None,
    early_stopping_metric: str = "accuracy",
    record: Callable[[Mapping[str, float]], object] | None = None,
    smaller: str = "",
) -> list[dict[str, float]]:
    """Train a model; go on from the run's last checkpoint if there is one.

    The best model, by validation accuracy, is in the run's `model.keras`; `model` itself ends with
    the last weights.

    Args:
        model: a model of the registry, made in the strategy's scope.
        batches: the training data.
        epochs: number of passes over it.
        optimizer: made in the strategy's scope.
        run: where everything is kept.
        validate: gives the metrics of the validation data, `val_top1` among them.
        strategy: None for one device.
        checkpoint_steps: also keep a checkpoint every so many steps; by default at every epoch's
            end alone.
        max_steps: stop after this step, counted over all epochs; an epoch cut short is not
            validated.
        callbacks: of Keras, called as in one long `fit`, but for `on_train_begin` and
            `on_train_end`, which come at every epoch.
        plateau: lowers the rate of an optimizer that has a constant one, by the validation losses
            of the history.
        early_stopping: stop after this many epochs in a row that are no better than the best
            before them.
        early_stopping_metric: what makes an epoch better, see `epochs_since_best`. The best model
            is that of the best accuracy all the same.
        record: is given each new row of the history.
        smaller: what makes the training faster, said with the expected time of a long epoch.

    Returns:
        The rows of the history, one an epoch.

    Raises:
        DivergedError: the loss is not finite.
        InputError: a batch cannot be divided over the replicas.
    """
    check_batch_size(batches.batch_size, strategy)
    trainer = _make_trainer(model, optimizer, strategy)
    metrics_so_far = _Metrics()
    first_epoch, first_step = 0, 0
    checkpoint = _restore(trainer, run)
    if checkpoint is not None:
        first_epoch, first_step = checkpoint.epoch, checkpoint.step
        metrics_so_far = _Metrics(**checkpoint.metrics())
    history = [row for row in run.read_history() if row["epoch"] <= first_epoch]
    steps_per_epoch = batches.steps_per_epoch
    total_steps = epochs * steps_per_epoch
    if max_steps is not None:
        total_steps = min(total_steps, max_steps)
    with (
        progress_bar(
            total=total_steps,
            initial=min(first_epoch * steps_per_epoch + first_step, total_steps),
            unit="step",
            desc=f"Epoch {first_epoch + 1}/{epochs}",
            leave=True,
        ) as bar,
        tf.summary.create_file_writer(str(run.path / "tensorboard")).as_default(),
    ):
        for epoch in range(first_epoch, epochs):
            last_step = min(steps_per_epoch, total_steps - epoch * steps_per_epoch)
            if last_step <= first_step:
                break
            waited = epochs_since_best(history, early_stopping_metric)
            if early_stopping is not None and waited >= early_stopping:
                break
            if plateau is not None:
                losses = [row["val_loss"] for row in history]
                trainer.optimizer.learning_rate = plateau(losses)
            bar.set_description(f"Epoch {epoch + 1}/{epochs}", refresh=False)
            watch = _Watch(
                bar,
                run,
                metrics_so_far,
                (epoch, first_step, steps_per_epoch),
                checkpoint_steps,
                history[-1] if history else {},
            )
            clock = _ExpectedTime(steps_per_epoch, smaller)
            trainer.fit(
                batches.epoch(epoch, start=first_step).take(last_step - first_step),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                shuffle=False,
                callbacks=[watch, *([clock] if epoch == first_epoch else []), *callbacks],
            )
            if last_step < steps_per_epoch:
                run.save_checkpoint(trainer, epoch, last_step, asdict(watch.metrics()))
                break
            metrics = watch.metrics()
            row = {
                "epoch": epoch + 1,
                "loss": metrics.loss,
                "accuracy": metrics.accuracy,
                **validate(),
                "learning_rate": watch.learning_rate,
                "seconds": metrics.seconds,
                "images_per_second": steps_per_epoch * batches.batch_size / metrics.seconds,
            }
            history.append(row)
            _record(history, run)
            if record is not None:
                record(row)
            bar.set_postfix(_postfix(row["loss"], row))
            if all(best_key(row) > best_key(earlier) for earlier in history[:-1]):
                _save_model(run, model, strategy)
            run.save_checkpoint(trainer, epoch + 1, 0)
            first_step, metrics_so_far = 0, _Metrics()
    if not run.model.exists():
        _save_model(run, model, strategy)
    return history


def _make_trainer(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    strategy: tf.distribute.Strategy | None,
) -> keras.Model:
    """The model as it is trained: on its logits, with the loss over all time steps."""
    synchronize_batch_normalization(model, replicas(strategy) > 1)
    with strategy_scope(strategy):
        trainer = logits_model(model)
        if trainer.dtype_policy.name == "mixed_float16":
            optimizer = LossScaleOptimizer(optimizer)
        trainer.compile(
            optimizer=optimizer,
            loss=TimeAveragedCrossentropy(),
            metrics=[keras.metrics.MeanMetricWrapper(last_step_accuracy, name="accuracy")],
            # On CPU and with replicas, XLA is slower or fails; elsewhere Keras decides.
            jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
        )
        # With the scale of the loss, where there is one.
        trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def _record(history: Sequence[Mapping[str, float]], run: RunDirectory) -> None:
    """Put the last row, the newest epoch, wherever a user may look for it."""
    run.write_history(history)
    plot_learning_curve(history, run.path / "learning_curve.png")
    for name, value in history[-1].items():
        tf.summary.scalar(name, value, step=history[-1]["epoch"])


def _restore(trainer: keras.Model, run: RunDirectory) -> Checkpoint | None:
    """Load the last checkpoint that can be read."""
    checkpoints = run.checkpoints()
    for checkpoint in reversed(checkpoints):
        try:
            checkpoint.metrics()
            checkpoint.restore(trainer)
        except (OSError, KeyError, ValueError) as error:
            _logger.warning("The checkpoint %s cannot be read: %s", checkpoint.path, error)
            continue
        return checkpoint
    if checkpoints:
        raise InputError(
            f"Expected a checkpoint in {checkpoints[0].path.parent}, found damaged ones only: "
            "remove them to begin again."
        )
    return None


def _save_model(
    run: RunDirectory, model: keras.Model, strategy: tf.distribute.Strategy | None
) -> None:
    synchronize_batch_normalization(model, False)
    run.save_model(model)
    synchronize_batch_normalization(model, replicas(strategy) > 1)


def _postfix(loss: float, row: Mapping[str, float]) -> dict[str, str]:
    """What stands behind the progress bar: the loss now and the last epoch's accuracy."""
    accuracy = {"val_top1": f"{row['val_top1']:.3f}"} if row else {}
    return {"loss": f"{loss:.3f}", **accuracy}


@dataclass(frozen=True)
class _Metrics:
    """Means over the steps of an epoch so far, and the time they took."""

    loss: float = 0.0
    accuracy: float = 0.0
    seconds: float = 0.0


class _Watch(keras.callbacks.Callback):
    """Within an epoch: the progress bar, the metrics, checkpoints, and an eye on the loss.

    Args:
        bar: moves on with every step.
        run: keeps the checkpoints.
        before: metrics of the epoch's steps before a resume.
        position: the epoch, its first step to come, and its number of steps.
        checkpoint_steps: how often to keep a checkpoint.
        last_row: of the history, the newest epoch that was validated; empty if there is none.
    """

    def __init__(
        self,
        bar: tqdm,
        run: RunDirectory,
        before: _Metrics,
        position: tuple[int, int, int],
        checkpoint_steps: int | None,
        last_row: Mapping[str, float],
    ):
        super().__init__()
        self.learning_rate = math.nan
        self._bar = bar
        self._run = run
        self._before = before
        self._epoch, self._first_step, self._steps_per_epoch = position
        self._step = self._first_step
        self._checkpoint_steps = checkpoint_steps
        self._last_row = last_row
        self._logs: Mapping[str, Any] = {}
        self._began = time.perf_counter()

    def metrics(self) -> _Metrics:
        """Over all steps of the epoch so far, those before a resume among them."""
        part = self._first_step / self._step

        def mean(before: float, since: float) -> float:
            return part * before + (1 - part) * since

        return _Metrics(
            loss=mean(self._before.loss, float(self._logs["loss"])),
            accuracy=mean(self._before.accuracy, float(self._logs["accuracy"])),
            seconds=self._before.seconds + time.perf_counter() - self._began,
        )

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self._step == self._steps_per_epoch - 1:
            # A variable of several replicas is no number by itself.
            self.learning_rate = float(tf.convert_to_tensor(self.model.optimizer.learning_rate))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._step += 1
        self._logs = logs or {}
        loss = float(self._logs["loss"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss is {loss} in epoch {self._epoch + 1} at step {self._step}: lower the "
                "learning rate, or look at the data. The last checkpoint is kept."
            )
        self._bar.update()
        self._bar.set_postfix(_postfix(loss, self._last_row), refresh=False)
        # The epoch's last step is kept with the metrics of its validation.
        due = self._checkpoint_steps and self._step % self._checkpoint_steps == 0
        if due and self._step < self._steps_per_epoch:
            self._run.save_checkpoint(self.model, self._epoch, self._step, asdict(self.metrics()))


class _ExpectedTime(keras.callbacks.Callback):
    """Says how long an epoch will take, after the first steps, if it is long.

    Args:
        steps: number of steps of an epoch.
        smaller: what makes it faster; may be empty.
    """

    # The first step traces the graph.
    _FIRST, _LAST = 1, 3
    _LONG = 120.0

    def __init__(self, steps: int, smaller: str):
        super().__init__()
        self._steps = steps
        self._smaller = smaller
        self._seen = 0
        self._began = 0.0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._seen += 1
        if self._seen == self._FIRST:
            self._began = time.perf_counter()
        if self._seen != self._LAST:
            return
        step = (time.perf_counter() - self._began) / (self._LAST - self._FIRST)
        if step * self._steps > self._LONG:
            _logger.warning(
                "A step takes %s, an epoch of %s steps about %s%s.",
                _duration(step),
                f"{self._steps:,}",
                _duration(step * self._steps),
                f": {self._smaller}" if self._smaller else "",
            )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
