"""The five diagnostic stimuli of images of `shapes`, small and as large as published.

Writes docs/images/stimuli.png: python docs/figures/stimuli.py. Left of the stimuli is the image
that they are made of.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from tfbio.datasets.shapes.rendering import CLASS_NAMES, render_examples
from tfbio.datasets.stimuli import STIMULI, Stimulus

PATH = Path(__file__).parents[1] / "images" / "stimuli.png"
SIZES = (64, 224)
CELL = 1.35


def main() -> None:
    images, masks, labels = render_examples("test", range(6))
    columns = [Stimulus(name, (size, size)) for size in SIZES for name in STIMULI]

    figure = Figure(
        figsize=(CELL * (1 + len(columns)), CELL * len(images) + 0.5), layout="constrained"
    )
    axes = figure.subplots(len(images), 1 + len(columns))
    for row, (image, mask, label) in enumerate(zip(images, masks, labels, strict=True)):
        inside = tf.constant(mask.reshape(*image.shape[:2], 1))
        made = [stimulus(tf.constant(image), inside, (row, 0)).numpy() for stimulus in columns]
        for axis, pixels in zip(axes[row], [image, *made], strict=True):
            axis.imshow(np.asarray(pixels).astype(np.uint8), interpolation="nearest")
            # White pictures on a white page need an outline.
            axis.set(xticks=[], yticks=[])
        axes[row, 0].set_ylabel(CLASS_NAMES[label], fontsize=10)
    axes[0, 0].set_title("image\n64 x 64", fontsize=10)
    for stimulus, axis in zip(columns, axes[0, 1:], strict=True):
        axis.set_title(f"{stimulus.name}\n{stimulus.size[0]} x {stimulus.size[1]}", fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150)
    # Without the opacity, which is a quarter of the bytes. A palette would falsify the colours.
    Image.open(drawn).convert("RGB").save(PATH, optimize=True)


if __name__ == "__main__":
    main()
