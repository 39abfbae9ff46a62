"""What the tests of training share: a data set of two colours, and a kill."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfbio._configuration import build
from tfbio.datasets.source import Split
from tfbio.training.optimizer import OptimizerConfig


def make_optimizer(
    name="adam", learning_rate=1e-3, schedule="cosine", total_steps=1, steps_per_epoch=1, **options
):
    """The optimizer of a configuration, in one call."""
    config = _config(name, learning_rate, schedule, options)
    return config.make(total_steps, steps_per_epoch)


def make_learning_rate(
    learning_rate, schedule="constant", total_steps=1, steps_per_epoch=1, **options
):
    """The learning rate of a configuration, in one call."""
    config = _config("sgd", learning_rate, schedule, options)
    return config.schedule.rate(learning_rate, total_steps, steps_per_epoch)


def _config(name, learning_rate, schedule, options) -> Any:
    values = {"optimizer": name, "learning_rate": learning_rate, "schedule": schedule, **options}
    return build(OptimizerConfig, values)


class TwoColours(Split):
    """Noise in two colours: red is class 0, blue is class 1."""

    name = "train"

    def __init__(self, size=32, broken=False):
        rng = np.random.default_rng(0)
        self.size = size
        self._labels = rng.integers(0, 2, size)
        self._images = rng.uniform(0, 120, (size, 32, 32, 3)).astype("float32")
        self._images[np.arange(size), :, :, 2 * self._labels] += 120
        if broken:
            self._images[0] = np.nan

    def examples(self, order_seed=None, skip=0):
        import tensorflow as tf

        order = np.arange(self.size)
        if order_seed is not None:
            order = np.random.default_rng(order_seed).permutation(order)
        order = order[skip:]
        return tf.data.Dataset.from_tensor_slices(
            {"image": self._images[order], "label": self._labels[order], "index": order}
        )


class KilledError(Exception):
    """Stands for a kill."""


class Kill(keras.callbacks.Callback):
    def __init__(self, after):
        super().__init__()
        self._left = after

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left < 0:
            raise KilledError
