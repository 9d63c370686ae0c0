"""Knowledge distillation for people who think in scikit-learn."""

import importlib
from typing import TYPE_CHECKING, Any

from skkd._version import __version__
from skkd.exceptions import DistillationWarning, TeacherWarning

__all__ = [
    "AcceleratedClassifier",
    "DistillationWarning",
    "DistilledClassifier",
    "DistilledClassifierCV",
    "ImageReader",
    "TeacherWarning",
    "__version__",
    "load_image_folder",
    "load_student",
    "save_student",
]

# What is imported when it is first used, and from where: `import skkd` is fast, and
# works where torch is not installed.
_LAZY = {
    "AcceleratedClassifier": "skkd._estimator.distributed.classifier",
    "DistilledClassifier": "skkd._estimator.classifier",
    "DistilledClassifierCV": "skkd.search",
    "ImageReader": "skkd.images",
    "load_image_folder": "skkd.images",
    "load_student": "skkd._safe_file",
    "save_student": "skkd._safe_file",
}
_SUBMODULES = {
    *("augment", "callbacks", "checkpoints", "displays", "exceptions", "export"),
    *("images", "losses", "memory", "quickstart", "recipes", "report", "runtime"),
    *("search", "students", "tables", "teachers"),
}

if TYPE_CHECKING:
    from skkd import augment as augment
    from skkd import callbacks as callbacks
    from skkd import checkpoints as checkpoints
    from skkd import displays as displays
    from skkd import exceptions as exceptions
    from skkd import export as export
    from skkd import images as images
    from skkd import losses as losses
    from skkd import memory as memory
    from skkd import quickstart as quickstart
    from skkd import recipes as recipes
    from skkd import report as report
    from skkd import runtime as runtime
    from skkd import search as search
    from skkd import students as students
    from skkd import tables as tables
    from skkd import teachers as teachers
    from skkd._estimator.classifier import DistilledClassifier
    from skkd._estimator.distributed.classifier import AcceleratedClassifier
    from skkd._safe_file import load_student, save_student
    from skkd.images import ImageReader, load_image_folder
    from skkd.search import DistilledClassifierCV
else:

    def __getattr__(name: str) -> Any:
        """Import a public name or module when it is first used."""
        if name in _SUBMODULES:
            return importlib.import_module(f"skkd.{name}")
        if name not in _LAZY:
            raise AttributeError(f"module 'skkd' has no attribute {name!r}")
        globals()[name] = getattr(importlib.import_module(_LAZY[name]), name)
        return globals()[name]


def __dir__() -> list[str]:
    """List the public names and modules, imported or not."""
    return sorted({*__all__, *_SUBMODULES})
