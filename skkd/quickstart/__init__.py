"""From a folder of images to a student, a verdict and files, in one call."""

from skkd.quickstart._distill import distill_folder
from skkd.quickstart._outcome import Outcome
from skkd.quickstart._progress import LiveProgress, Progress

__all__ = ["LiveProgress", "Outcome", "Progress", "distill_folder"]
