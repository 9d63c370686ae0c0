"""Distillation losses: small objects called with logits, labels, temperature."""

from skkd.losses._base import DistillationLoss
from skkd.losses._feature_base import FeatureLoss
from skkd.losses._registry import LOSSES, as_loss
from skkd.losses.attention import AttentionTransfer
from skkd.losses.crd import CRD
from skkd.losses.dist import DIST
from skkd.losses.dkd import DKD
from skkd.losses.fitnet import FitNet
from skkd.losses.hard_label import HardLabel
from skkd.losses.jensen_shannon import JensenShannon
from skkd.losses.kd import KD
from skkd.losses.label_smoothing import LabelSmoothing
from skkd.losses.logit_mse import LogitMSE
from skkd.losses.pkt import PKT
from skkd.losses.rkd import RKD
from skkd.losses.similarity import SimilarityPreserving
from skkd.losses.standardization import LogitStandardization
from skkd.losses.virtual_teacher import VirtualTeacher
from skkd.losses.weighted_sum import WeightedSum

__all__ = [
    "CRD",
    "DIST",
    "DKD",
    "KD",
    "PKT",
    "RKD",
    "AttentionTransfer",
    "DistillationLoss",
    "FeatureLoss",
    "FitNet",
    "HardLabel",
    "JensenShannon",
    "LabelSmoothing",
    "LogitMSE",
    "LogitStandardization",
    "SimilarityPreserving",
    "VirtualTeacher",
    "WeightedSum",
    "as_loss",
]

LOSSES.update(
    {
        "kd": KD,
        "hard": HardLabel,
        "mse": LogitMSE,
        "dkd": DKD,
        "dist": DIST,
        "standardized_kd": LogitStandardization,
        "js": JensenShannon,
        "label_smoothing": LabelSmoothing,
        "virtual_teacher": VirtualTeacher,
        "fitnet": FitNet,
        "attention": AttentionTransfer,
        "rkd": RKD,
        "similarity": SimilarityPreserving,
        "pkt": PKT,
        "crd": CRD,
    }
)
