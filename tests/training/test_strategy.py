from __future__ import annotations

import keras
import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.training import choose_strategy, replicas
from tfbio.training.strategy import synchronize_batch_normalization


def test_one_device_needs_no_strategy():
    assert choose_strategy("auto") is None
    assert choose_strategy("none") is None
    assert replicas(None) == 1


def test_several_cpu_devices_are_mirrored():
    strategy = choose_strategy("mirrored", 2)
    assert replicas(strategy) == 2
    assert choose_strategy("auto", 2) is strategy


def test_bad_requests_are_named():
    with pytest.raises(InputError, match="Expected a strategy of auto, none, mirrored"):
        choose_strategy("tpu")
    with pytest.raises(InputError, match="at least 1 device, received devices=0"):
        choose_strategy("mirrored", 0)
    with pytest.raises(InputError, match="one device with strategy none, received devices=2"):
        choose_strategy("none", 2)
    with pytest.raises(InputError, match="divide the CPU into 3 devices before TensorFlow is used"):
        choose_strategy("mirrored", 3)


def test_batch_normalization_is_switched_everywhere():
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), width=1 / 32)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    synchronize_batch_normalization(model, True)
    assert all(norm.synchronized for norm in norms)
    synchronize_batch_normalization(model, False)
    assert not any(norm.synchronized for norm in norms)
