"""Every corruption at every severity, of a small and of a larger image.

Writes docs/images/corruptions.png (an image of `shapes`, 64 px, drawn twice as large) and
corruptions_224.png (the cat Chelsea of scikit-image, in the public domain, 224 px, drawn half as
large, which makes its noise look weaker): python docs/figures/corruptions.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parents[2]
# The checkout's tfbio, installed or not.
sys.path.insert(1, str(ROOT))

from tfbio.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt  # noqa: E402
from tfbio.datasets.images import resize_and_crop  # noqa: E402
from tfbio.datasets.shapes.rendering import render_examples  # noqa: E402

SEED = 0
LEFT, TOP, GAP = 150, 28, 3


def contact_sheet(image: NDArray[np.uint8], cell: int) -> Image.Image:
    """One row for each corruption: the image, then the severities.

    Args:
        image: (H, W, 3), uint8.
        cell: width and height of a picture on the sheet, pixels.
    """
    columns = ["original", *(f"severity {severity}" for severity in SEVERITIES)]
    step = cell + GAP
    size = (LEFT + step * len(columns), TOP + step * len(CORRUPTIONS))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for column, title in enumerate(columns):
        centre = LEFT + column * step + cell // 2
        draw.text((centre, TOP // 2), title, "black", font, anchor="mm")
    for row, name in enumerate(CORRUPTIONS):
        top = TOP + row * step
        title = name.replace("_", " ")
        draw.text((LEFT - 8, top + cell // 2), title, "black", font, anchor="rm")
        pictures = [image, *(corrupt(image, name, severity, SEED) for severity in SEVERITIES)]
        for column, picture in enumerate(pictures):
            scaled = Image.fromarray(picture).resize((cell, cell), Image.Resampling.BOX)
            # 64 levels a channel are enough for an overview, and save a quarter of the bytes.
            sheet.paste(ImageOps.posterize(scaled, 6), (LEFT + column * step, top))
    return sheet


def main() -> None:
    images = ROOT / "docs" / "images"
    shape = render_examples("test", [3])[0][0]
    contact_sheet(shape, 128).save(images / "corruptions.png", optimize=True)
    cat = resize_and_crop(skimage.data.chelsea(), (224, 224)).numpy()
    sheet = contact_sheet(np.rint(cat).astype(np.uint8), 112)
    sheet.save(images / "corruptions_224.png", optimize=True)


if __name__ == "__main__":
    main()
