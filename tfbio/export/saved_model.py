"""SavedModels for TensorFlow Serving: images or image bytes in, probabilities and labels out."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfbio.errors import InputError
from tfbio.export.context import ExportContext, check_classifier
from tfbio.export.labels import check_labels
from tfbio.export.signature import Signature, chosen_signatures
from tfbio.export.versions import free_version, publish, staging_folder
from tfbio.framing import Framing

LABELS_FILE = "labels.txt"


def export_saved_model(
    model: keras.Model,
    folder: str | os.PathLike[str],
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    framing: Framing = Framing(),
    version: int | None = None,
    signatures: Sequence[str] | None = None,
) -> Path:
    """Write a model to `<folder>/<name>/<version>/`, as TensorFlow Serving loads it.

    It answers in inference mode, for any batch size, by signatures: `tfbio.export.list_signatures`
    names them, `docs/export.md` says what each takes and gives. `serving_default`, `serving_uint8`
    and `serving_bytes` draw the noise of a model that has one as it does itself
    (`tfbio.models.set_noise`); such a model has one more for each way to draw it.

    A model built with `include_preprocessing=False` is served as it is: what its signatures take is
    what it takes, and the pixels of `serving_bytes` are in [0, 255].

    The folder needs neither tfbio nor Keras and can be moved. The labels are in
    `assets/labels.txt`, one a line; the signatures read them from there when they are loaded. The
    version appears in one step when all of it is written, because TensorFlow Serving polls the
    folder; after a failure nothing of it is left.

    Args:
        model: a functional or Sequential classifier with one image input (N, H, W, 3) that gives
            probabilities, by a softmax, or logits, which get one: (N, classes) or
            (N, time, classes). Build a recurrent one with `return_sequences=True` to serve all time
            steps.
        folder: the folder of all exported models; made if it does not exist.
        name: the folder of this model, and its name in TensorFlow Serving; by default the model's.
        labels: the label of each class, in order; by default the numbers of the classes from 0.
        framing: how `serving_bytes` brings images to the model's size; the registry knows each
            model's.
        version: a positive integer; by default one more than the highest there, or 1.
        signatures: names of signatures, with or without `serving_`; by default all that the model
            can have. If `serving_default` is not among them, the first is served under that name
            too, which is what TensorFlow Serving takes if a request names none.

    Returns:
        The path of the version's folder.

    Raises:
        InputError: Keras does not run on TensorFlow, the model is of another kind or cannot have a
            signature, the labels do not fit the classes, the version exists, an argument is out of
            range, or the folder cannot be written.
        UnknownNameError: there is no such signature.

    Example:
        >>> import pathlib, tempfile, tfbio
        >>> from tfbio.export import export_saved_model
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = export_saved_model(model, folder, labels=["cat", "dog"])
        ...     path.relative_to(folder).as_posix()
        'b_cnn/1'
    """
    _check_backend()
    classes = check_classifier(model)
    if labels is None:
        labels = [str(index) for index in range(classes)]
    check_labels(labels, classes)
    model_folder = Path(folder) / _folder_name(model.name if name is None else name)
    version = free_version(model_folder, version)
    with staging_folder(model_folder) as staging, tempfile.TemporaryDirectory() as sources:
        # The path becomes part of the name of the table's resource. A folder of its own makes the
        # name unique: two versions loaded into one process must not share their labels.
        labels_file = Path(sources, LABELS_FILE)
        labels_file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        context = ExportContext(model, _label_table(labels_file, classes), framing)
        archive = _archive(context, chosen_signatures(context, signatures))
        with _quiet_tensorflow():
            archive.write_out(staging / "saved_model", verbose=False)
        publish(staging / "saved_model", model_folder / str(version))
    return model_folder / str(version)


def _archive(context: ExportContext, signatures: Sequence[Signature]) -> keras.export.ExportArchive:
    # The model itself is not tracked: the archive would store every weight a second time.
    archive = keras.export.ExportArchive()
    archive.track(context.label_table)
    for signature in signatures:
        answer = partial(signature.answer, context)
        archive.add_endpoint(signature.name, answer, signature.specs(context))
    return archive


def _label_table(labels_file: Path, classes: int) -> tf.lookup.StaticHashTable:
    """From the number of a class to its label; SavedModel copies the file to `assets/`."""
    return tf.lookup.StaticHashTable(
        tf.lookup.TextFileInitializer(
            str(labels_file),
            key_dtype=tf.int64,
            key_index=tf.lookup.TextFileIndex.LINE_NUMBER,
            value_dtype=tf.string,
            value_index=tf.lookup.TextFileIndex.WHOLE_LINE,
            vocab_size=classes,
        ),
        default_value="",
    )


@contextlib.contextmanager
def _quiet_tensorflow() -> Iterator[None]:
    """Keep TensorFlow from announcing the folder it writes the assets to, which is moved after."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(max(logging.WARNING, level))
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_backend() -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        reason = ", whose XLA calls TensorFlow Serving refuses on a CPU" if backend == "jax" else ""
        raise InputError(
            f"Expected Keras on TensorFlow, received Keras on {backend!r}{reason}: save the model "
            "as a .keras file and export it in a process started with KERAS_BACKEND=tensorflow."
        )


def _folder_name(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith(".") or Path(name).name != name:
        raise InputError(
            f"Expected a name that can be that of a folder, received {name!r}: give one that has "
            "no slash and does not start with a dot."
        )
    return name
