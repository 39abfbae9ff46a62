"""How fast VOneBlock and the VOneNets are, see `command.py`.

    python benchmarks/vone_block.py --cases "VOneBlock*" --output figures.json

Noise is on in one case only; networks are measured without it. Nothing in the front end is
trained, and images have no gradient: forward+backward is that of a network's trainable weights.
"""

from __future__ import annotations

import sys
from typing import Any

from cases import Builder, Case, Targets
from command import main

_IMAGES = (8, 224, 224, 3)


def _block(name: str, noise_mode: str | None) -> Case:
    """The front end alone, with the original's colours."""
    return Case(
        name,
        _IMAGES,
        "normal",
        Builder("tfbio.layers.VOneBlock", {"noise_mode": noise_mode, "upstream_exact": True}),
        Builder("pytorch_vonenet.VOneBlock", {"noise_mode": noise_mode}),
        Targets(2.5),
        gradients_of=(),
        noisy=noise_mode is not None,
    )


def _network(back_end: str, targets: Targets) -> Case:
    """A whole network without noise: 1000 classes, normalized pixels, logits."""
    arguments: dict[str, Any] = {
        "noise_mode": None,
        "include_preprocessing": False,
        "classifier_activation": None,
    }
    return Case(
        f"vone_{back_end}",
        _IMAGES,
        "normal",
        Builder(f"tfbio.models.vone_{back_end}", arguments),
        Builder("pytorch_vonenet.VOneNet", {"back_end": back_end}),
        targets,
        gradients_of=("weights",),
        # As for the ResNet50s of `layers.py`.
        gradient_tolerance=0.05,
    )


CASES = (
    _block("VOneBlock", noise_mode=None),
    _block("VOneBlock neuronal noise", noise_mode="neuronal"),
    _network("resnet50", Targets(1.4, 1.3)),
    _network("cornet_s", Targets(1.2, 1.3)),
)

if __name__ == "__main__":
    sys.exit(main(__doc__, CASES))
