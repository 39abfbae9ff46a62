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
        "run's, or as published with the model.", flag_values=values,
    )  # fmt: skip
    flags.DEFINE_integer(
        "resize_through", None,
        "Crop to this height and width first, then scale to the input. Default: the run's, or no "
        "other size.", lower_bound=1, flag_values=values,
    )  # fmt: skip


def chosen_framing(
    values: flags.FlagValues, info: ModelInfo, settings: Mapping[str, str] | None = None
) -> Framing:
    """The framing that the flags give, or else a run's settings, or else the registry.

    Args:
        values: the flags.
        info: the model's entry in the registry.
        settings: the flags of a run, by name.

    Raises:
        InputError: a setting of the run is not a number.
    """
    settings = settings or {}
    crop_ratio, side = values.crop_ratio, values.resize_through
    try:
        if crop_ratio is None:
            crop_ratio = float(settings.get("crop_ratio", info.crop_ratio))
        if side is None and "resize_through" in settings:
            side = int(settings["resize_through"])
    except ValueError as error:
        raise InputError(f"Expected numbers in the flags of the run: {error}.") from error
    return Framing(crop_ratio, None if side is None else (side, side))
