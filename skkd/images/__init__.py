"""Images on disk: a folder of class folders, and a transformer that reads pixels."""

from skkd.images._decoding import UnreadableImageError
from skkd.images._folder import ImageFolderWarning, load_image_folder
from skkd.images._lazy import LazyImages
from skkd.images._reader import ImageReader

__all__ = [
    "ImageFolderWarning",
    "ImageReader",
    "LazyImages",
    "UnreadableImageError",
    "load_image_folder",
]
