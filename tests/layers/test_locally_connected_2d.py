from __future__ import annotations

import json
import math

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import GOLDEN, relative_error
from layers.layer_checks import check_layer

from tfbio.layers.locally_connected_2d import LocallyConnected2D


def _starts(size, window, stride, padding):
    """The first pixel of every window along one axis, counted from the image's first."""
    if padding == "same":
        return [i * stride - window // 2 for i in range(-(-size // stride))]
    zeros = 0 if padding == "valid" else padding
    return list(range(-zeros, size + zeros - window + 1, stride))


def _elements(size, kernel_size, strides, padding):
    """(output row, output column, index of the window element, pixel row, pixel column)."""
    paddings = (padding, padding) if isinstance(padding, (str, int)) else padding
    starts = [_starts(*axis) for axis in zip(size, kernel_size, strides, paddings, strict=True)]
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            for a in range(kernel_size[0]):
                for b in range(kernel_size[1]):
                    if 0 <= top + a < size[0] and 0 <= left + b < size[1]:
                        yield i, j, a * kernel_size[1] + b, top + a, left + b


def _naive(inputs, kernel, bias, cotangent, kernel_size, strides, padding):
    """Output and the gradients of sum(output * cotangent), pixel by pixel in float64."""
    rows, columns, filters = bias.shape
    weights = kernel.reshape(rows, columns, math.prod(kernel_size), inputs.shape[-1], filters)
    output = np.zeros((len(inputs), *bias.shape)) + bias
    for_inputs, for_weights = np.zeros(inputs.shape), np.zeros(weights.shape)
    for i, j, element, y, x in _elements(inputs.shape[1:3], kernel_size, strides, padding):
        output[:, i, j] += inputs[:, y, x] @ weights[i, j, element]
        for_inputs[:, y, x] += cotangent[:, i, j] @ weights[i, j, element].T
        for_weights[i, j, element] += inputs[:, y, x].T @ cotangent[:, i, j]
    return output, (for_inputs, for_weights.reshape(kernel.shape), cotangent.sum(0))


@pytest.mark.parametrize(
    ("size", "kernel_size", "strides", "padding"),
    [
        ((6, 5), (3, 2), (1, 1), "valid"),
        ((7, 9), (3, 3), (2, 2), "valid"),
        ((8, 10), (2, 1), (3, 4), "valid"),
        ((6, 5), (3, 3), (1, 1), "same"),
        ((5, 4), (4, 2), (1, 1), "same"),
        ((8, 7), (3, 4), (2, 3), "same"),
        ((7, 8), (1, 1), (3, 3), "same"),
        ((8, 8), (3, 3), (1, 1), 1),
        ((8, 7), (3, 3), (2, 2), 1),
        ((5, 6), (3, 2), (2, 1), (0, 3)),
        ((2, 3), (5, 4), (1, 2), 2),
        ((5, 5), (1, 1), (1, 1), 0),
        ((1, 1), (1, 1), (1, 1), "valid"),
    ],
)
def test_equals_the_equation_and_its_gradients_in_float64(size, kernel_size, strides, padding):
    rng = np.random.default_rng(1)
    image = tf.constant(rng.standard_normal((3, *size, 2)))
    layer = LocallyConnected2D(
        4,
        kernel_size,
        strides,
        padding,
        kernel_initializer="random_normal",
        bias_initializer="random_normal",
        dtype="float64",
    )
    shape = layer.compute_output_shape(image.shape)
    cotangent = rng.standard_normal(shape)
    layer.build(image.shape)

    # The batch size is not known while the graph is made.
    @tf.function(input_signature=[tf.TensorSpec((None, *size, 2), tf.float64)])
    def output_and_gradients(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            output = layer(image)
            loss = tf.reduce_sum(output * cotangent)
        return output, tape.gradient(loss, [image, layer.kernel.value, layer.bias.value])

    output, gradients = output_and_gradients(image)
    expected, expected_gradients = _naive(
        image.numpy(),
        layer.kernel.numpy(),
        layer.bias.numpy(),
        cotangent,
        kernel_size,
        strides,
        padding,
    )
    assert tuple(output.shape) == shape
    assert relative_error(output, expected) < 1e-10
    assert relative_error(layer(image), expected) < 1e-10
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        assert relative_error(ours, theirs) < 1e-10


@pytest.mark.parametrize(
    ("kernel_size", "strides", "padding"),
    [((3, 2), (1, 1), "valid"), ((3, 3), (2, 2), "valid"), ((5, 3), (1, 1), "same")],
)
def test_equal_weights_everywhere_make_a_convolution(kernel_size, strides, padding):
    rng = np.random.default_rng(2)
    image = rng.standard_normal((2, 9, 7, 3))
    shared = rng.standard_normal((*kernel_size, 3, 4))
    layer = LocallyConnected2D(4, kernel_size, strides, padding, use_bias=False, dtype="float64")
    layer.build(image.shape)
    layer.kernel.assign(np.broadcast_to(shared.reshape(-1, 4), layer.kernel.shape))
    convolution = keras.layers.Conv2D(
        4, kernel_size, strides, padding, use_bias=False, dtype="float64"
    )
    convolution.build(image.shape)
    convolution.kernel.assign(shared)
    assert relative_error(layer(image), convolution(image)) < 1e-10


def test_same_padding_with_a_stride_lies_where_keras_2_put_it():
    """Not where Conv2D puts it: Keras 2's weights depend on it, as its own files show above."""
    image = np.arange(8.0)[None, None, :, None] * np.ones((1, 8, 1, 1))
    layer = LocallyConnected2D(1, 3, 2, "same", use_bias=False, dtype="float64")
    layer.build(image.shape)
    middle = np.zeros((9, 1))
    middle[4] = 1
    layer.kernel.assign(np.broadcast_to(middle, layer.kernel.shape))
    np.testing.assert_array_equal(np.asarray(layer(image))[0, 0, :, 0], [0, 2, 4, 6])
    convolution = keras.layers.Conv2D(1, 3, 2, "same", use_bias=False, dtype="float64")
    convolution.build(image.shape)
    convolution.kernel.assign(middle.reshape(3, 3, 1, 1))
    np.testing.assert_array_equal(np.asarray(convolution(image))[0, 0, :, 0], [1, 3, 5, 7])


def test_activation_regularizers_and_constraints_are_applied():
    layer = LocallyConnected2D(
        2,
        2,
        activation="relu",
        kernel_regularizer="l2",
        bias_regularizer="l2",
        activity_regularizer="l2",
        kernel_constraint="non_neg",
        bias_constraint="non_neg",
    )
    assert np.min(layer(np.random.default_rng(0).standard_normal((2, 4, 4, 1)))) == 0
    assert len(layer.losses) == 3
    assert layer.kernel.constraint is not None
    assert layer.bias.constraint is not None


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "same", "implementation": 2, "activation": "relu"},
        {"strides": 2, "padding": (1, 2), "kernel_initializer": "he_normal"},
        {"strides": (2, 1), "implementation": 3},
    ],
)
def test_passes_the_checks_of_every_layer(arguments, tmp_path):
    def make():
        keras.utils.set_random_seed(3)
        return LocallyConnected2D(4, (3, 2), **arguments)

    check_layer(make, [(8, 8, 3), (5, 7, 2), (4, 3, 1)], trainable=2, tmp_path=tmp_path)


def test_without_a_bias_it_has_one_weight(tmp_path):
    check_layer(
        lambda: LocallyConnected2D(2, 1, use_bias=False),
        [(4, 5, 3)],
        trainable=1,
        tmp_path=tmp_path,
    )


def test_float16_policy_computes_in_float16():
    layer = LocallyConnected2D(4, 3, padding="same", dtype="mixed_float16")
    image = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype("float32")
    exact = LocallyConnected2D(4, 3, padding="same")
    exact.build(image.shape)
    assert layer(image).dtype == tf.float16
    exact.set_weights(layer.get_weights())
    assert relative_error(layer(image), exact(image)) < 5e-3


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        ("glorot_uniform", 2 / (27 + 32)),
        ("glorot_normal", 2 / (27 + 32)),
        ("he_normal", 2 / 27),
        ("lecun_uniform", 1 / 27),
        (keras.initializers.VarianceScaling(0.5, "fan_out"), 0.5 / 32),
        (keras.initializers.RandomNormal(stddev=1.0), 1.0),
        ("ones", 0.0),
    ],
)
def test_initial_weights_have_the_fans_of_one_receptive_field(initializer, variance):
    layer = LocallyConnected2D(32, 3, kernel_initializer=initializer)
    layer.build((None, 12, 12, 3))
    assert np.std(layer.kernel) == pytest.approx(math.sqrt(variance), rel=0.01)


# === Keras 2 ===


KERAS2 = np.load(GOLDEN / "keras2_locally_connected.npz", allow_pickle=False)


def _keras2(n):
    """The layer's configuration, the path of its weights, inputs and outputs."""
    config = json.loads(str(KERAS2[f"config_{n}"]))
    path = GOLDEN / f"keras2_locally_connected_{n}.h5"
    return config, path, KERAS2[f"input_{n}"], KERAS2[f"output_{n}"]


def _weights_in(path):
    """The weights in a file of one layer, by position."""
    with h5py.File(path) as file:
        group = file["local"]
        return [group[name][()] for name in group.attrs["weight_names"]]


@pytest.mark.parametrize("n", range(1, 12))
def test_computes_what_keras_2_did_from_its_files(n):
    config, path, image, expected = _keras2(n)
    data_format = config.pop("data_format")
    layer = LocallyConnected2D.from_config(config)
    layer.build(image.shape)
    kernel, *bias = _weights_in(path)
    kernel = layer.kernel_from_keras2(kernel, data_format)
    assert kernel.dtype == np.float32
    if data_format == "channels_first":
        # Keras 2 made the bias (H', W', filters) and read it as (filters, H', W').
        bias = [np.moveaxis(bias[0].reshape(layer.filters, *expected.shape[1:3]), 0, -1)]
    layer.set_weights([kernel, *bias])
    assert relative_error(layer(image), expected) < 1e-6


@pytest.mark.parametrize("n", [1, 2])
def test_keras_loads_files_of_implementation_1_by_position(n):
    config, path, image, expected = _keras2(n)
    model = keras.Sequential([keras.Input(image.shape[1:]), LocallyConnected2D.from_config(config)])
    model.load_weights(path)
    assert relative_error(model(image), expected) < 1e-6
    np.testing.assert_array_equal(
        model.layers[0].kernel_from_keras2(_weights_in(path)[0]), model.layers[0].kernel
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", [1, "same", "valid"])
def test_kernels_written_out_in_every_layout_are_read_back(padding, data_format):
    rng = np.random.default_rng(4)
    (height, width), channels, filters = (5, 4), 2, 3
    layer = LocallyConnected2D(filters, (3, 2), (2, 1), padding)
    layer.build((None, height, width, channels))
    rows, columns = layer.bias.shape[:2]
    first = data_format == "channels_first"

    kernel = np.zeros((rows, columns, 6, channels, filters))
    # What implementation 2 stores for pixels outside a window is never used.
    dense = np.full((height, width, channels, rows, columns, filters), np.nan)
    sparse = {}
    for i, j, element, y, x in _elements((height, width), (3, 2), (2, 1), padding):
        weights = kernel[i, j, element] = rng.standard_normal((channels, filters))
        dense[y, x, :, i, j] = weights
        for c, o in np.ndindex(channels, filters):
            sparse[(o, i, j, c, y, x) if first else (i, j, o, y, x, c)] = weights[c, o]
    if first:
        dense = dense.transpose(2, 0, 1, 5, 3, 4)
    # Dense and sorted values say nothing of elements outside the image, which stay 0.
    for array in (dense, np.array([sparse[key] for key in sorted(sparse)])):
        np.testing.assert_array_equal(
            layer.kernel_from_keras2(array, data_format), kernel.reshape(layer.kernel.shape)
        )
    by_position = kernel.transpose(0, 1, 3, 2, 4) if first else kernel
    np.testing.assert_array_equal(
        layer.kernel_from_keras2(by_position.reshape(layer.kernel.shape), data_format),
        kernel.reshape(layer.kernel.shape),
    )


# === Mistakes ===


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "Expected `filters` to be an int of 1 or more, received 0"),
        ({"filters": 2.5}, "Expected `filters` to be an int of 1 or more, received 2.5"),
        ({"kernel_size": 0}, "Expected `kernel_size` to be an int or two ints of 1 or more"),
        ({"strides": (1, 0)}, "Expected `strides` to be an int or two ints of 1 or more"),
        ({"padding": "full"}, "Expected `padding` to be 'valid', 'same', or the number of zeros"),
        ({"padding": -1}, "Expected `padding` to be an int or two ints of 0 or more"),
        (
            {"data_format": "channels_first"},
            r"Expected `data_format` to be None or 'channels_last'.*transpose the inputs",
        ),
        ({"implementation": 4}, "Expected `implementation` to be 1, 2 or 3, received 4"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(**{"filters": 2, "kernel_size": 3, **arguments})


@pytest.mark.parametrize("shape", [(None, 5, 1), (5, None, 1), (5, 5, None), (5, 5), (5, 5, 1, 1)])
def test_inputs_of_unknown_size_are_refused(shape):
    message = r"Expected inputs \(N, H, W, C\) of known height.*received shape.*Fix the size"
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(2, 3)(keras.Input(shape))
    with pytest.raises(ValueError, match=message):
        LocallyConnected2D(2, 3).compute_output_shape((None, *shape))


def test_calls_at_another_size_are_refused():
    layer = LocallyConnected2D(2, 3, padding="same")
    layer(np.zeros((1, 6, 5, 1)))
    both = r"Expected inputs of \(H, W, C\) = \(6, 5, 1\).*received \(5, 6, 1\)"
    with pytest.raises(ValueError, match=both):
        layer(np.zeros((1, 5, 6, 1)))
    with pytest.raises(ValueError, match=both):
        layer(keras.Input((5, 6, 1)))
    unknown = tf.function(layer).get_concrete_function
    with pytest.raises(ValueError, match=r"Expected inputs .* of known height"):
        unknown(tf.TensorSpec((None, None, 5, 1)))


def test_windows_larger_than_the_padded_input_are_refused():
    message = r"no smaller than the window of 'local', 5 x 5 pixels; received \(8, 2\)"
    for padding in ("valid", 1):
        with pytest.raises(ValueError, match=message):
            LocallyConnected2D(2, 5, padding=padding, name="local")(np.zeros((1, 8, 2, 1)))
    LocallyConnected2D(2, 5, padding=2)(np.zeros((1, 8, 2, 1)))


def test_kernels_of_no_known_layout_are_refused():
    layer = LocallyConnected2D(2, 3, name="local")
    with pytest.raises(ValueError, match="Expected 'local' to be built before"):
        layer.kernel_from_keras2(np.zeros(3))
    layer.build((None, 4, 4, 1))
    shapes = r"\(4, 9, 2\), \(4, 4, 1, 2, 2, 2\) or \(72,\) .*received \(4, 9, 3\)"
    with pytest.raises(ValueError, match=shapes):
        layer.kernel_from_keras2(np.zeros((4, 9, 3)))
    with pytest.raises(ValueError, match="Expected `data_format` to be 'channels_last' or"):
        layer.kernel_from_keras2(np.zeros((4, 9, 2)), "NHWC")
