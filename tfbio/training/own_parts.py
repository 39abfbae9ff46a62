"""A model and data of the user's own in a training: how they are told from others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import keras

from tfbio.datasets.source import DataSource
from tfbio.errors import InputError
from tfbio.evaluation.api import check_classifier
from tfbio.training.config import ModelConfig


def own_model_and_config(
    model: Any, values: dict[str, Any]
) -> tuple[Callable[[int], keras.Model], ModelConfig]:
    """A model of the user's own, or what builds it, as `train` takes it.

    Args:
        model: a `keras.Model`, or a function that builds one.
        values: the options that are given beside it; `image_size` is taken out of them.

    Returns:
        What gives the model for a number of classes, and what is written down of it.

    Raises:
        InputError: it is something else, or an option does not go with it.
    """
    sample = model
    if not isinstance(model, keras.Model):
        if not callable(model):
            raise InputError(
                "Expected the name of a model, a keras.Model, a function that builds one, or a "
                f"TrainingConfig, received {type(model).__name__}."
            )
        sample = model()
    elif (values.get("devices") or 1) > 1 or values.get("strategy") == "mirrored":
        raise InputError(
            "Expected a function that builds the model where several devices train it, received "
            f"the model {model.name!r}: pass lambda: keras.Model(...)."
        )
    if not isinstance(sample, keras.Model):
        raise InputError(
            f"Expected a function that returns a keras.Model, received {type(sample).__name__}."
        )
    # Before anything is asked of its input and output.
    check_classifier(sample)
    for name in ("precision", "weights"):
        if values.get(name) is not None:
            raise InputError(
                f"Expected no {name} with a model of your own, which has its own: leave it out."
            )
    image_size = values.pop("image_size", None)
    config = ModelConfig(
        _plain_name(sample), image_size=image_size, fingerprint=_fingerprint_of_model(sample)
    )
    if isinstance(model, keras.Model):
        return (lambda classes: model), config
    # Built anew in the strategy's scope, and after the seed is set.
    return (lambda classes: model()), config


def _plain_name(model: keras.Model) -> str:
    """The name of a model, without the number that Keras gives to those that have no other."""
    plain = re.sub(r"_\d+$", "", model.name)
    return plain if plain == type(model).__name__.lower() else model.name


def _fingerprint_of_model(model: keras.Model) -> str:
    """Tells architectures apart, whatever Keras numbers their layers."""
    parts = [
        [type(layer).__name__, [[list(weight.shape), weight.dtype] for weight in layer.weights]]
        for layer in model.layers
    ]
    try:
        settings = _without_names(json.loads(model.to_json()))
    except (NotImplementedError, TypeError, ValueError):
        # A layer of the user's own that says nothing of itself.
        settings = None
    return _digest([parts, model.input_shape, model.output_shape, settings])


def _without_names(config: Any) -> Any:
    """A configuration of Keras without what numbers its parts."""
    if isinstance(config, list):
        return [_without_names(each) for each in config]
    if isinstance(config, dict):
        return {
            name: _without_names(each)
            for name, each in config.items()
            if name not in ("name", "shared_object_id", "keras_history", "input_layers", "args")
            and name != "output_layers"
        }
    return config


# Examples of each split that tell data apart, beside the numbers of their classes.
_COMPARED = 64


def fingerprint_of_data(source: DataSource) -> str:
    """Tells data without a name apart: by their sizes, their classes and their first examples.

    Args:
        source: any.
    """
    splits: dict[str, Any] = {}
    for name, split in sorted(source.splits.items()):
        digest = hashlib.sha256()
        for example in split.examples().take(_COMPARED).as_numpy_iterator():
            image = example["image"]
            digest.update(image if isinstance(image, bytes) else image.tobytes())
            digest.update(str(int(example["label"])).encode())
        counts = split.class_counts(len(source.class_names)).tolist()
        splits[name] = [split.size, counts, digest.hexdigest()]
    return _digest([splits, source.class_names])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
