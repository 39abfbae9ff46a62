"""How fast recurrent convolutional cells are, see `command.py`.

    python benchmarks/recurrent_cells.py --cases "HGRUCell*" --output figures.json

A static image at all time steps; the last one is the output. An hGRU's first state is silence, an
fGRU's is the image.
"""

from __future__ import annotations

import sys
from typing import Any

from cases import Builder, Case, Targets
from command import main


def unrolled(
    cell: str,
    timesteps: int,
    input_shape: tuple[int, ...],
    frozen: tuple[str, ...] = (),
    **arguments: Any,
) -> Any:
    """A cell of `tfbio.layers` over time.

    Args:
        cell: name of the class.
        timesteps: number of time steps.
        input_shape: (N, H, W, C).
        frozen: weights whose gradient nobody asks for.
        **arguments: of the cell.
    """
    from tfbio import layers

    layer = layers.Unroll(getattr(layers, cell)(**arguments), timesteps, return_sequences=False)
    layer.build(input_shape)
    for name in frozen:
        getattr(layer.cell, name).trainable = False
    return layer


def _hgru(name: str, shape: tuple[int, ...], kernel_size: int, targets: Targets) -> Case:
    both = {"filters": shape[-1], "kernel_size": kernel_size, "timesteps": 8}
    # Right before batch statistics a bias has no gradient but rounding noise.
    ours = {"cell": "HGRUCell", "input_shape": shape, "frozen": ("gate_bias",), **both}
    return Case(
        name,
        shape,
        "normal",
        Builder("recurrent_cells.unrolled", ours),
        Builder("pytorch_recurrent_cells.HGRU", both),
        targets,
    )


def _fgru(name: str, shape: tuple[int, ...], targets: Targets) -> Case:
    ours = {
        "cell": "FGRUCell",
        "filters": shape[-1],
        "kernel_size": 3,
        "timesteps": 8,
        "input_shape": shape,
    }
    theirs = {"channels": shape[-1], "kernel_size": 3, "timesteps": 8}
    return Case(
        name,
        shape,
        "normal",
        Builder("recurrent_cells.unrolled", ours),
        Builder("pytorch_fgru.FGRU", theirs),
        targets,
        # Gradients of the attention to places are sums that mostly cancel, here over 4,096 places.
        gradient_tolerance=1e-3,
    )


CASES = (
    _hgru("HGRUCell 25 x 15 x 15", (8, 64, 64, 25), 15, Targets(1.3, 3.0)),
    _fgru("FGRUCell 24 x 3 x 3", (8, 64, 64, 24), Targets(1.3, 1.2)),
    _hgru("HGRUCell 25 x 15 x 15 of 32 px", (32, 32, 32, 25), 15, Targets()),
    _hgru("HGRUCell 25 x 9 x 9 of 32 px", (32, 32, 32, 25), 9, Targets()),
)

if __name__ == "__main__":
    sys.exit(main(__doc__, CASES))
