"""`python export.py`, `tfbio export`: a trained model as a SavedModel for TF Serving."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from absl import flags

from tfbio._configuration import option, options_of
from tfbio.cli.command import Command
from tfbio.cli.flags import given, given_arguments
from tfbio.cli.trained import TrainedFlags, find_trained
from tfbio.training.config import NoiseConfig


@dataclass(frozen=True)
class ExportFlags(TrainedFlags):
    """Export.

    Args:
        output: folder of exported models.
        name: name to serve the model by. Default: the model's.
        version: number of the version. Default: one more than the last.
        labels: file of class names, one a line. Default: those of the run.
        signatures: what the exported model answers to: default, uint8, bytes, and noise_sample,
            noise_fixed, noise_mean, noise_off. Default: all that the model can have.
    """

    output: str = option("exported", path=True)
    name: str | None = option()
    version: int | None = option()
    labels: str | None = option(path=True)
    signatures: tuple[str, ...] | None = option(example="default,bytes")


def _run(values: flags.FlagValues) -> None:
    from tfbio.export.api import export
    from tfbio.export.labels import load_labels
    from tfbio.export.versions import check_writable

    chosen = given(values, options_of(ExportFlags))
    output = chosen.get("output", "exported")
    check_writable(Path(output))
    noise = NoiseConfig(*(chosen.get(f"noise{part}") for part in ("", "_seed", "_draws")))
    timesteps = given_arguments(values, ExportFlags).get("timesteps")
    trained = find_trained(values).adjusted(noise=noise, timesteps=timesteps)
    path = export(
        trained,
        output,
        name=values.name,
        version=values.version,
        labels=load_labels(values.labels) if values.labels else None,
        signatures=chosen.get("signatures"),
    )
    print(f"{trained.description} exported to {path}")


COMMAND = Command("export", "Export a trained model for TF Serving.", ExportFlags, _run)
main = COMMAND.main

if __name__ == "__main__":
    main()
