"""Distillation losses: small objects called with logits, labels, temperature."""

from skkd.losses._base import DistillationLoss
from skkd.losses._feature_base import FeatureLoss
from skkd.losses._registry import as_loss
from skkd.losses.dist import DIST
from skkd.losses.dkd import DKD
from skkd.losses.hard_label import HardLabel
from skkd.losses.jensen_shannon import JensenShannon
from skkd.losses.kd import KD
from skkd.losses.label_smoothing import LabelSmoothing
from skkd.losses.logit_mse import LogitMSE
from skkd.losses.standardization import LogitStandardization
from skkd.losses.virtual_teacher import VirtualTeacher
from skkd.losses.weighted_sum import WeightedSum

__all__ = [
    "DIST",
    "DKD",
    "KD",
    "DistillationLoss",
    "FeatureLoss",
    "HardLabel",
    "JensenShannon",
    "LabelSmoothing",
    "LogitMSE",
    "LogitStandardization",
    "VirtualTeacher",
    "WeightedSum",
    "as_loss",
]
