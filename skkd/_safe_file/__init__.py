"""A student in a file that holds tensors and text, and no code."""

from skkd._safe_file.load import load_student
from skkd._safe_file.save import save_student

__all__ = ["load_student", "save_student"]
