from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer

from tfbio.errors import InputError
from tfbio.layers import AdaptiveAveragePooling2D

# Sizes of input and output: divided, overlapping windows, repeated pixels, as they were, one pixel.
SIZES = [
    ((8, 6), (4, 3)),
    ((10, 13), (7, 7)),
    ((13, 13), (6, 6)),
    ((3, 4), (7, 6)),
    ((5, 9), (5, 4)),
    ((7, 7), (7, 7)),
    ((1, 1), (3, 2)),
    ((11, 5), (1, 1)),
]


def _naive(images, output_size):
    """Window by window, float64."""
    height, width = images.shape[1:3]
    rows, columns = output_size
    output = np.zeros((len(images), rows, columns, images.shape[-1]))
    for i in range(rows):
        for j in range(columns):
            top, bottom = math.floor(i * height / rows), math.ceil((i + 1) * height / rows)
            left, right = math.floor(j * width / columns), math.ceil((j + 1) * width / columns)
            output[:, i, j] = images[:, top:bottom, left:right].mean(axis=(1, 2))
    return output


@pytest.mark.parametrize(("size", "output_size"), SIZES)
def test_equals_the_equation_in_float64(size, output_size):
    images = np.random.default_rng(0).standard_normal((2, *size, 3))
    layer = AdaptiveAveragePooling2D(output_size, dtype="float64")
    expected = _naive(images, output_size)
    assert layer.compute_output_shape(images.shape) == expected.shape
    assert relative_error(layer(images), expected) < 1e-10


@pytest.mark.parametrize(("size", "output_size"), SIZES)
def test_output_and_gradient_are_those_of_pytorch(size, output_size):
    torch = pytest.importorskip("torch", reason="PyTorch is an extra")
    rng = np.random.default_rng(1)
    images = rng.standard_normal((2, *size, 3))
    cotangent = rng.standard_normal((2, *output_size, 3))
    theirs = torch.tensor(images.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    expected = torch.nn.AdaptiveAvgPool2d(output_size)(theirs)
    (expected * torch.tensor(cotangent.transpose(0, 3, 1, 2).copy())).sum().backward()
    ours = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(ours)
        output = AdaptiveAveragePooling2D(output_size, dtype="float64")(ours)
        loss = tf.reduce_sum(output * cotangent)
    assert relative_error(output, expected.detach().numpy().transpose(0, 2, 3, 1)) < 1e-10
    gradient = theirs.grad.numpy().transpose(0, 2, 3, 1)
    assert relative_error(tape.gradient(loss, ours), gradient) < 1e-10


def test_one_number_is_both_sizes():
    assert AdaptiveAveragePooling2D(7).output_size == (7, 7)


@pytest.mark.parametrize("output_size", [3, (2, 7)])
def test_passes_the_checks_of_every_layer(output_size, tmp_path):
    check_layer(
        lambda: AdaptiveAveragePooling2D(output_size),
        [(8, 8, 4), (5, 7, 2), (1, 1, 3)],
        trainable=0,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("output_size", "message"),
    [
        (0, "Expected `output_size` to be an int or two ints of 1 or more, received 0"),
        (
            (3, 2.5),
            r"Expected `output_size` to be an int or two ints of 1 or more, received \(3, 2",
        ),
        (None, "Expected `output_size` to be an int or two ints of 1 or more, received None"),
    ],
)
def test_sizes_out_of_range_are_refused(output_size, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveAveragePooling2D(output_size)


def test_images_of_unknown_size_are_refused():
    graph = tf.function(AdaptiveAveragePooling2D(3, name="pool"))
    # Also out of a `tf.function`, which otherwise makes an error of its own of it.
    with pytest.raises(InputError, match=r"Expected inputs of known size for 'pool', received \(N"):
        graph.get_concrete_function(tf.TensorSpec((None, None, 8, 4)))
    with pytest.raises(ValueError, match="expected ndim=4, found ndim=3"):
        AdaptiveAveragePooling2D(3)(keras.Input((8, 4)))
