"""The model card of an exported file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from skkd._evaluate.card import Card
from skkd._evaluate.machine import describe_machine
from skkd._formats.onnx_metadata import OnnxMetadata
from skkd.export._fitted import Fitted
from skkd.export._samples import Samples
from skkd.runtime import OnnxClassifier

_SECONDS = 0.2  # for which one sample is predicted, again and again


def write_card(
    file: Path, fitted: Fitted, samples: Samples, metadata: OnnxMetadata
) -> None:
    """Write what a file holds, how close it is to the student, and how fast."""
    proof = metadata.proof
    assert proof is not None
    kind = "floats" if metadata.quantize is None else metadata.quantize
    evaluation = (
        f"The file holds {kind}. On {proof.n_samples} {proof.samples} samples its "
        f"probabilities differ from those of the fitted student by "
        f"{proof.max_difference:.1g} at most, and {proof.label_agreement:.1%} of the "
        f"labels are the same.\n\n"
        f"| bytes | ms for one sample, one thread |\n| ---: | ---: |\n"
        f"| {file.stat().st_size:,} | {1000 * _latency(file, samples):.3f} |"
    )
    Card(
        title=file.stem,
        classes=metadata.classes,
        evaluation=evaluation,
        student=fitted.estimator,
        known_limits=[
            "Every input gets one of the classes above, whatever it shows.",
            "Its accuracy was not measured here; skkd.report.compare does, and its "
            "result writes a card too.",
        ],
        machine=describe_machine(["onnxruntime"]),
        file=file.name,
    ).write(file.with_suffix(".md"))


def _latency(file: Path, samples: Samples) -> float:
    """Return the median time of the prediction of one sample, in seconds."""
    classifier = OnnxClassifier(file, n_threads=1)
    one: Any = {name: values[:1] for name, values in samples.file_inputs.items()}
    X = one["X"] if samples.kind == "array" else one
    times: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(times) < 10 or time.perf_counter() < end:
        start = time.perf_counter()
        classifier.predict_proba(X)
        times.append(time.perf_counter() - start)
    return float(np.median(times))
