"""The libraries of the zoo share one process."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

# It imports what is to be imported where a test needs it.
collect_ignore = ["zoo_lightning.py"]
