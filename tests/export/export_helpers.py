"""What the tests of exports share."""

import pytest

from skkd import DistilledClassifier
from skkd._formats.onnx_metadata import read_metadata

for library in ("onnx", "onnxruntime", "onnxscript", "skl2onnx"):
    pytest.importorskip(library)


def student(module=None, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(module, **params)


def open_file(path):
    """Return a session on a file, and what it says about its student."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    metadata = session.get_modelmeta().custom_metadata_map
    return session, read_metadata(metadata, path.name)
