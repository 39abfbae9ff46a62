from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import relative_error
from layers.layer_checks import check_layer
from layers.naive import cross_correlate

from tfbio.layers import MultiStrideConv2D


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(8, 8), (7, 10), (1, 2)])
def test_equals_loops_over_pixels_at_every_stride(kernel_size, shape):
    """One kernel, float64: the stride is of the call."""
    images = np.random.default_rng(0).standard_normal((2, *shape, 3))
    layer = MultiStrideConv2D(4, kernel_size, dtype="float64")
    zeros = ((kernel_size // 2,) * 2,) * 2
    for strides, both in [(2, (2, 2)), (1, (1, 1)), ((1, 3), (1, 3)), (2, (2, 2))]:
        output = layer(images, strides=strides)
        expected = cross_correlate(images, np.asarray(layer.kernel), both, zeros)
        assert relative_error(output, expected) < 1e-10
        symbolic = layer(keras.Input((*shape, 3)), strides=strides)
        assert symbolic.shape == (None, *expected.shape[1:])
    assert relative_error(layer(images), layer(images, strides=1)) == 0
    assert len(layer.weights) == 1


def test_a_kernel_learns_from_all_its_calls():
    rng = np.random.default_rng(1)
    images = rng.standard_normal((2, 6, 5, 3))
    layer = MultiStrideConv2D(4, 3, dtype="float64")
    layer.build(images.shape)
    gradients = []
    cotangents = {2: rng.standard_normal((2, 3, 3, 4)), 1: rng.standard_normal((2, 6, 5, 4))}
    for both in ([2], [1], [2, 1]):
        with tf.GradientTape() as tape:
            loss = sum(
                tf.reduce_sum(layer(images, strides=stride) * cotangents[stride]) for stride in both
            )
        gradients.append(np.asarray(tape.gradient(loss, layer.kernel.value)))
    assert relative_error(gradients[2], gradients[0] + gradients[1]) < 1e-10
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    for gradient, stride in zip(gradients, (2, 1), strict=False):
        expected = np.zeros((3, 3, 3, 4))
        for i, j in np.ndindex(cotangents[stride].shape[1:3]):
            window = padded[:, i * stride : i * stride + 3, j * stride : j * stride + 3]
            expected += np.einsum("nabc,nf->abcf", window, cotangents[stride][:, i, j])
        assert relative_error(gradient, expected) < 1e-10


def test_a_model_that_calls_it_twice_is_saved_with_both_strides(tmp_path):
    image = keras.Input((9, 7, 4))
    layer = MultiStrideConv2D(4, 3)
    model = keras.Model(image, layer(layer(image, strides=(2, 1))))
    assert model.output_shape == (None, 5, 7, 4)
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(2).standard_normal((2, 9, 7, 4)).astype("float32")
    kernel, zeros = np.asarray(layer.kernel, "float64"), ((1, 1), (1, 1))
    first = cross_correlate(images.astype("float64"), kernel, (2, 1), zeros)
    expected = cross_correlate(first, kernel, (1, 1), zeros)
    assert relative_error(model(images), expected) < 1e-5
    np.testing.assert_array_equal(reloaded(images), model(images))


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_passes_the_checks_of_every_layer(kernel_size, tmp_path):
    check_layer(
        lambda: MultiStrideConv2D(4, kernel_size, kernel_initializer="he_normal"),
        [(8, 8, 3), (5, 7, 2), (1, 1, 3)],
        trainable=1,
        tmp_path=tmp_path,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "Expected `filters` to be an int of 1 or more, received 0"),
        (
            {"kernel_size": 2},
            "Expected `kernel_size` to be one odd int, so that the kernel has a c",
        ),
        ({"kernel_size": (3, 3)}, r"Expected `kernel_size` to be one odd int.*received \(3, 3\)"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MultiStrideConv2D(**{"filters": 2, "kernel_size": 3, **arguments})


def test_calls_out_of_range_are_refused():
    layer = MultiStrideConv2D(2, 3)
    with pytest.raises(
        ValueError, match="Expected `strides` to be an int or two ints of 1 or more"
    ):
        layer(np.zeros((1, 4, 4, 1)), strides=0)
    with pytest.raises(
        ValueError, match="Expected `strides` to be an int or two ints of 1 or more"
    ):
        layer(keras.Input((4, 4, 1)), strides=(1, 2.5))
    with pytest.raises(ValueError, match="a known number of channels, received"):
        MultiStrideConv2D(2, 3)(keras.Input((8, 8, None)))
