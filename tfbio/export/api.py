"""`tfbio.export(trained, folder)`: a run, a trained model or a Keras model, ready to be served."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfbio.export.saved_model import export_saved_model
from tfbio.export.versions import check_writable


def export(
    trained: Any,
    folder: str | os.PathLike[str] = "exported",
    *,
    name: str | None = None,
    version: int | None = None,
    labels: Sequence[str] | None = None,
    signatures: Sequence[str] | None = None,
) -> Path:
    """Write a trained model to `<folder>/<name>/<version>/`, as TensorFlow Serving loads it.

    Args:
        trained: a run or its path, a `TrainedModel`, or any functional or Sequential classifier.
        folder: the folder of all exported models; made if it does not exist.
        name: the folder of this model, and its name in TensorFlow Serving; by default the model's.
        version: a positive integer; by default one more than the highest there, or 1.
        labels: the label of each class, in order; by default the class names of the training, or
            the numbers of the classes from 0.
        signatures: names of signatures, see `tfbio.export.list_signatures`; by default all that
            the model can have.

    Returns:
        The path of the version's folder.

    Raises:
        InputError: there is no such run, or `tfbio.export.export_saved_model` refuses the model or
            an argument.

    Example:
        >>> import pathlib, tempfile, tfbio
        >>> from tfbio.export.api import export
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export(model, folder, labels=["cat", "dog"], signatures=["bytes"])
        ...     path.relative_to(folder).as_posix()
        'b_cnn/1'
    """
    from tfbio.training.trained import as_trained

    check_writable(Path(folder))
    trained = as_trained(trained)
    if labels is None:
        labels = trained.class_names or None
    return export_saved_model(
        trained.model,
        folder,
        name=name,
        labels=labels,
        framing=trained.framing,
        version=version,
        signatures=signatures,
    )
