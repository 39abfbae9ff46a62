"""Recurrent models with another number of time steps than they were made with."""

from __future__ import annotations

from typing import Any

import keras

from tfbio._keras_graph import calls_of
from tfbio.errors import InputError
from tfbio.layers.unroll import Unroll
from tfbio.models.registry import list_models, model_info

# The family whose batch normalization has statistics of its own for every time step.
_STATISTICS_OVER_TIME = "BL-RCNN"


def unrolled_layers(model: keras.Model) -> list[Unroll]:
    """The layers of a model that run a cell over time, in their order.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("rnn_tower", input_shape=(32, 32, 3), width=1 / 64)
        >>> [layer.name for layer in unrolled_layers(model)][:2]
        ['cell_blocks_1', 'cell_blocks_2']
    """
    return [layer for layer in model.layers if isinstance(layer, Unroll)]


def input_of(layer: keras.layers.Layer, model: keras.Model) -> Any:
    """What a layer that is called once in a model, and in others too, gets in this one.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("rnn_tower", input_shape=(64, 64, 3), width=1 / 64)
        >>> input_of(unrolled_layers(model)[0], model).shape
        (None, 15, 15, 1)
    """
    (node,) = calls_of(layer, model)
    return node.input_tensors[0]


def models_of_any_timesteps() -> list[str]:
    """Names of the registered models that `with_timesteps` takes, sorted.

    Example:
        >>> "hgru" in models_of_any_timesteps(), "bl_rcnn" in models_of_any_timesteps()
        (True, False)
    """
    infos = map(model_info, list_models())
    return [info.name for info in infos if info.recurrent and info.family != _STATISTICS_OVER_TIME]


def with_timesteps(
    model: keras.Model, timesteps: int | None = None, return_sequences: bool | None = None
) -> keras.Model:
    """The same model over another number of time steps, such as more than it was trained with.

    Both models share every weight.

    Args:
        model: a functional model whose recurrent layers are `Unroll`, as all towers, `hgru` and
            `gammanet` are. BL-RCNN normalizes every time step by statistics of its own: its number
            is decided when it is made.
        timesteps: number of time steps, None for the model's own.
        return_sequences: give all time steps or the last one, None for what the model does.

    Returns:
        A functional model.

    Raises:
        InputError: the model has no such layer, its input is a sequence, or the number is not 1
            or more; or all time steps are wanted of layers that take the last one alone.

    Example:
        >>> import tfbio
        >>> model = tfbio.create_model("rnn_tower", input_shape=(32, 32, 3), classes=4,
        ...                            width=1 / 64, timesteps=2)
        >>> longer = tfbio.with_timesteps(model, 15, return_sequences=True)
        >>> model.output_shape, longer.output_shape
        ((None, 4), (None, 15, 4))
    """
    layers = unrolled_layers(model)
    if not layers:
        raise InputError(_fixed_time(model))
    if timesteps is not None and timesteps < 1:
        raise InputError(f"Expected at least 1 time step, received timesteps={timesteps}.")
    if timesteps is not None and len(input_of(layers[0], model).shape) == 5:
        raise InputError(
            f"Expected a model that makes time steps of an image, received {model.name!r}, whose "
            "input is a sequence: its number of time steps is that of the input."
        )

    def over_time(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not isinstance(layer, Unroll):
            return layer
        # The one whose output need not be a sequence.
        is_last = layer is layers[-1]
        arguments = {
            "timesteps": layer.timesteps if timesteps is None else timesteps,
            "return_sequences": (
                return_sequences
                if is_last and return_sequences is not None
                else layer.return_sequences
            ),
        }
        if arguments == {name: getattr(layer, name) for name in arguments}:
            return layer
        config = {**layer.get_config(), **arguments, "cell": layer.cell}
        return type(layer)(**config)

    try:
        return keras.models.clone_model(model, clone_function=over_time)
    except ValueError as error:
        # A layer of the user's own, which takes (N, ...) and no (N, T, ...).
        raise InputError(
            f"Expected layers behind {layers[-1].name!r} that take all of its time steps: put them "
            f"into `tfbio.layers.OverTime`. {error}"
        ) from error


def _fixed_time(model: keras.Model) -> str:
    """Why the number of a model's time steps cannot change, and of which models it can."""
    steps = {
        layer.name.rpartition("_Time_")[2]
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization) and "_Time_" in layer.name
    }
    if len(steps) > 1:
        why = (
            f"which has batch-normalization statistics for each of its {len(steps)} time steps and "
            "none for others: train it with as many as you want, or take one of"
        )
    else:
        why = "which gives one answer: take one of"
    return (
        f"Expected a model whose number of time steps can change, received {model.name!r}, {why} "
        f"{', '.join(models_of_any_timesteps())}."
    )
