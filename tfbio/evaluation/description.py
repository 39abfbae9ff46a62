"""What an evaluation is called: in a sentence, in the name of its folder, in its results."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tfbio.evaluation.data import EvaluationData

if TYPE_CHECKING:
    from tfbio.datasets.presentation import Presentation
    from tfbio.training.trained import TrainedModel

_NOT_IN_NAMES = re.compile(r"[^\w.,+=-]+")


def described_evaluation(
    trained: TrainedModel, image_size: tuple[int, int], data: EvaluationData | None
) -> str:
    """A line that says what is evaluated on what.

    Args:
        trained: the model.
        image_size: (height, width) of its input, pixels.
        data: the images; None for a protocol that makes its own.
    """
    model = f"{trained.description} at {image_size[0]} x {image_size[1]}"
    if data is None:
        return model
    sets = f" in each of {len(data.sets)} sets" if data.sets else ""
    return (
        f"{model} on {data.label}, {data.split.name} split, {data.split.size:,} images{sets}"
        f"{described_presentation(data.presentation)}"
    )


def described_presentation(presentation: Presentation) -> str:
    """The end of a sentence about images; empty if they are as they are stored.

    Example:
        >>> from tfbio.datasets import Presentation, ViewingCondition
        >>> described_presentation(Presentation("silhouette", ViewingCondition("blur", 2.0)))
        ', stimulus silhouette, condition blur at 2'
        >>> described_presentation(Presentation(condition=ViewingCondition("noise")))
        ', condition noise at the levels of training'
    """
    from tfbio.datasets.conditions import TRAINING_LEVELS

    stimulus = f", stimulus {presentation.stimulus}" if presentation.stimulus else ""
    condition = presentation.condition
    if condition is None:
        return stimulus
    level = "" if condition.level is None else f" at {condition.level:g}"
    if condition.level is None and condition.name in TRAINING_LEVELS:
        level = " at the levels of training"
    return f"{stimulus}, condition {condition.name}{level}"


def presentation_facts(presentation: Presentation) -> dict[str, object]:
    """What a results file says of it."""
    condition = presentation.condition
    return {
        "stimulus": presentation.stimulus,
        "condition": condition.name if condition else None,
        "condition_level": condition.level if condition else None,
    }


def presentation_label(presentation: Presentation) -> str:
    """A part of a folder's name, since another presentation is another result; empty for none."""
    label = f"-{presentation.stimulus}" if presentation.stimulus else ""
    if presentation.condition:
        level = presentation.condition.level
        label += f"-{presentation.condition.name}{'' if level is None else f'_{level:g}'}"
    return label


def options_label(options: Any) -> str:
    """A part of a folder's name, so that other options do not replace the table of the defaults.

    Args:
        options: of a protocol.

    Example:
        >>> from tfbio.evaluation import CorruptionOptions
        >>> options_label(CorruptionOptions(("snow", "fog"), (5, 1)))
        '-snow_fog-5_1'
        >>> options_label(CorruptionOptions())
        ''
    """
    label = ""
    for each in dataclasses.fields(options):
        value = getattr(options, each.name)
        if value == each.default:
            continue
        if isinstance(value, Sequence) and not isinstance(value, str):
            label += f"-{'_'.join(map(str, value))}"
        else:
            label += f"-{each.name}_{value}"
    return _NOT_IN_NAMES.sub("-", label)
