"""How fast learned divisive normalization is, see `command.py`.

python benchmarks/divisive_normalization.py --cases "Pooled*"
"""

from __future__ import annotations

import sys

from cases import Builder, Case, Targets
from command import main

_CHANNELS = 64
# Of AlexNet's first layer.
_SHAPE = (32, 55, 55, _CHANNELS)

CASES = (
    Case(
        "ExponentialDivNorm",
        _SHAPE,
        "normal",
        Builder("tfbio.layers.ExponentialDivNorm", {"initial_lambda": 10.0}),
        Builder("pytorch_divnorm.ExponentialDivNorm", {"initial_lambda": 10.0}),
        Targets(10, 25),
    ),
    Case(
        "PooledDivNorm",
        _SHAPE,
        "normal",
        Builder("tfbio.layers.PooledDivNorm", {"p": 0.5}),
        Builder("pytorch_divnorm.PooledDivNorm", {"channels": _CHANNELS, "pool_size": 8}),
        Targets(1.5, 1.5),
    ),
    Case(
        "PooledDivNorm one pool",
        _SHAPE,
        "normal",
        Builder("tfbio.layers.PooledDivNorm", {"p": 1}),
        Builder("pytorch_divnorm.PooledDivNorm", {"channels": _CHANNELS, "pool_size": _CHANNELS}),
        Targets(1.3, 1.3),
    ),
)

if __name__ == "__main__":
    sys.exit(main(__doc__, CASES))
