"""Evaluation: one protocol per file; each takes a model and data and returns a table."""

from tfbio.evaluation.accuracy_over_time import AccuracyOverTime, AccuracyTable, rank_and_loss
from tfbio.evaluation.report import format_table, write_results

__all__ = ["AccuracyOverTime", "AccuracyTable", "format_table", "rank_and_loss", "write_results"]
