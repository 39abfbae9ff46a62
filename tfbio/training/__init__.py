"""Training: strategy, optimizer and schedule, losses, the loop with resume."""

from tfbio.training.loop import DivergedError, train
from tfbio.training.losses import TimeAveragedCrossentropy, last_step_accuracy
from tfbio.training.optimizer import OPTIMIZERS, SCHEDULES, make_optimizer
from tfbio.training.run_directory import Checkpoint, RunDirectory, newest_run, open_run
from tfbio.training.strategy import STRATEGIES, choose_strategy, replicas, strategy_scope

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "STRATEGIES",
    "Checkpoint",
    "DivergedError",
    "RunDirectory",
    "TimeAveragedCrossentropy",
    "choose_strategy",
    "last_step_accuracy",
    "make_optimizer",
    "newest_run",
    "open_run",
    "replicas",
    "strategy_scope",
    "train",
]
