"""What decoders warn of, kept by the image that they read.

Pillow and pydicom do not know the names of files, and Python shows a warning of one
text once, whatever file it is about.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

_MODULES = r"(PIL|pydicom|pillow_heif)\b"
# The texts of the image that this thread reads, if it reads one.
_of_thread = threading.local()


class _Catcher:
    """Catches warnings for as long as any thread reads images.

    Filters and ``warnings.showwarning`` belong to the process: the first to come
    changes them, the last to go puts them back.
    """

    def __init__(self) -> None:
        self._lock, self._n_users = threading.Lock(), 0
        self._stack = ExitStack()
        self._show: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._n_users += 1
            if self._n_users == 1:
                self._stack.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("always", module=_MODULES)
                self._show = warnings.showwarning
                warnings.showwarning = self._catch

    def __exit__(self, *error: Any) -> None:
        with self._lock:
            self._n_users -= 1
            if self._n_users == 0:
                self._stack.close()

    def _catch(self, message: Any, *args: Any, **kwargs: Any) -> None:
        texts = getattr(_of_thread, "texts", None)
        if texts is None:  # of another thread, which reads no image
            self._show(message, *args, **kwargs)
        elif str(message) not in texts:
            texts.append(str(message))


# To be entered for some images at once: to change filters has a cost, also to others.
catching_warnings = _Catcher()


@contextmanager
def warnings_of_image() -> Iterator[list[str]]:
    """Give the list of what is warned of in this block, while they are caught."""
    texts: list[str] = []
    _of_thread.texts = texts
    try:
        yield texts
    finally:
        _of_thread.texts = None
