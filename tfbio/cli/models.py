"""Flags that choose and shape a model, and what the commands make of them."""

from __future__ import annotations

from typing import Any, get_args

from absl import flags

from tfbio.cli.command import given
from tfbio.errors import InputError
from tfbio.layers.conv_cell import NORMALIZATIONS
from tfbio.layers.gabor_parameters import DISTRIBUTIONS
from tfbio.layers.neuronal_noise import NOISE_MODES
from tfbio.models.divisive_normalization_config import (
    DIVISIVE_NORMALIZATIONS,
    VARIANTS,
    WEIGHT_INITIALIZATIONS,
)
from tfbio.models.registry import model_info
from tfbio.models.towers import TowerType
from tfbio.models.vgg import VGG

# What a tower's blocks may be activated by, and an hgru.
ACTIVATIONS = ("relu", "elu", "tanh", "sigmoid")
# Stands for None in a choice.
_NONE = "none"

# Arguments of the models' own, as flags: type, then what it is.
_NUMBERS: dict[str, tuple[type, str]] = {
    "width": (float, "Factor on the number of filters. Default: 1, as published."),
    "timesteps": (int, "Time steps of a recurrent model. Default: as published."),
    "simple_channels": (int, "Simple cells of a VOneNet at each place."),
    "complex_channels": (int, "Complex cells of a VOneNet at each place."),
    "kernel_size": (int, "Side of a VOneNet's Gabor filters or an hgru's kernels, pixels, odd."),
    "filters": (int, "Channels of an hgru."),
    "cell_kernel": (int, "Kernel size of a tower's cells. Default: 3."),
    "preconv_kernel": (int, "Kernel size of the convolutions in front of a tower's cells."),
    "dropout": (float, "Fraction of a tower's last channels that are silent in training."),
    "strides": (int, "Stride of the Gabor filters of a VOneNet, pixels."),
    "k_exc": (float, "Gain of a VOneNet's cells."),
    "visual_degrees": (float, "What the image of a VOneNet spans, degrees of visual angle."),
    "gabor_seed": (int, "Of the Gabor filters' parameters."),
    "channel_seed": (int, "Of the colours that the Gabor filters see."),
    "sf_corr": (float, "Correlation of the filters' spatial frequency and size."),
    "sf_max": (float, "Highest spatial frequency of the filters, cycles per degree."),
    "sf_min": (float, "Lowest spatial frequency of the filters, cycles per degree."),
    "noise_scale": (float, "Scale of a VOneNet's noise."),
    "noise_level": (float, "Level of a VOneNet's noise, spikes."),
    "p": (float, "Exponent of the pools of divisive normalization, 0 to 1."),
    "power": (float, "Exponent of responses in pooled divisive normalization."),
    "initial_gamma": (float, "Logarithm of the gain of divisive normalization at first."),
    "initial_sigma": (float, "Semi-saturation of divisive normalization at first."),
    "epsilon": (float, "Added to the denominator of divisive normalization."),
    "initial_lambda": (float, "Length of the exponential pool at first, channels."),
    "initial_alpha": (float, "Strength of exponential divisive normalization at first."),
    "initial_beta": (float, "Exponent of exponential divisive normalization at first."),
    "initial_k": (float, "Semi-saturation of exponential divisive normalization at first."),
    "init_std": (float, "Deviation of initial weights, --weight_init=normal."),
    "init_mean_std": (float, "Deviation of mean filters, --weight_init=multivariate_gaussian."),
    "init_variance": (float, "Variance around them, --weight_init=multivariate_gaussian."),
    "init_std_ratio": (float, "Deviation around them, --weight_init=kaiming_gaussian."),
    "l1_activity": (float, "L1 penalty on the activity after every convolution."),
    "l1_weights": (float, "L1 penalty on the kernels of the convolutions."),
}
_CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "gabor_distribution": (DISTRIBUTIONS, "Of the Gabor filters' parameters."),
    "noise_mode": ((*NOISE_MODES, _NONE), "Noise of a VOneNet. Default: as published."),
    "divnorm": ((*DIVISIVE_NORMALIZATIONS, _NONE), "Divisive normalization. Default: pooled."),
    "weight_init": (WEIGHT_INITIALIZATIONS, "Initial weights. Default: kaiming."),
    "tower_type": (
        tuple(dict.fromkeys((*get_args(TowerType), *VGG))),
        "Blocks of a tower or of gammanet.",
    ),
    "normalization": ((*NORMALIZATIONS, _NONE), "Normalization of a tower. Default: batch."),
    "activation": (ACTIVATIONS, "Activation of a tower or an hgru."),
    "hidden_init": (("zeros", "noise"), "First state of an hgru. Default: zeros."),
    "variant": (VARIANTS, "Pixels and first layers. Default: by the image size."),
}
_SWITCHES = {
    "cumulative_readout": "Read out the sum of the logits over time steps.",
    "return_sequences": "Train a recurrent model on all its time steps. Default: as published.",
    "skip_first": "The first block of a tower is a convolution. Default: yes.",
    "preconv": "A convolution in front of a tower's cells. Default: yes.",
    "recurrent_dropout": "Dropout silences the channels of a tower's last states, too.",
    "shared_kernel": "One kernel for both stages of an hgru. Default: yes.",
    "upstream_exact": "Compute as the original does, defects included. Default: the model's.",
    "relu": "Rectify, in a network with divisive normalization or a VGG. Default: yes.",
    "batchnorm": "Batch normalization in a network with divisive normalization. Default: yes.",
    "divnorm_as_activation": "Divisive normalization is the activation.",
    "single_gamma": "One gain for all pools.",
    "single_sigma": "One semi-saturation for all pools.",
    "fix_gamma": "Do not train the gain of divisive normalization.",
    "fix_sigma": "Do not train the semi-saturation of divisive normalization.",
    "fix_all": "Train nothing of divisive normalization.",
    "normalize_gamma": "Normalize the gain over pools.",
    "normalize_sigma": "Normalize the semi-saturation over pools.",
}
_OWN = (*_NUMBERS, *_CHOICES, *_SWITCHES)
MODEL_FLAGS = ("image_size", *_OWN)


def define_model_flags(values: flags.FlagValues, default: str | None = None) -> None:
    """Flags that name a model and set its arguments."""
    flags.DEFINE_string(
        "model", default, "Model of the registry, such as bl_rcnn.", flag_values=values
    )
    flags.DEFINE_integer(
        "image_size", None, "Height and width of the input, pixels. Default: as published.",
        lower_bound=1, flag_values=values,
    )  # fmt: skip
    for name, (kind, text) in _NUMBERS.items():
        define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
        define(name, None, text, flag_values=values)
    for name, (choices, text) in _CHOICES.items():
        flags.DEFINE_enum(name, None, list(choices), text, flag_values=values)
    for name, text in _SWITCHES.items():
        flags.DEFINE_boolean(name, None, text, flag_values=values)


def model_arguments(values: flags.FlagValues) -> dict[str, Any]:
    """The builder's arguments that the flags give.

    Raises:
        InputError: the model does not take one of them, or has no classifier.
    """
    info = model_info(values.model)
    if not info.classifier:
        raise InputError(
            f"Expected a model with a classifier, received {info.name}, which gives responses: "
            "it is for `tfbio.create_model`. `tfbio.list_models()` names the others."
        )
    arguments = given(values, _OWN)
    strange = [name for name in arguments if name not in info.arguments]
    if strange:
        raise InputError(
            f"{info.name} takes no {' or '.join('--' + name for name in strange)}: leave it out."
        )
    for name in _CHOICES:
        if arguments.get(name) == _NONE:
            arguments[name] = None
    if values.image_size is not None:
        arguments["input_shape"] = (values.image_size, values.image_size, 3)
    if info.recurrent:
        arguments.setdefault("return_sequences", info.trained_over_time)
    return arguments
