"""Training: strategy, optimizer and schedule, losses, the loop with resume."""

from tfbio.training.fine_tuning import train_classifier_only
from tfbio.training.learning_rate import SCHEDULES, make_learning_rate
from tfbio.training.loop import DivergedError, train
from tfbio.training.loss_scale import LossScaleOptimizer
from tfbio.training.losses import TimeAveragedCrossentropy, last_step_accuracy
from tfbio.training.optimizer import OPTIMIZERS, make_optimizer
from tfbio.training.run_directory import Checkpoint, RunDirectory, newest_run, open_run
from tfbio.training.sgd import SGD
from tfbio.training.strategy import STRATEGIES, choose_strategy, replicas, strategy_scope

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "STRATEGIES",
    "Checkpoint",
    "DivergedError",
    "LossScaleOptimizer",
    "RunDirectory",
    "TimeAveragedCrossentropy",
    "choose_strategy",
    "last_step_accuracy",
    "make_learning_rate",
    "make_optimizer",
    "newest_run",
    "open_run",
    "replicas",
    "strategy_scope",
    "train",
    "train_classifier_only",
]
