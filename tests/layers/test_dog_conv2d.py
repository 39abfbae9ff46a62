from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from golden_data import relative_error
from layers.layer_checks import check_layer
from layers.naive import cross_correlate

from tfbio.layers import DoGConv2D


def _naive_kernel(layer, exact):
    """Every kernel, pixel by pixel, from the equations in the docstring."""
    sigma1, ratio, scale = (
        np.asarray(variable) for variable in (layer.sigma1, layer.sigma2_scale, layer.total_scale)
    )
    size, radius = layer.kernel_size, layer.kernel_size // 2
    kernel = np.zeros((size, size, *sigma1.shape))
    for i in range(sigma1.shape[0]):
        for o in range(sigma1.shape[1]):
            s1 = max(sigma1[i, o], 0.1)
            s2 = s1 * max(ratio[i, o], 1.0001)
            for y in range(size):
                for x in range(size):
                    d2 = (x - radius) ** 2 + (y - radius) ** 2
                    if exact:
                        kernel[y, x, i, o] = scale[i, o] * (
                            s1 / math.pi * math.exp(-d2 / s1) - s2 / math.pi * math.exp(-d2 / s2)
                        )
                    else:
                        kernel[y, x, i, o] = math.exp(-d2 / (2 * s1**2)) / (
                            2 * math.pi * s1**2
                        ) - math.exp(-d2 / (2 * s2**2)) / (2 * math.pi * s2**2)
            if not exact:
                kernel[:, :, i, o] *= scale[i, o] / np.linalg.norm(kernel[:, :, i, o])
    if exact:
        for y in range(size):
            for x in range(size):
                kernel[y, x] /= np.linalg.norm(kernel[y, x])
    return kernel


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("strides", "padding", "dilation", "zeros"),
    [
        (1, "valid", 1, ((0, 0), (0, 0))),
        (1, "same", 1, ((2, 2), (2, 2))),
        ((2, 3), "same", 1, ((2, 2), (1, 2))),
        (2, 2, 1, ((2, 2), (2, 2))),
        (1, (0, 3), 2, ((0, 0), (3, 3))),
        (2, (4, 4), 2, ((4, 4), (4, 4))),
        (2, "same", (1, 2), ((2, 2), (4, 4))),
    ],
)
def test_equals_the_equation_in_float64(exact, strides, padding, dilation, zeros):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((2, 13, 11, 3))
    layer = DoGConv2D(
        4,
        5,
        strides,
        padding,
        dilation,
        upstream_exact=exact,
        dtype="float64",
    )
    layer.build(image.shape)
    layer.sigma1.assign(rng.uniform(-0.2, 2, (3, 4)))  # some are held at their limit
    layer.sigma2_scale.assign(rng.uniform(0.8, 2.2, (3, 4)))
    layer.total_scale.assign(rng.standard_normal((3, 4)))
    layer.bias.assign(rng.standard_normal(4))
    expected = cross_correlate(
        image,
        _naive_kernel(layer, exact),
        keras.tree.flatten((strides, strides))[:2],
        zeros,
        keras.tree.flatten((dilation, dilation))[:2],
    )
    output = layer(image)
    assert layer.compute_output_shape(image.shape) == tuple(output.shape)
    assert relative_error(output, expected + np.asarray(layer.bias)) < 1e-10


def test_groups_are_convolutions_side_by_side():
    rng = np.random.default_rng(3)
    image = rng.standard_normal((2, 9, 8, 6))
    layer = DoGConv2D(4, 3, padding=1, groups=2, upstream_exact=True, dtype="float64")
    layer.build(image.shape)
    assert layer.kernel.shape == (3, 3, 3, 4)
    kernel, zeros = _naive_kernel(layer, exact=True), ((1, 1), (1, 1))
    expected = [
        cross_correlate(image[..., :3], kernel[..., :2], zeros=zeros),
        cross_correlate(image[..., 3:], kernel[..., 2:], zeros=zeros),
    ]
    expected = np.concatenate(expected, axis=-1) + np.asarray(layer.bias)
    assert relative_error(layer(image), expected) < 1e-10


def test_a_textbook_kernel_has_its_gain_for_norm_and_two_lobes():
    layer = DoGConv2D(1, 21, dtype="float64")
    layer.build((None, 30, 30, 1))
    layer.sigma1.assign([[1.5]])
    layer.sigma2_scale.assign([[2.0]])
    layer.total_scale.assign([[-3.0]])
    kernel = np.asarray(layer.kernel)[:, :, 0, 0]
    assert np.linalg.norm(kernel) == pytest.approx(3)
    # Lobes of equal volume: uniform light leaves almost nothing.
    assert abs(kernel.sum()) < 0.01 * np.abs(kernel).sum()
    assert kernel[10, 10] < 0 < kernel[10, 16]


@pytest.mark.parametrize("exact", [False, True])
def test_passes_the_checks_of_every_layer(exact, tmp_path):
    check_layer(
        lambda: DoGConv2D(4, 3, 2, 1, groups=2, upstream_exact=exact),
        [(8, 8, 4), (5, 7, 2), (1, 1, 2)],
        trainable=4,
        tmp_path=tmp_path,
    )


def test_zero_gains_have_finite_gradients():
    import tensorflow as tf

    layer = DoGConv2D(2, 3, upstream_exact=True)
    layer.build((None, 5, 5, 2))
    layer.total_scale.assign(np.zeros((2, 2)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.ones((1, 5, 5, 2), "float32")))
    for gradient in tape.gradient(loss, [v.value for v in layer.trainable_weights]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"kernel_size": 4},
            "`kernel_size` to be one odd int, so that the kernel has a centre, rec",
        ),
        ({"kernel_size": (5, 5)}, r"`kernel_size` to be one odd int, .* received \(5, 5\)"),
        ({"filters": 0}, "`filters` to be an int of 1 or more, received 0"),
        ({"filters": "4"}, "`filters` to be an int of 1 or more, received '4'"),
        ({"padding": "full"}, "Expected `padding` to be 'valid', 'same', or the number of zeros"),
        ({"strides": 0}, "Expected `strides` to be an int or two ints of 1 or more, received 0"),
        ({"groups": 3}, "`filters` to be a multiple of `groups`, received 4 filters in 3 groups"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DoGConv2D(**{"filters": 4, "kernel_size": 3, **arguments})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 8, 2), r"expected ndim=4, found ndim=3"),
        ((1, 5, 5, 2), r"no smaller than the window of '\w+', 9 x 9 pixels; received \(5, 5\)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        DoGConv2D(4, 9)(np.ones(shape))


def test_inputs_of_unknown_or_other_channels_are_refused():
    with pytest.raises(ValueError, match="inputs of a known number of channels, received"):
        DoGConv2D(4, 3)(keras.Input((8, 8, None)))
    layer = DoGConv2D(4, 3)
    layer(np.zeros((1, 8, 8, 2)))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 2"):
        layer(np.zeros((1, 8, 8, 3)))


def test_channels_that_do_not_divide_into_groups_are_refused():
    with pytest.raises(ValueError, match=r"channels that 2 groups can share, received .*8, 8, 3\)"):
        DoGConv2D(4, 3, groups=2)(np.zeros((1, 8, 8, 3)))
