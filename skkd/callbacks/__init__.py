"""Callbacks of a student: schedules by epoch, statistics of batch normalisation."""

from skkd.callbacks._batch_norm import UpdateBatchNorm
from skkd.callbacks._schedules import Anneal, Schedule, WarmUp

__all__ = ["Anneal", "Schedule", "UpdateBatchNorm", "WarmUp"]
