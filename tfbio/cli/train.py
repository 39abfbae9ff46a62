"""`python train.py`, `tfbio train`: train a model on a data set, or go on with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from absl import flags

from tfbio._configuration import option, options_of
from tfbio.cli.command import Command
from tfbio.cli.flags import given, given_arguments
from tfbio.errors import InputError
from tfbio.training.config import TrainingConfig


@dataclass(frozen=True)
class TrainFlags(TrainingConfig):
    """Training.

    Args:
        run: run whose best model is gone on from, on the same data or others; as --weights.
        seeds: in place of --seed: a run for each, such as 0,1,2, then their mean and spread.
        config: configuration of one of the originals' trainings, a JSON file, or config.json of a
            run; flags beside it come first.
        config_set: values of the configuration that are replaced, such as optimizer-lr=0.1
    """

    run: str | None = option(path=True)
    seeds: tuple[int, ...] | None = option(example="0,1,2")
    config: str | None = option(path=True)
    config_set: tuple[str, ...] | None = option(example="optimizer-lr=0.1")


def _run(values: flags.FlagValues) -> None:
    from tfbio.training.api import train, train_seeds, training_config
    from tfbio.training.seeds import SeedTable, check_seeds

    options = options_of(TrainFlags)
    chosen = given(values, options)
    seeds = chosen.pop("seeds", None)
    if seeds is not None:
        if "seed" in chosen:
            raise InputError("Expected --seed for one run, or --seeds for several, received both.")
        check_seeds(seeds)
    file, changes = chosen.pop("config", None), chosen.pop("config_set", None) or ()
    given_values = {**_of_run(chosen), **given_arguments(values, TrainFlags)}
    config = training_config(_beside_file(file, changes, given_values))
    if seeds is None:
        train(config)
        return
    runs = train_seeds(config, seeds)
    unfinished = [str(run.path) for run in runs if not run.finished]
    if unfinished:
        print(f"\nThe table of seeds comes once these are finished: {', '.join(unfinished)}.")
        return
    table = SeedTable(tuple(runs))
    results = table.results()
    print(f"\nBest models on {results['dataset']}, {results['split']} split, last time step:")
    print(table)
    path = table.write(config.runs_dir)
    print(f"\n{path}, {path.with_suffix('.csv').name}")


def _beside_file(
    path: str | None, changes: tuple[str, ...], chosen: dict[str, Any]
) -> dict[str, Any]:
    """The values of flags, and of --config where no flag says otherwise."""
    if path is None:
        if changes:
            raise InputError("Expected --config with --config_set, received the latter alone.")
        return chosen
    from tfbio.training.foreign_config import read_config

    read = read_config(path, changes)
    for note in read.notes:
        print(note)
    return read.beside(chosen)


def _of_run(chosen: dict[str, Any]) -> dict[str, Any]:
    """The values of flags, --run in the place of --weights."""
    run = chosen.pop("run", None)
    if run is None:
        return chosen
    if "weights" in chosen:
        raise InputError("Expected --run or --weights, received both: leave one out.")
    return {**chosen, "weights": run}


COMMAND = Command(
    "train",
    "Train a model of tfbio.",
    TrainFlags,
    _run,
    default_model="bl_rcnn",
    on_interrupt="The same command goes on from the last checkpoint, if there is one.",
)
main = COMMAND.main

if __name__ == "__main__":
    main()
