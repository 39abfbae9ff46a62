"""Weight files of Keras 2's LocallyConnected2D, written by Keras 2 itself.

Run it outside tfbio's environment, which has no Keras 2; for instance

    pip install --target keras2 --no-deps tf_keras==2.21.0
    PYTHONPATH=keras2 TF_USE_LEGACY_KERAS=1 \\
        python tests/golden/make_keras2_locally_connected.py

It writes `keras2_locally_connected_<n>.h5` (`model.save_weights`) for every case below, and all
inputs, outputs and configurations into `keras2_locally_connected.npz`, beside itself.
"""

from __future__ import annotations

import json
from pathlib import Path

# (input shape, arguments): every implementation, the paddings it takes, odd and even windows.
CASES = [
    ((6, 5, 2), {"filters": 3, "kernel_size": [3, 2], "implementation": 1}),
    ((7, 6, 2), {"filters": 3, "kernel_size": 3, "strides": 2, "implementation": 1}),
    ((6, 5, 2), {"filters": 3, "kernel_size": [3, 2], "implementation": 2}),
    ((5, 4, 2), {"filters": 3, "kernel_size": [2, 3], "padding": "same", "implementation": 2}),
    (
        (6, 5, 2),
        {
            "filters": 2,
            "kernel_size": [3, 4],
            "strides": 2,
            "padding": "same",
            "activation": "relu",
            "implementation": 2,
        },
    ),
    ((6, 5, 2), {"filters": 3, "kernel_size": [3, 2], "strides": [1, 2], "implementation": 3}),
    (
        (6, 5, 2),
        {
            "filters": 3,
            "kernel_size": [3, 4],
            "strides": 2,
            "padding": "same",
            "implementation": 3,
        },
    ),
    (
        (5, 6, 2),
        {
            "filters": 3,
            "kernel_size": [4, 1],
            "strides": [3, 2],
            "padding": "same",
            "use_bias": False,
            "implementation": 3,
        },
    ),
    # An order of weights that shapes alone do not give away; TensorFlow's CPU runs it.
    (
        (5, 4, 2),
        {"filters": 3, "kernel_size": [3, 2], "data_format": "channels_first", "implementation": 1},
    ),
    (
        (5, 4, 2),
        {
            "filters": 3,
            "kernel_size": 3,
            "padding": "same",
            "data_format": "channels_first",
            "implementation": 2,
        },
    ),
    (
        (5, 4, 2),
        {
            "filters": 3,
            "kernel_size": 3,
            "padding": "same",
            "data_format": "channels_first",
            "implementation": 3,
        },
    ),
]


def main() -> None:
    import numpy as np
    import tf_keras

    folder = Path(__file__).parent
    rng = np.random.default_rng(0)
    arrays = {}
    for n, (shape, arguments) in enumerate(CASES, start=1):
        first = arguments.get("data_format") == "channels_first"
        tf_keras.backend.clear_session()
        layer = tf_keras.layers.LocallyConnected2D(name="local", **arguments)
        model = tf_keras.Sequential(
            [tf_keras.Input((shape[2], *shape[:2]) if first else shape), layer]
        )
        layer.set_weights(
            [rng.standard_normal(weight.shape).astype("float32") for weight in layer.get_weights()]
        )
        inputs = rng.standard_normal((2, *shape)).astype("float32")
        # Stored channels last, whatever the layer takes.
        output = np.asarray(model(inputs.transpose(0, 3, 1, 2) if first else inputs))
        arrays[f"input_{n}"] = inputs
        arrays[f"output_{n}"] = output.transpose(0, 2, 3, 1) if first else output
        arrays[f"config_{n}"] = json.dumps(layer.get_config())
        model.save_weights(folder / f"keras2_locally_connected_{n}.h5")
    np.savez_compressed(folder / "keras2_locally_connected.npz", **arrays)


if __name__ == "__main__":
    main()
