from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfbio.datasets.corruptions import CORRUPTION_GROUPS, CORRUPTIONS
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation import (
    AccuracyTable,
    CorruptionOptions,
    CorruptionRobustness,
    RobustnessTable,
    alexnet_errors,
)

CLASSES = 8


class Counted(keras.layers.Layer):
    """Gives its inputs and counts how often it is asked, which in a graph is once a trace."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs


@pytest.fixture(scope="module")
def model():
    """The brightest of eight channels is the class, at the first of two steps the darkest."""
    inputs = keras.Input((2, 2, CLASSES))
    means = keras.layers.GlobalAveragePooling2D()(Counted(name="counted")(inputs))
    readouts = keras.ops.stack([-means, means], axis=1)
    outputs = keras.layers.Activation("softmax", name="predictions")(readouts)
    return keras.Model(inputs, outputs, name="brightest")


def _images(labels):
    """Images that the model is right on at its last step, and wrong at the first."""
    return np.eye(CLASSES, dtype="float32")[labels][:, None, None] * np.ones((1, 2, 2, 1), "f4")


def _batches(images, labels, size=4):
    return [(images[i : i + size], labels[i : i + size]) for i in range(0, len(images), size)]


def _random_set(seed, number):
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 1, (number, 2, 2, CLASSES)).astype("float32")
    return images, rng.integers(0, CLASSES, number)


def _table(top1, corruptions=CORRUPTIONS, severities=(1, 2, 3, 4, 5), clean=None):
    top1 = np.asarray(top1, float)
    images = np.where(np.isnan(top1[..., 0]), 0, 10)
    if clean is not None:
        clean = np.atleast_1d(clean)
        clean = AccuracyTable(clean, clean, clean, np.zeros((10, len(clean))), np.zeros(10))
    return RobustnessTable(
        tuple(corruptions), severities, top1, top1, 1 - top1, images, 0 * images, clean
    )


# === Measuring ===


def test_values_equal_loops_over_images(model):
    sizes = {("contrast", 4): 5, ("fog", 2): 9, ("fog", 4): 4, ("shot_noise", 2): 7}
    data = {key: _random_set(seed, size) for seed, (key, size) in enumerate(sizes.items())}
    sets = [
        (*key, lambda images=images, labels=labels: _batches(images, labels), 0)
        for key, (images, labels) in data.items()
    ]
    table = CorruptionRobustness(model)(sets)
    # In ImageNet-C's order, which is not the order of the sets.
    assert table.corruptions == ("shot_noise", "fog", "contrast")
    assert table.severities == (2, 4)
    for c, corruption in enumerate(table.corruptions):
        for s, severity in enumerate(table.severities):
            if (corruption, severity) not in data:
                assert table.images[c, s] == 0
                for values in (table.top1, table.top5, table.loss):
                    assert np.isnan(values[c, s]).all()
                continue
            images, labels = data[corruption, severity]
            for t, sign in enumerate((-1, 1)):
                right = among_five = loss = 0
                for image, label in zip(images.astype("float64"), labels, strict=True):
                    logits = sign * image.mean(axis=(0, 1))
                    order = np.argsort(-logits)
                    right += order[0] == label
                    among_five += label in order[:5]
                    loss += np.log(np.exp(logits).sum()) - logits[label]
                assert table.top1[c, s, t] == right / len(labels)
                assert table.top5[c, s, t] == among_five / len(labels)
                assert table.loss[c, s, t] == pytest.approx(loss / len(labels), rel=1e-5)
            assert table.images[c, s] == len(labels)


def test_a_model_is_right_on_what_it_knows_and_unreadable_images_count_as_wrong(model):
    labels = np.arange(CLASSES)
    images = _images(labels)
    sets = [
        ("snow", 1, lambda: _batches(images, labels), 0),
        ("snow", 2, lambda: _batches(images, labels), CLASSES),
        ("snow", 3, lambda: _batches(images, (labels + 1) % CLASSES), 2),
    ]
    clean = _batches(images, labels)
    table = CorruptionRobustness(model)(sets, clean, clean_unreadable=24)
    np.testing.assert_array_equal(table.top1[0, :, 1], [1, 0.5, 0])
    np.testing.assert_array_equal(table.error[0, :, 1], [0, 0.5, 1])
    np.testing.assert_array_equal(table.images, [[8, 16, 10]])
    np.testing.assert_array_equal(table.unreadable, [[0, 8, 2]])
    np.testing.assert_array_equal(table.top1[0, :2, 0], [0, 0])  # the third has ties
    assert table.clean.top1[1] == 0.25
    assert table.clean.images == 32


def test_the_model_is_compiled_once_for_all_sets(model):
    def batches(seed):
        return lambda: tf.data.Dataset.from_tensor_slices(_random_set(seed, 5 + seed)).batch(4)

    counted = model.get_layer("counted")
    measure = CorruptionRobustness(model)
    before = counted.calls
    sets = [(name, 1, batches(seed), 0) for seed, name in enumerate(CORRUPTIONS)]
    assert measure(sets, clean=batches(20)()).top1.shape == (15, 1, 2)
    assert measure(sets).top1.shape == (15, 1, 2)
    assert counted.calls == before + 1


def test_the_next_set_begins_while_one_is_measured_and_no_other(model):
    images, labels = _images([0, 1, 2, 3]), np.arange(4)
    begun = {severity: threading.Event() for severity in (1, 2, 3)}
    seen = []

    def batches(severity):
        def make():
            begun[severity].set()
            yield images, labels
            if severity < 3:
                seen.append(begun[severity + 1].wait(timeout=20))
            if severity == 1:
                seen.append(begun[3].is_set())
            yield images, labels

        return make

    CorruptionRobustness(model)(("fog", s, batches(s), 0) for s in (1, 2, 3))
    assert seen == [True, False, True]


def test_progress_counts_every_image(model):
    data = _random_set(0, 10)
    counts = []
    sets = [("fog", severity, lambda: _batches(*data), 0) for severity in (1, 2)]
    CorruptionRobustness(model)(sets, clean=_batches(*data), progress=counts.append)
    assert counts == [4, 4, 2] * 3


# === Means ===


def test_means_equal_loops():
    rng = np.random.default_rng(0)
    top1 = rng.uniform(0, 1, (15, 5, 3))
    table = _table(top1)
    for t in range(3):
        total = sum(top1[c, s, t] for c in range(15) for s in range(5))
        assert table.mean_top1[t] == pytest.approx(total / 75, rel=1e-12)
        for c in range(15):
            mean = sum(top1[c, s, t] for s in range(5)) / 5
            assert table.corruption_top1[c, t] == pytest.approx(mean, rel=1e-12)
        for group, members in CORRUPTION_GROUPS.items():
            cells = [top1[CORRUPTIONS.index(name), s, t] for name in members for s in range(5)]
            mean = sum(cells) / len(cells)
            assert table.group_top1[group][t] == pytest.approx(mean, rel=1e-12)
    assert list(table.groups) == ["noise", "blur", "weather", "digital"]
    assert sum(table.groups.values(), ()) == CORRUPTIONS


def test_a_mean_that_lacks_a_figure_is_none():
    top1 = np.full((3, 2, 1), 0.5)
    top1[0, 1] = np.nan
    table = _table(top1, ("shot_noise", "snow", "fog"), (1, 3))
    np.testing.assert_array_equal(table.corruption_top1[:, 0], [np.nan, 0.5, 0.5])
    np.testing.assert_array_equal(table.mean_top1, [np.nan])
    assert table.groups == {"noise": ("shot_noise",), "weather": ("snow", "fog")}
    assert np.isnan(table.group_top1["noise"]).all()
    assert table.group_top1["weather"] == 0.5
    assert len(table.rows()) == 5


def test_rows_have_what_was_measured():
    table = _table([[[0.5, 0.75]]], ("fog",), (3,))
    first = {"corruption": "fog", "severity": 3, "time_step": 0, "images": 10}
    assert table.rows() == [
        {**first, "top1": 0.5, "top5": 0.5, "loss": 0.5},
        {**first, "time_step": 1, "top1": 0.75, "top5": 0.75, "loss": 0.25},
    ]


# === Corruption error ===


def test_corruption_errors_by_hand():
    # Errors of fog are 0.1 to 0.5, in all 1.5; of contrast 0.6 each, in all 3.
    top1 = [[[0.9], [0.8], [0.7], [0.6], [0.5]], [[0.4]] * 5]
    table = _table(top1, ("fog", "contrast"), clean=0.9)
    reference = {"fog": 0.5, "contrast": 0.8, "clean": 0.4}  # in all 2.5 and 4
    np.testing.assert_allclose(table.corruption_error(reference), [[0.6], [0.75]], rtol=1e-12)
    # (1.5 - 5 x 0.1) / (2.5 - 5 x 0.4) and (3 - 0.5) / (4 - 2)
    np.testing.assert_allclose(
        table.relative_corruption_error(reference), [[2.0], [1.25]], rtol=1e-12
    )


def test_mean_corruption_errors_by_hand():
    top1 = np.broadcast_to(np.array([0.9, 0.8, 0.7, 0.6, 0.5])[None, :, None], (15, 5, 1))
    table = _table(top1, clean=0.9)
    # CE is 0.5 seven times and 1 eight times; relative CE 0.5 and 2.
    reference = {name: 0.6 if i < 7 else 0.3 for i, name in enumerate(CORRUPTIONS)}
    reference["clean"] = 0.2
    assert table.mean_corruption_error(reference)[0] == pytest.approx(11.5 / 15, rel=1e-12)
    assert table.mean_relative_corruption_error(reference)[0] == pytest.approx(19.5 / 15, rel=1e-12)


def test_alexnet_against_itself_has_an_error_of_one():
    errors = alexnet_errors()
    assert set(errors) == {*CORRUPTIONS, "clean"}
    top1 = [[[1 - errors[name]]] * 5 for name in CORRUPTIONS]
    table = _table(top1, clean=1 - errors["clean"])
    np.testing.assert_allclose(table.corruption_error(errors), 1, rtol=1e-12)
    np.testing.assert_allclose(table.mean_corruption_error(errors), 1, rtol=1e-12)
    np.testing.assert_allclose(table.mean_relative_corruption_error(errors), 1, rtol=1e-12)


def test_corruption_errors_ask_for_everything():
    errors = alexnet_errors()
    four = _table(np.full((15, 4, 2), 0.5), severities=(1, 2, 3, 4), clean=[0.9, 0.9])
    assert np.isnan(four.corruption_error(errors)).all()
    assert np.isnan(four.relative_corruption_error(errors)).all()
    fourteen = _table(np.full((14, 5, 2), 0.5), CORRUPTIONS[1:])
    assert np.isfinite(fourteen.corruption_error(errors)).all()
    assert np.isnan(fourteen.relative_corruption_error(errors)).all()  # no clean images
    assert np.isnan(fourteen.mean_corruption_error(errors)).all()
    top1 = np.full((15, 5, 2), 0.5)
    top1[3, 2] = np.nan
    hole = _table(top1)
    assert np.isnan(hole.corruption_error(errors)[:, 0]).tolist() == [c == 3 for c in range(15)]
    assert np.isnan(hole.mean_corruption_error(errors)).all()


def test_a_corruption_that_adds_nothing_to_the_references_error_has_no_relative_error():
    table = _table([[[0.5]] * 5] * 2, ("snow", "fog"), clean=0.9)
    relative = table.relative_corruption_error({"snow": 0.3, "fog": 0.5, "clean": 0.3})
    assert np.isnan(relative[0, 0])
    assert relative[1, 0] == pytest.approx(2)


# === Mistakes ===


def test_what_cannot_be_measured_is_named(model):
    data = _random_set(0, 4)
    measure = CorruptionRobustness(model)

    def sets(*keys):
        return [(*key, lambda: _batches(*data), 0) for key in keys]

    with pytest.raises(InputError, match="at least one set of corrupted images"):
        measure([])
    with pytest.raises(UnknownNameError, match=r"Unknown corruption 'fogs'\. Nearest: fog"):
        measure(sets(("fogs", 1)))
    with pytest.raises(InputError, match="severity from 1 to 5, received 6 for fog"):
        measure(sets(("fog", 6)))
    with pytest.raises(InputError, match="received fog at severity 2 twice"):
        measure(sets(("fog", 2), ("fog", 1), ("fog", 2)))
    with pytest.raises(InputError, match=r"^snow at severity 4: Expected at least one image"):
        measure([*sets(("fog", 2)), ("snow", 4, list, 3)])
    with pytest.raises(InputError, match=r"^Clean images: Expected labels from 0 to 7"):
        measure(sets(("fog", 2)), clean=[(data[0], np.full(4, 8))])


def test_what_fails_in_the_background_fails_here(model):
    def broken():
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        CorruptionRobustness(model)([("fog", 1, broken, 0)])


def test_a_reference_is_of_fractions_and_whole():
    table = _table([[[0.5]] * 5], ("fog",), clean=0.9)
    with pytest.raises(InputError, match=r"reference's error of 'fog' .* received none"):
        table.corruption_error({"snow": 0.5})
    with pytest.raises(InputError, match=r"of 'fog' as a fraction above 0, received 81\.9"):
        table.corruption_error({"fog": 81.9})
    with pytest.raises(InputError, match=r"reference's error of 'clean' .* received none"):
        table.relative_corruption_error({"fog": 0.8})


def test_options_are_checked_when_made():
    assert CorruptionOptions(["fog", "snow"], [5, 1]) == CorruptionOptions(("fog", "snow"), (5, 1))
    assert CorruptionOptions([], []) == CorruptionOptions()
    with pytest.raises(UnknownNameError, match=r"Unknown corruption 'fogg'\. Nearest: fog"):
        CorruptionOptions(["fogg"])
    with pytest.raises(InputError, match=r"Expected severities from 1 to 5, received 6"):
        CorruptionOptions(severities=[1, 6])
