"""A student that leaves: ONNX files, with a proof that they answer as it does."""

from skkd._formats.onnx_metadata import Proof
from skkd.export._onnx import export_onnx

__all__ = ["Proof", "export_onnx"]
