"""How fast the layers and ResNet50s of the V1 components are, see `command.py`.

python benchmarks/layers.py --cases "resnet50*" --output figures.json
"""

from __future__ import annotations

import sys

from cases import Builder, Case, Targets
from command import main


def _resnet50(name: str, forward: float, forward_backward: float) -> Case:
    """A whole network: 200 classes, normalized pixels, logits."""
    return Case(
        name,
        (16, 64, 64, 3),
        "normal",
        Builder(
            f"tfbio.models.{name}",
            {
                "input_shape": (64, 64, 3),
                "classes": 200,
                "include_preprocessing": False,
                "classifier_activation": None,
            },
        ),
        Builder(
            "pytorch_forms.ResNet50",
            {"variant": name.removeprefix("resnet50").strip("_"), "classes": 200},
        ),
        Targets(forward, forward_backward),
        # In float64 the gradients agree to 1e-12. In float32 a rounding error that turns one
        # rectifier on or off grows on its way through fifty batch normalizations.
        gradient_tolerance=0.05,
    )


# The polar map of the networks, for the 32 x 32 responses of their stem.
_RADII = (*range(15), 16, 18, 20, 23)

CASES = (
    Case(
        "LocallyConnected2D",
        (32, 16, 16, 64),
        "normal",
        Builder(
            "tfbio.layers.LocallyConnected2D",
            {"filters": 64, "kernel_size": 3, "padding": 1, "use_bias": False},
        ),
        Builder(
            "pytorch_forms.LocallyConnected2d",
            {"channels": 64, "filters": 64, "output_size": (16, 16), "kernel_size": 3},
        ),
        Targets(30, 25, memory=10),
    ),
    Case(
        "PolarTransform",
        (32, 32, 32, 64),
        "normal",
        Builder("tfbio.layers.PolarTransform", {"output_size": 16, "radius_bins": _RADII}),
        Builder("pytorch_forms.PolarTransform", {"size": 32, "output_size": 16, "radii": _RADII}),
        Targets(200, 150, memory=50),
    ),
    Case(
        "TunedDivNorm",
        (32, 16, 16, 256),
        "rates",
        Builder("tfbio.layers.TunedDivNorm"),
        Builder("pytorch_forms.OpponentChannelInhibition", {"channels": 256}),
        Targets(1.5, 1.3),
    ),
    Case(
        "GaussianDivNorm",
        (32, 16, 16, 256),
        "rates",
        Builder("tfbio.layers.GaussianDivNorm", {"kernel_size": 3, "upstream_exact": True}),
        Builder("pytorch_forms.GaussianDivNorm", {"channels": 256, "kernel_size": 3}),
        Targets(1.2, 1.2),
    ),
    Case(
        "CenterSurround",
        (32, 16, 16, 64),
        "normal",
        Builder(
            "tfbio.layers.CenterSurround",
            {"channels": 16, "kernel_size": 5, "use_bias": False, "upstream_exact": True},
        ),
        Builder("pytorch_forms.CenterSurround", {"channels": 16, "radius": 2}),
        Targets(1, 1),
    ),
    _resnet50("resnet50", 1, 1),
    _resnet50("resnet50_composite_a", 12, 10),
    _resnet50("resnet50_tuned_norm", 1.2, 1.1),
    _resnet50("resnet50_div_norm", 1.2, 1.1),
)

if __name__ == "__main__":
    sys.exit(main(__doc__, CASES))
