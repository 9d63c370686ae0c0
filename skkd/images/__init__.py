"""Images on disk: a folder of class folders, and a transformer that reads pixels."""

from typing import TYPE_CHECKING, Any

from skkd.images._errors import (
    ImageFolderWarning,
    UnreadableImageError,
)
from skkd.images._folder import load_image_folder
from skkd.images._reader import ImageReader

__all__ = [
    "ImageFolderWarning",
    "ImageReader",
    "LazyImages",
    "UnreadableImageError",
    "load_image_folder",
]

if TYPE_CHECKING:
    from skkd.images._lazy import LazyImages as LazyImages
else:

    def __getattr__(name: str) -> Any:
        """Import LazyImages when it is first used: it needs skorch, and so torch."""
        if name == "LazyImages":
            from skkd.images._lazy import LazyImages

            globals()[name] = LazyImages
            return LazyImages
        raise AttributeError(f"module 'skkd.images' has no attribute {name!r}")
