"""One training from its configuration: the parts are made, the loop runs, the run is written."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from tfbio.datasets.cache import cached
from tfbio.datasets.pipeline import TrainingBatches, evaluation_batches
from tfbio.datasets.source import DataSource
from tfbio.errors import InputError
from tfbio.evaluation.accuracy import AccuracyOverTime, AccuracyTable
from tfbio.models.registry import model_info
from tfbio.training.best_epoch import epochs_since_best
from tfbio.training.class_weights import balanced_class_weights
from tfbio.training.config import TrainingConfig
from tfbio.training.fine_tuning import train_classifier_only
from tfbio.training.learning_rate import Plateau
from tfbio.training.loop import fit
from tfbio.training.provenance import peak_memory
from tfbio.training.recording import activity_recorders, recorded_layers
from tfbio.training.run_directory import RunDirectory, finished_run, open_run
from tfbio.training.strategy import (
    check_batch_size,
    choose_strategy,
    replicas,
    strategy_scope,
)
from tfbio.training.summary import summary
from tfbio.training.tracking import check_tracking, tracked

_logger = logging.getLogger("tfbio")

# What makes a training faster, by the argument of the model that it needs.
_SMALLER = {
    "image_size": "--image_size={half} makes images smaller",
    "width": "--width=0.5 halves the number of filters",
    "timesteps": "--timesteps takes fewer time steps",
}


@dataclass(frozen=True)
class Parts:
    """What a training is made of beside its configuration.

    Attributes:
        source: the data.
        build: makes the model for a number of classes; called in the strategy's scope.
        callbacks: of Keras.
        one_of_many: ends the name of a run that belongs to several; there a finished run of the
            same settings is taken as it is, not trained again.
    """

    source: DataSource
    build: Callable[[int], keras.Model]
    callbacks: Sequence[keras.callbacks.Callback] = ()
    one_of_many: str = ""


def run_training(config: TrainingConfig, parts_of: Callable[[], Parts]) -> RunDirectory:
    """Train a model, or go on with it.

    Args:
        config: what is trained.
        parts_of: makes the parts, once seed and precision are set.

    Returns:
        The run; it is not finished if `max_steps` cut it short.

    Raises:
        InputError: something does not fit; nothing has been written then.
    """
    check_tracking(config.wandb_project)
    strategy = choose_strategy(config.strategy, config.devices)
    check_batch_size(config.batch_size, strategy)
    with _seed_and_precision(config):
        parts = parts_of()
        source = parts.source
        for note in source.notes:
            _logger.info("%s", note)
        name = f"{config.model.name}-{source.file_name}{parts.one_of_many}"
        finished = finished_run(config.runs_dir, name, config) if parts.one_of_many else None
        if finished is not None:
            _logger.info("%s is finished.", finished.path)
            return finished
        return _trained_run(config, parts, name, _with_cache(source, config), strategy)


def _trained_run(
    config: TrainingConfig, parts: Parts, name: str, source: DataSource, strategy: Any
) -> RunDirectory:
    if config.model.fingerprint is None:
        # The split, the augmentation and the framing are checked before a large model is made.
        shape = config.model.builder_arguments().get("input_shape")
        size = (shape or model_info(config.model.name).input_shape)[:2]
        _batches(config, source, size)
    with strategy_scope(strategy):
        model = parts.build(len(source.class_names))
        size = _image_size(model, config)
        batches = _batches(config, source, size)
        _check_classes(model, source)
        config.noise.apply(model)
        if config.mode != "train":
            train_classifier_only(model, batch_statistics=config.mode == "finetune")
        steps = batches.steps_per_epoch
        optimizer = config.optimizer.make(config.epochs * steps, steps)
    layers = recorded_layers(config.recording, model)
    run, resumed = open_run(config.runs_dir, name, config, source.class_names)
    _describe(model, size, batches, source, run, resumed, replicas(strategy))

    began = time.perf_counter()
    validation = _Measurement(config, source, "validation", size, model)
    recorders = activity_recorders(
        config.recording,
        model,
        layers,
        source.split("validation"),
        size,
        config.data.framing,
        config.data.presentation,
        run,
    )
    schedule = config.optimizer.schedule
    with tracked(config.wandb_project, run, config) as (trackers, record):
        history = fit(
            model,
            batches,
            config.epochs,
            optimizer,
            run,
            validation.metrics,
            strategy,
            config.checkpoint_steps,
            config.max_steps,
            callbacks=[*recorders, *trackers, *parts.callbacks],
            plateau=(
                schedule.decay(config.optimizer.learning_rate)
                if isinstance(schedule, Plateau)
                else None
            ),
            early_stopping=config.early_stopping,
            early_stopping_metric=config.stopping_metric,
            record=record,
            smaller=_smaller(config, size),
        )
    seconds = time.perf_counter() - began
    if not _came_to_its_end(config, history):
        return run
    best = keras.saving.load_model(run.model, compile=False)
    split = source.evaluation_split.name
    table = _Measurement(config, source, split, size, best).table()
    _logger.info(f"\nBest model on {source.name}, {split} split, {table.images:,} images:")
    _logger.info("%s", table)
    run.write_summary(summary(config, model, history, table, split, seconds))
    _logger.info("\n%s: model.keras, learning_curve.png, summary.json (%.0f s)", run.path, seconds)
    return run


def _came_to_its_end(config: TrainingConfig, history: list[dict[str, float]]) -> bool:
    """Whether all epochs are trained, or enough of them; says why if some are not."""
    if len(history) == config.epochs:
        return True
    waited = epochs_since_best(history, config.stopping_metric)
    if config.early_stopping is None or waited < config.early_stopping:
        _logger.info(
            "Stopped after --max_steps=%s; %.1f GiB at most.", config.max_steps, peak_memory()
        )
        return False
    _logger.info(
        "Stopped early, after epoch %s of %s: epoch %s stayed the best for --early_stopping=%s.",
        len(history),
        config.epochs,
        len(history) - waited,
        config.early_stopping,
    )
    return True


@contextlib.contextmanager
def _seed_and_precision(config: TrainingConfig) -> Iterator[None]:
    """Keras' global settings for a training; they are as they were afterwards."""
    before = keras.config.dtype_policy(), keras.config.floatx()
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.precision)
    keras.config.set_floatx("float64" if config.precision == "float64" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_floatx(before[1])


def _with_cache(source: DataSource, config: TrainingConfig) -> DataSource:
    if config.data.cache == "none":
        return source
    used = {"train", "validation", source.evaluation_split.name}
    splits = {name: cached(source.split(name), config.data.cache) for name in used}
    return replace(source, splits=splits)


def _batches(
    config: TrainingConfig, source: DataSource, image_size: tuple[int, int]
) -> TrainingBatches:
    data = config.data
    weights = None
    if data.class_weights == "balanced":
        counts = source.split("train").class_counts(len(source.class_names))
        weights = tuple(balanced_class_weights(counts).tolist())
    return TrainingBatches(
        source.split("train"),
        config.batch_size,
        image_size,
        config.seed,
        source.augment if data.augment is None else data.augment,
        data.framing,
        data.presentation,
        weights,
    )


def _image_size(model: keras.Model, config: TrainingConfig) -> tuple[int, int]:
    """The size of the model's input; of one that takes any, the wanted or the published."""
    height, width = model.input_shape[1:3]
    wanted = config.model.image_size
    if height is not None and width is not None:
        if wanted is not None and (height, width) != (wanted, wanted):
            raise InputError(
                f"Expected images of {height} x {width} pixels, the input of {model.name!r}, "
                f"received image_size={wanted}: leave it out."
            )
        return height, width
    if wanted is not None:
        return wanted, wanted
    if config.model.fingerprint is not None:
        raise InputError(
            f"Expected image_size with {model.name!r}, which takes images of any size, received "
            "none: pass image_size=64, for example."
        )
    return model_info(config.model.name).input_shape[:2]


def _check_classes(model: keras.Model, source: DataSource) -> None:
    classes = model.output_shape[-1]
    if classes != len(source.class_names):
        raise InputError(
            f"Expected a model of the {len(source.class_names)} classes of {source.name}, received "
            f"{model.name!r} with {classes} outputs."
        )


class _Measurement:
    """The accuracy of a model on a split."""

    def __init__(
        self,
        config: TrainingConfig,
        source: DataSource,
        split: str,
        image_size: tuple[int, int],
        model: keras.Model,
    ):
        self._split = source.split(split)
        self._batches = evaluation_batches(
            self._split,
            config.batch_size,
            image_size,
            config.data.framing,
            config.data.presentation,
        )
        self._measure = AccuracyOverTime(model)

    def table(self) -> AccuracyTable:
        return self._measure(self._batches, len(self._split.unreadable))

    def metrics(self) -> dict[str, float]:
        table = self.table()
        return {
            "val_loss": float(np.mean(table.loss)),
            "val_top1": float(table.top1[-1]),
            "val_top5": float(table.top5[-1]),
        }


def _describe(
    model: keras.Model,
    image_size: tuple[int, int],
    batches: TrainingBatches,
    source: DataSource,
    run: RunDirectory,
    resumed: bool,
    devices: int,
) -> None:
    trained = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    _logger.info(
        f"{model.name} at {image_size[0]} x {image_size[1]}, {model.count_params():,} parameters, "
        f"{trained:,} of them trained; {len(source.class_names)} classes, {devices} "
        f"device{'s' if devices > 1 else ''}\n"
        f"{source.name}: {batches.split.size:,} training images, "
        f"{source.split('validation').size:,} for validation; {batches.steps_per_epoch} steps of "
        f"{batches.batch_size} an epoch, augmented by {' and '.join(batches.augment) or 'nothing'}"
    )
    checkpoints = run.checkpoints()
    if resumed and checkpoints:
        # Also where nobody asked for messages, as in a notebook.
        _logger.warning(
            f"Going on with {run.path} from epoch {checkpoints[-1].epoch + 1}, step "
            f"{checkpoints[-1].step}."
        )
    else:
        _logger.warning(f"{'Starting again in' if resumed else 'Writing to'} {run.path}.")


def _smaller(config: TrainingConfig, image_size: tuple[int, int]) -> str:
    """What would make the training faster, for a sentence; empty for a model of one's own."""
    if config.model.fingerprint is not None:
        return ""
    info = model_info(config.model.name)
    ways = [
        sentence.format(half=max(32, image_size[0] // 2))
        for name, sentence in _SMALLER.items()
        if name == "image_size" or name in info.arguments
    ]
    return ", ".join(ways)
