"""`python evaluate.py`: accuracy at every time step of a run or of a model with weights."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import keras
from absl import flags
from tqdm import tqdm

from tfbio.cli.command import run_command
from tfbio.cli.models import define_model_flags
from tfbio.cli.trained import TrainedModel, define_trained_flags, find_trained
from tfbio.datasets.catalog import IMAGE_FOLDER, canonical_name, load_dataset
from tfbio.datasets.pipeline import evaluation_batches
from tfbio.datasets.source import DataSource
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
    flags.DEFINE_integer("batch_size", 32, "Images a step.", lower_bound=1, **at)
    flags.DEFINE_string(
        "output", None, "Folder of the results. Default: in the run, by data set and split.", **at
    )


def _main(values: flags.FlagValues) -> None:
    trained = find_trained(values)
    dataset = canonical_name(values.dataset) if values.dataset else trained.dataset or "shapes"
    data_dir = values.data_dir
    if data_dir is None and dataset == trained.dataset:
        data_dir = trained.data_dir
    source = load_dataset(dataset, data_dir, values.max_bad_images)
    other_folder = dataset == IMAGE_FOLDER and not _same_folder(data_dir, trained.data_dir)
    label = Path(data_dir).resolve().name if other_folder else source.file_name
    for note in source.notes:
        print(note)
    _check_classes(trained, source)
    split = source.split(values.split) if values.split else source.held_out
    image_size = _image_size(trained.model, values.image_size, trained.info.input_shape[:2])
    framing = trained.framing
    batches = evaluation_batches(
        split, values.batch_size, image_size, framing.crop_ratio, framing.resize_through
    )
    print(
        f"{trained.description} at {image_size[0]} x {image_size[1]} on {label}, {split.name} "
        f"split, {split.size:,} images"
    )
    with tqdm(total=split.size, unit="image", dynamic_ncols=True, leave=False) as bar:
        table = AccuracyOverTime(trained.model)(batches, len(split.unreadable), bar.update)
    print(format_table(table))
    if table.unreadable:
        print(f"{table.unreadable} of {table.images} images could not be read and count as wrong.")
    # Another noise is another result.
    noise = f"-noise_{values.noise}" if values.noise else ""
    folder = Path(values.output or trained.folder / "evaluations" / f"{label}-{split.name}{noise}")
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
    }
    try:
        write_results(table, folder, facts)
    except OSError as error:
        raise InputError(
            f"The results cannot be written to {folder} ({error.strerror}): pass an --output that "
            "is writable."
        ) from error
    print(f"{folder}: results.json, results.csv, accuracy_over_time.png")


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
