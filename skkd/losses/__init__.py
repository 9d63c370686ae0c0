"""Distillation losses: small objects called with logits, labels, temperature."""

from skkd.losses._base import DistillationLoss
from skkd.losses._feature_base import FeatureLoss
from skkd.losses._registry import as_loss
from skkd.losses.hard_label import HardLabel
from skkd.losses.kd import KD
from skkd.losses.logit_mse import LogitMSE

__all__ = ["KD", "DistillationLoss", "FeatureLoss", "HardLabel", "LogitMSE", "as_loss"]
