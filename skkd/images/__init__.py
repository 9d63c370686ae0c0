"""Images on disk: a folder of class folders, and a transformer that reads pixels."""

import importlib
from typing import TYPE_CHECKING, Any

from skkd.images._errors import (
    ImageFolderWarning,
    UnreadableImageError,
)

__all__ = [
    "ImageFolderWarning",
    "ImageReader",
    "LazyImages",
    "UnreadableImageError",
    "load_image_folder",
]

# What needs scikit-learn, or skorch and so torch: `skkd.runtime` decodes images where
# neither is installed.
_LAZY = {
    "ImageReader": "skkd.images._reader",
    "LazyImages": "skkd.images._lazy",
    "load_image_folder": "skkd.images._folder",
}

if TYPE_CHECKING:
    from skkd.images._folder import load_image_folder as load_image_folder
    from skkd.images._lazy import LazyImages as LazyImages
    from skkd.images._reader import ImageReader as ImageReader
else:

    def __getattr__(name: str) -> Any:
        """Import what is public when it is first used."""
        if name not in _LAZY:
            raise AttributeError(f"module 'skkd.images' has no attribute {name!r}")
        globals()[name] = getattr(importlib.import_module(_LAZY[name]), name)
        return globals()[name]
