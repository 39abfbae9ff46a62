"""`python evaluate.py`: evaluate a run, or a model with weights, with a protocol."""

from __future__ import annotations

from typing import Any, NoReturn

from absl import flags
from tqdm import tqdm

from tfbio.cli.command import given, run_command
from tfbio.cli.models import define_model_flags
from tfbio.cli.presentation import chosen_presentation, define_presentation_flags
from tfbio.cli.trained import define_trained_flags, find_trained
from tfbio.datasets.catalog import canonical_name
from tfbio.datasets.corrupted import is_corrupted
from tfbio.errors import InputError
from tfbio.evaluation.api import prepare_evaluation
from tfbio.framing import Framing
from tfbio.training.trained import TrainedModel


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
    flags.DEFINE_list(
        "corruptions", None, "Of a data set of corrupted images: fog,snow. Default: all.", **at
    )
    flags.DEFINE_list(
        "severities", None, "Of a data set of corrupted images: 1,5. Default: all five.", **at
    )
    flags.DEFINE_integer("batch_size", 32, "Images a step.", lower_bound=1, **at)
    flags.DEFINE_string(
        "output", None, "Folder of the results. Default: in the run, by data set and split.", **at
    )


def _main(values: flags.FlagValues) -> None:
    found = find_trained(values)
    dataset = canonical_name(values.dataset) if values.dataset else found.dataset or "shapes"
    # Other data sets may be of a kind of their own already.
    as_trained = found.settings if dataset == found.dataset else {}
    framing = found.framing
    trained = TrainedModel(
        model=found.model,
        description=found.description,
        class_names=found.class_names,
        framing=Framing(framing.crop_ratio, framing.resize_through),
        folder=found.folder,
        info=found.info,
        dataset=found.dataset,
        data_dir=found.data_dir,
    )
    evaluation = prepare_evaluation(
        trained,
        data=dataset,
        split=values.split,
        data_dir=values.data_dir,
        batch_size=values.batch_size,
        presentation=chosen_presentation(values, as_trained),
        image_size=values.image_size,
        timesteps=values.timesteps,
        max_bad_images=values.max_bad_images,
        noise=values.noise,
        noise_seed=values.noise_seed,
        noise_draws=values.noise_draws,
        output=values.output,
        **_options(values, dataset),
    )
    print(evaluation.description)
    with tqdm(total=evaluation.images, unit="image", dynamic_ncols=True, leave=False) as bar:
        table = evaluation.run(bar.update, evaluation.folder)
    print(table)
    print(f"{evaluation.folder}: {', '.join(table.write(evaluation.folder))}")


def _options(values: flags.FlagValues, dataset: str) -> dict[str, Any]:
    options = given(values, ("corruptions", "severities"))
    for name in options:
        if not is_corrupted(dataset):
            raise InputError(
                f"Expected a data set of corrupted images with --{name}, such as "
                "--dataset=shapes_c."
            )
    try:
        if "severities" in options:
            options["severities"] = [int(each) for each in values.severities]
    except ValueError as error:
        raise InputError(
            f"Expected --severities as numbers from 1 to 5, received {','.join(values.severities)}."
        ) from error
    return options
