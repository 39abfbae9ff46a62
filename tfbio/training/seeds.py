"""What the runs of several seeds have in common: the mean and the spread of their metrics."""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfbio.errors import InputError
from tfbio.training.config import LARGEST_SEED
from tfbio.training.run_directory import RunDirectory

_METRICS = ("top1", "top5", "loss")
# Top-5 is always right where there are no more classes.
_FEW_CLASSES = 5


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse seeds that cannot be compared.

    Raises:
        InputError: there are fewer than two, one stands twice, or one is out of range.

    Example:
        >>> check_seeds((0, 1, 2))
    """
    received = ",".join(map(str, seeds))
    if not all(0 <= seed <= LARGEST_SEED for seed in seeds):
        raise InputError(f"Expected --seeds from 0 to {LARGEST_SEED}, received {received}.")
    if len(set(seeds)) < max(2, len(seeds)):
        raise InputError(
            "Expected two or more --seeds, none of them twice, received "
            f"{received or 'none'}: pass --seed for one run."
        )


@dataclass(frozen=True)
class SeedTable:
    """Metrics of finished runs that differ in their seed, at the last time step.

    Args:
        runs: finished runs of the same settings.

    Raises:
        InputError: a run is not finished.
    """

    runs: tuple[RunDirectory, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "runs", tuple(self.runs))
        for run in self.runs:
            if not run.finished:
                raise InputError(f"Expected finished runs, received {run.path}: go on with it.")

    def rows(self) -> list[dict[str, Any]]:
        """A dict for each run: its seed, its name and its metrics."""
        return [
            {"seed": summary["seed"], "run": run.path.name, **summary["time_steps"][-1]}
            for run, summary in zip(self.runs, self._summaries(), strict=True)
        ]

    def mean(self) -> dict[str, float]:
        """The mean of each metric."""
        return {name: statistics.fmean(row[name] for row in self.rows()) for name in _METRICS}

    def standard_deviation(self) -> dict[str, float]:
        """The standard deviation of each metric, over n - 1."""
        return {name: statistics.stdev(row[name] for row in self.rows()) for name in _METRICS}

    def results(self) -> dict[str, Any]:
        """Everything, as the JSON file has it."""
        first = self._summaries()[0]
        settings = {
            name: value for name, value in self.runs[0].settings().items() if name != "seed"
        }
        return {
            **{name: first[name] for name in ("model", "dataset", "split", "images")},
            "settings": settings,
            "seeds": self.rows(),
            "mean": self.mean(),
            "standard_deviation": self.standard_deviation(),
        }

    def __str__(self) -> str:
        shown = _METRICS if len(self.runs[0].class_names()) > _FEW_CLASSES else ("top1", "loss")
        heads = {"top1": "   top-1", "top5": "   top-5", "loss": "   loss"}
        lines = ["      seed " + " ".join(heads[name] for name in shown)]
        labelled = [(str(row["seed"]), row) for row in self.rows()]
        labelled += [("mean", self.mean()), ("+-", self.standard_deviation())]
        for label, row in labelled:
            cells = [
                f"{row[name]:6.3f}" if name == "loss" else f"{100 * row[name]:5.1f} %"
                for name in shown
            ]
            lines.append("  ".join([f"{label:>10}", *cells]))
        return "\n".join(lines)

    def write(self, folder: str | os.PathLike) -> Path:
        """Write the table as JSON and CSV.

        A number follows the name where a table of other settings or other seeds has it.

        Args:
            folder: of all runs.

        Returns:
            The path of the JSON file.

        Raises:
            InputError: the folder cannot be written.
        """
        try:
            return self._write(Path(folder))
        except OSError as error:
            raise InputError(
                f"The table of seeds cannot be written to {folder} ({error.strerror}): pass "
                "a folder of runs that is writable."
            ) from error

    def _write(self, folder: Path) -> Path:
        results = self.results()
        # The runs' names without their ends.
        common = self.runs[0].path.name.rpartition(f"-seed{results['seeds'][0]['seed']}")[0]
        name = f"{common}-seeds"
        for number in itertools.count(1):
            path = folder / f"{name if number == 1 else f'{name}-{number}'}.json"
            if not path.exists() or _same_seeds(path, results):
                break
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, ["seed", *_METRICS, "run", "time_step"])
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

    def _summaries(self) -> list[dict[str, Any]]:
        return [json.loads(run.summary.read_text()) for run in self.runs]


def _same_seeds(path: Path, results: dict[str, Any]) -> bool:
    try:
        other = json.loads(path.read_text())
        return [other["settings"], [row["run"] for row in other["seeds"]]] == [
            results["settings"],
            [row["run"] for row in results["seeds"]],
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return False
