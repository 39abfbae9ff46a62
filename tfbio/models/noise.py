"""The noise of a model: sampled, fixed, averaged or off."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import keras

from tfbio._compiled import forget_compiled_functions
from tfbio._keras_graph import all_layers
from tfbio.errors import InputError
from tfbio.layers.neuronal_noise import SAMPLINGS, NeuronalNoise, Sampling


def noise_layers(model: keras.Model) -> list[NeuronalNoise]:
    """The layers of a model that make its responses vary, wherever they are.

    Args:
        model: any model.

    Returns:
        `NeuronalNoise` layers that have a noise; empty for a model that answers always the same.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_block", simple_channels=4, complex_channels=4)
        >>> [layer.noise_mode for layer in noise_layers(model)]
        ['neuronal']
    """
    return [
        layer
        for layer in all_layers(model)
        if isinstance(layer, NeuronalNoise) and layer.noise_mode is not None
    ]


def set_noise(
    model: keras.Model, sampling: Sampling, seed: int | None = None, draws: int | None = None
) -> None:
    """Choose how the noise of a model is drawn.

    Keras' compiled functions of this model are renewed. A `tf.function` or `jax.jit` of your own,
    and other models that share the layers, keep what they were compiled with.

    Args:
        model: any model with noise.
        sampling: `"sample"`, `"fixed"`, `"mean"` or `"off"`, see `tfbio.layers.NeuronalNoise`.
        seed: of fixed noise, 0 at first, or where samples start; by default as it was. Several
            layers take seeds that follow each other, so that none repeats another's noise.
        draws: samples that `"mean"` averages; by default as it was, 10 at first.

    Raises:
        InputError: the model has no noise, or an argument is out of range.

    Example:
        >>> import numpy as np, tfbio
        >>> model = tfbio.create_model("vone_block", input_shape=(32, 32, 3), simple_channels=4,
        ...                            complex_channels=4)
        >>> image = np.zeros((1, 32, 32, 3))
        >>> tfbio.models.set_noise(model, "fixed", seed=3)
        >>> bool(np.all(model.predict(image, verbose=0) == model.predict(image, verbose=0)))
        True
    """
    layers = noise_layers(model)
    if not layers:
        raise InputError(f"Expected a model with noise, received {model.name!r}, which has none.")
    if sampling not in SAMPLINGS:
        raise InputError(
            f"Expected noise to be one of {', '.join(SAMPLINGS)}, received {sampling!r}."
        )
    for name, value, smallest in (("seed", seed, 0), ("draws", draws, 1)):
        if value is not None and not (isinstance(value, Integral) and smallest <= value < 2**32):
            raise InputError(
                f"Expected {name} to be an int from {smallest} to 2^32 - 1, received {value!r}."
            )
    for number, layer in enumerate(layers):
        layer.sampling = sampling
        if draws is not None:
            layer.draws = int(draws)
        if seed is None:
            continue
        if sampling == "fixed":
            layer.fixed_seed = int(seed) + number
        else:
            layer.reseed(int(seed) + number)
    forget_compiled_functions(model)


def noise_setting(model: keras.Model) -> dict[str, Any] | None:
    """How the noise of a model is drawn, as the arguments of `set_noise`; None without noise.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("vone_block", simple_channels=4, complex_channels=4)
        >>> noise_setting(model)
        {'sampling': 'sample', 'seed': 0, 'draws': 10}
    """
    for layer in noise_layers(model):
        return {"sampling": layer.sampling, "seed": layer.fixed_seed, "draws": layer.draws}
    return None
