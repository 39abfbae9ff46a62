"""Both classes of `pathfinder` at every contour length, at 64 pixels and as large as published.

Writes docs/images/pathfinder.png: python docs/figures/pathfinder.py
"""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from tfbio.datasets.pathfinder.paths import Geometry
from tfbio.datasets.pathfinder.rendering import CLASS_NAMES, render_examples

PATH = Path(__file__).parents[1] / "images" / "pathfinder.png"
LENGTHS = (6, 9, 14)
EACH = 3
CELL = 1.5


def main() -> None:
    columns = 2 * EACH + 2
    figure = Figure(figsize=(CELL * columns, CELL * len(LENGTHS) + 0.5), layout="constrained")
    axes = figure.subplots(len(LENGTHS), columns)
    for length, line in zip(LENGTHS, axes, strict=True):
        geometries = [(Geometry(length), EACH), (Geometry(length, 300, dash_length=5.0), 1)]
        cell = iter(line)
        for geometry, number in geometries:
            examples = render_examples(geometry, "test", range(2 * number))
            for label in reversed(range(len(CLASS_NAMES))):
                for image in examples.images[examples.labels == label]:
                    axis = next(cell)
                    axis.imshow(image, interpolation="nearest")
                    axis.set(xticks=[], yticks=[])
                    if length == LENGTHS[0]:
                        size = geometry.image_size
                        axis.set_title(f"{CLASS_NAMES[label]}\n{size} x {size}", fontsize=10)
        line[0].set_ylabel(f"{length} dashes", fontsize=10)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150)
    # Without the opacity; gray is enough.
    Image.open(drawn).convert("L").save(PATH, optimize=True)


if __name__ == "__main__":
    main()
