"""tfbio: biologically constrained vision models for Keras 3.

Models: `list_models`, `create_model`, `load_weights`, `features`, `with_timesteps`. From data to a
result: `train`, `load_run`, `evaluate`, `export`, with `TrainingConfig` and its parts for what one
line does not say. `tfbio.datasets`, `tfbio.training`, `tfbio.evaluation` and `tfbio.export` use
TensorFlow, which is imported with the first thing that needs it.
"""

import importlib
from typing import TYPE_CHECKING, Any

# Layers and models are imported at once: Keras finds them in saved models once they are.
from tfbio import layers, models, weights
from tfbio._lazy import attach
from tfbio._version import __version__
from tfbio.errors import InputError, UnknownNameError
from tfbio.framing import Framing
from tfbio.models.features import features
from tfbio.models.registry import (
    ModelInfo,
    create_model,
    list_models,
    model_info,
    register_model,
)
from tfbio.models.time_steps import with_timesteps
from tfbio.weights.errors import WeightsError
from tfbio.weights.loading import load_weights

if TYPE_CHECKING:
    from tfbio import datasets as datasets
    from tfbio import evaluation as evaluation
    from tfbio import training as training
    from tfbio.evaluation.api import evaluate as evaluate
    from tfbio.export.api import export as export
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

# `tfbio.export` is the package and, called, its function.
_PACKAGES = ("datasets", "evaluation", "export", "training")

_attribute, _, _later = attach(
    __name__,
    {
        "Constant": "tfbio.training.learning_rate",
        "Cosine": "tfbio.training.learning_rate",
        "DataConfig": "tfbio.training.config",
        "ModelConfig": "tfbio.training.config",
        "NoiseConfig": "tfbio.training.config",
        "OptimizerConfig": "tfbio.training.optimizer",
        "Plateau": "tfbio.training.learning_rate",
        "RecordingConfig": "tfbio.training.config",
        "Step": "tfbio.training.learning_rate",
        "TrainedModel": "tfbio.training.trained",
        "TrainingConfig": "tfbio.training.config",
        "evaluate": "tfbio.evaluation.api",
        "load_run": "tfbio.training.trained",
        "train": "tfbio.training.api",
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
    "register_model",
    "weights",
    "with_timesteps",
    *_PACKAGES,
    *_later,
]
