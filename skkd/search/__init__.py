"""Search for temperature, alpha and all else: trained together, or with Optuna."""

from skkd.search._agreement import OtherMachineError
from skkd.search._classifier_cv import DistilledClassifierCV
from skkd.search._packed_search import PackedSearchCV
from skkd.search._pruned import pruned_cross_val_score, suggest_distillation
from skkd.search._study import DistillationStudy

__all__ = [
    "DistillationStudy",
    "DistilledClassifierCV",
    "OtherMachineError",
    "PackedSearchCV",
    "pruned_cross_val_score",
    "suggest_distillation",
]
