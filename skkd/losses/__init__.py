"""Distillation losses: small objects called with logits, labels, temperature."""

from skkd.losses._base import DistillationLoss
from skkd.losses._feature_base import FeatureLoss
from skkd.losses._registry import as_loss
from skkd.losses.attention import AttentionTransfer
from skkd.losses.crd import CRD
from skkd.losses.fitnet import FitNet
from skkd.losses.hard_label import HardLabel
from skkd.losses.kd import KD
from skkd.losses.logit_mse import LogitMSE
from skkd.losses.pkt import PKT
from skkd.losses.rkd import RKD
from skkd.losses.similarity import SimilarityPreserving

__all__ = [
    "CRD",
    "KD",
    "PKT",
    "RKD",
    "AttentionTransfer",
    "DistillationLoss",
    "FeatureLoss",
    "FitNet",
    "HardLabel",
    "LogitMSE",
    "SimilarityPreserving",
    "as_loss",
]
