"""Flags that say how images are shown: as stimuli, and under which viewing condition."""

from __future__ import annotations

from collections.abc import Mapping

from absl import flags

from tfbio.datasets.conditions import CONDITIONS, ViewingCondition
from tfbio.datasets.presentation import Presentation
from tfbio.datasets.stimuli import STIMULI
from tfbio.errors import InputError

_NONE = "none"


def define_presentation_flags(values: flags.FlagValues) -> None:
    """Flags of `Presentation`."""
    at = {"flag_values": values}
    flags.DEFINE_enum(
        "condition", None, list(CONDITIONS),
        "Viewing condition of the images. Default: the run's on the data set it was trained on; "
        "elsewhere the images as they are.", **at,
    )  # fmt: skip
    flags.DEFINE_float(
        "condition_level", None,
        "Standard deviation of --condition=noise (1 is black to white) or blur (pixels). Default: "
        "drawn for each image from the published levels.", **at,
    )  # fmt: skip
    flags.DEFINE_enum(
        "stimulus", None, [_NONE, *STIMULI],
        "Diagnostic stimulus made of each image and the mask of its object. Default: as with "
        "--condition.", **at,
    )  # fmt: skip


def chosen_presentation(
    values: flags.FlagValues, settings: Mapping[str, str] | None = None
) -> Presentation:
    """The presentation that the flags give, or else a run's settings.

    Args:
        values: the flags.
        settings: the flags of a run, by name.

    Raises:
        InputError: a level without a condition, or out of its range.
    """
    settings = settings or {}
    condition, level = values.condition, values.condition_level
    if condition is None:
        if level is not None:
            raise InputError(
                "Expected --condition=noise or --condition=blur with --condition_level, received "
                "the latter alone."
            )
        condition = settings.get("condition")
        level = settings.get("condition_level")
        try:
            level = None if level is None else float(level)
        except ValueError as error:
            raise InputError(f"Expected a number in the flags of the run: {error}.") from error
    stimulus = values.stimulus or settings.get("stimulus", _NONE)
    return Presentation(
        None if stimulus == _NONE else stimulus,
        None if condition is None else ViewingCondition(condition, level),
    )
