"""A data set: one file and an import line."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfbio.datasets.registry import DatasetInfo, register_dataset


def load_stripes(data_dir: Any, max_bad_images: int) -> Any:
    """Stripes that stand or lie, of every phase."""
    from tfbio.datasets import as_data_source

    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    waves = np.sin(rng.uniform(0, 6.28, (120, 1)) + np.arange(32) / 1.5)
    images = np.repeat(waves[:, None, :, None], 32, 1)
    images[labels == 1] = images[labels == 1].transpose(0, 2, 1, 3)
    images = np.repeat(127.5 + 127.5 * images, 3, -1)
    return as_data_source((images, labels), ("standing", "lying"))


register_dataset(
    DatasetInfo("stripes", "embedded", "Stripes that stand or lie.", loader=load_stripes)
)
