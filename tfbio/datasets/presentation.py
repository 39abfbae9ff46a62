"""How an image is shown: as a diagnostic stimulus, under a viewing condition, corrupted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfbio._lazy import lazy_module
from tfbio.datasets.conditions import ViewingCondition
from tfbio.datasets.corruptions import Corruption
from tfbio.datasets.images import decode_image
from tfbio.datasets.names import STIMULI, StimulusName
from tfbio.datasets.stimuli import Stimulus
from tfbio.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    import tensorflow as tf

    from tfbio.datasets.source import Split
else:
    tf = lazy_module("tensorflow")


@dataclass(frozen=True)
class Presentation:
    """What is made of an image before a model sees it.

    The stimulus is made of the image as it is stored, and of its mask. Condition and corruption
    come after cropping and random changes: their levels are meant for pixels of the size that is
    cropped to.

    Args:
        stimulus: a name of `STIMULI`, for data sets with masks.
        condition: see `ViewingCondition`.
        corruption: see `Corruption`; it comes last.

    Raises:
        UnknownNameError: there is no such stimulus.

    Example:
        >>> import tensorflow as tf
        >>> gray = Presentation(condition=ViewingCondition("grayscale"))
        >>> gray.degraded(tf.constant([[[255.0, 0.0, 0.0]]]), seed=(0, 0)).shape
        TensorShape([1, 1, 3])
    """

    stimulus: StimulusName | None = None
    condition: ViewingCondition | None = None
    corruption: Corruption | None = None

    def __post_init__(self) -> None:
        if self.stimulus is not None and self.stimulus not in STIMULI:
            raise UnknownNameError("stimulus", self.stimulus, STIMULI)

    def check(self, split: Split) -> None:
        """Refuse a split that does not have what is asked for.

        Raises:
            InputError: a stimulus of images without masks.
        """
        if self.stimulus is not None and not split.has_masks:
            raise InputError(
                f"Expected a data set with masks for the stimulus {self.stimulus!r}, such as "
                f"shapes or pascal_voc_stimuli, received images alone in the split {split.name!r}."
            )

    def as_stimulus(
        self, example: Mapping[str, tf.Tensor], size: tuple[int, int], seed: tf.Tensor
    ) -> tf.Tensor:
        """The image of an example, decoded, as a stimulus of the size if it is to be one.

        Args:
            example: of a `Split`.
            size: (height, width) of a stimulus, pixels; other images keep their own.
            seed: two integers.

        Returns:
            (H, W, 3), uint8 or float32, in [0, 255].
        """
        image = _decoded(example["image"])
        if self.stimulus is None:
            return image
        mask = example["mask"]
        if mask.dtype == tf.string:
            mask = tf.io.decode_png(mask, channels=1)
        return Stimulus(self.stimulus, size)(image, mask, seed)

    def degraded(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The cropped image under the condition and with the corruption.

        Args:
            image: float32 (H, W, 3) in [0, 255].
            seed: two integers.

        Returns:
            float32 (H, W, 3) in [0, 255].
        """
        if self.condition is not None:
            image = self.condition(image, tf.random.fold_in(seed, 0))
        if self.corruption is not None:
            image = self.corruption(image, tf.random.fold_in(seed, 1))
        return image


# As the images are.
PLAIN = Presentation()


def _decoded(image: tf.Tensor) -> tf.Tensor:
    return decode_image(image) if image.dtype == tf.string else image
