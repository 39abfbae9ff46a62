"""The evaluation on Tiny-ImageNet-C in plain PyTorch, in the order in which the original does it.

Written from its description, not copied: this is the other side of the measurement. Every set has
a data set and a loader of its own, with two new worker processes, in which Pillow decodes.
PyTorch is imported on use: the command and the other side run without.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_WORKERS = 2
_CLASSES = 200


class ClassFolders:
    """Images of class folders, normalized to [-1, 1], (3, H, W), with their labels."""

    def __init__(self, folder: Path):
        classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        self.examples = [
            (os.path.join(folder, name, file), label)
            for label, name in enumerate(classes)
            for file in sorted(os.listdir(os.path.join(folder, name)))
        ]

    def __len__(self):
        return len(self.examples)

    def __getitem__(self, index):
        import torch

        path, label = self.examples[index]
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        values = torch.from_numpy(pixels).permute(2, 0, 1).contiguous().float().div(255)
        return values.sub_(0.5).div_(0.5), label


def evaluate(
    name: str,
    root: Path,
    sets: tuple[tuple[str, int], ...],
    weights: Path,
    batch_size: int,
    threads: int,
) -> dict[str, Any]:
    """All sets, one after the other.

    Args:
        name: of the model in tfbio's registry.
        root: folder of `<corruption>/<severity>/<class>/` folders.
        sets: corruptions and severities.
        weights: a state dict of arrays, `.npz`.
        batch_size: images a step.
        threads: of the computation; the workers come on top, as in the original.

    Returns:
        Mean loss and top-1 by set, the version, and seconds: until ready, and of the evaluation.
    """
    start = time.perf_counter()
    import torch
    from pytorch_forms import ResNet50
    from torch.utils.data import DataLoader

    # This process was spawned and would spawn its workers too, each of which imports PyTorch. The
    # original's workers start as the platform starts them, on Linux in milliseconds.
    multiprocessing.set_start_method(None, force=True)
    torch.set_num_threads(threads)
    model = ResNet50(name.removeprefix("resnet50").lstrip("_"), _CLASSES)
    own = model.state_dict()
    with np.load(weights) as arrays:
        # Some of the original's networks keep masks that they do not use.
        state = {key: torch.from_numpy(arrays[key]) for key in arrays.files if key in own}
    model.load_state_dict(state)
    model.eval()
    criterion = torch.nn.CrossEntropyLoss()
    ready = time.perf_counter() - start

    start = time.perf_counter()
    losses, accuracies = [], []
    for corruption, severity in sets:
        examples: Any = ClassFolders(root / corruption / str(severity))
        loader = DataLoader(examples, batch_size=batch_size, num_workers=_WORKERS)
        loss = right = 0.0
        with torch.no_grad():
            for images, labels in loader:
                logits = model(images)
                loss += criterion(logits, labels).item() * len(images)
                right += (logits.argmax(dim=-1) == labels).sum().item()
        losses.append(loss / len(examples))
        accuracies.append(right / len(examples))
    seconds = time.perf_counter() - start
    return {
        "ready": ready,
        "seconds": seconds,
        "top1": accuracies,
        "loss": losses,
        "version": f"PyTorch {torch.__version__}",
    }
