"""What the files of the family look like: the original keeps exp(g), as (C, 1, 1)."""

from __future__ import annotations

import numpy as np

from tfbio.weights.origin import Origin, register_origin
from tfbio.weights.tensor_map import NamedTensors, Target
from worked_example.gain_control import GainControl


def _gain_control(layer: GainControl) -> NamedTensors:
    yield (
        "weight",
        Target(
            layer.log_gain,
            lambda array: np.log(array).reshape(-1),
            lambda array: np.exp(array).reshape(-1, 1, 1),
        ),
    )


ORIGIN = register_origin(
    Origin(
        "worked example",
        tensor_maps={GainControl: _gain_control},
        recognised_by={"features.gain.weight": "gain_net"},
    )
)
