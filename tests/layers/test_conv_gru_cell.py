from __future__ import annotations

import numpy as np
import pytest
from layers.cells_golden import errors
from layers.layer_checks import check_layer
from layers.naive_cells import check_against_loop, convolution, layer_norm, sigmoid

from tfbio.layers.conv_gru_cell import ConvGRUCell
from tfbio.layers.unroll import Unroll


def _naive(weights, sequence, strides, normalization, upstream_exact):
    wr, wz, wk = np.split(weights["kernel"], 3, axis=-1)
    ur, uz, uk = np.split(weights["recurrent_kernel"], 3, axis=-1)
    br, bz, bk = np.split(weights["bias"] + weights["recurrent_bias"], 3)
    h, outputs = None, []
    for t in range(sequence.shape[1]):
        x = sequence[:, t]
        from_inputs = convolution(x, wk, strides)
        h = np.zeros_like(from_inputs) if h is None else h
        r = sigmoid(convolution(x, wr, strides) + convolution(h, ur) + br)
        z = sigmoid(convolution(x, wz, strides) + convolution(h, uz) + bz)
        k = np.tanh(from_inputs + convolution(r * h, uk) + bk)
        h = (z if upstream_exact else 1 - z) * h + z * k
        if normalization:
            h = layer_norm(h, weights["norm.gamma"], weights["norm.beta"])
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("upstream_exact", [False, True])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "normalization"),
    [(3, 1, None), ((4, 2), 1, "layer"), (3, 2, None), ((2, 3), (1, 2), "layer")],
)
def test_equals_a_loop(kernel_size, strides, normalization, upstream_exact):
    steps = (strides, strides) if isinstance(strides, int) else strides
    check_against_loop(
        lambda: ConvGRUCell(
            3, kernel_size, strides, normalization=normalization, upstream_exact=upstream_exact
        ),
        lambda weights, sequence: _naive(weights, sequence, steps, normalization, upstream_exact),
    )


def test_equals_the_original():
    for name, error in errors("shaperec_cell_gru").items():
        assert error < 1e-5, (name, error)


@pytest.mark.parametrize("upstream_exact", [False, True])
def test_an_open_update_gate_keeps_nothing_of_the_past_and_a_closed_one_all(upstream_exact):
    """At z = 0 and 1, where the original's defect is: a closed gate of it forgets."""
    for bias, kept in ((-1e3, 0 if upstream_exact else 1), (1e3, int(upstream_exact))):
        cell = ConvGRUCell(2, 3, upstream_exact=upstream_exact)
        cell.build((None, 4, 4, 1))
        cell.kernel.assign(0 * cell.kernel)
        cell.recurrent_kernel.assign(0 * cell.recurrent_kernel)
        cell.bias.assign([0, 0, bias, bias, 0, 0])
        h = np.random.default_rng(0).standard_normal((1, 4, 4, 2)).astype("float32")
        output, states = cell(np.zeros((1, 4, 4, 1)), [h])
        np.testing.assert_array_equal(output, kept * h)
        np.testing.assert_array_equal(states[0], output)


def test_passes_the_checks_of_every_layer(tmp_path):
    check_layer(
        lambda: Unroll(ConvGRUCell(4, 3, normalization="layer", upstream_exact=True), timesteps=2),
        [(6, 6, 3), (5, 7, 2)],
        trainable=6,
        tmp_path=tmp_path,
    )
