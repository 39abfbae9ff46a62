from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from tfbio.datasets.corruptions import CORRUPTIONS
from tfbio.evaluation import AccuracyTable, RobustnessTable

FACTS = {"model": "brightest", "dataset": "shapes_c"}


def _clean(*top1):
    values = np.array(top1)
    return AccuracyTable(values, values, values, np.zeros((9, len(top1))), np.zeros(9), 1)


@pytest.fixture
def whole():
    """Accuracy falls by a tenth a severity from 0.9; three corruptions are worse by 0.3."""
    top1 = np.array([0.9, 0.8, 0.7, 0.6, 0.5])[None, :, None] * np.ones((15, 1, 1))
    top1[:3] -= 0.3
    images = np.full((15, 5), 40)
    return RobustnessTable(
        CORRUPTIONS, (1, 2, 3, 4, 5), top1, top1, 1 - top1, images, images // 20, _clean(0.95)
    )


@pytest.fixture
def part():
    """Two corruptions, two severities, two time steps; one set is missing."""
    top1 = np.array([[[0.1, 0.5], [np.nan, np.nan]], [[0.2, 0.75], [0.3, 0.25]]])
    images = np.array([[10, 0], [10, 20]])
    return RobustnessTable(
        ("shot_noise", "fog"), (2, 5), top1, top1 / 2, 1 - top1, images, 0 * images
    )


def test_the_whole_table(whole):
    # Errors are 0.3 and, of the noises, 0.6: CE 0.5 and 1, relative CE 0.25 / 0.5 and 0.55 / 0.5.
    reference = dict.fromkeys(CORRUPTIONS, 0.6) | {"clean": 0.1}
    assert (
        replace(whole, reference=reference).format()
        == """\
top-1 accuracy in % by severity
                       1      2      3      4      5   mean     CE  relative CE
gaussian_noise      60.0   50.0   40.0   30.0   20.0   40.0  100.0        110.0
shot_noise          60.0   50.0   40.0   30.0   20.0   40.0  100.0        110.0
impulse_noise       60.0   50.0   40.0   30.0   20.0   40.0  100.0        110.0
defocus_blur        90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
glass_blur          90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
motion_blur         90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
zoom_blur           90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
snow                90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
frost               90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
fog                 90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
brightness          90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
contrast            90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
elastic_transform   90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
pixelate            90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
jpeg_compression    90.0   80.0   70.0   60.0   50.0   70.0   50.0         50.0
mean of noise       60.0   50.0   40.0   30.0   20.0   40.0
mean of blur        90.0   80.0   70.0   60.0   50.0   70.0
mean of weather     90.0   80.0   70.0   60.0   50.0   70.0
mean of digital     90.0   80.0   70.0   60.0   50.0   70.0
mean of all         84.0   74.0   64.0   54.0   44.0   64.0
clean                                                  95.0
mCE 60.0 %, relative mCE 62.0 %
150 of 3000 images could not be read and count as wrong."""
    )


def test_a_part_says_of_what_its_means_are(part):
    assert (
        replace(part, reference={"shot_noise": 0.5, "fog": 0.5}).format()
        == """\
top-1 accuracy in % by severity, at the last of 2 time steps
                              2      5   mean     CE
shot_noise                 50.0      -      -      -
fog                        75.0   25.0   50.0      -
mean of noise (1 of 3)     50.0      -      -
mean of weather (1 of 4)   75.0   25.0   50.0
mean of all (2 of 15)      62.5      -      -
mCE needs all corruptions at all severities
The sets differ in their number of images, 10 to 20; means give every set the same weight."""
    )


def test_without_a_reference_there_is_no_corruption_error(whole):
    text = str(whole)
    assert "CE" not in text
    assert "\nclean                                                  95.0\n" in text


def test_files_hold_every_figure(whole, tmp_path):
    folder = tmp_path / "new" / "folder"
    reference = dict.fromkeys(CORRUPTIONS, 0.6) | {"clean": 0.1}
    files = replace(whole, reference=reference).write(folder, FACTS)
    csv_files = ["results.csv", "corruption_table.csv"]
    assert files == ["results.json", *csv_files, "corruption_robustness.png"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)
    results = json.loads((folder / "results.json").read_text())
    assert list(results) == [
        "model",
        "dataset",
        "images",
        "unreadable_images",
        "corruptions",
        "severities",
        "mean_top1",
        "group_top1",
        "corruption_top1",
        "sets",
        "clean",
        "mean_corruption_error",
        "corruption_error",
        "mean_relative_corruption_error",
        "relative_corruption_error",
    ]
    assert results["model"] == "brightest"
    assert results["images"] == 75 * 40
    assert results["unreadable_images"] == 75 * 2
    assert results["sets"] == whole.rows()
    assert results["mean_top1"] == pytest.approx([0.64])
    assert results["group_top1"]["noise"] == pytest.approx([0.4])
    assert results["corruption_top1"]["fog"] == pytest.approx([0.7])
    assert results["clean"]["images"] == 10
    assert results["clean"]["unreadable_images"] == 1
    assert results["clean"]["time_steps"][0]["top1"] == 0.95
    assert results["mean_corruption_error"] == pytest.approx([0.6])
    assert results["corruption_error"]["shot_noise"] == pytest.approx([1.0])
    assert results["mean_relative_corruption_error"] == pytest.approx([0.62])
    assert results["relative_corruption_error"]["snow"] == pytest.approx([0.5])
    assert (folder / "corruption_robustness.png").read_bytes().startswith(b"\x89PNG")


def test_tables_have_every_time_step_and_the_originals_the_last(part, tmp_path):
    part.write(tmp_path, FACTS)
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [{**row, "top1": float(row["top1"])} for row in rows[:2]] == [
        {
            "corruption": "shot_noise",
            "severity": "2",
            "time_step": str(t),
            "top1": top1,
            "top5": str(top1 / 2),
            "loss": str(1 - top1),
            "images": "10",
        }
        for t, top1 in enumerate((0.1, 0.5))
    ]
    assert len(rows) == 6  # three sets of two steps
    assert (tmp_path / "corruption_table.csv").read_text().splitlines() == [
        "corruption_type,difficulty,accuracy",
        "shot_noise,2,0.5",
        "fog,2,0.75",
        "fog,5,0.25",
    ]


def test_what_was_not_measured_is_null(part, tmp_path):
    part.write(tmp_path, FACTS)
    results = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert results["mean_top1"] == [None, None]
    assert results["corruption_top1"] == {"shot_noise": [None, None], "fog": [0.25, 0.5]}
    assert "clean" not in results
    assert "corruption_error" not in results


def test_legends_cover_no_point(whole):
    figure = whole.plot()
    figure.draw_without_rendering()
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert legend.y1 <= axes.get_window_extent().y0
        assert legend.y0 >= 0
