"""`serving_noise_*`: a model with noise, whose noise is drawn in a way that the request chooses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import keras
import tensorflow as tf

from tfbio.export.context import ExportContext
from tfbio.export.signature import Signature, register_signature
from tfbio.export.signatures.images import IMAGES, PREDICTION
from tfbio.layers.neuronal_noise import Sampling
from tfbio.models.noise import noise_layers

DESCRIPTIONS: dict[Sampling, str] = {
    "sample": "For a model with noise: draws it anew for every image.",
    "fixed": "For a model with noise, of known height and width: adds the same to every image.",
    "mean": "For a model with noise: takes the mean over several draws.",
    "off": "For a model with noise: leaves it out.",
}


def _answer(sampling: Sampling, context: ExportContext, images: tf.Tensor) -> dict[str, tf.Tensor]:
    # Traced in here, hence with this noise.
    with _noise_drawn(context.model, sampling):
        return context.call_model(images)


def _why_not(sampling: Sampling, context: ExportContext) -> str | None:
    if not noise_layers(context.model):
        return "is for a model with noise"
    # Fixed noise is drawn for every place, so their number has to be known.
    if sampling == "fixed" and context.image_size is None:
        return "draws noise for every place of an image whose height or width is not known"
    return None


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


for _sampling, _description in DESCRIPTIONS.items():
    register_signature(
        Signature(
            name=f"serving_noise_{_sampling}",
            description=_description,
            inputs={"images": IMAGES},
            outputs=PREDICTION,
            answer=partial(_answer, _sampling),
            why_not=partial(_why_not, _sampling),
        )
    )
