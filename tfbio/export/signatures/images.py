"""`serving_default` and `serving_uint8`: images of the model's size, as numbers."""

from __future__ import annotations

import tensorflow as tf

from tfbio.export.context import ExportContext
from tfbio.export.signature import Signature, TensorInfo, register_signature

IMAGES = TensorInfo("float32", ("N", "H", "W", 3), "RGB images, pixel values in [0, 255]")
PREDICTION = {
    "probabilities": TensorInfo("float32", ("N", "classes"), "at the last time step"),
    "probabilities_by_time": TensorInfo(
        "float32", ("N", "time", "classes"), "at every time step; one if the model gives no more"
    ),
    "label": TensorInfo("string", ("N",), "the label of the largest probability"),
}


def _answer_float32(context: ExportContext, images: tf.Tensor) -> dict[str, tf.Tensor]:
    return context.predict(images)


def _answer_uint8(context: ExportContext, images: tf.Tensor) -> dict[str, tf.Tensor]:
    return context.predict(tf.cast(images, tf.float32))


register_signature(
    Signature(
        name="serving_default",
        description="Takes images of the model's size; TensorFlow Serving's default.",
        inputs={"images": IMAGES},
        outputs=PREDICTION,
        answer=_answer_float32,
    )
)
register_signature(
    Signature(
        name="serving_uint8",
        description="Takes images of the model's size as whole numbers: a quarter of the bytes.",
        inputs={"images": TensorInfo("uint8", IMAGES.shape, "RGB images")},
        outputs=PREDICTION,
        answer=_answer_uint8,
    )
)
