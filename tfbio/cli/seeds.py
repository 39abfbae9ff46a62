"""`--seeds`: one run a seed, and what their figures have in common."""

from __future__ import annotations

import csv
import io
import itertools
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from absl import flags

from tfbio.errors import InputError
from tfbio.training.run_directory import RunDirectory

_LARGEST_SEED = 2**32 - 1
_FIGURES = ("top1", "top5", "loss")


def define_seed_flags(values: flags.FlagValues) -> None:
    """Flags of one seed, and of several."""
    at = {"flag_values": values}
    flags.DEFINE_integer(
        "seed", 0, "Decides weights, order and draws.", lower_bound=0, upper_bound=_LARGEST_SEED,
        **at,
    )  # fmt: skip
    flags.DEFINE_list(
        "seeds", None,
        "In place of --seed: a run for each, such as 0,1,2, then their mean and spread.", **at,
    )  # fmt: skip


def train_seeds(
    values: flags.FlagValues, train_one: Callable[[flags.FlagValues, str], RunDirectory]
) -> None:
    """Train a model with every seed of --seeds, one after the other, and compare the runs.

    Args:
        values: the flags; --seed takes each value in turn.
        train_one: trains with the flags that it is given, into a run whose name ends as it is
            told, or goes on with that run.

    Raises:
        InputError: the seeds are no seeds, or the table cannot be written.
    """
    seeds = _chosen_seeds(values)
    runs = []
    for number, seed in enumerate(seeds, 1):
        print(f"\nSeed {seed}, {number} of {len(seeds)}:")
        # Nothing of one run is to be found by the next: names, random draws, dtypes.
        keras.backend.clear_session()
        values.seed = seed
        runs.append(train_one(values, f"-seed{seed}"))
    unfinished = [str(run.path) for run in runs if not run.finished]
    if unfinished:
        print(f"\nThe table of seeds comes once these are finished: {', '.join(unfinished)}.")
        return
    results = _results(seeds, runs)
    print(f"\nBest models on {results['dataset']}, {results['split']} split, last time step:")
    print(_format(results))
    # The runs' names without their ends.
    name = runs[0].path.name.rpartition(f"-seed{seeds[0]}")[0]
    try:
        path = _write(results, Path(values.runs_dir), f"{name}-seeds")
    except OSError as error:
        raise InputError(
            f"The table of seeds cannot be written to {values.runs_dir} ({error.strerror}): pass "
            "a folder of runs that is writable."
        ) from error
    print(f"\n{path}, {path.with_suffix('.csv').name}")


def _chosen_seeds(values: flags.FlagValues) -> list[int]:
    if values["seed"].present:
        raise InputError("Expected --seed for one run, or --seeds for several, received both.")
    received = ",".join(values.seeds)
    try:
        seeds = [int(seed) for seed in values.seeds]
    except ValueError:
        raise InputError(
            f"Expected --seeds that are whole numbers, such as 0,1,2, received {received}."
        ) from None
    if not all(0 <= seed <= _LARGEST_SEED for seed in seeds):
        raise InputError(f"Expected --seeds from 0 to {_LARGEST_SEED}, received {received}.")
    if len(set(seeds)) < max(2, len(seeds)):
        raise InputError(
            "Expected two or more --seeds, none of them twice, received "
            f"{received or 'none'}: pass --seed for one run."
        )
    return seeds


def _results(seeds: Sequence[int], runs: Sequence[RunDirectory]) -> dict[str, Any]:
    """The figures of finished runs, their means and their standard deviations (n - 1)."""
    summaries = [json.loads(run.summary.read_text()) for run in runs]
    rows = [
        {"seed": seed, "run": run.path.name, **summary["time_steps"][-1]}
        for seed, run, summary in zip(seeds, runs, summaries, strict=True)
    ]
    by_figure = {name: [row[name] for row in rows] for name in _FIGURES}
    settings = {name: value for name, value in runs[0].settings().items() if name != "seed"}
    return {
        **{name: summaries[0][name] for name in ("model", "dataset", "split", "images")},
        "settings": settings,
        "seeds": rows,
        "mean": {name: statistics.fmean(each) for name, each in by_figure.items()},
        "standard_deviation": {name: statistics.stdev(each) for name, each in by_figure.items()},
    }


def _format(results: Mapping[str, Any]) -> str:
    rows = [(str(row["seed"]), row) for row in results["seeds"]]
    rows += [("mean", results["mean"]), ("+-", results["standard_deviation"])]
    lines = ["      seed    top-1    top-5    loss"]
    lines += [
        f"{label:>10}  {100 * row['top1']:5.1f} %  {100 * row['top5']:5.1f} %  {row['loss']:6.3f}"
        for label, row in rows
    ]
    return "\n".join(lines)


def _write(results: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Write the results as JSON and CSV; the JSON's path.

    A number follows the name where a table of other settings or other seeds has it.
    """
    for number in itertools.count(1):
        path = folder / f"{name if number == 1 else f'{name}-{number}'}.json"
        if not path.exists() or _same_seeds(path, results):
            break
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, ["seed", *_FIGURES, "run", "time_step"])
    writer.writeheader()
    writer.writerows(results["seeds"])
    for label in ("mean", "standard_deviation"):
        writer.writerow({"seed": label, **results[label]})
    for target, text in (
        (path.with_suffix(".csv"), table.getvalue()),
        (path, json.dumps(results, indent=2) + "\n"),
    ):
        partial = folder / f".{name}.partial"
        try:
            partial.write_bytes(text.encode())
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
    return path


def _same_seeds(path: Path, results: Mapping[str, Any]) -> bool:
    try:
        other = json.loads(path.read_text())
        return [other["settings"], [row["run"] for row in other["seeds"]]] == [
            results["settings"], [row["run"] for row in results["seeds"]],
        ]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return False
