"""tfbio: biologically constrained vision models for Keras 3.

`create_model` builds a registered model, `load_weights` reads the weights of the project it comes
from, `features` gives its activations at every time step. `tfbio.datasets`, `tfbio.training`,
`tfbio.evaluation` and `tfbio.export` use TensorFlow and are imported when they are needed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfbio._registration import register_with_keras
from tfbio._version import __version__
from tfbio.errors import InputError, UnknownNameError
from tfbio.onednn import enable_onednn

# Each is imported when it is first asked for: `import tfbio` alone does not import Keras.
if TYPE_CHECKING:
    from tfbio import layers, models, weights
    from tfbio.models.features import features
    from tfbio.models.registry import ModelInfo, create_model, list_models, model_info
    from tfbio.models.time_steps import with_timesteps
    from tfbio.weights.errors import WeightsError
    from tfbio.weights.loading import load_weights
else:
    _PLACES = {
        "ModelInfo": "tfbio.models.registry",
        "WeightsError": "tfbio.weights.errors",
        "create_model": "tfbio.models.registry",
        "features": "tfbio.models.features",
        "list_models": "tfbio.models.registry",
        "load_weights": "tfbio.weights.loading",
        "model_info": "tfbio.models.registry",
        "with_timesteps": "tfbio.models.time_steps",
    }
    _PACKAGES = ("layers", "models", "weights")

    def __getattr__(name: str) -> Any:
        if name in _PACKAGES:
            return importlib.import_module(f"tfbio.{name}")
        if name in _PLACES:
            return getattr(importlib.import_module(_PLACES[name]), name)
        raise AttributeError(f"module 'tfbio' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "InputError",
    "ModelInfo",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "create_model",
    "enable_onednn",
    "features",
    "layers",
    "list_models",
    "load_weights",
    "model_info",
    "models",
    "weights",
    "with_timesteps",
]

register_with_keras()
