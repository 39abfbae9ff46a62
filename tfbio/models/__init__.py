"""Models: functional Keras models built from the layers, one family per file."""

from tfbio.models.bl_rcnn import b_cnn, b_d_cnn, b_f_cnn, b_k_cnn, bl_rcnn
from tfbio.models.features import features, layer_outputs
from tfbio.models.logits import logits_model
from tfbio.models.registry import (
    ModelInfo,
    create_model,
    list_models,
    model_info,
    register_model,
)

__all__ = [
    "ModelInfo",
    "b_cnn",
    "b_d_cnn",
    "b_f_cnn",
    "b_k_cnn",
    "bl_rcnn",
    "create_model",
    "features",
    "layer_outputs",
    "list_models",
    "logits_model",
    "model_info",
    "register_model",
]
