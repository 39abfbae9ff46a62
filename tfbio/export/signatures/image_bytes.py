"""`serving_bytes`: the bytes of image files of any size."""

from __future__ import annotations

from typing import cast

import tensorflow as tf

from tfbio.datasets.images import decode_image, resize_and_crop
from tfbio.export.context import ExportContext
from tfbio.export.signature import Signature, TensorInfo, register_signature
from tfbio.export.signatures.images import PREDICTION


def _answer(context: ExportContext, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
    size = cast(tuple[int, int], context.image_size)  # or `_why_not` speaks against it
    framing = context.framing

    def prepare(contents: tf.Tensor) -> tf.Tensor:
        image = decode_image(contents)
        return resize_and_crop(image, size, framing)

    prepared = tf.TensorSpec((*size, 3), tf.float32)
    return context.predict(tf.map_fn(prepare, image_bytes, fn_output_signature=prepared))


def _why_not(context: ExportContext) -> str | None:
    if context.image_size is None:
        return "scales images to the model's height and width, of which one is not known"
    return None


register_signature(
    Signature(
        name="serving_bytes",
        description=(
            "Takes image files of any size, and decodes, scales and crops them with the code of "
            "evaluation; one broken file fails its batch. For a model of known height and width."
        ),
        inputs={"image_bytes": TensorInfo("string", ("N",), "JPEG, PNG, GIF or BMP files")},
        outputs=PREDICTION,
        answer=_answer,
        why_not=_why_not,
    )
)
