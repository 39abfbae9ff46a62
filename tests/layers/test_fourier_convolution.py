"""Convolution in frequency against the direct one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error

from tfbio.layers._convolution import convolve
from tfbio.layers._fourier_convolution import convolve_in_frequency, is_faster, spectrum

CASES = [
    ((2, 9, 8, 3), (5, 3), 4),
    ((1, 7, 10, 2), (7, 9), 1),
    ((3, 6, 6, 1), (4, 2), 3),
    ((2, 5, 4, 2), (11, 7), 2),
    ((1, 1, 6, 2), (1, 5), 2),
]


def _draw(shape, window, filters, dtype="float64"):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((*window, shape[-1], filters))
    return rng.standard_normal(shape).astype(dtype), kernel.astype(dtype)


def _naive(inputs, kernel):
    """Cross-correlation with zeros around, in loops over the window."""
    height, width = inputs.shape[1:3]
    rows, columns = kernel.shape[:2]
    around = [((side - 1) // 2, side // 2) for side in (rows, columns)]
    padded = np.pad(inputs, [(0, 0), *around, (0, 0)])
    return sum(
        padded[:, row : row + height, column : column + width] @ kernel[row, column]
        for row in range(rows)
        for column in range(columns)
    )


@pytest.mark.parametrize(("shape", "window", "filters"), CASES)
def test_is_the_direct_convolution_in_double_precision(shape, window, filters):
    inputs, kernel = _draw(shape, window, filters)
    in_frequency = spectrum(keras.ops.convert_to_tensor(kernel), shape[1:3])
    found = convolve_in_frequency(keras.ops.convert_to_tensor(inputs), in_frequency, window)
    expected = _naive(inputs, kernel)
    assert found.dtype == tf.float64
    assert relative_error(found, expected) < 1e-13


def test_single_precision_and_every_gradient():
    inputs, kernel = _draw((2, 24, 25, 6), (15, 15), 5, "float32")
    cotangent = np.random.default_rng(1).standard_normal((2, 24, 25, 5))

    def gradients(convolution, inputs, kernel):
        inputs, kernel = tf.constant(inputs), tf.constant(kernel)
        with tf.GradientTape() as tape:
            tape.watch([inputs, kernel])
            output = convolution(inputs, kernel)
            loss = tf.reduce_sum(output * tf.cast(cotangent, output.dtype))
        return output, *tape.gradient(loss, [inputs, kernel])

    found = gradients(
        tf.function(lambda x, w: convolve_in_frequency(x, spectrum(w, (24, 25)), (15, 15))),
        inputs,
        kernel,
    )
    exact = gradients(
        lambda x, w: convolve(x, w, padding="same"),
        inputs.astype("float64"),
        kernel.astype("float64"),
    )
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.dtype == tf.float32
        # Measured: 6e-7.
        assert relative_error(ours, theirs) < 3e-6


def test_half_precision_is_transformed_in_single_precision():
    inputs, kernel = (tf.cast(each, "bfloat16") for each in _draw((1, 12, 12, 4), (9, 9), 4))
    in_frequency = spectrum(kernel, (12, 12))
    found = convolve_in_frequency(inputs, in_frequency, (9, 9))
    assert (in_frequency.dtype, found.dtype) == (tf.float32, tf.bfloat16)
    exact = _naive(*(tf.cast(each, "float64").numpy() for each in (inputs, kernel)))
    # Half a unit in the last place of the largest.
    assert relative_error(tf.cast(found, "float64"), exact) < 2**-8


@pytest.mark.parametrize(
    ("sizes", "window", "channels", "expected"),
    [
        ((64, 64), 15, 25, True),
        ((32, 32), 15, 25, True),
        ((32, 32), 9, 25, True),
        ((64, 64), 3, 25, False),
        ((14, 14), 3, 256, False),
        ((None, 64), 15, 25, False),
        # 3.6 GB for one spectrum.
        ((224, 224), 15, 64, False),
    ],
)
def test_when_it_pays(sizes, window, channels, expected):
    assert is_faster(sizes, (window, window), channels, channels) is expected
