"""Gamma-net: the original's logits, maps and states, and every choice it has."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from models.gammanet_golden import CASES, make_model, output_error, state_dict, state_errors

from tfbio.errors import InputError
from tfbio.layers.bilinear_resizing import BilinearResizing
from tfbio.layers.gammanet_cell import GammaNetCell
from tfbio.layers.unroll import Unroll
from tfbio.models.gammanet import gammanet, gammanet_map
from tfbio.models.vgg import vgg_blocks
from tfbio.weights import WeightsError, load_weights, to_torch_state_dict

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 48, 52, 3)).astype("float32")


def _small(build=gammanet, **arguments):
    classes = {"classes": 3} if build is gammanet else {}
    small = {"input_shape": (48, 52, 3), "timesteps": 2, "width": 1 / 16, **classes}
    return build(**{**small, **arguments})


# === The original's numbers ===


@pytest.mark.parametrize("case", CASES)
def test_output_states_and_the_way_back_are_the_originals(case):
    model = make_model(case)
    assert output_error(case, model) < 1e-4
    for name, error in state_errors(case, model).items():
        assert error < 1e-5, name
    theirs, ours = state_dict(case), to_torch_state_dict(model, as_arrays=True)
    assert set(ours) == set(theirs)
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor)


def test_weights_of_another_tower_do_not_fit():
    with pytest.raises(WeightsError):
        load_weights(_small(), state_dict("shaperec_gammanet_small"))


# === Time ===


def test_more_time_steps_go_on_from_fewer():
    short, long = _small(timesteps=1), _small(timesteps=2, return_sequences=True)
    long.set_weights(short.get_weights())
    over_time = np.asarray(long(IMAGES))
    assert over_time.shape == (2, 2, 3)
    np.testing.assert_allclose(over_time[:, 0], short(IMAGES), rtol=1e-5)
    assert np.abs(over_time[:, 1] - over_time[:, 0]).max() > 1e-4


def test_feedback_reaches_the_lowest_area_at_once():
    model = _small(gammanet_map, timesteps=1)
    before = np.asarray(model(IMAGES))
    cell = model.get_layer("network").cell
    kernel = cell.h_units[-1].recurrent_kernel
    kernel.assign(-kernel)
    after = np.asarray(model(IMAGES))
    assert before.shape == (2, 48, 52, 1)
    assert np.abs(after - before).max() > 1e-6


# === Choices ===


def test_pixels_are_scaled_inside():
    model, bare = (_small(timesteps=1, include_preprocessing=scaled) for scaled in (True, False))
    bare.set_weights(model.get_weights())
    np.testing.assert_allclose(model(IMAGES), bare(IMAGES / 255), rtol=1e-4)


def _cell(**choices):
    keras.utils.set_random_seed(0)
    blocks = vgg_blocks("small", ["conv1", "conv2", "conv3"], width=1 / 16)[:3]
    # After the poolings 21, 10 and 5 pixels.
    return GammaNetCell(blocks, (3, 3, 1), (1, 2), **choices)


def test_the_order_of_interpolation_and_the_shortcut_matter():
    image = np.random.default_rng(0).uniform(0, 1, (2, 47, 47, 3)).astype("float32")
    cells = [_cell(), _cell(resize_first=False), _cell(skip_horizontal=False)]
    outputs = []
    for cell in cells:
        layer = Unroll(cell, timesteps=2)
        layer.build(image.shape)
        cell.set_weights(cells[0].get_weights())
        outputs.append(np.asarray(layer(image)))
    for other in outputs[1:]:
        assert np.abs(other - outputs[0]).max() > 1e-3


def test_without_a_shortcut_one_step_is_what_feedback_gives():
    """By hand, from the parts of the cell: an area of its own for each part of the equation."""
    image = np.random.default_rng(0).uniform(0, 1, (2, 47, 47, 3)).astype("float32")
    cell = _cell(skip_horizontal=False)
    output, states = cell(image)
    drive, up = image, []
    for block, unit in zip(cell.blocks, cell.h_units, strict=True):
        for layer in block:
            drive = layer(drive)
        drive, _ = unit(drive)
        up.append(drive)
    above = up[-1]
    for number, below in enumerate(up[-2::-1]):
        resize = BilinearResizing(tuple(below.shape[1:3]))
        above = resize(above)
        for layer in cell.us_blocks[number]:
            above = layer(above)
        above, _ = cell.td_units[number](below, [above])
    np.testing.assert_allclose(output, above, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(states[-1], up[-1], rtol=1e-4, atol=1e-5)
    assert cell.state_size == [each.shape[-1] for each in states]


def test_gammanet_cell_comes_back_from_its_configuration(tmp_path):
    image = np.random.default_rng(0).uniform(0, 1, (2, 47, 47, 3)).astype("float32")
    inputs = keras.Input((47, 47, 3))
    model = keras.Model(inputs, Unroll(_cell(attention=None), 2)(inputs))
    model.save(tmp_path / "cell.keras")
    again = keras.saving.load_model(tmp_path / "cell.keras")
    np.testing.assert_array_equal(again(image), model(image))
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert model.output_shape == (None, 2, 21, 21, 4)


# === Errors ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tower_type": "large"}, "Unknown tower type"),
        ({"input_shape": (47, 48, 3)}, "at least 48 x 48"),
        ({"tower_type": "small", "input_shape": (100, 101, 3)}, "at least 101 x 101"),
        ({"input_shape": (None, None, 3)}, "known height and width"),
        ({"timesteps": 0}, "at least 1 time step"),
        ({"width": 0}, "width above 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        _small(**arguments)


def test_cell_refuses_blocks_that_do_not_fit_its_kernels():
    with pytest.raises(ValueError, match="one less for feedback"):
        GammaNetCell([[keras.layers.Conv2D(4, 3)]], (3, 3), (1,))
    with pytest.raises(ValueError, match="a convolution in every block"):
        GammaNetCell([[keras.layers.MaxPooling2D()]], (3,), ())


def test_vgg_is_cut_where_it_is_told():
    *blocks, rest = vgg_blocks("normal", ["conv2_2", "conv5_3"], width=1 / 32)
    names = [[layer.name for layer in block] for block in blocks]
    assert names[0][-1] == "base_ff_conv2_2"
    assert names[1][0] == "base_ff_pool2"
    assert [layer.filters for layer in blocks[1] if hasattr(layer, "filters")] == [8] * 3 + [16] * 6
    assert rest == []
    with pytest.raises(InputError, match="in the order"):
        vgg_blocks("small", ["conv3", "conv2"])
    with pytest.raises(InputError, match="Unknown convolution"):
        vgg_blocks("small", ["conv2_2"])
