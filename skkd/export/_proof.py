"""The proof that a file answers as the fitted student does."""

from __future__ import annotations

import warnings

import numpy as np

from skkd._formats.onnx_metadata import Proof
from skkd.exceptions import DistillationWarning
from skkd.export._fitted import Fitted
from skkd.export._graph import LABEL, PROBABILITIES, label_values
from skkd.export._libraries import open_session
from skkd.export._module import Probabilities, computes_in_half, run_module
from skkd.export._samples import Samples

_BATCH_SIZE = 64


def expected_probabilities(
    fitted: Fitted, samples: Samples, module: Probabilities
) -> np.ndarray:
    """Return what the fitted student says of the samples.

    A student that computes with 16 bits is asked with 32, as the file computes.
    """
    if computes_in_half(fitted.net):
        return run_module(module, samples.student_inputs)
    X = fitted.before_net(samples.X)
    with warnings.catch_warnings():
        if samples.origin == "synthetic":  # not quite like those of the fit
            warnings.simplefilter("ignore", DistillationWarning)
        return fitted.net.predict_proba(X)


def run_model(
    content: bytes, inputs: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (n,) and probabilities (n, n_classes) that a model gives."""
    session = open_session(content)
    n_samples = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, n_samples, _BATCH_SIZE):
        feed = {k: v[start : start + _BATCH_SIZE] for k, v in inputs.items()}
        parts.append(session.run([LABEL, PROBABILITIES], feed))
    labels, probabilities = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(probabilities)


def prove(
    content: bytes,
    samples: Samples,
    expected: np.ndarray,
    classes: np.ndarray,
    tolerance: float,
) -> Proof:
    """Run a model and compare it with what the student says."""
    labels, probabilities = run_model(content, samples.file_inputs)
    best = label_values(classes)[expected.argmax(axis=1)]
    return compare(probabilities, labels == best, samples, expected, tolerance)


def compare(
    given: np.ndarray,
    agrees: np.ndarray,
    samples: Samples,
    expected: np.ndarray,
    tolerance: float,
) -> Proof:
    """Return the proof of probabilities that a file gives, and of its labels."""
    if given.shape != expected.shape:
        raise ValueError(
            f"The exported graph gives probabilities of shape {given.shape}, and the "
            f"student {expected.shape}."
        )
    return Proof(
        n_samples=samples.n_samples,
        samples=samples.origin,
        max_difference=float(np.abs(given - expected).max()),
        label_agreement=float(agrees.mean()),
        tolerance=tolerance,
    )


def check_proof(proof: Proof) -> None:
    """Raise ValueError if a file differs from its student by more than it may."""
    if not proof.max_difference <= proof.tolerance:
        raise ValueError(
            f"The file's probabilities differ from the student's by up to "
            f"{proof.max_difference:.2g}, more than tolerance={proof.tolerance:g}, on "
            f"{proof.n_samples} {proof.samples} samples: nothing was written. If this "
            "is small enough for you, pass a larger tolerance; if not, the student "
            "computes something that the file's runtime computes otherwise."
        )
