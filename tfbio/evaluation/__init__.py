"""Evaluation: one protocol per file; each takes a model and data and returns a table.

`evaluate` runs a protocol on a model and data, `list_protocols` names the protocols, and
`register_protocol` adds one.
"""

from tfbio.evaluation.accuracy import AccuracyOverTime, AccuracyTable, rank_and_loss
from tfbio.evaluation.api import Evaluation, evaluate, prepare_evaluation
from tfbio.evaluation.corruptions import CorruptionOptions, CorruptionRobustness
from tfbio.evaluation.data import DataRequest, EvaluationData
from tfbio.evaluation.protocol import (
    NoOptions,
    Protocol,
    Work,
    list_protocols,
    protocol_info,
    register_protocol,
)
from tfbio.evaluation.robustness import RobustnessTable, alexnet_errors
from tfbio.evaluation.table import Table

__all__ = [
    "AccuracyOverTime",
    "AccuracyTable",
    "CorruptionOptions",
    "CorruptionRobustness",
    "DataRequest",
    "Evaluation",
    "EvaluationData",
    "NoOptions",
    "Protocol",
    "RobustnessTable",
    "Table",
    "Work",
    "alexnet_errors",
    "evaluate",
    "list_protocols",
    "prepare_evaluation",
    "protocol_info",
    "rank_and_loss",
    "register_protocol",
]
