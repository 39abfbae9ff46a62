"""Evaluation: one protocol per file; each takes a model and data and returns a table."""

from tfbio.evaluation.accuracy_over_time import AccuracyOverTime, AccuracyTable, rank_and_loss
from tfbio.evaluation.corruption_report import format_robustness, write_robustness
from tfbio.evaluation.corruption_robustness import (
    CorruptionRobustness,
    RobustnessTable,
    alexnet_errors,
)
from tfbio.evaluation.report import format_table, write_results

__all__ = [
    "AccuracyOverTime",
    "AccuracyTable",
    "CorruptionRobustness",
    "RobustnessTable",
    "alexnet_errors",
    "format_robustness",
    "format_table",
    "rank_and_loss",
    "write_results",
    "write_robustness",
]
