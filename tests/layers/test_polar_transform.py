from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_data import load_case, relative_error
from layers.layer_checks import check_layer

from tfbio.errors import InputError
from tfbio.layers import PolarTransform
from tfbio.layers.polar_transform import pooling_masks

CASES = ["polar_01_small_none", "polar_02_small_linear", "polar_03_model_config"]
MODEL_RADII = [*range(15), 16, 18, 20, 23]


def _case(name):
    """Configuration, arrays, and the arguments that say which pixels are pooled."""
    config, arrays = load_case(name)
    pooling = {
        "radius_bins": arrays["radius_bins"],
        "angle_bins": arrays["angle_bins"],
        "interpolation": config["init"]["interpolation"],
    }
    return config, arrays, pooling


@pytest.mark.parametrize("case", CASES)
def test_golden_masks_outputs_and_gradient(case):
    config, arrays, pooling = _case(case)
    size = (config["init"]["output_h"], config["init"]["output_w"])
    masks, counts = pooling_masks(*arrays["input"].shape[1:3], **pooling)
    assert masks.dtype == counts.dtype == np.float16
    np.testing.assert_array_equal(masks, arrays["weight/pooling_masks"])
    np.testing.assert_array_equal(counts, arrays["weight/pooling_mask_counts"])

    inputs = tf.constant(arrays["input"])
    layer = PolarTransform(size, **pooling)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        output = layer(inputs)
        loss = tf.reduce_sum(output * arrays["cotangent"])
    assert relative_error(output, arrays["output"]) < 1e-5
    assert relative_error(tape.gradient(loss, inputs), arrays["grad_input"]) < 1e-5

    plain = PolarTransform(size, antialias=False, **pooling)
    assert relative_error(plain(inputs), arrays["output_antialias_false"]) < 1e-5
    polar_map = PolarTransform(None, **pooling)
    assert relative_error(polar_map(inputs), arrays["polar_map"]) < 1e-5


def test_a_number_of_angles_means_equal_angles():
    _, arrays, pooling = _case("polar_03_model_config")
    by_number, _ = pooling_masks(32, 32, MODEL_RADII)
    by_edges, _ = pooling_masks(32, 32, MODEL_RADII, pooling["angle_bins"])
    np.testing.assert_array_equal(by_number, by_edges)
    np.testing.assert_array_equal(by_number, arrays["weight/pooling_masks"])


def _members(height, width, radii, angles, i):
    """The pixels of every angle of one ring, (row, column) each."""
    members = [[] for _ in angles[1:]]
    for row in range(height):
        for column in range(width):
            x, y = column - width // 2, height // 2 - row
            radius = np.float32(math.hypot(x, y))
            angle = np.float32(math.atan2(y, x) % (2 * math.pi))
            if x == y > 0:  # an edge at 45 degrees is just beyond the diagonal
                angle = np.float32(0.7853981)
            if np.float32(radii[i]) <= radius < np.float32(radii[i + 1]):
                for j, member in enumerate(members):
                    if np.float32(angles[j]) <= angle < np.float32(angles[j + 1]):
                        member.append((row, column))
    return members


def _naive_map(image, radii, angles, interpolation):
    """The mean over every mask by loops over rings, angles and pixels."""
    batch, height, width, channels = image.shape
    sectors = len(angles) - 1
    polar_map = np.zeros((batch, len(radii) - 1, sectors, channels))
    for i in range(len(radii) - 1):
        members = _members(height, width, radii, angles, i)
        filled = [member for member in members if member]
        stays = interpolation is None or radii[i] > min(height // 2, width // 2)
        step = float(np.float32(len(filled) / sectors))
        for j in range(sectors):
            if stays:
                mixture = [(1.0, members[j])]
            elif interpolation == "nearest":
                mixture = [(1.0, filled[math.floor(j * len(filled) / sectors)])]
            else:
                # The position is rounded once to float32, the masks and counts to float16.
                position = np.float32(min(max(step * (j + 0.5) - 0.5, 0), len(filled) - 1))
                before, share = int(position), float(position) % 1
                mixture = [(1 - share, filled[before])]
                if share > 0:
                    mixture.append((share, filled[before + 1]))
            count = np.float16(sum(share * len(member) for share, member in mixture) or 1)
            for share, member in mixture:
                for row, column in member:
                    polar_map[:, i, j] += float(np.float16(share)) * image[:, row, column]
            polar_map[:, i, j] /= float(count)
    return polar_map


def _naive_resize(polar_map, output_size, antialias):
    """The resize of the padded map, one output pixel after the other."""
    padded = np.concatenate([polar_map[:, :, 1:2], polar_map, polar_map[:, :, -2:-1]], axis=2)
    batch, rows, columns, channels = padded.shape
    output = np.zeros((batch, *output_size, channels))

    def triangle(index, position, size, new_size):
        reach = max(size / new_size, 1) if antialias else 1
        return max(0, 1 - abs(index + 0.5 - (position + 0.5) * size / new_size) / reach)

    for row in range(output_size[0]):
        for column in range(output_size[1]):
            total = 0
            for i in range(rows):
                for j in range(columns):
                    weight = triangle(i, row, rows, output_size[0])
                    weight *= triangle(j, column, columns, output_size[1])
                    output[:, row, column] += weight * padded[:, i, j]
                    total += weight
            output[:, row, column] /= total
    return output


UNEVEN = [0, 0.3, 1.0, 1.1, 2.5, 4.0, 5.5, 6.28]


@pytest.mark.parametrize("interpolation", ["linear", "nearest", None])
@pytest.mark.parametrize(
    ("image_size", "radii", "angles", "output_size"),
    [
        ((8, 8), [0, 1, 2, 4, 6], 8, (3, 5)),
        ((7, 11), [0, 1.4, 2, 3, 4.5], 7, (6, 12)),
        ((12, 9), [1, 2, 3.3, 5, 7], UNEVEN, (4, 9)),
        ((5, 6), [0.5, 1.2, 3], [1, 2, 4.5], (2, 3)),
    ],
)
def test_equals_the_equation_in_float64(image_size, radii, angles, output_size, interpolation):
    image = np.random.default_rng(1).standard_normal((2, *image_size, 3))
    edges = np.linspace(0, 2 * np.pi, angles + 1) if isinstance(angles, int) else angles
    polar_map = _naive_map(image, radii, edges, interpolation)

    def layer(size, antialias=True):
        return PolarTransform(size, radii, angles, interpolation, antialias, dtype="float64")

    assert relative_error(layer(None)(image), polar_map) < 1e-10
    for antialias in (True, False):
        expected = _naive_resize(polar_map, output_size, antialias)
        assert relative_error(layer(output_size, antialias)(image), expected) < 1e-10


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("output_size", [(16, 16), (5, 7), (18, 32), (40, 33)])
def test_resizes_as_keras_does(output_size, antialias):
    image = keras.random.normal((2, 32, 32, 3), seed=1)
    polar_map = PolarTransform(None, MODEL_RADII)(image)
    padded = keras.ops.pad(polar_map, [(0, 0), (0, 0), (1, 1), (0, 0)], mode="reflect")
    expected = keras.ops.image.resize(padded, output_size, "bilinear", antialias=antialias)
    output = PolarTransform(output_size, MODEL_RADII, antialias=antialias)(image)
    assert relative_error(output, expected) < 1e-5


def test_rotating_the_image_shifts_the_map():
    # An odd size, whose centre is a pixel; that one is left out, as it belongs to one angle.
    layer = PolarTransform(None, [1, 2.5, 4, 6, 7.5, 9], angle_bins=12, interpolation=None)
    image = np.random.default_rng(1).standard_normal((2, 15, 15, 3)).astype("float32")
    polar_map = np.asarray(layer(image))
    turned = np.asarray(layer(np.rot90(image, axes=(1, 2))))
    np.testing.assert_allclose(turned, np.roll(polar_map, 3, axis=2), rtol=1e-5, atol=1e-6)
    assert relative_error(turned, polar_map) > 0.1


def test_the_fovea_gets_more_of_the_output_than_of_the_image():
    layer = PolarTransform(16, MODEL_RADII)
    image = np.zeros((1, 32, 32, 1), "float32")
    image[:, 8:24, 8:24] = 1
    assert image.mean() == 0.25
    assert np.mean(layer(image)) > 0.4


@pytest.mark.parametrize("output_size", [(6, 5), None])
def test_passes_the_checks_of_every_layer(tmp_path, output_size):
    def make():
        return PolarTransform(output_size, [0, 1, 2, 4], angle_bins=12)

    check_layer(make, [(8, 8, 3), (9, 7, 2), (16, 16, 1)], trainable=0, tmp_path=tmp_path)


def test_shapes_are_known_before_the_layer_is_built():
    layer = PolarTransform((6, 5), [0, 1, 2, 4], angle_bins=12)
    assert layer.compute_output_shape((None, 8, 8, 3)) == (None, 6, 5, 3)
    assert not layer.built
    assert PolarTransform(4, [0, 1, 2]).compute_output_shape((2, 8, 8, 3)) == (2, 4, 4, 3)
    assert PolarTransform(None, [0, 1, 2]).compute_output_shape((2, 8, 8, 3)) == (2, 2, 30, 3)


def test_the_configuration_is_plain():
    layer = PolarTransform((6, 5), np.array([0, 1, 2.5]), np.linspace(0, 3, 4), None, False)
    config = layer.get_config()
    assert json.loads(json.dumps(config)) == config
    assert config["output_size"] == [6, 5]
    assert config["radius_bins"] == [0.0, 1.0, 2.5]
    assert config["angle_bins"] == [0.0, 1.0, 2.0, 3.0]
    assert (config["interpolation"], config["antialias"]) == (None, False)
    config = PolarTransform(None, [0, 1]).get_config()
    assert (config["output_size"], config["angle_bins"]) == (None, 30)


def test_the_matrix_is_made_anew_from_a_saved_model(tmp_path):
    layer = PolarTransform(16, MODEL_RADII, name="polar")
    model = keras.Sequential([keras.Input((32, 32, 2)), layer])
    assert model.weights == []
    model.save(tmp_path / "model.keras")
    reloaded = keras.saving.load_model(tmp_path / "model.keras").get_layer("polar")
    assert reloaded.weights == []
    assert reloaded.get_config() == layer.get_config()
    np.testing.assert_array_equal(reloaded._factors, layer._factors)


def test_built_inside_a_graph_it_works_outside():
    layer = PolarTransform(4, [0, 1, 2, 4], angle_bins=12)
    image = keras.random.normal((2, 8, 8, 3), seed=1)
    inside = tf.function(layer, jit_compile=False)(image)
    np.testing.assert_allclose(layer(image), inside, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        tf.function(layer, jit_compile=True)(image), inside, rtol=1e-5, atol=1e-6
    )


def test_the_number_of_channels_may_be_unknown():
    layer = PolarTransform(4, [0, 1, 2, 4], angle_bins=12)
    model = keras.Sequential([keras.Input((8, 8, None)), layer])
    assert model.output_shape == (None, 4, 4, None)
    assert model.predict(np.ones((2, 8, 8, 5)), verbose=0).shape == (2, 4, 4, 5)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_rounds_the_output_only(policy):
    layer = PolarTransform(16, MODEL_RADII, dtype=policy)
    image = tf.cast(keras.random.normal((2, 32, 32, 3), seed=1), layer.compute_dtype)
    output = layer(image)
    assert output.dtype == layer.compute_dtype
    expected = PolarTransform(16, MODEL_RADII)(tf.cast(image, "float32"))
    np.testing.assert_array_equal(output, tf.cast(expected, output.dtype))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_size": 0}, r"Expected `output_size` .*received 0: give"),
        ({"output_size": (4, -1)}, r"Expected `output_size` .*received \(4, -1\)"),
        ({"output_size": (4, 4, 4)}, "Expected `output_size` to be a positive int, two of them"),
        ({"output_size": 4.0}, r"Expected `output_size` .*received 4\.0"),
        ({"radius_bins": [1]}, r"Expected `radius_bins` .*two or more .*received \[1\]"),
        ({"radius_bins": [0, 2, 2]}, r"Expected `radius_bins` .*increasing edges of 0 pixels"),
        ({"radius_bins": [-1, 2]}, r"Expected `radius_bins` .*received \[-1, 2\]"),
        ({"radius_bins": [0, math.inf]}, "Expected `radius_bins`"),
        ({"radius_bins": 3}, "Expected `radius_bins`"),
        ({"angle_bins": 0}, "Expected `angle_bins` to be a positive number of angles"),
        ({"angle_bins": 2.5}, r"Expected `angle_bins` .*received 2\.5"),
        ({"angle_bins": [0, 3, 2]}, r"Expected `angle_bins` .*within 0 and 2 pi radians"),
        ({"angle_bins": [0, 3, 6.3]}, r"Expected `angle_bins` .*within 0 and 2 pi radians"),
        ({"angle_bins": [-1, 3]}, r"Expected `angle_bins` .*within 0 and 2 pi radians"),
        ({"angle_bins": 1}, "Expected at least two angles in `angle_bins`.*received 1:"),
        ({"interpolation": "cubic"}, "Expected `interpolation` .*received 'cubic'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        PolarTransform(**{"output_size": 4, "radius_bins": [0, 1, 2], **arguments})


def test_angles_up_to_two_pi_of_float32_are_taken():
    edges = np.linspace(0, 2 * np.pi, 5).astype("float32")
    assert PolarTransform(None, [0, 1, 2], edges).angle_bins == tuple(edges.tolist())
    assert PolarTransform(None, [0, 1, 2], angle_bins=1)(np.ones((1, 4, 4, 1))).shape == (
        1,
        2,
        1,
        1,
    )


def test_a_map_of_rings_alone_needs_no_angles():
    layer = PolarTransform(None, [0, 1, 2], angle_bins=1)
    image = np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    np.testing.assert_array_equal(np.asarray(layer(image)).ravel(), [4, 4])


@pytest.mark.parametrize("interpolation", ["linear", "nearest", None])
def test_rings_outside_the_image_are_refused(interpolation):
    layer = PolarTransform(4, [0, 5, 6, 9], interpolation=interpolation)
    message = (
        "every ring to hold a pixel, received one from 6 to 9 pixels, which holds none of an image "
        r"of 8 x 8, whose farthest pixel is 5\.66 from the centre: give"
    )
    with pytest.raises(InputError, match=message):
        layer(np.zeros((1, 8, 8, 3)))


def test_a_ring_without_pixels_cannot_be_filled_and_is_0_where_it_is_not():
    radii = [0, 0.2, 0.9, 4]
    for interpolation in ("linear", "nearest"):
        with pytest.raises(InputError, match=r"one from 0\.2 to 0\.9 pixels, which holds none"):
            pooling_masks(8, 8, radii, interpolation=interpolation)
    layer = PolarTransform(None, radii, interpolation=None)
    assert not np.any(layer(np.ones((1, 8, 8, 1)))[:, 1])


def test_a_large_map_is_kept_in_two_factors():
    """Their product, for 112 x 112 responses of a stem, would hold 39 million numbers."""
    layer = PolarTransform(56, [3.5 * edge for edge in MODEL_RADII])
    layer.build((None, 112, 112, 1))
    assert [factor.shape for factor in layer._factors] == [(540, 112 * 112), (56 * 56, 540)]
    small = PolarTransform(16, MODEL_RADII)
    small.build((None, 32, 32, 1))
    assert [factor.shape for factor in small._factors] == [(256, 1024)]


def test_a_bin_of_more_pixels_than_float16_counts_is_refused():
    with pytest.raises(InputError, match="at most 65504 pixels per polar bin"):
        pooling_masks(300, 300, [0, 300], angle_bins=1)


def test_sizes_that_are_unknown_or_change_are_refused():
    with pytest.raises(InputError, match=r"known height and width, received .*\(None, None, 8, 3"):
        PolarTransform(4, [0, 1, 2])(keras.Input((None, 8, 3)))
    layer = PolarTransform(4, [0, 1, 2])
    layer(np.zeros((1, 8, 8, 3)))
    with pytest.raises(InputError, match=r"Expected images of 8 x 8 pixels.*\(1, 8, 6, 3\)"):
        layer(np.zeros((1, 8, 6, 3)))
