"""Knowledge distillation for people who think in scikit-learn."""

from skkd._estimator.classifier import DistilledClassifier
from skkd._version import __version__
from skkd.exceptions import DistillationWarning, TeacherWarning
from skkd.images._folder import load_image_folder
from skkd.images._reader import ImageReader

__all__ = [
    "DistillationWarning",
    "DistilledClassifier",
    "ImageReader",
    "TeacherWarning",
    "__version__",
    "load_image_folder",
]
