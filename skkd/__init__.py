"""Knowledge distillation for people who think in scikit-learn."""

from skkd._estimator import DistilledClassifier
from skkd._validation import DistillationWarning, TeacherWarning
from skkd.images import ImageReader, load_image_folder

__version__ = "0.1.0.dev0"

__all__ = [
    "DistillationWarning",
    "DistilledClassifier",
    "ImageReader",
    "TeacherWarning",
    "load_image_folder",
]
