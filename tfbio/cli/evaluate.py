"""`python evaluate.py`: accuracy at every time step of a run or of a model with weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import keras
import tensorflow as tf
from absl import flags

from tfbio._progress import progress_bar
from tfbio.cli.command import run_command
from tfbio.cli.models import define_model_flags
from tfbio.cli.presentation import (
    chosen_presentation,
    define_presentation_flags,
    described_presentation,
    presentation_facts,
    presentation_label,
)
from tfbio.cli.robustness import (
    chosen_label,
    chosen_sets,
    define_robustness_flags,
    measure_robustness,
    refuse_robustness_flags,
    report_robustness,
)
from tfbio.cli.trained import TrainedModel, define_trained_flags, find_trained
from tfbio.datasets.catalog import FOLDERS, canonical_name, corrupted_base, load_dataset
from tfbio.datasets.corrupted import is_corrupted
from tfbio.datasets.pipeline import evaluation_batches
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.source import DataSource, Split
from tfbio.errors import InputError
from tfbio.evaluation.accuracy_over_time import AccuracyOverTime
from tfbio.evaluation.report import format_table, write_results
from tfbio.models.noise import noise_setting


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command."""
    run_command("Measure accuracy over time steps.", _define_flags, _main, argv)


def _define_flags(values: flags.FlagValues) -> None:
    define_model_flags(values)
    define_trained_flags(values)
    at = {"flag_values": values}
    flags.DEFINE_string("dataset", None, "Data set. Default: the one the run trained on.", **at)
    flags.DEFINE_string("data_dir", None, "The image folder, or where data sets are kept.", **at)
    flags.DEFINE_string("split", None, "Default: test where there is one, else validation.", **at)
    flags.DEFINE_integer(
        "max_bad_images", 0, "Unreadable images to count as wrong and go on.", lower_bound=0, **at
    )
    define_presentation_flags(values)
    define_robustness_flags(values)
    flags.DEFINE_integer("batch_size", 32, "Images a step.", lower_bound=1, **at)
    flags.DEFINE_string(
        "output", None, "Folder of the results. Default: in the run, by data set and split.", **at
    )


def _main(values: flags.FlagValues) -> None:
    trained = find_trained(values)
    dataset = canonical_name(values.dataset) if values.dataset else trained.dataset or "shapes"
    # The same images, corrupted or not, lie in the same place.
    images = corrupted_base(dataset) or dataset
    data_dir = values.data_dir
    if data_dir is None and images == trained.dataset:
        data_dir = trained.data_dir
    # Other data sets may be shown in a way of their own already.
    as_trained = trained.settings if dataset == trained.dataset else {}
    presentation = chosen_presentation(values, as_trained)
    image_size = _image_size(trained.model, values.image_size, trained.info.input_shape[:2])
    framing = trained.framing

    def batches(split: Split, shown: Presentation) -> tf.data.Dataset:
        return evaluation_batches(
            split, values.batch_size, image_size, framing.crop_ratio, framing.resize_through, shown
        )

    def split_of(source: DataSource) -> Split:
        _check_classes(trained, source)
        return source.split(values.split) if values.split else source.held_out

    sets = []
    if is_corrupted(dataset):
        sets = chosen_sets(values, dataset, data_dir)
        source = sets[0].load()
    else:
        refuse_robustness_flags(values)
        source = load_dataset(dataset, data_dir, values.max_bad_images)
    name = dataset.replace("/", "-")
    other_folder = images in FOLDERS and not _same_folder(data_dir, trained.data_dir)
    label = name.replace(images, Path(data_dir).resolve().name) if other_folder else name
    for note in () if sets else source.notes:
        print(note)
    split = split_of(source)
    print(
        f"{trained.description} at {image_size[0]} x {image_size[1]} on {label}, {split.name} "
        f"split, {split.size:,} images"
        + (f" in each of {len(sets)} sets" if sets else "")
        + described_presentation(presentation)
    )
    # Another noise, number of time steps, presentation or choice of corruptions is another result.
    noise = f"-noise_{values.noise}" if values.noise else ""
    timesteps = f"-timesteps_{values.timesteps}" if values.timesteps else ""
    label_of_all = (
        f"{label}-{split.name}{chosen_label(values)}{presentation_label(presentation)}{noise}"
        f"{timesteps}"
    )
    folder = Path(values.output or trained.folder / "evaluations" / label_of_all)
    facts = {
        "model": trained.info.name,
        "weights": trained.description,
        "dataset": label,
        "data_dir": None if data_dir is None else str(Path(data_dir).resolve()),
        "split": split.name,
        "image_size": list(image_size),
        "crop_ratio": framing.crop_ratio,
        "resize_through": framing.resize_through,
        "noise": noise_setting(trained.model),
        **presentation_facts(presentation),
    }
    if sets:
        robustness = measure_robustness(trained.model, sets, split_of, batches, presentation)
        with _writing_to(folder):
            files = report_robustness(robustness, dataset, folder, facts)
    else:
        with progress_bar(total=split.size, unit="image") as bar:
            table = AccuracyOverTime(trained.model)(
                batches(split, presentation), len(split.unreadable), bar.update
            )
        print(format_table(table))
        if table.unreadable:
            print(
                f"{table.unreadable} of {table.images} images could not be read and count as wrong."
            )
        with _writing_to(folder):
            write_results(table, folder, facts)
        files = "results.json, results.csv, accuracy_over_time.png"
    print(f"{folder}: {files}")


@contextlib.contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"The results cannot be written to {folder} ({error.strerror}): pass an --output that "
            "is writable."
        ) from error


def _same_folder(one: str, other: str | None) -> bool:
    return other is not None and Path(one).resolve() == Path(other).resolve()


def _check_classes(trained: TrainedModel, source: DataSource) -> None:
    classes = trained.model.output_shape[-1]
    names = source.class_names
    if len(names) != classes or (trained.class_names and tuple(trained.class_names) != names):
        raise InputError(
            f"Expected a data set of the {classes} classes of {trained.description}"
            f"{_some(trained.class_names)}, received {source.name} with {len(names)}"
            f"{_some(names)}."
        )


def _some(names) -> str:
    return f" ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})" if names else ""


def _image_size(
    model: keras.Model, wanted: int | None, published: tuple[int, int]
) -> tuple[int, int]:
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        return (wanted, wanted) if wanted else published
    return height, width
