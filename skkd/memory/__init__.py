"""Teachers' logits, computed once and cached by content."""

from skkd.memory._fingerprint import FingerprintError
from skkd.memory._logits import CacheInfo, LogitMemory, clear_cache

__all__ = ["CacheInfo", "FingerprintError", "LogitMemory", "clear_cache"]
