"""`python export.py`, `tfbio export`: a trained model as a SavedModel for TF Serving."""

from __future__ import annotations

from dataclasses import dataclass

from absl import flags

from tfbio._configuration import option, options_of
from tfbio.cli.command import Command
from tfbio.cli.flags import given, given_arguments
from tfbio.cli.trained import TrainedFlags, find_trained
from tfbio.export.labels import load_labels
from tfbio.export.saved_model import export_saved_model
from tfbio.training.config import NoiseConfig


@dataclass(frozen=True)
class ExportFlags(TrainedFlags):
    """Export.

    Args:
        output: folder of exported models.
        name: name to serve it by. Default: the model's.
        version: number of the version. Default: one more than the last.
        labels: file of class names, one a line.
    """

    output: str = option("exported", path=True)
    name: str | None = option()
    version: int | None = option()
    labels: str | None = option(path=True)


def _run(values: flags.FlagValues) -> None:
    chosen = given(values, options_of(ExportFlags))
    noise = NoiseConfig(*(chosen.get(name) for name in ("noise", "noise_seed", "noise_draws")))
    timesteps = given_arguments(values).get("timesteps")
    trained = find_trained(values)
    if timesteps == trained.model.output_shape[1]:
        timesteps = None
    trained = trained.adjusted(noise, timesteps)
    names = chosen.get("labels")
    path = export_saved_model(
        trained.model,
        chosen.get("output", "exported"),
        name=chosen.get("name"),
        labels=load_labels(names) if names else list(trained.class_names) or None,
        crop_ratio=trained.framing.crop_ratio,
        resize_through=trained.framing.resize_through,
        version=chosen.get("version"),
    )
    print(f"{trained.description} exported to {path}")


COMMAND = Command("export", "Export a trained model for TF Serving.", ExportFlags, _run)
main = COMMAND.main

if __name__ == "__main__":
    main()
