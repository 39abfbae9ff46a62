"""More time steps than a model was made with, in the model and in its features."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.layers import ConvRNNCell, Unroll
from tfbio.models import models_of_any_timesteps, unrolled_layers

IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 48, 48, 3)).astype("float32")


def _make(name="gru_tower", **arguments):
    return tfbio.create_model(
        name,
        **{"input_shape": (48, 48, 3), "classes": 3, "width": 1 / 16, "timesteps": 2, **arguments},
    )


@pytest.fixture(scope="module")
def model():
    return _make()


def test_more_time_steps_are_those_of_a_model_made_with_them(model):
    made = _make(timesteps=5, return_sequences=True)
    made.set_weights(model.get_weights())
    longer = tfbio.with_timesteps(model, 5, return_sequences=True)
    assert longer.output_shape == (None, 5, 3)
    np.testing.assert_array_equal(longer(IMAGES), made(IMAGES))
    np.testing.assert_allclose(longer(IMAGES)[:, 1], model(IMAGES), rtol=1e-6)


def test_weights_are_shared(model):
    longer = tfbio.with_timesteps(model, 3)
    assert longer.output_shape == (None, 3)
    assert [id(w) for w in longer.weights] == [id(w) for w in model.weights]
    assert {id(layer.cell) for layer in unrolled_layers(longer)} == {
        id(layer.cell) for layer in unrolled_layers(model)
    }


def test_after_saving(model, tmp_path):
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    expected = tfbio.with_timesteps(model, 4, return_sequences=True)(IMAGES)
    np.testing.assert_allclose(
        tfbio.with_timesteps(reloaded, 4, return_sequences=True)(IMAGES), expected, rtol=1e-6
    )


@pytest.mark.parametrize("name", ["hgru", "hconvgru", "vgg16_hgru", "hgru_tower", "gammanet"])
def test_every_kind_of_network(name):
    one_layer = name in ("hgru", "hconvgru")
    arguments = {"filters": 4, "kernel_size": 5} if one_layer else {"width": 1 / 16}
    if name == "hconvgru":
        # Its readout looks at the whole batch, at each time step by itself.
        arguments["upstream_exact"] = True
    model = tfbio.create_model(name, input_shape=(48, 48, 3), classes=3, timesteps=2, **arguments)
    made = tfbio.create_model(
        name, input_shape=(48, 48, 3), classes=3, timesteps=4, return_sequences=True, **arguments
    )
    made.set_weights(model.get_weights())
    longer = tfbio.with_timesteps(model, 4, return_sequences=True)
    np.testing.assert_allclose(longer(IMAGES), made(IMAGES), rtol=1e-5, atol=1e-7)
    sequence = tfbio.with_timesteps(model, return_sequences=True)
    np.testing.assert_allclose(sequence(IMAGES)[:, -1], model(IMAGES), rtol=1e-5, atol=1e-7)
    found = tfbio.features(model, IMAGES, "predictions")
    np.testing.assert_allclose(found["predictions:1"], model(IMAGES), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["bl_rcnn", "b_cnn", "conv_tower"])
def test_a_model_of_fixed_time_is_refused(name):
    model = tfbio.create_model(name, input_shape=(32, 32, 3), classes=2, width=1 / 32)
    with pytest.raises(InputError, match="Expected a model whose number of time steps can change"):
        tfbio.with_timesteps(model, 3)
    with pytest.raises(InputError, match="Expected a model whose number of time steps can change"):
        tfbio.features(model, IMAGES, "predictions", timesteps=3)


def test_no_time_step_is_refused(model):
    with pytest.raises(InputError, match="at least 1 time step, received timesteps=0"):
        tfbio.with_timesteps(model, 0)


def test_a_sequence_has_its_own_number_of_time_steps():
    clip = keras.Input((5, 16, 16, 3))
    last = Unroll(ConvRNNCell(4, 3), return_sequences=False)(clip)
    model = keras.Model(clip, keras.layers.GlobalAveragePooling2D()(last))
    with pytest.raises(InputError, match="its number of time steps is that of the input"):
        tfbio.with_timesteps(model, 15)


def test_layers_of_ones_own_behind_the_last_time_step():
    image = keras.Input((16, 16, 3))
    last = Unroll(ConvRNNCell(4, 3), timesteps=2, return_sequences=False, name="loop")(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D(name="mean")(last))
    images = IMAGES[:, :16, :16]
    longer = tfbio.with_timesteps(model, 4)
    found = tfbio.features(model, images, ["loop", "mean"], timesteps=4)
    assert {name: each.shape for name, each in found.items()} == {
        "loop": (3, 16, 16, 4),
        "mean": (3, 4),
    }
    np.testing.assert_allclose(found["mean"], longer(images), rtol=1e-6)
    assert list(tfbio.features(model, images, "loop.h")) == ["loop.h:0", "loop.h:1"]
    with pytest.raises(InputError, match=r"put them into `tfbio.layers.OverTime`"):
        tfbio.with_timesteps(model, return_sequences=True)


# === Features ===


def test_asking_again_adds_nothing_to_the_layers(model):
    layer = model.get_layer("cell_blocks_0_conv")
    tfbio.features(model, IMAGES, "cell_blocks_2", timesteps=3)
    nodes = len(layer._inbound_nodes)
    tfbio.features(model, IMAGES, "cell_blocks_2", timesteps=3)
    assert len(layer._inbound_nodes) == nodes


def test_features_at_every_time_step(model):
    found = tfbio.features(model, IMAGES, ["cell_blocks_2", "predictions"], timesteps=4)
    assert list(found) == [
        *(f"cell_blocks_2:{t}" for t in range(4)),
        *(f"predictions:{t}" for t in range(4)),
    ]
    assert found["cell_blocks_2:3"].shape == (3, 6, 6, 16)
    over_time = tfbio.with_timesteps(model, 4, return_sequences=True)(IMAGES)
    for t in range(4):
        np.testing.assert_allclose(found[f"predictions:{t}"], over_time[:, t], rtol=1e-6)
    # The layers in front of all recurrence have no time.
    assert list(tfbio.features(model, IMAGES, "cell_blocks_0_*")) == [
        "cell_blocks_0_conv",
        "cell_blocks_0_norm",
        "cell_blocks_0_activation",
        "cell_blocks_0_pool",
    ]


def test_states_of_cells():
    model = _make("lstm_tower")
    found = tfbio.features(model, IMAGES, ["cell_blocks_1.*", "cell_blocks_1"])
    assert list(found)[:4] == [
        "cell_blocks_1.h:0",
        "cell_blocks_1.h:1",
        "cell_blocks_1.c:0",
        "cell_blocks_1.c:1",
    ]
    np.testing.assert_allclose(found["cell_blocks_1.h:1"], found["cell_blocks_1:1"], rtol=1e-6)
    # Without normalization h = o tanh(c), and o is below 1.
    model = _make("lstm_tower", normalization=None, activation="tanh")
    found = tfbio.features(model, IMAGES, ["cell_blocks_1.?"])
    for t in range(2):
        h, c = found[f"cell_blocks_1.h:{t}"], found[f"cell_blocks_1.c:{t}"]
        assert (np.abs(h) <= np.abs(np.tanh(c)) + 1e-6).all()


def test_a_wrong_state_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"Nearest: .*cell_blocks_1"):
        tfbio.features(_make("lstm_tower"), IMAGES, "cell_blocks_1.x")


# === Which models have any number of time steps ===


def _recurrent(name):
    small = {
        "input_shape": (101, 103, 3) if name == "fgru_tower" else (64, 64, 3),
        "classes": 2,
        "timesteps": 2,
        "width": 1 / 32,
        "filters": 4,
        "kernel_size": 5,
    }
    known = tfbio.model_info(name).arguments
    return tfbio.create_model(name, **{key: each for key, each in small.items() if key in known})


@pytest.mark.parametrize(
    "name", [name for name in tfbio.list_models() if tfbio.model_info(name).recurrent]
)
def test_the_models_of_any_number_of_time_steps_are_those_that_unroll(name):
    assert (name in models_of_any_timesteps()) == bool(unrolled_layers(_recurrent(name)))


def test_what_is_said_of_bl_rcnn():
    model = _recurrent("bl_rcnn")
    with pytest.raises(InputError) as caught:
        tfbio.with_timesteps(model, 15)
    sentence = str(caught.value)
    assert "which has batch-normalization statistics for each of its 2 time steps" in sentence
    assert "train it with as many as you want, or take one of" in sentence
    for name in ("gammanet", "gru_tower", "hgru"):
        assert name in sentence
    assert "bl_rcnn," not in sentence.partition("take one of")[2]


def test_a_model_of_one_answer_has_no_statistics_over_time():
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=2, width=1 / 32)
    with pytest.raises(InputError, match="received 'b_cnn', which gives one answer: take one of"):
        tfbio.with_timesteps(model, 15)
