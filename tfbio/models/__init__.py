"""Models: functional Keras models built from the layers, one family per file."""

from tfbio.models.bl_rcnn import b_cnn, b_d_cnn, b_f_cnn, b_k_cnn, bl_rcnn
from tfbio.models.cornet import cornet_s
from tfbio.models.divisive_normalization import (
    alexnet_divnorm,
    resnet18_divnorm,
    resnet50_divnorm,
    vgg16_divnorm,
)
from tfbio.models.divisive_normalization_config import DivisiveNormalizationConfig
from tfbio.models.features import features, layer_outputs
from tfbio.models.gammanet import gammanet, gammanet_map
from tfbio.models.hgru import hconvgru, hgru, vgg16_hgru
from tfbio.models.logits import logits_model
from tfbio.models.noise import noise_layers, noise_setting, set_noise
from tfbio.models.parameters import Parameter
from tfbio.models.registry import (
    ModelInfo,
    create_model,
    list_models,
    model_info,
    register_model,
)
from tfbio.models.time_steps import models_of_any_timesteps, unrolled_layers, with_timesteps
from tfbio.models.towers import (
    conv_tower,
    fgru_tower,
    gru_tower,
    hgru_tower,
    lstm_tower,
    reciprocal_tower,
    rnn_tower,
)
from tfbio.models.v1_components import (
    resnet50,
    resnet50_center_surround,
    resnet50_cortical_magnification,
    resnet50_div_norm,
    resnet50_local_rf,
    resnet50_tuned_norm,
)
from tfbio.models.v1_composites import (
    resnet50_composite_a,
    resnet50_composite_b,
    resnet50_composite_c,
    resnet50_composite_d,
    resnet50_composite_e,
    resnet50_composite_f,
    resnet50_composite_g,
)
from tfbio.models.vone_front_end import FrontEndConfig, add_v1_front_end
from tfbio.models.vonenet import (
    vone_alexnet,
    vone_block,
    vone_cornet_s,
    vone_resnet50,
)

__all__ = [
    "DivisiveNormalizationConfig",
    "FrontEndConfig",
    "ModelInfo",
    "Parameter",
    "add_v1_front_end",
    "alexnet_divnorm",
    "b_cnn",
    "b_d_cnn",
    "b_f_cnn",
    "b_k_cnn",
    "bl_rcnn",
    "conv_tower",
    "cornet_s",
    "create_model",
    "features",
    "fgru_tower",
    "gammanet",
    "gammanet_map",
    "gru_tower",
    "hconvgru",
    "hgru",
    "hgru_tower",
    "layer_outputs",
    "list_models",
    "logits_model",
    "lstm_tower",
    "model_info",
    "models_of_any_timesteps",
    "noise_layers",
    "noise_setting",
    "reciprocal_tower",
    "register_model",
    "resnet18_divnorm",
    "resnet50",
    "resnet50_center_surround",
    "resnet50_composite_a",
    "resnet50_composite_b",
    "resnet50_composite_c",
    "resnet50_composite_d",
    "resnet50_composite_e",
    "resnet50_composite_f",
    "resnet50_composite_g",
    "resnet50_cortical_magnification",
    "resnet50_div_norm",
    "resnet50_divnorm",
    "resnet50_local_rf",
    "resnet50_tuned_norm",
    "rnn_tower",
    "set_noise",
    "unrolled_layers",
    "vgg16_divnorm",
    "vgg16_hgru",
    "vone_alexnet",
    "vone_block",
    "vone_cornet_s",
    "vone_resnet50",
    "with_timesteps",
]
