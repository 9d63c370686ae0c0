"""What a file says about the student in it and about how that was made."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import Any

from skkd._formats.onnx_metadata import ImageReading, OnnxMetadata, Proof
from skkd._utils.modules import count_parameters, describe, uncompiled
from skkd._version import __version__
from skkd.export._fitted import Fitted
from skkd.export._gaps import columns_with_gaps
from skkd.export._samples import Samples
from skkd.tables import TablePreprocessor


def describe_student(
    fitted: Fitted, samples: Samples, quantize: str | None, proof: Proof | None
) -> OnnxMetadata:
    """Return what a file says about a student."""
    net, estimator = fitted.net, fitted.estimator
    names = getattr(estimator, "feature_names_in_", None)
    module = uncompiled(net.module_)
    return OnnxMetadata(
        classes=net.classes_,
        inputs=samples.inputs,
        kind=samples.kind,
        n_features_in=_n_features(fitted),
        feature_names_in=None if names is None else tuple(map(str, names)),
        gaps=columns_with_gaps(fitted, samples),
        text_gaps=_begins_with_table(fitted),
        image=_image_reading(fitted),
        steps=fitted.names,
        student={
            "module": type(module).__name__,
            "n_parameters": count_parameters(module),
        },
        training=_training(net),
        quantize=quantize,
        proof=proof,
        versions=_versions(fitted),
    )


def _begins_with_table(fitted: Fitted) -> bool:
    return bool(fitted.steps) and isinstance(fitted.steps[0][1], TablePreprocessor)


def _n_features(fitted: Fitted) -> int | None:
    if fitted.reader is None:
        found = getattr(fitted.estimator, "n_features_in_", None)
        return None if found is None else int(found)
    return None  # as of the pipeline, whose reader takes a list of paths


def _image_reading(fitted: Fitted) -> ImageReading | None:
    if fitted.reader is None:
        return None
    (_, height, width), levels = fitted.reader._check_params()
    return ImageReading((height, width), fitted.reader.mode, levels)


def _training(net: Any) -> dict[str, Any]:
    """Return teacher, temperature, alpha and loss, as far as they say something."""
    loss = getattr(net, "distillation_", None) or net.distillation
    teacher = getattr(net, "teacher_", None)
    name = loss if isinstance(loss, str) else _name_of(loss)
    params = loss.get_params() if hasattr(loss, "get_params") else {}
    return {
        "teacher": None if teacher is None else describe(teacher),
        "temperature": float(net.temperature),
        "alpha": float(net.alpha),
        "distillation": name,
        "distillation_params": {k: v for k, v in params.items() if _is_plain(v)},
    }


def _name_of(loss: Any) -> str:
    return getattr(loss, "__name__", type(loss).__name__)


def _is_plain(value: Any) -> bool:
    """Tell whether JSON has a value; objects would show addresses of the machine."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _versions(fitted: Fitted) -> dict[str, str]:
    names = ["numpy", "onnx", "onnxscript", "scikit-learn", "torch"]
    names += ["pillow"] * (fitted.reader is not None)
    ours = all(isinstance(step, TablePreprocessor) for _, step in fitted.steps)
    names += ["skl2onnx"] * (not ours)
    # Builds for CPUs and GPUs are one version: "2.9.0+cu130".
    found = {name: version(name).partition("+")[0] for name in names}
    python = ".".join(platform.python_version_tuple()[:2])
    return {"skkd": __version__, "python": python, **found}
