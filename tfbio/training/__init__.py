"""Training: configuration, `train` and `load_run`, and what they are made of.

The configuration is here without TensorFlow, which is imported with the first thing that needs it.
"""

from typing import TYPE_CHECKING

from tfbio._lazy import attach

if TYPE_CHECKING:
    from tfbio.training.activity import ActivityStatistics as ActivityStatistics
    from tfbio.training.activity import channel_correlation as channel_correlation
    from tfbio.training.activity import fraction_of_zeros as fraction_of_zeros
    from tfbio.training.activity import mean_activity as mean_activity
    from tfbio.training.activity import sparsity as sparsity
    from tfbio.training.activity_recorder import ActivityRecorder as ActivityRecorder
    from tfbio.training.adam import Adam as Adam
    from tfbio.training.adam import AdamW as AdamW
    from tfbio.training.api import train as train
    from tfbio.training.api import train_seeds as train_seeds
    from tfbio.training.best_epoch import best_key as best_key
    from tfbio.training.best_epoch import epochs_since_best as epochs_since_best
    from tfbio.training.class_weights import balanced_class_weights as balanced_class_weights
    from tfbio.training.config import DataConfig as DataConfig
    from tfbio.training.config import ModelConfig as ModelConfig
    from tfbio.training.config import NoiseConfig as NoiseConfig
    from tfbio.training.config import RecordingConfig as RecordingConfig
    from tfbio.training.config import TrainingConfig as TrainingConfig
    from tfbio.training.fine_tuning import train_classifier_only as train_classifier_only
    from tfbio.training.learning_rate import Constant as Constant
    from tfbio.training.learning_rate import Cosine as Cosine
    from tfbio.training.learning_rate import Plateau as Plateau
    from tfbio.training.learning_rate import Step as Step
    from tfbio.training.loop import DivergedError as DivergedError
    from tfbio.training.loop import fit as fit
    from tfbio.training.loss_scale import LossScaleOptimizer as LossScaleOptimizer
    from tfbio.training.losses import TimeAveragedCrossentropy as TimeAveragedCrossentropy
    from tfbio.training.losses import last_step_accuracy as last_step_accuracy
    from tfbio.training.optimizer import OPTIMIZERS as OPTIMIZERS
    from tfbio.training.optimizer import OptimizerConfig as OptimizerConfig
    from tfbio.training.penalty import L2Penalty as L2Penalty
    from tfbio.training.plateau import PlateauDecay as PlateauDecay
    from tfbio.training.replica_sum import ReplicaSum as ReplicaSum
    from tfbio.training.rmsprop import RMSprop as RMSprop
    from tfbio.training.run_directory import Checkpoint as Checkpoint
    from tfbio.training.run_directory import RunDirectory as RunDirectory
    from tfbio.training.run_directory import finished_run as finished_run
    from tfbio.training.run_directory import newest_run as newest_run
    from tfbio.training.run_directory import open_run as open_run
    from tfbio.training.seeds import SeedTable as SeedTable
    from tfbio.training.sgd import SGD as SGD
    from tfbio.training.strategy import STRATEGIES as STRATEGIES
    from tfbio.training.strategy import choose_strategy as choose_strategy
    from tfbio.training.strategy import replicas as replicas
    from tfbio.training.strategy import strategy_scope as strategy_scope
    from tfbio.training.trained import TrainedModel as TrainedModel
    from tfbio.training.trained import as_trained as as_trained
    from tfbio.training.trained import load_run as load_run

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ActivityRecorder": "tfbio.training.activity_recorder",
        "ActivityStatistics": "tfbio.training.activity",
        "Adam": "tfbio.training.adam",
        "AdamW": "tfbio.training.adam",
        "Checkpoint": "tfbio.training.run_directory",
        "Constant": "tfbio.training.learning_rate",
        "Cosine": "tfbio.training.learning_rate",
        "DataConfig": "tfbio.training.config",
        "DivergedError": "tfbio.training.loop",
        "L2Penalty": "tfbio.training.penalty",
        "LossScaleOptimizer": "tfbio.training.loss_scale",
        "ModelConfig": "tfbio.training.config",
        "NoiseConfig": "tfbio.training.config",
        "OPTIMIZERS": "tfbio.training.optimizer",
        "OptimizerConfig": "tfbio.training.optimizer",
        "Plateau": "tfbio.training.learning_rate",
        "PlateauDecay": "tfbio.training.plateau",
        "RMSprop": "tfbio.training.rmsprop",
        "RecordingConfig": "tfbio.training.config",
        "ReplicaSum": "tfbio.training.replica_sum",
        "RunDirectory": "tfbio.training.run_directory",
        "SGD": "tfbio.training.sgd",
        "STRATEGIES": "tfbio.training.strategy",
        "SeedTable": "tfbio.training.seeds",
        "Step": "tfbio.training.learning_rate",
        "TimeAveragedCrossentropy": "tfbio.training.losses",
        "TrainedModel": "tfbio.training.trained",
        "TrainingConfig": "tfbio.training.config",
        "as_trained": "tfbio.training.trained",
        "balanced_class_weights": "tfbio.training.class_weights",
        "best_key": "tfbio.training.best_epoch",
        "channel_correlation": "tfbio.training.activity",
        "choose_strategy": "tfbio.training.strategy",
        "epochs_since_best": "tfbio.training.best_epoch",
        "finished_run": "tfbio.training.run_directory",
        "fit": "tfbio.training.loop",
        "fraction_of_zeros": "tfbio.training.activity",
        "last_step_accuracy": "tfbio.training.losses",
        "load_run": "tfbio.training.trained",
        "mean_activity": "tfbio.training.activity",
        "newest_run": "tfbio.training.run_directory",
        "open_run": "tfbio.training.run_directory",
        "replicas": "tfbio.training.strategy",
        "sparsity": "tfbio.training.activity",
        "strategy_scope": "tfbio.training.strategy",
        "train": "tfbio.training.api",
        "train_classifier_only": "tfbio.training.fine_tuning",
        "train_seeds": "tfbio.training.api",
    },
)
