"""The registry of protocols, and a protocol of one's own."""

from __future__ import annotations

import inspect
import re
import sys
import types
from dataclasses import dataclass, fields
from pathlib import Path

import keras
import numpy as np
import pytest

import tfbio
from tfbio._documentation import described_arguments
from tfbio.errors import InputError, UnknownNameError
from tfbio.evaluation import (
    Table,
    list_protocols,
    prepare_evaluation,
    protocol,
    protocol_info,
    register_protocol,
)

DOCS = Path(__file__).parents[2] / "docs" / "protocols.md"


# === A protocol of one's own: all of it in one file ===


@dataclass(frozen=True)
class ConfidenceOptions:
    """Options of the protocol confidence.

    Args:
        threshold: above which an answer counts as confident.
        classes_of_interest: numbers of classes. Default: all.
    """

    threshold: float = 0.5
    classes_of_interest: tuple[int, ...] | None = None

    def __post_init__(self):
        if not 0 <= self.threshold <= 1:
            raise InputError(f"Expected a threshold from 0 to 1, received {self.threshold}.")


@dataclass(frozen=True)
class ConfidenceTable(Table):
    confident: np.ndarray

    def rows(self):
        return [{"time_step": t, "confident": float(x)} for t, x in enumerate(self.confident)]

    def draw(self, figure):
        figure.subplots().plot(self.confident)


class StoppedError(Exception):
    pass


def confidence(trained, data, options, work):
    """The fraction of images of which the model is confident.

    Every batch that is done is kept, so that an interrupted evaluation goes on.
    """
    counts = []
    for number, (images, labels) in enumerate(data.batches()):
        kept = work.unfinished / f"{number}.npy" if work.unfinished else None
        if kept is not None and kept.exists():
            counts.append(np.load(kept))
        else:
            largest = np.max(np.asarray(trained.model(images)), axis=-1).reshape(len(labels), -1)
            counts.append(np.sum(largest > options.threshold, axis=0))
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.save(kept, counts[-1])
        work.progress(len(labels))
    return ConfidenceTable(np.sum(counts, axis=0) / data.split.size)


@pytest.fixture
def registered():
    register_protocol("confidence", ConfidenceOptions, "ours (2026)")(confidence)
    yield
    del protocol._PROTOCOLS["confidence"]


@pytest.fixture
def model():
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs / 255))
    return keras.Model(inputs, outputs, name="mine")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8), np.arange(30) % 2


@pytest.mark.usefixtures("registered")
def test_a_protocol_of_ones_own(model, images, tmp_path):
    assert "confidence" in list_protocols()
    assert protocol_info("confidence").summary == (
        "The fraction of images of which the model is confident."
    )
    done = []
    table = tfbio.evaluate(
        model,
        "confidence",
        {"train": images},
        split="train",
        threshold=0.75,
        output=tmp_path,
        progress=done.append,
    )
    source = tfbio.datasets.as_data_source(images)
    kept = np.stack([e["image"] for e in source.split("train").examples().as_numpy_iterator()])
    expected = np.mean(np.max(model.predict(kept, verbose=0), axis=-1) > 0.75)
    assert table.rows() == [{"time_step": 0, "confident": pytest.approx(expected)}]
    assert sum(done) == 27
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "results.csv",
        "results.json",
        "results.png",
    ]
    assert table.facts["protocol"] == "confidence"
    assert table.facts["options"] == {"threshold": 0.75, "classes_of_interest": None}
    with pytest.raises(InputError, match="Expected a threshold from 0 to 1, received 2"):
        tfbio.evaluate(model, "confidence", images, threshold=2)


@pytest.mark.usefixtures("registered")
def test_an_interrupted_evaluation_goes_on_with_the_same_work_only(model, images, tmp_path):
    calls = []

    def stop_after(images_done):
        def progress(count):
            calls.append(count)
            if sum(calls) >= images_done:
                raise StoppedError

        return progress

    def evaluation(**changes):
        calls.clear()
        given = {"split": "train", "batch_size": 9, "threshold": 0.6, **changes}
        return prepare_evaluation(model, "confidence", {"train": images}, **given)

    def parts():
        return len(list(tmp_path.glob("unfinished/*/*.npy")))

    whole = evaluation().run().rows()
    with pytest.raises(StoppedError):
        evaluation().run(stop_after(18), tmp_path)
    assert parts() == 2
    forward = model.call
    seen = []
    model.call = lambda inputs, **keywords: (seen.append(len(inputs)), forward(inputs))[1]
    table = evaluation().run(None, tmp_path)
    assert seen == [9]  # of three batches, the last one
    assert table.rows() == whole
    # Other options, other images and other weights begin anew.
    evaluation(threshold=0.9).run(None, tmp_path)
    evaluation(batch_size=27).run(None, tmp_path)
    model.layers[-1].bias.assign([3.0, 0.0])
    other = evaluation().run(None, tmp_path)
    assert seen == [9, *[9] * 3, 27, *[9] * 3]
    other.write(tmp_path)
    assert parts() == 0


# === The registry ===


def test_a_name_that_is_unknown_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown protocol 'acuracy'\. Nearest: accuracy"):
        protocol_info("acuracy")
    with pytest.raises(UnknownNameError, match=r"option .*corruptions 'severity'\. Nearest"):
        protocol_info("corruptions").make_options({"severity": 1})
    with pytest.raises(InputError, match="--severities with --protocol=corruptions only, received"):
        protocol_info("accuracy").make_options({"severities": [1]})


def test_what_help_and_docs_could_not_show_is_refused():
    def nothing(trained, data, options, work):
        """Measure nothing."""

    def undocumented(trained, data, options, work):
        return None

    @dataclass(frozen=True)
    class Undescribed:
        k: int = 1

    @dataclass(frozen=True)
    class Taken:
        """Args:
        split: taken.
        """

        split: int = 1

    @dataclass(frozen=True)
    class Bare:
        """Args:
        k: without a default.
        """

        k: int

    for name, run, options, sentence in (
        ("accuracy", nothing, protocol.NoOptions, "a new name for a protocol"),
        ("mine", undocumented, protocol.NoOptions, "a docstring that says"),
        ("mine", nothing, Undescribed, "a description of the option 'k'"),
        ("mine", nothing, Taken, "another name for the option 'split'"),
        ("mine", nothing, Bare, "a default for the option 'k'"),
        ("mine", nothing, int, "a dataclass for the options"),
    ):
        with pytest.raises(ValueError, match=sentence):
            register_protocol(name, options)(run)
    assert "mine" not in list_protocols()


def test_no_option_can_have_the_name_of_a_keyword():
    keywords = inspect.signature(tfbio.evaluate).parameters
    assert set(keywords) - {"options"} <= protocol.RESERVED
    # Flags of the command have other names still.
    from tfbio._configuration import options_of
    from tfbio.cli.evaluate import EvaluateFlags

    for name in list_protocols():
        assert not set(protocol_info(name).option_names) & set(options_of(EvaluateFlags))


def test_every_protocol_is_documented():
    text = DOCS.read_text()
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", text, re.M | re.S))
    assert list(sections) == list_protocols()
    for name, section in sections.items():
        info = protocol_info(name)
        assert info.summary in " ".join(section.split())
        assert info.reference in section
        described = described_arguments(info.options)
        rows = re.findall(r"^\| `(\w+)` \| (.*?) \|$", section, re.M)
        assert [row[0] for row in rows] == [each.name for each in fields(info.options)]
        for option, description in rows:
            assert description == described[option]


def test_the_example_of_the_docs_runs(model, images):
    code = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S)[-1]
    # A dataclass looks its module up.
    module = types.ModuleType("docs_protocol")
    sys.modules["docs_protocol"] = module
    try:
        exec(compile(code, str(DOCS), "exec"), vars(module))
        table = tfbio.evaluate(model, "confidence", images, threshold=0.0)
    finally:
        protocol._PROTOCOLS.pop("confidence", None)
        del sys.modules["docs_protocol"]
    assert table.rows() == [{"confident": 1.0}]
