"""A student that leaves: files with a proof that they answer as it does."""

from skkd._formats.onnx_metadata import Proof
from skkd.export._onnx import export_onnx
from skkd.export._program import export_program

__all__ = ["Proof", "export_onnx", "export_program"]
