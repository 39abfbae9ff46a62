from __future__ import annotations

import keras
import numpy as np
import pytest

import tfbio
from tfbio.errors import InputError


@pytest.fixture(scope="module")
def model():
    return tfbio.create_model(
        "bl_rcnn", input_shape=(32, 32, 3), classes=3, width=1 / 16, timesteps=2
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(0, 255, (5, 32, 32, 3)).astype("float32")


def test_activations_equal_the_layers_own(model, images):
    found = tfbio.features(model, images, ["ReLU_Layer_0_*", "GlobalAvgPool_Time_1"], batch_size=2)
    assert list(found) == ["ReLU_Layer_0_Time_0", "ReLU_Layer_0_Time_1", "GlobalAvgPool_Time_1"]
    # By hand: the first layer's drive, normalised and rectified.
    drive = model.get_layer("RCL_0_BConv")(images / 127.5 - 1)
    by_hand = keras.ops.relu(model.get_layer("BatchNorm_Layer_0_Time_0")(drive))
    np.testing.assert_allclose(found["ReLU_Layer_0_Time_0"], by_hand, rtol=1e-4, atol=1e-6)
    assert found["GlobalAvgPool_Time_1"].shape == (5, 128)


def test_a_layer_called_at_every_step_has_one_entry_a_call(model, images):
    found = tfbio.features(model, images, "ReadoutDense")
    assert list(found) == ["ReadoutDense:0", "ReadoutDense:1"]
    last = keras.ops.softmax(found["ReadoutDense:1"])
    np.testing.assert_allclose(model(images), last, rtol=1e-5)


def test_a_pattern_without_a_match_is_answered_with_near_names(model, images):
    with pytest.raises(InputError, match=r"matches 'ReLU_Layer_9_Time_0'. Nearest: ReLU_Layer_"):
        tfbio.features(model, images, ["ReLU_Layer_9_Time_0"])
    with pytest.raises(InputError, match="at least one image"):
        tfbio.features(model, images[:0], ["ReLU*"])
