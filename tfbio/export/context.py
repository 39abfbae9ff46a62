"""What signatures are made of: a classifier of images, its labels and its framing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import keras
import tensorflow as tf

from tfbio.errors import InputError
from tfbio.framing import Framing
from tfbio.models.noise import noise_layers
from tfbio.models.probabilities import ends_in_softmax


@dataclass(frozen=True, eq=False)
class ExportContext:
    """A model that is exported, as a signature sees it.

    Attributes:
        model: a functional or Sequential classifier of images.
        label_table: from the number of a class, int64, to its label.
        framing: how images of any size are brought to the model's.

    Raises:
        InputError: the framing does not fit the model's input.

    Example:
        >>> import keras
        >>> model = keras.Sequential(
        ...     [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)], name="net"
        ... )
        >>> context = ExportContext(model, label_table=None)
        >>> context.height, context.width, context.classes
        (8, 8, 4)
    """

    model: keras.Model
    label_table: tf.lookup.StaticHashTable
    framing: Framing = Framing()

    def __post_init__(self) -> None:
        if self.image_size is not None:
            self.framing.cropped_size(self.image_size)

    @property
    def height(self) -> int | None:
        """Height of the model's input, pixels; None for any."""
        return self.model.inputs[0].shape[1]

    @property
    def width(self) -> int | None:
        """Width of the model's input, pixels; None for any."""
        return self.model.inputs[0].shape[2]

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the model's input, pixels; None if one of them can be any."""
        height, width = self.height, self.width
        return None if height is None or width is None else (height, width)

    @property
    def classes(self) -> int:
        """The number of classes."""
        return self.model.outputs[0].shape[-1]

    @cached_property
    def predict(self) -> tf.types.experimental.PolymorphicFunction:
        """The function `call_model`, traced once: all signatures that call it share its graph."""
        images = tf.TensorSpec((None, self.height, self.width, 3), tf.float32, name="images")
        return tf.function(self.call_model, input_signature=[images], autograph=False)

    def call_model(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classify images by a graph of one's own, for a signature that changes the model.

        Args:
            images: float32 (N, H, W, 3), pixel values in [0, 255].

        Returns:
            `probabilities` (N, classes) at the last time step, `probabilities_by_time`
            (N, time, classes), and `label` (N,).
        """
        output = tf.cast(self._image_to_output(images, training=False), tf.float32)
        by_time = output if output.shape.rank == 3 else output[:, tf.newaxis]
        if not ends_in_softmax(self.model):
            by_time = tf.nn.softmax(by_time)
        probabilities = by_time[:, -1]
        return {
            "probabilities": probabilities,
            "probabilities_by_time": by_time,
            "label": self.label(tf.argmax(probabilities, axis=-1)),
        }

    def label(self, numbers: tf.Tensor) -> tf.Tensor:
        """The labels of classes.

        Args:
            numbers: of the classes, integers of any shape.

        Returns:
            A string tensor of the same shape.
        """
        return self.label_table.lookup(tf.cast(numbers, tf.int64))

    @cached_property
    def _image_to_output(self) -> keras.Model:
        """The same layers, from one tensor to one tensor: a model may have them in a dictionary."""
        return keras.Model(self.model.inputs[0], self.model.outputs[0])


def check_classifier(model: keras.Model) -> int:
    """Check that a model can be exported.

    Args:
        model: any model.

    Returns:
        Its number of classes.

    Raises:
        InputError: it is not a functional or Sequential model from one batch of RGB images to
            probabilities or logits, or has fixed noise for images of any size.

    Example:
        >>> import keras
        >>> check_classifier(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()]))
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected a classifier that ends in softmax or logits, ...
    """
    inputs, outputs = (getattr(model, name, None) or [] for name in ("inputs", "outputs"))
    shape = tuple(inputs[0].shape) if len(inputs) == 1 else ()
    if len(shape) != 4 or shape[-1] != 3:
        raise InputError(
            "Expected a functional or Sequential model with one image input (N, H, W, 3), received "
            f"{model.name!r} with {[tuple(tensor.shape) for tensor in inputs]}: give a classifier "
            "of RGB images, built with a `keras.Input`."
        )
    if len(outputs) != 1:
        raise InputError(
            f"Expected a model with one output, received {model.name!r} with {len(outputs)}: give "
            "`keras.Model(model.input, model.outputs[0])`, or another of them."
        )
    gives = tuple(outputs[0].shape)
    if len(gives) not in (2, 3) or gives[-1] is None:
        raise InputError(
            "Expected a model that gives (N, classes) or (N, time, classes), received "
            f"{model.name!r}, which gives {gives}: give a classifier."
        )
    ends_in_softmax(model)
    if None in shape[1:3] and any(layer.sampling == "fixed" for layer in noise_layers(model)):
        raise InputError(
            "Expected a model of known height and width for fixed noise, which is drawn for every "
            f"place, received {model.name!r} for any size: choose another noise with "
            "`tfbio.models.set_noise`."
        )
    return gives[-1]
