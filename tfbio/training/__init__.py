"""Training: strategy, optimizer and schedule, losses, the loop with resume."""

from tfbio.training.activity import (
    ActivityStatistics,
    channel_correlation,
    fraction_of_zeros,
    mean_activity,
    sparsity,
)
from tfbio.training.activity_recorder import ActivityRecorder
from tfbio.training.adam import Adam, AdamW
from tfbio.training.best_epoch import epochs_since_best, merit
from tfbio.training.class_weights import balanced_class_weights
from tfbio.training.fine_tuning import train_classifier_only
from tfbio.training.learning_rate import SCHEDULES, make_learning_rate, make_plateau
from tfbio.training.loop import DivergedError, train
from tfbio.training.loss_scale import LossScaleOptimizer
from tfbio.training.losses import TimeAveragedCrossentropy, last_step_accuracy
from tfbio.training.optimizer import OPTIMIZERS, make_optimizer
from tfbio.training.penalty import L2Penalty
from tfbio.training.plateau import PlateauDecay
from tfbio.training.replica_sum import ReplicaSum
from tfbio.training.rmsprop import RMSprop
from tfbio.training.run_directory import (
    Checkpoint,
    RunDirectory,
    finished_run,
    newest_run,
    open_run,
)
from tfbio.training.sgd import SGD
from tfbio.training.strategy import STRATEGIES, choose_strategy, replicas, strategy_scope

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "STRATEGIES",
    "ActivityRecorder",
    "ActivityStatistics",
    "Adam",
    "AdamW",
    "Checkpoint",
    "DivergedError",
    "L2Penalty",
    "LossScaleOptimizer",
    "PlateauDecay",
    "RMSprop",
    "ReplicaSum",
    "RunDirectory",
    "TimeAveragedCrossentropy",
    "balanced_class_weights",
    "channel_correlation",
    "choose_strategy",
    "epochs_since_best",
    "finished_run",
    "fraction_of_zeros",
    "last_step_accuracy",
    "make_learning_rate",
    "make_optimizer",
    "make_plateau",
    "mean_activity",
    "merit",
    "newest_run",
    "open_run",
    "replicas",
    "sparsity",
    "strategy_scope",
    "train",
    "train_classifier_only",
]
