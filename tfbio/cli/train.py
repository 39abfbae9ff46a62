"""`python train.py`: train a model of the registry on a data set, or go on with it."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
from absl import flags

from tfbio.cli.command import run_command
from tfbio.cli.framing import Framing, chosen_framing, define_framing_flags
from tfbio.cli.models import define_model_flags, model_arguments
from tfbio.cli.noise import apply_noise, define_noise_flags
from tfbio.cli.optimization import (
    chosen_optimizer,
    chosen_plateau,
    define_optimizer_flags,
    stopping_metric,
)
from tfbio.cli.presentation import chosen_presentation, define_presentation_flags
from tfbio.cli.recording import activity_recorders, define_recording_flags, recorded_layers
from tfbio.cli.seeds import define_seed_flags, train_seeds
from tfbio.cli.tracking import check_tracking, define_tracking_flags, tracked
from tfbio.datasets.cache import cached
from tfbio.datasets.catalog import EMBEDDED, SMALLEST_SIZE, canonical_name, load_dataset
from tfbio.datasets.pipeline import TrainingBatches, evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import DataSource
from tfbio.errors import InputError
from tfbio.evaluation.accuracy import AccuracyOverTime, AccuracyTable
from tfbio.models.registry import ModelInfo, create_model, model_info
from tfbio.training.best_epoch import epochs_since_best, merit
from tfbio.training.class_weights import balanced_class_weights
from tfbio.training.fine_tuning import train_classifier_only
from tfbio.training.loop import train
from tfbio.training.provenance import peak_memory, provenance
from tfbio.training.run_directory import RunDirectory, finished_run, open_run
from tfbio.training.strategy import (
    STRATEGIES,
    check_batch_size,
    choose_strategy,
    replicas,
    strategy_scope,
)

# What is trained, and for the last two what batch normalization does meanwhile.
_MODES = ("train", "finetune", "readout")
_POLICIES = ("float32", "float64", "mixed_bfloat16", "mixed_float16")
_CLASS_WEIGHTS = ("equal", "balanced")
_CACHES = ("none", "memory", "disk")
# Flags that say where things are or how far to go, not what is trained.
_NOT_SETTINGS = (
    "help", "h", "flagfile", "runs_dir", "full_size", "max_steps", "checkpoint_steps", "seeds",
    "wandb_project",
)  # fmt: skip


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command."""
    run_command(
        "Train a model of tfbio.", _define_flags, _main, argv,
        on_interrupt="The same command goes on from the last checkpoint, if there is one.",
    )  # fmt: skip


def _define_flags(values: flags.FlagValues) -> None:
    define_model_flags(values, default="bl_rcnn")
    at = {"flag_values": values}
    flags.DEFINE_boolean(
        "full_size", False, "On the embedded data sets, the published size, not the quick one.",
        **at,
    )  # fmt: skip
    flags.DEFINE_string("dataset", "shapes", "shapes, image_folder, or a data set of TFDS.", **at)
    flags.DEFINE_string("data_dir", None, "The image folder, or where data sets are kept.", **at)
    flags.DEFINE_integer(
        "max_bad_images", 0, "Go on without this many unreadable images.", lower_bound=0, **at
    )
    flags.DEFINE_enum(
        "cache", "none", list(_CACHES),
        "Where decoded images are kept, so that each is decoded once; they have to fit.", **at,
    )  # fmt: skip
    flags.DEFINE_list(
        "augment", None,
        "crop or random_resized_crop, flip, or none. Default: the data set's.", **at,
    )  # fmt: skip
    define_framing_flags(values)
    define_presentation_flags(values)
    define_noise_flags(values)
    flags.DEFINE_string("weights", None, "Weights to start from.", **at)
    flags.DEFINE_enum(
        "mode", "train", list(_MODES),
        "finetune trains the classifier of --weights only, and batch normalization goes on with "
        "the statistics of the batches; readout freezes that too.", **at,
    )  # fmt: skip
    flags.DEFINE_enum(
        "class_weights", "equal", list(_CLASS_WEIGHTS),
        "balanced weighs an example by one over the number of its class, 1 on average.", **at,
    )  # fmt: skip
    flags.DEFINE_integer("epochs", 8, "Passes over the training images.", lower_bound=1, **at)
    flags.DEFINE_integer("batch_size", 32, "Images a step, over all devices.", lower_bound=1, **at)
    define_optimizer_flags(values)
    flags.DEFINE_enum("precision", "float32", list(_POLICIES), "Keras' dtype policy.", **at)
    define_seed_flags(values)
    flags.DEFINE_enum("strategy", "auto", list(STRATEGIES), "How devices work together.", **at)
    flags.DEFINE_integer("devices", None, "Number of devices. Default: all GPUs, or one CPU.", **at)
    flags.DEFINE_integer(
        "checkpoint_steps", None, "Also keep a checkpoint every so many steps.", lower_bound=1, **at
    )
    define_recording_flags(values)
    define_tracking_flags(values)
    flags.DEFINE_integer("max_steps", None, "Stop after so many steps in all.", lower_bound=1, **at)
    flags.DEFINE_string("runs_dir", "runs", "Folder of all runs.", **at)


def _main(values: flags.FlagValues) -> None:
    if values.seeds is None:
        _train(values)
    else:
        train_seeds(values, _train)


def _train(values: flags.FlagValues, one_of_many: str = "") -> RunDirectory:
    """Train one model, or go on with it.

    Args:
        values: the flags.
        one_of_many: ends the name of a run that belongs to several; there a finished run of the
            same settings is taken as it is, not trained again.

    Returns:
        The run; it is not finished if --max_steps cut it short.
    """
    info = model_info(values.model)
    if values.mode != "train" and values.weights is None:
        raise InputError(
            f"Expected weights to start from with --mode={values.mode}: pass --weights."
        )
    metric = stopping_metric(values)
    check_tracking(values)
    _choose_size(values, info)
    arguments = model_arguments(values)
    strategy = choose_strategy(values.strategy, values.devices)
    check_batch_size(values.batch_size, strategy)
    keras.utils.set_random_seed(values.seed)
    keras.config.set_dtype_policy(values.precision)
    keras.config.set_floatx("float64" if values.precision == "float64" else "float32")

    source = load_dataset(values.dataset, values.data_dir, values.max_bad_images)
    for note in source.notes:
        print(note)
    name = f"{info.name}-{source.file_name}{one_of_many}"
    finished = finished_run(values.runs_dir, name, _settings(values)) if one_of_many else None
    if finished is not None:
        print(f"{finished.path} is finished.")
        return finished
    if values.cache != "none":
        used = {"train", "validation", source.held_out.name}
        source = replace(
            source, splits={name: cached(source.split(name), values.cache) for name in used}
        )
    image_size = arguments.get("input_shape", info.input_shape)[:2]
    framing = chosen_framing(values)
    presentation = chosen_presentation(values)
    batches = TrainingBatches(
        source.split("train"), values.batch_size, image_size, values.seed,
        _augmentation(values, source), framing.crop_ratio, framing.resize_through, presentation,
        _class_weights(values, source),
    )  # fmt: skip
    with strategy_scope(strategy):
        model = create_model(
            info.name, classes=len(source.class_names), weights=values.weights, **arguments
        )
        apply_noise(values, model)
        if values.mode != "train":
            train_classifier_only(model, batch_statistics=values.mode == "finetune")
        optimizer = chosen_optimizer(values, batches.steps_per_epoch)
    recorded = recorded_layers(values, model)
    run, resumed = open_run(values.runs_dir, name, _settings(values), source.class_names)
    _describe(model, image_size, batches, source, run, resumed, replicas(strategy))

    began = time.perf_counter()
    held_out = functools.partial(
        _HeldOut, source, batch_size=values.batch_size, image_size=image_size, framing=framing,
        presentation=presentation,
    )  # fmt: skip
    validation = held_out(split="validation", model=model)
    recorders = activity_recorders(
        values, model, recorded, source.split("validation"), image_size, framing, presentation, run
    )
    with tracked(values, run) as (trackers, record):
        history = train(
            model, batches, values.epochs, optimizer, run, validation.figures, strategy,
            values.checkpoint_steps, values.max_steps, callbacks=[*recorders, *trackers],
            plateau=chosen_plateau(values), early_stopping=values.early_stopping,
            early_stopping_metric=metric, record=record,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    if len(history) < values.epochs:
        waited = epochs_since_best(history, metric)
        if values.early_stopping is None or waited < values.early_stopping:
            print(f"Stopped after --max_steps={values.max_steps}; {peak_memory():.1f} GiB at most.")
            return run
        print(
            f"Stopped early, after epoch {len(history)} of {values.epochs}: epoch "
            f"{len(history) - waited} stayed the best for "
            f"--early_stopping={values.early_stopping}."
        )
    best = keras.saving.load_model(run.model, compile=False)
    split = source.held_out.name
    table = held_out(split=split, model=best).table()
    print(f"\nBest model on {source.name}, {split} split, {table.images:,} images:")
    print(table)
    run.write_summary(_summary(values, model, history, table, split, seconds))
    print(f"\n{run.path}: model.keras, learning_curve.png, summary.json ({seconds:.0f} s)")
    return run


def _choose_size(values: flags.FlagValues, info: ModelInfo) -> None:
    """On the embedded data sets, fill in the size where no flag does: the quick or the full one.

    The flags hold it from here on, and so does the run's flag file.
    """
    dataset, _, _ = canonical_name(values.dataset).partition("/")
    if dataset not in EMBEDDED:
        return
    sizes = dict(info.published(info.quick_start) if values.full_size else info.quick_start)
    smallest = SMALLEST_SIZE.get(dataset, 0)
    if sizes.get("input_shape", (smallest,))[0] < smallest:
        sizes["input_shape"] = (smallest, smallest, 3)
    chosen = []
    for name, value in sizes.items():
        flag = "image_size" if name == "input_shape" else name
        if values[flag].value is None:
            values[flag].value = value[0] if name == "input_shape" else value
            chosen.append(f"--{flag}={values[flag].value}")
    if chosen and not values.full_size:
        print(f"Quick size for {values.dataset}: {' '.join(chosen)}. --full_size trains "
              f"{info.name} as published.")  # fmt: skip


def _augmentation(values: flags.FlagValues, source: DataSource) -> tuple[str, ...]:
    if values.augment is None:
        return source.augment
    return () if values.augment == ["none"] else tuple(values.augment)


def _class_weights(values: flags.FlagValues, source: DataSource) -> tuple[float, ...] | None:
    """None if all weigh the same."""
    if values.class_weights == "equal":
        return None
    counts = source.split("train").class_counts(len(source.class_names))
    return tuple(balanced_class_weights(counts).tolist())


class _HeldOut:
    """A model's figures on held-out images."""

    def __init__(
        self,
        source: DataSource,
        split: str,
        batch_size: int,
        image_size: tuple[int, int],
        framing: Framing,
        presentation: Presentation,
        model: keras.Model,
    ):
        self._split = source.split(split)
        self._batches = evaluation_batches(
            self._split, batch_size, image_size, framing.crop_ratio, framing.resize_through,
            presentation,
        )  # fmt: skip
        self._measure = AccuracyOverTime(model)

    def table(self) -> AccuracyTable:
        return self._measure(self._batches, len(self._split.unreadable))

    def figures(self) -> dict[str, float]:
        table = self.table()
        return {
            "val_loss": float(np.mean(table.loss)),
            "val_top1": float(table.top1[-1]),
            "val_top5": float(table.top5[-1]),
        }


def _settings(values: flags.FlagValues) -> str:
    """The flag file that repeats this run."""
    lines = []
    for name in sorted(values):
        value = values[name].value
        if name in _NOT_SETTINGS or value is None:
            continue
        if name in ("data_dir", "weights"):
            value = Path(value).resolve()
        if isinstance(value, list):
            value = ",".join(value)
        lines.append(f"--{name}={str(value).lower() if isinstance(value, bool) else value}\n")
    return "".join(lines)


def _describe(
    model: keras.Model,
    image_size: tuple[int, int],
    batches: TrainingBatches,
    source: DataSource,
    run: RunDirectory,
    resumed: bool,
    devices: int,
) -> None:
    print(
        f"{model.name} at {image_size[0]} x {image_size[1]}, {model.count_params():,} parameters, "
        f"{_trained(model):,} of them trained; {len(source.class_names)} classes, {devices} "
        f"device{'s' if devices > 1 else ''}\n"
        f"{source.name}: {batches.split.size:,} training images, "
        f"{source.split('validation').size:,} for validation; {batches.steps_per_epoch} steps of "
        f"{batches.batch_size} an epoch, augmented by {' and '.join(batches.augment) or 'nothing'}"
    )
    checkpoints = run.checkpoints()
    if resumed and checkpoints:
        print(
            f"Going on with {run.path} from epoch {checkpoints[-1].epoch + 1}, step "
            f"{checkpoints[-1].step}."
        )
    else:
        print(f"{'Starting again in' if resumed else 'Writing to'} {run.path}.")


def _trained(model: keras.Model) -> int:
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def _summary(
    values: flags.FlagValues,
    model: keras.Model,
    history: list[dict[str, float]],
    table: AccuracyTable,
    split: str,
    seconds: float,
) -> dict[str, Any]:
    return {
        "model": model.name,
        "dataset": values.dataset,
        "split": split,
        "images": table.images,
        "unreadable_images": table.unreadable,
        "time_steps": table.rows(),
        "best_epoch": int(max(history, key=merit)["epoch"]) + 1,
        "best_epoch_chosen_on": "validation",
        "epochs": len(history),
        "parameters": model.count_params(),
        "seed": values.seed,
        "seconds_of_last_session": round(seconds, 1),
        "peak_memory_gib": round(peak_memory(), 2),
        **provenance(),
    }
