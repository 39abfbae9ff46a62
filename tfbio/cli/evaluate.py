"""`python evaluate.py`, `tfbio evaluate`: evaluate a run, or a model with weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from absl import flags

from tfbio._configuration import Option, option, options_of
from tfbio.cli.command import Command, named
from tfbio.cli.flags import given, given_arguments
from tfbio.cli.trained import TrainedFlags, find_trained
from tfbio.datasets.names import ConditionName, StimulusName
from tfbio.datasets.registry import canonical_name
from tfbio.errors import InputError
from tfbio.evaluation.protocol import list_protocols, protocol_info


@dataclass(frozen=True)
class EvaluateFlags(TrainedFlags):
    """Evaluation.

    Args:
        protocol: what is measured, such as accuracy. Default: corruptions for a data set of
            corrupted images, else accuracy.
        dataset: data set. Default: the one the run trained on.
        data_dir: the image folder, or where data sets are kept.
        split: part of the data set. Default: test where there is one, else validation.
        max_bad_images: unreadable images to count as wrong and go on.
        condition: viewing condition of the images. Default: the run's on the data set it was
            trained on; elsewhere the images as they are.
        condition_level: standard deviation of --condition=noise (1 is black to white) or blur
            (pixels). Default: drawn for each image from the published levels.
        stimulus: diagnostic stimulus made of each image and the mask of its object. Default: as
            with --condition.
        batch_size: images a step.
        output: folder of the results. Default: in the run, by data set and split.
    """

    protocol: str | None = option()
    dataset: str | None = option()
    data_dir: str | None = option(path=True)
    split: str | None = option()
    max_bad_images: int = option(0, minimum=0)
    condition: ConditionName | None = option()
    condition_level: float | None = option()
    stimulus: StimulusName | None = option()
    batch_size: int = option(32, minimum=1)
    output: str | None = option(path=True)


def _run(values: flags.FlagValues) -> None:
    from tfbio._progress import progress_bar
    from tfbio.evaluation.api import prepare_evaluation

    trained = find_trained(values)
    if values.dataset is None and trained.config is not None and trained.dataset is None:
        raise InputError(
            f"Expected --dataset with {trained.description}, whose training data have no name, "
            "received none: name a data set of the same classes."
        )
    data = values.dataset or trained.dataset or "shapes"
    chosen = given(values, options_of(EvaluateFlags))
    same = trained.dataset is not None and canonical_name(data) == canonical_name(trained.dataset)
    passed = ("split", "data_dir", "max_bad_images", "batch_size", "image_size", "output")
    evaluation = prepare_evaluation(
        trained,
        values.protocol,
        data,
        **{name: chosen[name] for name in passed if name in chosen},
        presentation=_presentation(chosen, trained.presentation if same else None),
        timesteps=given_arguments(values, EvaluateFlags).get("timesteps"),
        noise=chosen.get("noise"),
        noise_seed=chosen.get("noise_seed"),
        noise_draws=chosen.get("noise_draws"),
        **_options(values, data),
    )
    print(evaluation.description)
    with progress_bar(total=evaluation.images, unit="image") as bar:
        table = evaluation.run(bar.update, evaluation.folder)
    print(table)
    folder = evaluation.folder or Path(values.runs_dir or "runs")
    print(f"{folder}: {', '.join(table.write(folder))}")


def _presentation(chosen: dict[str, Any], of_training: Any) -> Any:
    """What the flags make of the images, or else the training."""
    from tfbio.datasets.conditions import ViewingCondition
    from tfbio.datasets.presentation import PLAIN, Presentation

    default = of_training or PLAIN
    condition = default.condition
    level = chosen.get("condition_level")
    if "condition" in chosen:
        condition = ViewingCondition(chosen["condition"], level) if chosen["condition"] else None
    elif level is not None:
        raise InputError(
            "Expected --condition=noise or --condition=blur with --condition_level, received "
            "the latter alone."
        )
    return Presentation(chosen.get("stimulus", default.stimulus), condition)


def _options(values: flags.FlagValues, data: str) -> dict[str, Any]:
    """The options of the protocol that are given, and those of others, which it refuses."""
    from tfbio.datasets.corrupted import is_corrupted

    names = list_protocols()
    first = [values.protocol] if values.protocol in names else []
    options: dict[str, Option] = {}
    for name in [*first, *names]:
        options = {**options_of(protocol_info(name).options), **options}
    found = given(values, options)
    for name in options_of(protocol_info("corruptions").options):
        if name in found and values.protocol is None and not is_corrupted(canonical_name(data)):
            raise InputError(
                f"Expected a data set of corrupted images with --{name}, such as "
                "--dataset=shapes_c."
            )
    return found


def _protocol_options(argv: Sequence[str]) -> Iterable[Option]:
    """The options of all protocols, those of the chosen one first."""
    names = list_protocols()
    chosen = named(argv, "protocol")
    for name in [*([chosen] if chosen in names else []), *names]:
        yield from options_of(protocol_info(name).options).values()


COMMAND = Command(
    "evaluate",
    "Evaluate a trained model.",
    EvaluateFlags,
    _run,
    more_options=_protocol_options,
)
main = COMMAND.main

if __name__ == "__main__":
    main()
