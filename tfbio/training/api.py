"""`tfbio.train`: a training in one line, of a registered model or of one's own."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from tfbio._configuration import build, options_of
from tfbio.datasets.catalog import load_dataset
from tfbio.datasets.own_data import as_data_source
from tfbio.datasets.registry import canonical_name, corrupted_base, dataset_info
from tfbio.datasets.source import DataSource
from tfbio.errors import InputError, UnknownNameError
from tfbio.models.registry import list_models, model_info
from tfbio.training.config import DataConfig, ModelConfig, TrainingConfig
from tfbio.training.own_parts import fingerprint_of_data, own_model_and_config
from tfbio.training.run_directory import RunDirectory
from tfbio.training.session import Parts, run_training
from tfbio.training.starting_point import registered_model, with_those_of_the_run

_logger = logging.getLogger("tfbio")


def train(
    model: TrainingConfig
    | ModelConfig
    | str
    | keras.Model
    | Callable[[], keras.Model]
    | None = None,
    data: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> RunDirectory:
    """Train a model, or go on with its training; the same call again resumes an unfinished run.

    Args:
        model: a name of the registry, a whole `TrainingConfig`, a `ModelConfig`, a functional or
            Sequential `keras.Model` of your own that ends in one readout a class, or a function
            that builds it (several devices need one: a model is made in the strategy's scope). A
            model of your own is trained itself, from the weights that it has. By default the
            model is that of the run whose `weights` are given, or `"bl_rcnn"`.
        data: a data set's name, a `DataConfig`, or data of your own: a `DataSource`, arrays
            (images, labels), a `tf.data.Dataset` of such pairs, or a mapping of either from
            `"train"`, `"validation"` and `"test"`. By default `"shapes"`.
        class_names: of data of your own; by default numbers.
        callbacks: of Keras, called as in `keras.Model.fit`.
        **options: fields of `TrainingConfig` and of its parts, under the names of the flags of
            `train.py` (`epochs`, `learning_rate`, `schedule`, `crop_ratio`, ...), whole parts
            (`optimizer=OptimizerConfig(...)`), and arguments of the model (`width`, `timesteps`).

    Returns:
        The run: `run.path` is its folder, `run.read_history()` its epochs. `tfbio.load_run` gives
        the trained model.

    Raises:
        InputError: something does not fit, said in one sentence, before anything is written.

    Example:
        >>> import tempfile, numpy as np, tfbio
        >>> rng = np.random.default_rng(0)
        >>> images = rng.integers(0, 256, (40, 32, 32, 3), dtype="uint8")
        >>> run = tfbio.train("b_cnn", (images, np.arange(40) % 2), epochs=1, batch_size=4,
        ...                   image_size=32, width=1 / 32, runs_dir=tempfile.mkdtemp())
        >>> run.finished, tfbio.load_run(run.path).model.output_shape
        (True, (None, 2))
    """
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    config, own_model, own_data = configuration_of(model, data, class_names, options)
    config = settled(config)

    def parts() -> Parts:
        source = own_data or _loaded(config)
        return Parts(source, own_model or registered_model(config), callbacks)

    return run_training(config, parts)


def train_seeds(config: TrainingConfig, seeds: Iterable[int]) -> list[RunDirectory]:
    """Train a registered model with every seed, one after the other; finished runs are kept.

    Args:
        config: what is trained; its seed is replaced.
        seeds: two or more, from 0 to 2^32 - 1.

    Returns:
        A run for each seed; see `tfbio.training.seeds` for what they have in common.

    Raises:
        InputError: the configuration does not fit.
    """
    config = settled(config)
    seeds = tuple(seeds)
    runs = []
    for number, seed in enumerate(seeds, 1):
        _logger.info("\nSeed %s, %s of %s:", seed, number, len(seeds))
        # Nothing of one run is to be found by the next: names, random draws, dtypes.
        keras.backend.clear_session()
        one = config.replace(seed=seed)

        def parts(one: TrainingConfig = one) -> Parts:
            return Parts(_loaded(one), registered_model(one), one_of_many=f"-seed{one.seed}")

        runs.append(run_training(one, parts))
    return runs


def configuration_of(
    model: Any, data: Any, class_names: Sequence[str] | None, options: Mapping[str, Any]
) -> tuple[TrainingConfig, Callable[[int], keras.Model] | None, DataSource | None]:
    """The arguments of `train` as a configuration, and what of them is the caller's own."""
    named_data = data is None or isinstance(data, (str, DataConfig))
    own_data = None if named_data else as_data_source(data, class_names=class_names)
    of_data: dict[str, Any] = {}
    if own_data is not None:
        of_data = {"name": own_data.name, "fingerprint": fingerprint_of_data(own_data)}
    if isinstance(model, TrainingConfig):
        if options or (named_data and data is not None):
            raise InputError(
                "Expected a TrainingConfig alone or with data of your own, received options beside "
                "it: put them into it, config.replace(epochs=2)."
            )
        return model.replace(data=dataclasses.replace(model.data, **of_data)), None, own_data
    values = dict(options)
    own_model = None
    if isinstance(model, (str, ModelConfig)):
        values["model"] = model
    elif model is not None:
        own_model, values["model"] = own_model_and_config(model, values)
    if isinstance(data, DataConfig):
        values["data"] = data
    elif isinstance(data, str):
        values["dataset"] = data
    elif own_data is not None:
        values |= {"dataset": of_data["name"], "data_fingerprint": of_data["fingerprint"]}
    return training_config(values), own_model, own_data


def training_config(values: Mapping[str, Any]) -> TrainingConfig:
    """A configuration out of options by name, as flags and keywords give them.

    Arguments of the model stand beside the options of `TrainingConfig`. If the weights are those
    of a run, its model, its arguments and its framing are taken where they are not given. A
    `ModelConfig` says all of the model itself.

    Args:
        values: names to values, those that are given.

    Raises:
        UnknownNameError: there is no such option.
        InputError: a value is refused, or is another than that of the run whose weights are given.

    Example:
        >>> training_config({"model": "b_cnn", "width": 0.5, "epochs": 3}).model.arguments
        {'width': 0.5}
    """
    values = with_those_of_the_run(values)
    model = values.pop("model", "bl_rcnn")
    options = options_of(TrainingConfig)
    known = {*options, *(part for option in options.values() for part in option.path[:-1])}
    own = {name: values.pop(name) for name in list(values) if name not in known}
    if isinstance(model, ModelConfig):
        values["arguments"] = {**model.arguments, **values.get("arguments", {}), **own}
        return build(TrainingConfig, {**values, "model": model})
    values["arguments"] = {**values.get("arguments", {}), **own}
    if values.get("model_fingerprint") is None:
        info = model_info(model)
        strange = [name for name in own if name not in info.arguments]
        for name in strange:
            if not _is_of_another_model(name):
                raise UnknownNameError("option", name, {*info.arguments, *options})
    return build(TrainingConfig, {**values, "model": model})


def _is_of_another_model(name: str) -> bool:
    return any(name in model_info(model).arguments for model in list_models())


def settled(config: TrainingConfig) -> TrainingConfig:
    """A configuration as it is kept: sizes on embedded data sets filled in.

    On an embedded data set a model has its quick size, one that a laptop trains in minutes, where
    nothing else is said; with `full_size` the published one.

    Raises:
        UnknownNameError: there is no such data set.
    """
    if config.model.fingerprint is not None or config.data.fingerprint is not None:
        return config
    return config.replace(model=_sized(config.model, config.data))


def _sized(model: ModelConfig, data: DataConfig) -> ModelConfig:
    dataset = dataset_info(data.name)
    corrupted = corrupted_base(canonical_name(data.name)) is not None
    if dataset.kind != "embedded" or corrupted:
        return model
    info = model_info(model.name)
    sizes = dict(info.published(info.quick_start) if model.full_size else info.quick_start)
    smallest = dataset.smallest_size
    if sizes.get("input_shape", (smallest,))[0] < smallest:
        sizes["input_shape"] = (smallest, smallest, 3)
    shape = sizes.pop("input_shape", None)
    chosen: dict[str, Any] = {}
    image_size = model.image_size
    if shape is not None and image_size is None and "input_shape" not in model.arguments:
        image_size = chosen["image_size"] = shape[0]
    added = {name: value for name, value in sizes.items() if name not in model.arguments}
    chosen |= added
    if chosen and not model.full_size:
        flags = " ".join(f"--{name}={value}" for name, value in chosen.items())
        _logger.warning(
            "Quick size for %s: %s. --full_size trains %s as published.",
            data.name,
            flags,
            info.name,
        )
    return dataclasses.replace(model, image_size=image_size, arguments={**model.arguments, **added})


def _loaded(config: TrainingConfig) -> DataSource:
    data = config.data
    return load_dataset(data.name, data.data_dir, data.max_bad_images)
