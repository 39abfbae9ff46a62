from __future__ import annotations

import numpy as np
import pytest
from layers.cells_golden import errors, give_all_states
from layers.layer_checks import check_layer
from layers.naive_cells import check_against_loop, convolution, layer_norm, sigmoid

from tfbio.layers.reciprocal_gated_cell import ReciprocalGatedCell
from tfbio.layers.unroll import Unroll


def _naive(weights, sequence, strides, normalization):
    """h and c, one after the other."""
    hh, hc, ch, cc = np.split(weights["recurrent_kernel"], 4, axis=-1)
    bhh, bhc, bch, bcc = np.split(weights["recurrent_bias"], 4)
    h, outputs = None, []
    for t in range(sequence.shape[1]):
        u = sequence[:, t]
        if "kernel" in weights:
            u = convolution(u, weights["kernel"], strides) + weights["bias"]
        if h is None:
            h = c = np.zeros_like(u)
        new_h = np.tanh(
            (1 - sigmoid(convolution(c, ch) + bch)) * u
            + (1 - sigmoid(convolution(h, hh) + bhh)) * h
        )
        new_c = np.tanh(
            (1 - sigmoid(convolution(h, hc) + bhc)) * u
            + (1 - sigmoid(convolution(c, cc) + bcc)) * c
        )
        h, c = new_h, new_c
        if normalization:
            h = layer_norm(h, weights["norm_h.gamma"], weights["norm_h.beta"])
            c = layer_norm(c, weights["norm_c.gamma"], weights["norm_c.beta"])
        outputs.append(np.concatenate([h, c], axis=-1))
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize(
    ("kernel_size", "strides", "preconv", "normalization"),
    [
        (3, 1, 1, None),
        ((4, 2), 1, (2, 3), "layer"),
        (3, 2, 1, "layer"),
        (2, (1, 2), 3, None),
        (3, 1, None, "layer"),
    ],
)
def test_equals_a_loop(kernel_size, strides, preconv, normalization):
    steps = (strides, strides) if isinstance(strides, int) else strides
    check_against_loop(
        lambda: give_all_states(
            ReciprocalGatedCell(
                3, kernel_size, strides, "tanh", normalization, preconv_kernel_size=preconv
            )
        ),
        lambda weights, sequence: _naive(weights, sequence, steps, normalization),
        channels=2 if preconv else 3,
    )


def test_equals_the_original():
    for name, error in errors("shaperec_cell_reciprocal").items():
        assert error < 1e-5, (name, error)


def test_strides_divide_the_size_once():
    layer = Unroll(ReciprocalGatedCell(4, 3, strides=2, preconv_kernel_size=7), timesteps=2)
    assert layer(np.ones((1, 32, 35, 3), "float32")).shape == (1, 2, 13, 15, 4)


@pytest.mark.parametrize(("preconv", "strides", "trainable"), [(3, 2, 8), (None, 1, 6)])
def test_passes_the_checks_of_every_layer(preconv, strides, trainable, tmp_path):
    check_layer(
        lambda: Unroll(
            ReciprocalGatedCell(3, 3, strides, normalization="layer", preconv_kernel_size=preconv),
            timesteps=2,
        ),
        [(6, 6, 3), (5, 7, 3)],
        trainable=trainable,
        tmp_path=tmp_path,
    )


def test_inputs_of_other_channels_need_a_convolution():
    layer = Unroll(ReciprocalGatedCell(4, 3, preconv_kernel_size=None))
    with pytest.raises(ValueError, match=r"Expected inputs of 4 channels, .* \(1, 8, 8, 3\): give"):
        layer(np.zeros((1, 8, 8, 3)))


def test_strides_need_a_convolution():
    with pytest.raises(ValueError, match="Expected `strides` of 1 without a convolution of the in"):
        ReciprocalGatedCell(4, 3, strides=2, preconv_kernel_size=None)


def test_a_window_out_of_range_is_refused():
    with pytest.raises(ValueError, match="Expected `preconv_kernel_size` to be an int or two ints"):
        ReciprocalGatedCell(4, 3, preconv_kernel_size=0)
