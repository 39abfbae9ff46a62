"""The training loop: epochs of Keras' `fit`, with validation, checkpoints and resume between."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from tqdm import tqdm

from tfbio.datasets.pipeline import TrainingBatches
from tfbio.errors import InputError
from tfbio.models.logits import logits_model
from tfbio.training.curves import plot_learning_curve
from tfbio.training.losses import TimeAveragedCrossentropy, last_step_accuracy
from tfbio.training.run_directory import RunDirectory
from tfbio.training.strategy import (
    check_batch_size,
    replicas,
    strategy_scope,
    synchronize_batch_normalization,
)


class DivergedError(InputError):
    """The training cannot go on: its loss is not finite.

    Example:
        >>> raise DivergedError("The loss is nan at step 3: lower the learning rate.")
        Traceback (most recent call last):
            ...
        tfbio.training.loop.DivergedError: The loss is nan at step 3: lower the learning rate.
    """


def train(
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
        validate: gives the figures of the held-out data, `val_top1` among them.
        strategy: None for one device.
        checkpoint_steps: also keep a checkpoint every so many steps; by default at every epoch's
            end alone.
        max_steps: stop after this step, counted over all epochs, without validation.
        callbacks: of Keras, called as in one long `fit`, but for `on_train_begin` and
            `on_train_end`, which come at every epoch.

    Returns:
        The rows of the history, one an epoch.

    Raises:
        DivergedError: the loss is not finite.
        InputError: a batch cannot be divided over the replicas.
    """
    check_batch_size(batches.batch_size, strategy)
    synchronize_batch_normalization(model, replicas(strategy) > 1)
    with strategy_scope(strategy):
        trainer = logits_model(model)
        trainer.compile(
            optimizer=optimizer,
            loss=TimeAveragedCrossentropy(),
            metrics=[keras.metrics.MeanMetricWrapper(last_step_accuracy, name="accuracy")],
            # On CPU and with replicas, XLA is slower or fails; elsewhere Keras decides.
            jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
        )
        optimizer.build(trainer.trainable_variables)

    first_epoch, first_step = 0, 0
    checkpoints = run.checkpoints()
    if checkpoints:
        first_epoch, first_step = checkpoints[-1].epoch, checkpoints[-1].step
        trainer.load_weights(checkpoints[-1].path)
    history = [row for row in run.read_history() if row["epoch"] < first_epoch]
    steps_per_epoch = batches.steps_per_epoch
    total_steps = min(epochs * steps_per_epoch, max_steps or math.inf)
    with (
        tqdm(
            total=int(total_steps),
            initial=int(min(first_epoch * steps_per_epoch + first_step, total_steps)),
            unit="step",
            desc=f"Epoch {first_epoch + 1}/{epochs}",
            dynamic_ncols=True,
        ) as bar,
        tf.summary.create_file_writer(str(run.path / "tensorboard")).as_default(),
    ):
        for epoch in range(first_epoch, epochs):
            remaining = total_steps - epoch * steps_per_epoch
            if remaining <= first_step:
                break
            steps = min(steps_per_epoch, remaining) - first_step
            bar.set_description(f"Epoch {epoch + 1}/{epochs}", refresh=False)
            began = time.perf_counter()
            watch = _Watch(
                bar, run, trainer, (epoch, first_step, steps_per_epoch), checkpoint_steps
            )
            logs = trainer.fit(
                batches.epoch(epoch, start=first_step).take(int(steps)),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                shuffle=False,
                callbacks=[watch, *callbacks],
            ).history
            seconds = time.perf_counter() - began
            if first_step + steps < steps_per_epoch:
                break
            row = {
                "epoch": epoch,
                "loss": logs["loss"][-1],
                "accuracy": logs["accuracy"][-1],
                **validate(),
                "learning_rate": float(optimizer.learning_rate),
                "seconds": seconds,
                "images_per_second": steps * batches.batch_size / seconds,
            }
            best = max((earlier["val_top1"] for earlier in history), default=-1.0)
            history.append(row)
            run.write_history(history)
            plot_learning_curve(history, run.path / "learning_curve.png")
            for name, value in row.items():
                tf.summary.scalar(name, value, step=epoch)
            bar.set_postfix(
                loss=f"{row['loss']:.3f}", val_top1=f"{row['val_top1']:.3f}", refresh=True
            )
            if row["val_top1"] > best:
                _save_model(run, model, strategy)
            run.save_checkpoint(trainer, epoch + 1, 0)
            first_step = 0
    if not run.model.exists():
        _save_model(run, model, strategy)
    return history


def _save_model(
    run: RunDirectory, model: keras.Model, strategy: tf.distribute.Strategy | None
) -> None:
    synchronize_batch_normalization(model, False)
    run.save_model(model)
    synchronize_batch_normalization(model, replicas(strategy) > 1)


class _Watch(keras.callbacks.Callback):
    """Within an epoch: the progress bar, checkpoints, and an eye on the loss."""

    def __init__(
        self,
        bar: tqdm,
        run: RunDirectory,
        trainer: keras.Model,
        position: tuple[int, int, int],
        checkpoint_steps: int | None,
    ):
        super().__init__()
        self._bar = bar
        self._run = run
        self._trainer = trainer
        self._epoch, self._step, self._steps_per_epoch = position
        self._checkpoint_steps = checkpoint_steps

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._step += 1
        loss = float((logs or {})["loss"])
        if not math.isfinite(loss):
            raise DivergedError(
                f"The loss is {loss} in epoch {self._epoch + 1} at step {self._step}: lower the "
                "learning rate, or look at the data. The last checkpoint is kept."
            )
        self._bar.update()
        self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        # The epoch's last step is kept with the figures of its validation.
        due = self._checkpoint_steps and self._step % self._checkpoint_steps == 0
        if due and self._step < self._steps_per_epoch:
            self._run.save_checkpoint(self._trainer, self._epoch, self._step)
