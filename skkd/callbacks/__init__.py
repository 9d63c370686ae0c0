"""Callbacks of a student: schedules by epoch, statistics of batch normalisation."""

from skkd.callbacks._batch_norm import SettleBatchNorm
from skkd.callbacks._schedules import Anneal, Schedule, WarmUp

__all__ = ["Anneal", "Schedule", "SettleBatchNorm", "WarmUp"]
