"""tfbio: biologically constrained vision models for Keras 3.

Models: `list_models`, `create_model`, `load_weights`, `features`, `with_timesteps`. From data to a
result: `train`, `load_run`, `evaluate`, `export`, with `TrainingConfig` and its parts for what one
line does not say. `tfbio.datasets`, `tfbio.training`, `tfbio.evaluation` and `tfbio.export` use
TensorFlow, which is imported with the first thing that needs it, as Keras is.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tfbio._lazy import attach
from tfbio._registration import register_with_keras
from tfbio._version import __version__
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.onednn import enable_onednn

if TYPE_CHECKING:
    from tfbio import datasets as datasets
    from tfbio import evaluation as evaluation
    from tfbio import layers as layers
    from tfbio import models as models
    from tfbio import training as training
    from tfbio import weights as weights
    from tfbio.evaluation.api import evaluate as evaluate
    from tfbio.export.api import export as export
    from tfbio.models.features import features as features
    from tfbio.models.registry import ModelInfo as ModelInfo
    from tfbio.models.registry import create_model as create_model
    from tfbio.models.registry import list_models as list_models
    from tfbio.models.registry import model_info as model_info
    from tfbio.models.registry import register_model as register_model
    from tfbio.models.time_steps import with_timesteps as with_timesteps
    from tfbio.training.api import train as train
    from tfbio.training.config import DataConfig as DataConfig
    from tfbio.training.config import ModelConfig as ModelConfig
    from tfbio.training.config import NoiseConfig as NoiseConfig
    from tfbio.training.config import RecordingConfig as RecordingConfig
    from tfbio.training.config import TrainingConfig as TrainingConfig
    from tfbio.training.learning_rate import Constant as Constant
    from tfbio.training.learning_rate import Cosine as Cosine
    from tfbio.training.learning_rate import Plateau as Plateau
    from tfbio.training.learning_rate import Step as Step
    from tfbio.training.optimizer import OptimizerConfig as OptimizerConfig
    from tfbio.training.trained import TrainedModel as TrainedModel
    from tfbio.training.trained import load_run as load_run
    from tfbio.weights.errors import WeightsError as WeightsError
    from tfbio.weights.loading import load_weights as load_weights

# `tfbio.export` is the package and, called, its function.
_PACKAGES = ("datasets", "evaluation", "export", "layers", "models", "training", "weights")

_attribute, _, _later = attach(
    __name__,
    {
        "Constant": "tfbio.training.learning_rate",
        "Cosine": "tfbio.training.learning_rate",
        "DataConfig": "tfbio.training.config",
        "ModelConfig": "tfbio.training.config",
        "ModelInfo": "tfbio.models.registry",
        "NoiseConfig": "tfbio.training.config",
        "OptimizerConfig": "tfbio.training.optimizer",
        "Plateau": "tfbio.training.learning_rate",
        "RecordingConfig": "tfbio.training.config",
        "Step": "tfbio.training.learning_rate",
        "TrainedModel": "tfbio.training.trained",
        "TrainingConfig": "tfbio.training.config",
        "WeightsError": "tfbio.weights.errors",
        "create_model": "tfbio.models.registry",
        "evaluate": "tfbio.evaluation.api",
        "features": "tfbio.models.features",
        "list_models": "tfbio.models.registry",
        "load_run": "tfbio.training.trained",
        "load_weights": "tfbio.weights.loading",
        "model_info": "tfbio.models.registry",
        "register_model": "tfbio.models.registry",
        "train": "tfbio.training.api",
        "with_timesteps": "tfbio.models.time_steps",
    },
)


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    return _attribute(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Framing",
    "InputError",
    "UnknownNameError",
    "__version__",
    "enable_onednn",
    *_PACKAGES,
    *_later,
]

register_with_keras()
