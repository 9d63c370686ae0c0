"""Teachers' logits, computed once and cached by content."""

from skkd.memory._fingerprint import FingerprintError
from skkd.memory._logit_plan import LogitPlan, plan_logits
from skkd.memory._logits import CacheInfo, LogitMemory, clear_cache
from skkd.memory._precompute import precompute_logits

__all__ = [
    "CacheInfo",
    "FingerprintError",
    "LogitMemory",
    "LogitPlan",
    "clear_cache",
    "plan_logits",
    "precompute_logits",
]
