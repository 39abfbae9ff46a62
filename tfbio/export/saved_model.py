"""SavedModels for TensorFlow Serving: images or image bytes in, probabilities and labels out."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfbio.datasets.images import decode_image, resize_and_crop
from tfbio.errors import InputError
from tfbio.export.labels import check_labels
from tfbio.export.versions import free_version, publish, staging_folder
from tfbio.framing import Framing
from tfbio.layers.neuronal_noise import SAMPLINGS, Sampling
from tfbio.models.noise import noise_layers

LABELS_FILE = "labels.txt"


def export_saved_model(
    model: keras.Model,
    output_dir: str | os.PathLike[str],
    name: str | None = None,
    labels: Sequence[str] | None = None,
    crop_ratio: float = 1.0,
    version: int | None = None,
    resize_through: tuple[int, int] | None = None,
) -> Path:
    """Write a model to `<output_dir>/<name>/<version>/`, as TensorFlow Serving loads it.

    The signatures, all in inference mode and for any batch size N:

        serving_default   images       float32 (N, H, W, 3), pixel values in [0, 255]
        serving_uint8     images       uint8 (N, H, W, 3)
        serving_bytes     image_bytes  string (N,), JPEG, PNG, GIF or BMP files

    and the outputs of each:

        probabilities          float32 (N, classes), at the last time step
        probabilities_by_time  float32 (N, time, classes); one step if the model gives no more
        label                  string (N,), of the largest probability

    A model with noise draws it in these as it does itself (`tfbio.models.set_noise`), and has one
    more signature for each way to draw it, with the input of `serving_default`:
    `serving_noise_sample`, `serving_noise_fixed`, `serving_noise_mean`, `serving_noise_off`.

    `serving_bytes` decodes, scales and crops as evaluation does, with the same code. One broken
    file fails its whole batch. A model whose H or W is None has no such signature.

    The folder needs neither tfbio nor Keras and can be moved. The labels are in
    `assets/labels.txt`, one a line; the signatures read them from there when they are loaded. The
    version appears in one step when all of it is written, because TensorFlow Serving polls the
    folder; after a failure nothing of it is left.

    Args:
        model: a model with one image input (N, H, W, 3) that ends in the layer `predictions`, as
            those of the registry do. Softmax is added to a model that gives logits. Build it with
            `return_sequences=True` to serve all time steps.
        output_dir: the folder of all exported models; made if it does not exist.
        name: the folder of this model, and its name in TensorFlow Serving; by default the model's.
        labels: the label of each class, in order; by default the numbers of the classes from 0.
        crop_ratio: of `serving_bytes`, see `tfbio.datasets.images.resize_and_crop`; the registry
            knows each model's.
        version: a positive integer; by default one more than the highest there, or 1.
        resize_through: of `serving_bytes`, see `tfbio.datasets.images.resize_and_crop`.

    Returns:
        The path of the version's folder.

    Raises:
        InputError: Keras does not run on TensorFlow, the model is of another kind, the labels do
            not fit the classes, the version exists, an argument is out of range, or the folder
            cannot be written.

    Example:
        >>> import pathlib, tempfile, tfbio
        >>> from tfbio.export import export_saved_model
        >>> model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=0.125)
        >>> with tempfile.TemporaryDirectory() as output_dir:
        ...     path = export_saved_model(model, output_dir, labels=["cat", "dog"])
        ...     path.relative_to(output_dir).as_posix()
        'b_cnn/1'
    """
    _check_backend()
    height, width, classes = _check_model(model)
    if None in (height, width) and any(layer.sampling == "fixed" for layer in noise_layers(model)):
        raise InputError(
            "Expected a model of known height and width for fixed noise, which is drawn for every "
            f"place, received {model.name!r} for any size: choose another noise with "
            "`tfbio.models.set_noise`."
        )
    if labels is None:
        labels = [str(index) for index in range(classes)]
    check_labels(labels, classes)
    framing = Framing(crop_ratio, resize_through)
    framing.cropped_size((height or 1, width or 1))
    folder = Path(output_dir) / _folder_name(model.name if name is None else name)
    version = free_version(folder, version)
    with staging_folder(folder) as staging, tempfile.TemporaryDirectory() as sources:
        # The path becomes part of the name of the table's resource. A folder of its own makes the
        # name unique: two versions loaded into one process must not share their labels.
        labels_file = Path(sources, LABELS_FILE)
        labels_file.write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
        labels_by_number = _label_table(labels_file, classes)
        archive = _archive(model, labels_by_number, (height, width), framing)
        with _quiet_tensorflow():
            archive.write_out(staging / "saved_model", verbose=False)
        publish(staging / "saved_model", folder / str(version))
    return folder / str(version)


# === Signatures ===


def _archive(
    model: keras.Model,
    label_table: tf.lookup.StaticHashTable,
    size: tuple[int | None, int | None],
    framing: Framing,
) -> keras.export.ExportArchive:
    gives_logits = model.layers[-1].activation is keras.activations.linear

    def predict(images: tf.Tensor) -> dict[str, tf.Tensor]:
        output = tf.cast(model(images, training=False), tf.float32)
        by_time = output if output.shape.rank == 3 else output[:, tf.newaxis]
        if gives_logits:
            by_time = tf.nn.softmax(by_time)
        probabilities = by_time[:, -1]
        return {
            "probabilities": probabilities,
            "probabilities_by_time": by_time,
            "label": label_table.lookup(tf.argmax(probabilities, axis=-1)),
        }

    # The model itself is not tracked: the archive would store every weight a second time.
    archive = keras.export.ExportArchive()
    archive.track(label_table)
    images_shape = (None, *size, 3)
    float32_images = tf.TensorSpec(images_shape, tf.float32, name="images")
    predict_float32 = archive.add_endpoint("serving_default", predict, [float32_images])

    for sampling, name in _noise_signatures(model, size).items():
        with _noise_drawn(model, sampling):
            # Traced now, while noise is drawn this way.
            by_noise = tf.function(predict, input_signature=[float32_images], autograph=False)
            by_noise.get_concrete_function()
        archive.add_endpoint(name, by_noise)

    # The others call the first, so that the model's graph is traced and stored once.
    def predict_uint8(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return predict_float32(tf.cast(images, tf.float32))

    archive.add_endpoint(
        "serving_uint8", predict_uint8, [tf.TensorSpec(images_shape, tf.uint8, name="images")]
    )

    height, width = size
    if height is None or width is None:
        return archive
    image_size = (height, width)

    def prepare(contents: tf.Tensor) -> tf.Tensor:
        return resize_and_crop(decode_image(contents), image_size, framing)

    def predict_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        prepared = tf.TensorSpec((*image_size, 3), tf.float32)
        return predict_float32(tf.map_fn(prepare, image_bytes, fn_output_signature=prepared))

    archive.add_endpoint(
        "serving_bytes", predict_bytes, [tf.TensorSpec((None,), tf.string, name="image_bytes")]
    )
    return archive


def _noise_signatures(
    model: keras.Model, size: tuple[int | None, int | None]
) -> dict[Sampling, str]:
    """How noise can be drawn, and the name of the signature that draws it so."""
    if not noise_layers(model):
        return {}
    # Fixed noise is drawn for every place, so their number has to be known.
    return {
        sampling: f"serving_noise_{sampling}"
        for sampling in SAMPLINGS
        if sampling != "fixed" or None not in size
    }


@contextlib.contextmanager
def _noise_drawn(model: keras.Model, sampling: Sampling) -> Iterator[None]:
    """Draw the noise of a model in another way for a while."""
    layers = noise_layers(model)
    before = [layer.sampling for layer in layers]
    try:
        for layer in layers:
            layer.sampling = sampling
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.sampling = own


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


# === Checks ===


def _check_backend() -> None:
    backend = keras.backend.backend()
    if backend != "tensorflow":
        reason = ", whose XLA calls TensorFlow Serving refuses on a CPU" if backend == "jax" else ""
        raise InputError(
            f"Expected Keras on TensorFlow, received Keras on {backend!r}{reason}: save the model "
            "as a .keras file and export it in a process started with KERAS_BACKEND=tensorflow."
        )


def _check_model(model: keras.Model) -> tuple[int | None, int | None, int]:
    """Height and width of the model's images, and its number of classes."""
    inputs = getattr(model, "inputs", None) or []
    shape = tuple(inputs[0].shape) if len(inputs) == 1 else ()
    if len(shape) != 4 or shape[-1] != 3:
        raise InputError(
            "Expected a model with one image input (N, H, W, 3), received "
            f"{model.name!r} with {[tuple(tensor.shape) for tensor in inputs]}: give a model of "
            "the registry."
        )
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    if last.name != "predictions" or activation not in (
        keras.activations.softmax,
        keras.activations.linear,
    ):
        ends_in = f"{last.name!r} with {getattr(activation, '__name__', 'no')} activation"
        raise InputError(
            "Expected a model that ends in a layer 'predictions' with softmax or linear "
            f"activation, received {model.name!r}, which ends in {ends_in}: build it with "
            "classifier_activation='softmax'."
        )
    output_shape = model.output_shape
    if len(model.outputs) != 1 or len(output_shape) not in (2, 3):
        raise InputError(
            "Expected a model that gives (N, classes) or (N, time, classes), received "
            f"{model.name!r}, which gives {output_shape}: give a classifier of the registry."
        )
    return shape[1], shape[2], output_shape[-1]


def _folder_name(name: Any) -> str:
    if not isinstance(name, str) or not name or name.startswith(".") or Path(name).name != name:
        raise InputError(
            f"Expected a name that can be that of a folder, received {name!r}: give one that has "
            "no slash and does not start with a dot."
        )
    return name
