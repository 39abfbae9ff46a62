"""`python export.py`: a trained model as a SavedModel for TF Serving."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from absl import flags

from tfbio.cli.command import run_command
from tfbio.cli.models import define_model_flags
from tfbio.cli.trained import define_trained_flags, find_trained
from tfbio.export.labels import load_labels
from tfbio.export.saved_model import export_saved_model
from tfbio.export.versions import check_writable
from tfbio.framing import Framing


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command."""
    run_command("Export a trained model for TF Serving.", _define_flags, _main, argv)


def _define_flags(values: flags.FlagValues) -> None:
    define_model_flags(values)
    define_trained_flags(values)
    at = {"flag_values": values}
    flags.DEFINE_string("output", "exported", "Folder of exported models.", **at)
    flags.DEFINE_string("name", None, "Name to serve it by. Default: the model's.", **at)
    flags.DEFINE_integer("version", None, "Default: one more than the last.", **at)
    flags.DEFINE_string("labels", None, "File of class names, one a line.", **at)


def _main(values: flags.FlagValues) -> None:
    check_writable(Path(values.output))
    trained = find_trained(values)
    labels = load_labels(values.labels) if values.labels else list(trained.class_names) or None
    path = export_saved_model(
        trained.model,
        values.output,
        name=values.name,
        labels=labels,
        framing=Framing(trained.framing.crop_ratio, trained.framing.resize_through),
        version=values.version,
    )
    print(f"{trained.description} exported to {path}")
