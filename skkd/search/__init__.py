"""Search for temperature, alpha and all else: trained together, or with Optuna."""

from skkd.search._classifier_cv import DistilledClassifierCV
from skkd.search._packed_search import PackedSearchCV
from skkd.search._pruned import pruned_cross_val_score, suggest_distillation

__all__ = [
    "DistilledClassifierCV",
    "PackedSearchCV",
    "pruned_cross_val_score",
    "suggest_distillation",
]
