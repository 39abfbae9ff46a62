"""Bars move on in place on a screen, and take a line every ten seconds in a file."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from tfbio import _progress
from tfbio._progress import progress_bar


class _Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Seconds pass when a test says so, for tqdm too."""
    clock = _Clock()
    monkeypatch.setattr(_progress, "time", SimpleNamespace(monotonic=clock))
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


@pytest.fixture
def written(capsys):
    """A function that gives what is in the file, which pytest makes of standard error."""
    return lambda: capsys.readouterr().err


def test_500_fast_steps_are_one_line_of_a_file(written):
    with progress_bar(total=500, unit="step", desc="Epoch 1/2", leave=True) as bar:
        for step in range(500):
            bar.update()
            # As a callback may do; on a screen each shows at once.
            bar.set_postfix(loss=f"{step:.3f}")
            bar.set_description(f"Epoch {1 + step // 250}/2")
    text = written()
    (line,) = text.splitlines()
    assert line.startswith("Epoch 2/2: 100%|##########| 500/500 [")
    assert line.endswith("loss=499.000]")
    assert "\r" not in text


def test_slow_steps_are_a_line_every_ten_seconds_and_one_at_the_end(written, clock):
    with progress_bar(total=60, unit="step") as bar:
        for _ in range(60):
            clock.now += 1
            bar.update()
            bar.set_postfix(loss="0.500")
        clock.now += 3
    lines = written().splitlines()
    assert [line.split("| ")[1].split(" ")[0] for line in lines] == [
        "10/60",
        "20/60",
        "30/60",
        "40/60",
        "50/60",
        "60/60",
        "60/60",
    ]


def test_steps_of_a_minute_are_a_line_each(written, clock):
    with progress_bar(total=3) as bar:
        for _ in range(3):
            clock.now += 60
            bar.update()
    lines = written().splitlines()
    assert [line.split("| ")[1].split(" ")[0] for line in lines[:3]] == ["1/3", "2/3", "3/3"]
    assert len(lines) <= 4


def test_a_bar_that_is_interrupted_says_how_far_it_came(written):
    def interrupted():
        with progress_bar(total=9) as bar:
            bar.update(4)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (line,) = written().splitlines()
    assert "| 4/9 [" in line


def test_two_bars_at_once_do_not_mix(written):
    with progress_bar(total=2, desc="outer") as outer:
        for _ in range(2):
            assert list(progress_bar(range(3), total=3, desc="inner")) == [0, 1, 2]
            outer.update()
    assert [line.split(":")[0] for line in written().splitlines()] == ["inner", "inner", "outer"]


def test_what_is_done_before_the_delay_is_not_said(written, clock):
    for _ in progress_bar(range(5), total=5, delay=2):
        clock.now += 0.1
    assert written() == ""


def test_what_takes_longer_than_the_delay_is(written, clock):
    for _ in progress_bar(range(30), total=30, desc="Checking images", delay=2):
        clock.now += 0.5
    lines = written().splitlines()
    assert all(line.startswith("Checking images: ") for line in lines)
    assert 1 <= len(lines) <= 2
    assert "| 30/30 [" in lines[-1]


def test_a_screen_has_the_bar_in_one_place(monkeypatch, clock):
    class _Screen(io.StringIO):
        def isatty(self):
            return True

    screen = _Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_bar(total=3, leave=True) as bar:
        for _ in range(3):
            clock.now += 1
            bar.update()
    # Drawn at 0, 1, 2, 3 and at the end.
    assert screen.getvalue().count("\r") == 5
    assert screen.getvalue().count("\n") == 1


def test_a_notebook_is_a_screen():
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    assert _progress._is_overwritten(stream)
    assert not _progress._is_overwritten(io.StringIO())
