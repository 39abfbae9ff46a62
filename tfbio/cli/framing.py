"""Flags that say how an image of any size is brought to the size of a model's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from absl import flags

from tfbio.errors import InputError
from tfbio.models.registry import ModelInfo


@dataclass(frozen=True)
class Framing:
    """See `tfbio.datasets.images.resize_and_crop`.

    Attributes:
        crop_ratio: of the centre crop.
        resize_through: size to crop to, before the last scaling; None for the input's own.
    """

    crop_ratio: float
    resize_through: tuple[int, int] | None


def define_framing_flags(values: flags.FlagValues) -> None:
    """Flags of the centre crop and of the size on the way."""
    flags.DEFINE_float(
        "crop_ratio", None,
        "Part of the scaled image's side that is evaluated, 0.875 for 256 to 224. Default: the "
        "run's; 1 for a new one; as published for a model with --weights.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "resize_through", None,
        "Crop to this height and width first, then scale to the input. Default: the run's; no "
        "other size for a new one; as published for a model with --weights.", lower_bound=1,
        flag_values=values,
    )  # fmt: skip


def chosen_framing(
    values: flags.FlagValues,
    info: ModelInfo | None = None,
    settings: Mapping[str, str] | None = None,
) -> Framing:
    """The framing that the flags give, or else a run's settings, or else the publication.

    Args:
        values: the flags.
        info: the registry's entry of a model with published weights; None for one of our runs,
            whose images are whole unless its settings say otherwise.
        settings: the flags of a run, by name.

    Raises:
        InputError: a setting of the run is not a number.
    """
    settings = settings or {}
    crop_ratio, through = (
        (info.framing.crop_ratio, info.framing.resize_through) if info else (1.0, None)
    )
    try:
        if "crop_ratio" in settings:
            crop_ratio = float(settings["crop_ratio"])
        if "resize_through" in settings:
            through = (int(settings["resize_through"]),) * 2
    except ValueError as error:
        raise InputError(f"Expected numbers in the flags of the run: {error}.") from error
    if values.crop_ratio is not None:
        crop_ratio = values.crop_ratio
    if values.resize_through is not None:
        through = (values.resize_through, values.resize_through)
    return Framing(crop_ratio, through)
