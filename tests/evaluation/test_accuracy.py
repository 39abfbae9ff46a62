from __future__ import annotations

import csv
import json

import keras
import numpy as np
import pytest

import tfbio
from tfbio.errors import InputError
from tfbio.evaluation import AccuracyOverTime, AccuracyTable, rank_and_loss


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return tfbio.create_model(
        "bl_rcnn",
        input_shape=(32, 32, 3),
        classes=9,
        width=1 / 16,
        timesteps=3,
        return_sequences=True,
    )


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (10, 32, 32, 3)).astype("float32"), rng.integers(0, 9, 10)


def _batches(images, labels, size):
    return [(images[i : i + size], labels[i : i + size]) for i in range(0, len(images), size)]


def test_agrees_with_keras_metrics(model, data):
    images, labels = data
    table = AccuracyOverTime(model)(_batches(images, labels, 4))
    probabilities = np.asarray(model(images, training=False))
    for t in range(3):
        top1 = keras.metrics.SparseTopKCategoricalAccuracy(k=1)
        top5 = keras.metrics.SparseTopKCategoricalAccuracy(k=5)
        top1.update_state(labels, probabilities[:, t])
        top5.update_state(labels, probabilities[:, t])
        assert table.top1[t] == pytest.approx(float(top1.result()), abs=1e-6)
        assert table.top5[t] == pytest.approx(float(top5.result()), abs=1e-6)
        loss = keras.losses.SparseCategoricalCrossentropy()(labels, probabilities[:, t])
        assert table.loss[t] == pytest.approx(float(loss), rel=1e-4)
    np.testing.assert_array_equal(table.predictions, np.argmax(probabilities, axis=-1))
    np.testing.assert_array_equal(table.labels, labels)
    assert table.images == 10


def test_batch_size_does_not_matter(model, data):
    measure = AccuracyOverTime(model)
    one, all_at_once = (measure(_batches(*data, size)) for size in (1, 10))
    np.testing.assert_array_equal(one.top1, all_at_once.top1)
    np.testing.assert_allclose(one.loss, all_at_once.loss, rtol=1e-5)


def test_rank_and_loss_equal_loops():
    rng = np.random.default_rng(1)
    logits = rng.integers(-3, 4, (6, 2, 8)).astype("float64")  # integers: many ties
    labels = rng.integers(0, 8, 6)
    rank, loss = rank_and_loss(logits, labels)
    for i in range(6):
        for t in range(2):
            order = sorted(range(8), key=lambda k: (-logits[i, t, k], k))
            assert rank[i, t] == order.index(labels[i])
            assert (rank[i, t] == 0) == (np.argmax(logits[i, t]) == labels[i])
            partition = sum(np.exp(value) for value in logits[i, t])
            expected = np.log(partition) - logits[i, t, labels[i]]
            assert loss[i, t] == pytest.approx(expected, rel=1e-12)


def test_a_constant_output_is_not_always_right():
    rank, _ = rank_and_loss(np.zeros((16, 1, 16)), np.arange(16))
    assert np.mean(rank == 0) == 1 / 16


def test_a_loss_of_huge_logits_is_finite():
    _, loss = rank_and_loss(np.array([[[1e4, 0.0]]]), np.array([1]))
    assert loss.item() == pytest.approx(1e4)


def test_unreadable_images_count_as_wrong(model, data):
    measure = AccuracyOverTime(model)
    labels = np.argmax(np.asarray(model(data[0]))[:, -1], axis=-1)
    table = measure(_batches(data[0], labels, 10), unreadable=10)
    assert table.top1[-1] == 0.5
    assert table.images == 20


def test_models_without_time_have_one_step(data):
    model = tfbio.create_model("b_cnn", input_shape=(32, 32, 3), classes=9, width=1 / 16)
    assert AccuracyOverTime(model)(_batches(*data, 5)).top1.shape == (1,)


def test_results_are_written_whole(model, data, tmp_path):
    table = AccuracyOverTime(model)(_batches(*data, 5), unreadable=2)
    folder = tmp_path / "new" / "folder"
    files = table.write(folder, {"model": "bl_rcnn", "dataset": "noise"})
    assert files == ["results.json", "results.csv", "accuracy_over_time.png"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)
    results = json.loads((folder / "results.json").read_text())
    assert list(results) == ["model", "dataset", "images", "unreadable_images", "time_steps"]
    assert results["images"] == 12
    assert results["unreadable_images"] == 2
    assert results["time_steps"] == table.rows()
    with (folder / "results.csv").open() as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    assert rows == table.rows()
    assert (folder / "accuracy_over_time.png").read_bytes().startswith(b"\x89PNG")


def test_five_classes_have_no_top5_to_speak_of(model, data):
    """Among five classes every answer is one of the first five."""
    half, loss = np.array([0.5, 0.25]), np.array([1.0, 2.0])
    predictions, labels = np.zeros((4, 2)), np.zeros(4)

    def table(classes):
        return AccuracyTable(half, half, loss, predictions, labels, 4, classes)

    assert (
        str(table(5))
        == """\
time step    top-1    loss
        0   50.0 %   1.000
        1   25.0 %   2.000
4 of 8 images could not be read and count as wrong."""
    )
    assert str(table(6)).startswith("time step    top-1    top-5    loss\n")
    # The files keep it: their columns do not depend on the data set.
    assert table(5).rows()[0]["top5"] == 0.5
    assert [len(table(n).plot().axes[0].lines) for n in (5, 6)] == [1, 2]
    # Measured, the number is known.
    assert AccuracyOverTime(model)(_batches(*data, 5)).classes == 9


def test_the_legend_covers_no_point(model, data):
    figure = AccuracyOverTime(model)(_batches(*data, 5)).plot()
    figure.draw_without_rendering()
    (legend,) = figure.legends
    panel = figure.axes[0].get_tightbbox()
    assert legend.get_window_extent().y1 <= panel.y0 + 1


def test_what_cannot_be_measured_is_named(model, data):
    images, labels = data
    measure = AccuracyOverTime(model)
    with pytest.raises(InputError, match="at least one image to evaluate on"):
        measure([])
    with pytest.raises(InputError, match=r"Expected labels from 0 to 8, .* received -1 to -1"):
        measure([(images, np.full(10, -1))])
    # The last test of the module: the model that all share is damaged here.
    model.get_layer("ReadoutDense").bias.assign([np.nan] * 9)
    with pytest.raises(InputError, match="is not finite: its weights are damaged"):
        measure([(images, labels)])
