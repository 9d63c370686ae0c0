"""From a folder of images to a student, a verdict and files, in one call."""

from skkd.quickstart._distill import distill_folder
from skkd.quickstart._outcome import Outcome
from skkd.quickstart._progress import LiveProgress, Progress, default_progress

__all__ = ["LiveProgress", "Outcome", "Progress", "default_progress", "distill_folder"]
