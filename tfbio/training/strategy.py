"""On which devices a model trains."""

from __future__ import annotations

import contextlib
import functools
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from tfbio._keras_graph import all_layers
from tfbio.errors import InputError

STRATEGIES = ("auto", "none", "mirrored")


def choose_strategy(
    name: str = "auto", devices: int | None = None
) -> tf.distribute.Strategy | None:
    """The strategy to build and train a model under.

    Args:
        name: `auto` mirrors over all GPUs if there are several; `none` takes one device;
            `mirrored` always mirrors, over CPU devices where there is no GPU.
        devices: number of devices; all GPUs by default, or one CPU device. To be asked for before
            TensorFlow has been used.

    Returns:
        A `tf.distribute.MirroredStrategy`, or None for a single device.

    Raises:
        InputError: there are fewer devices, or TensorFlow has been used already.
    """
    if name not in STRATEGIES:
        raise InputError(f"Expected a strategy of {', '.join(STRATEGIES)}, received {name!r}.")
    gpus = tf.config.list_physical_devices("GPU")
    if devices is not None and devices < 1:
        raise InputError(f"Expected at least 1 device, received devices={devices}.")
    if name == "none" or (name == "auto" and len(gpus) < 2 and (devices or 1) == 1):
        if (devices or 1) > 1:
            raise InputError(f"Expected one device with strategy none, received devices={devices}.")
        return None
    if gpus:
        if (devices or 1) > len(gpus):
            raise InputError(
                f"Expected at most {len(gpus)} devices, the GPUs here, received devices={devices}."
            )
        chosen = [f"GPU:{i}" for i in range(devices or len(gpus))]
    else:
        _divide_cpu(devices or 1)
        chosen = [f"CPU:{i}" for i in range(devices or 1)]
    return _mirrored(tuple(chosen))


def strategy_scope(strategy: tf.distribute.Strategy | None) -> AbstractContextManager:
    """The scope in which model and optimizer are made; no scope without a strategy."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def replicas(strategy: tf.distribute.Strategy | None) -> int:
    """Number of devices that train together."""
    return 1 if strategy is None else strategy.num_replicas_in_sync


def check_batch_size(batch_size: int, strategy: tf.distribute.Strategy | None) -> None:
    """Refuse a batch that cannot be divided evenly over the replicas.

    Raises:
        InputError: a replica would get fewer examples than another.
    """
    if batch_size % replicas(strategy):
        raise InputError(
            f"Expected a batch size that {replicas(strategy)} replicas divide, received "
            f"{batch_size}."
        )


def synchronize_batch_normalization(model: keras.Model, synchronized: bool) -> None:
    """Let batch normalization take its statistics over all replicas, or over each alone.

    Args:
        model: any model, before its training step is traced.
        synchronized: over all replicas. A saved model should not keep it: other backends refuse it.
    """
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = synchronized


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.MirroredStrategy:
    """One strategy per set of devices and process.

    A second one would number its collective operations from the start again, and synchronised
    batch normalization then aborts with a shape mismatch between them.
    """
    return tf.distribute.MirroredStrategy(list(devices))


def _divide_cpu(devices: int) -> None:
    """Make one CPU look like several devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if len(present or [None]) == devices:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * devices
        )
    except RuntimeError as error:
        raise InputError(
            f"Expected to divide the CPU into {devices} devices before TensorFlow is used; it is "
            "in use already: choose the strategy first."
        ) from error
