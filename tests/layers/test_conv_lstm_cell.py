from __future__ import annotations

import keras
import numpy as np
import pytest
from golden_data import relative_error
from layers.cells_golden import errors, give_all_states
from layers.layer_checks import check_layer
from layers.naive_cells import check_against_loop, convolution, layer_norm, sigmoid

from tfbio.layers.conv_lstm_cell import ConvLSTMCell
from tfbio.layers.unroll import Unroll


def _naive(weights, sequence, strides, normalization, upstream_exact):
    """h and c, one after the other."""
    wf, wi, wo, wk = np.split(weights["kernel"], 4, axis=-1)
    uf, ui, uo, uk = np.split(weights["recurrent_kernel"], 4, axis=-1)
    vf, vi, vo = np.split(weights["memory_kernel"], 3, axis=-1)
    bf, bi, bo, bk = np.split(weights["bias"] + weights["recurrent_bias"], 4)
    pf, pi, po = np.split(weights["memory_bias"], 3)
    h, outputs = None, []
    for t in range(sequence.shape[1]):
        x = sequence[:, t]
        if h is None:
            h = c = np.zeros_like(convolution(x, wf, strides))
        f = sigmoid(convolution(x, wf, strides) + convolution(h, uf) + convolution(c, vf) + bf + pf)
        i = sigmoid(convolution(x, wi, strides) + convolution(h, ui) + convolution(c, vi) + bi + pi)
        k = np.tanh(convolution(x, wk, strides) + convolution(h, uk) + bk)
        memory = f * c + i * k
        seen = convolution(c if upstream_exact else memory, vo)
        o = sigmoid(convolution(x, wo, strides) + convolution(h, uo) + seen + bo + po)
        h, c = o * np.tanh(memory), memory
        if normalization:
            h = layer_norm(h, weights["norm_h.gamma"], weights["norm_h.beta"])
            c = layer_norm(c, weights["norm_c.gamma"], weights["norm_c.beta"])
        outputs.append(np.concatenate([h, c], axis=-1))
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("upstream_exact", [False, True])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "normalization"),
    [(3, 1, None), ((4, 2), 1, "layer"), (3, 2, None), ((2, 3), (1, 2), "layer")],
)
def test_equals_a_loop(kernel_size, strides, normalization, upstream_exact):
    steps = (strides, strides) if isinstance(strides, int) else strides
    check_against_loop(
        lambda: give_all_states(
            ConvLSTMCell(
                3, kernel_size, strides, normalization=normalization, upstream_exact=upstream_exact
            )
        ),
        lambda weights, sequence: _naive(weights, sequence, steps, normalization, upstream_exact),
    )


def test_equals_the_original():
    for name, error in errors("shaperec_cell_lstm").items():
        assert error < 1e-5, (name, error)


def test_without_kernels_of_the_memory_it_is_that_of_keras():
    """`keras.layers.ConvLSTM2D`, whose gates are in the order i, f, k, o, and see no memory."""
    rng = np.random.default_rng(0)
    sequence = rng.standard_normal((2, 3, 5, 6, 2)).astype("float32")
    theirs = keras.layers.ConvLSTM2D(
        3, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid"
    )
    expected = theirs(sequence)
    cell = ConvLSTMCell(3, 3)
    ours = Unroll(cell)
    ours.build(sequence.shape)
    for name in ("kernel", "recurrent_kernel", "bias"):
        gates = np.split(getattr(theirs.cell, name).numpy(), 4, axis=-1)
        getattr(cell, name).assign(np.concatenate([gates[g] for g in (1, 0, 3, 2)], axis=-1))
    cell.memory_kernel.assign(0 * cell.memory_kernel)
    assert relative_error(ours(sequence), expected) < 1e-6


def test_passes_the_checks_of_every_layer(tmp_path):
    check_layer(
        lambda: Unroll(ConvLSTMCell(4, 3, normalization="layer", upstream_exact=True), timesteps=2),
        [(6, 6, 3), (5, 7, 2)],
        trainable=10,
        tmp_path=tmp_path,
    )
