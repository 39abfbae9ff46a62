"""Flags made of options: each type of value, and the documentation's table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from absl import flags

from tfbio._configuration import option, options_of
from tfbio.cli.evaluate import EvaluateFlags
from tfbio.cli.flags import define_options, described_flags, given, option_table
from tfbio.cli.train import TrainFlags
from tfbio.errors import InputError
from tfbio.evaluation.protocol import RESERVED
from tfbio.training import TrainingConfig

DOCS = Path(__file__).parent.parent.parent / "docs"


@dataclass(frozen=True)
class Everything:
    """Everything.

    Args:
        switch: on or off.
        number: a whole number.
        fraction: a number.
        text: some words.
        choice: one of three.
        numbers: several.
        size: one number or a pair.
        secret: nothing for people.
    """

    switch: bool = option(False)
    number: int | None = option(minimum=1, maximum=9)
    fraction: float = option(0.5)
    text: str | None = option()
    choice: Literal["a", "b"] | None = option("a")
    numbers: tuple[int, ...] = option((), example="1,2")
    size: tuple[int, int] | None = option()
    secret: str | None = option(hidden=True)


def _given(*arguments):
    values = flags.FlagValues()
    options = options_of(Everything)
    define_options(options.values(), values)
    values(["command", *arguments])
    return given(values, options)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("--switch", True),
        ("--noswitch", False),
        ("--number=3", 3),
        ("--fraction=1e-3", 1e-3),
        ("--text=a b", "a b"),
        ("--choice=b", "b"),
        ("--choice=none", None),
        ("--numbers=1,2,3", (1, 2, 3)),
        ("--numbers=", ()),
        ("--size=8", (8, 8)),
        ("--size=8,9", (8, 9)),
        ("--size=none", None),
    ],
)
def test_values(argument, value):
    name = argument.removeprefix("--").removeprefix("no").partition("=")[0]
    name = "number" if argument.startswith("--number=") else name
    name = "numbers" if argument.startswith("--numbers") else name
    assert _given(argument) == {name: value}


def test_what_is_not_given_is_not_there():
    assert _given() == {}


@pytest.mark.parametrize("argument", ["--number=0", "--number=10", "--number=x", "--choice=c"])
def test_absl_refuses_what_is_out_of_range(argument):
    with pytest.raises(flags.IllegalFlagValueError):
        _given(argument)


def test_lists_of_other_things_are_named():
    with pytest.raises(InputError, match="--numbers that are whole numbers, such as 1,2, receiv"):
        _given("--numbers=1,x")


def test_help_names_choices_and_defaults():
    text = described_flags(options_of(Everything).values())
    assert "--[no]switch " in text
    assert "One of three. One of a, b, none. Default: a." in text
    assert "secret" not in text


def test_the_documentation_has_the_tables():
    text = (DOCS / "options.md").read_text(encoding="utf-8")
    for name, each in options_of(TrainFlags).items():
        if not each.facts.get("hidden"):
            row = option_table([each]).splitlines()[-1]
            assert row in text, row
            of_both = name in options_of(TrainingConfig) and name != "import"
            assert (text.index(row) < text.index("Of the command alone")) == of_both


def test_no_option_of_a_protocol_can_hide_a_flag():
    assert set(options_of(EvaluateFlags)) <= {*RESERVED}
