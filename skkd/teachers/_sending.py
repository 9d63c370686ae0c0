"""Teachers on their way to other processes: as bytes, or refused with the remedy.

Programs of torch have no pickle. They have a format of their own, which goes instead;
only loky's pickler is told, and no other pickle changes.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Callable
from typing import Any

import torch

from skkd._utils.modules import describe

try:  # not public: without it a teacher is pickled as any object is
    from joblib.externals.loky.backend import reduction
except ImportError:
    reduction = None

_SENT: set[str] = set()  # the classes that loky knows of


def pickle_teacher(teacher: Any) -> bytes:
    """Return what `pickle.loads` makes the teacher of again, in another process.

    Raises
    ------
    TypeError
        If the teacher, or a part of it, cannot be sent.
    """
    refuse_session(teacher)
    register_programs()
    try:
        return dumps(teacher)
    except Exception as error:  # whatever a __reduce__ of others may raise
        name = getattr(teacher, "described", None) or describe(teacher)
        raise TypeError(
            f"The teacher {name} cannot be sent to other processes ({error}). Leave "
            "out what belongs to this process alone, such as locks, open files and "
            "connections; or search in this process, with n_jobs=None and no cluster."
        ) from error


def dumps(content: Any) -> bytes:
    """Return a pickle, also of functions and classes of a script or a notebook."""
    return (
        pickle.dumps(content) if reduction is None else bytes(reduction.dumps(content))
    )


def register_programs() -> None:
    """Tell loky how to send what a teacher may be, as far as it can be one by now."""
    if reduction is None:
        return
    for path, reducer in _REDUCERS.items():
        module, _, name = path.rpartition(".")
        if module in sys.modules and path not in _SENT:
            reduction.register(getattr(sys.modules[module], name), reducer)
            _SENT.add(path)


def _reduce_script(program: Any) -> Any:
    return _load_script, (program.save_to_buffer(),)


def _load_script(raw: bytes) -> Any:
    return torch.jit.load(io.BytesIO(raw))


def _reduce_export(program: Any) -> Any:
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return _load_export, (buffer.getvalue(),)


def _load_export(raw: bytes) -> Any:
    return torch.export.load(io.BytesIO(raw))


def refuse_session(teacher: Any) -> None:
    """Raise TypeError if a teacher is a session of ONNX Runtime."""
    if type(teacher).__module__.partition(".")[0] == "onnxruntime":
        raise TypeError(
            "An InferenceSession of ONNX Runtime cannot be sent to other processes: "
            "pass the path of its file, teacher='model.onnx', or its bytes."
        )


_REDUCERS: dict[str, Callable[[Any], Any]] = {
    "torch.jit._script.RecursiveScriptModule": _reduce_script,
    "torch.jit._trace.TopLevelTracedModule": _reduce_script,
    "torch.export.exported_program.ExportedProgram": _reduce_export,
}
