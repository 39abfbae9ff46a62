"""The originals' way to read images, in plain PyTorch: a DataLoader with Pillow in its workers."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


class RandomResizedCrops(Dataset):
    """Random windows of image files, scaled, mirrored or not, as torchvision makes them.

    Args:
        paths: of the files.
        size: height and width, pixels.
    """

    def __init__(self, paths: list[str], size: int):
        self._paths = paths
        self._size = size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, item: int) -> tuple[torch.Tensor, int]:
        with open(self._paths[item], "rb") as file:
            image = Image.open(file).convert("RGB")
        left, top, width, height = _window(*image.size)
        image = image.crop((left, top, left + width, top + height))
        image = image.resize((self._size, self._size), Image.Resampling.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return pixels.to(torch.float32).div(255), 0


def _window(width: int, height: int) -> tuple[int, int, int, int]:
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            return random.randint(0, width - w), random.randint(0, height - h), w, h
    # All images here are squares.
    return 0, 0, width, height


def batches(paths: list[str], size: int, batch_size: int, workers: int) -> Iterator[torch.Tensor]:
    """An epoch of images in [0, 1], (batch, 3, size, size), in random order."""
    # This process was spawned, and would spawn its workers; PyTorch's default on Linux is to fork.
    context = "fork" if sys.platform == "linux" else None
    loader = DataLoader(
        RandomResizedCrops(paths, size),
        batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        multiprocessing_context=context,
    )
    for images, _ in loader:
        yield images
