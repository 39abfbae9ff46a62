"""A signature: one file and an import line."""

from __future__ import annotations

from typing import Any

from tfbio.export.signature import Signature, TensorInfo, register_signature


def _answer(context: Any, images: Any) -> dict[str, Any]:
    import tensorflow as tf

    probabilities, numbers = tf.math.top_k(context.predict(images)["probabilities"], 2)
    return {"labels": context.label(numbers), "probabilities": probabilities}


register_signature(
    Signature(
        name="serving_top2",
        description="Gives the two likeliest labels.",
        inputs={"images": TensorInfo("float32", ("N", "H", "W", 3), "in [0, 255]")},
        outputs={
            "labels": TensorInfo("string", ("N", 2), "the likeliest first"),
            "probabilities": TensorInfo("float32", ("N", 2), "in the same order"),
        },
        answer=_answer,
    )
)
