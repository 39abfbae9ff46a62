"""tfbio: biologically constrained vision models for Keras 3.

`create_model` builds a registered model, `load_weights` reads the weights of the project it comes
from, `features` gives its activations at every time step. `tfbio.datasets`, `tfbio.training`,
`tfbio.evaluation` and `tfbio.export` use TensorFlow and are imported when they are needed.
"""

from tfbio import layers, models, weights
from tfbio._version import __version__
from tfbio.errors import InputError, UnknownNameError
from tfbio.models.features import features
from tfbio.models.registry import ModelInfo, create_model, list_models, model_info
from tfbio.models.time_steps import with_timesteps
from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import load_weights

__all__ = [
    "InputError",
    "ModelInfo",
    "UnknownNameError",
    "WeightsError",
    "__version__",
    "create_model",
    "features",
    "layers",
    "list_models",
    "load_weights",
    "model_info",
    "models",
    "weights",
    "with_timesteps",
]
