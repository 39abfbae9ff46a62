"""The viewing conditions at several levels, of a photograph and of images of `shapes`.

Writes docs/images/conditions.png: python docs/figures/conditions.py. The photograph is the cat
Chelsea of scikit-image, in the public domain, at the published 224 x 224 pixels; the shapes have
64 x 64, so that the same blur takes more from them.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import skimage
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from tfbio.datasets.conditions import ViewingCondition
from tfbio.datasets.images import resize_and_crop
from tfbio.datasets.shapes.rendering import render_examples

PATH = Path(__file__).parents[1] / "images" / "conditions.png"
SEED = (0, 0)
# Inches: at 150 dots an inch, a little more than a pixel of the photograph a dot.
CELL = 1.6

COLUMNS = [
    ViewingCondition("colour"),
    ViewingCondition("grayscale"),
    *(ViewingCondition("noise", level) for level in (0.0, 0.02, 0.04, 0.16)),
    *(ViewingCondition("blur", level) for level in (0.5, 1.0, 2.0, 3.0)),
]


def main() -> None:
    photograph = resize_and_crop(tf.constant(skimage.data.chelsea()), (224, 224))
    shapes = render_examples("test", range(4))[0]
    rows = [photograph, *(tf.constant(shape) for shape in shapes)]

    figure = Figure(figsize=(CELL * len(COLUMNS), CELL * len(rows) + 0.3), layout="constrained")
    axes = figure.subplots(len(rows), len(COLUMNS))
    for image, line in zip(rows, axes, strict=True):
        for condition, axis in zip(COLUMNS, line, strict=True):
            pixels = condition(image, SEED).numpy()
            axis.imshow(np.rint(pixels).astype(np.uint8), interpolation="antialiased")
            axis.set_axis_off()
    for condition, axis in zip(COLUMNS, axes[0], strict=True):
        level = "" if condition.level is None else f" {condition.level:g}"
        axis.set_title(condition.name + level, fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150)
    # Without the opacity, which is a quarter of the bytes. A palette would falsify the colours.
    Image.open(drawn).convert("RGB").save(PATH, optimize=True)


if __name__ == "__main__":
    main()
