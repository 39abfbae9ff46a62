"""How an image of any size is brought to the size of a model's input."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tfbio.errors import InputError


@dataclass(frozen=True)
class Framing:
    """Which part of an image a model sees, and at which size it is cut out.

    The image is scaled to cover the size that it is cropped to, divided by `crop_ratio`, its centre
    is cropped, and the crop is scaled to the model's input if `resize_through` is another size.
    Training draws its windows in other ways; the size on the way is the same.

    Args:
        crop_ratio: part of the scaled image's side that is kept, above 0 and at most 1; 0.875 is
            ImageNet's 256 to 224, 1 crops as little as possible.
        resize_through: height and width in pixels to crop to first, one number for both or a pair.
            Default: the size of the model's input.

    Raises:
        InputError: a number is out of range.

    Example:
        >>> Framing(0.875, 224)
        Framing(crop_ratio=0.875, resize_through=(224, 224))
        >>> Framing(crop_ratio=1.5)
        Traceback (most recent call last):
            ...
        tfbio.errors.InputError: Expected a crop ratio above 0 and at most 1, received 1.5: 1 crops
        least.
    """

    crop_ratio: float = 1.0
    resize_through: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        ratio = self.crop_ratio
        if not (math.isfinite(ratio) and 0 < ratio <= 1):
            raise InputError(
                f"Expected a crop ratio above 0 and at most 1, received {ratio}: 1 crops least."
            )
        through = self.resize_through
        if through is None:
            return
        size = (through, through) if isinstance(through, int) else tuple(through)
        if len(size) != 2 or any(not isinstance(side, int) or side < 1 for side in size):
            raise InputError(
                f"Expected to resize through a height and a width of 1 pixel or more, received "
                f"{through!r}."
            )
        object.__setattr__(self, "resize_through", size)

    def cropped_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """The size that images are cropped to, for a model's input of a size.

        Args:
            image_size: (height, width) of the input, pixels.

        Returns:
            (height, width), pixels.

        Raises:
            InputError: the crop would be smaller than the input.

        Example:
            >>> Framing().cropped_size((64, 64)), Framing(0.875, 224).cropped_size((64, 64))
            ((64, 64), (224, 224))
        """
        through = self.resize_through
        if through is None:
            return image_size
        if through[0] < image_size[0] or through[1] < image_size[1]:
            raise InputError(
                f"Expected to resize through at least the {image_size[0]} x {image_size[1]} pixels "
                f"of the input, received {through[0]} x {through[1]}."
            )
        return through
