"""A fitted student as an ONNX file, with a proof that it answers alike."""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import numpy as np

from skkd._evaluate.card import huggingface_hub
from skkd._formats.onnx_metadata import KEY, OnnxMetadata, Proof
from skkd._utils.atomic import new_file
from skkd._utils.checks import check_number
from skkd._utils.warn import warn
from skkd.exceptions import DistillationWarning
from skkd.export._card import write_card
from skkd.export._file import check_path, serialize
from skkd.export._fitted import Fitted, read_fitted
from skkd.export._fp16 import store_as_fp16
from skkd.export._graph import (
    add_labels,
    check_names,
    clean,
    module_to_onnx,
    name_batch_axis,
)
from skkd.export._int8 import divergence, quantize_int8, run_probabilities
from skkd.export._int8_distilled import distill_for_int8
from skkd.export._libraries import onnx, require
from skkd.export._metadata import describe_student
from skkd.export._module import build_module
from skkd.export._proof import check_proof, expected_probabilities, prove
from skkd.export._samples import Samples, read_samples
from skkd.export._steps import convert_steps, join

_INT8 = ("int8", "int8-distilled")
_QUANTIZE = (None, *_INT8, "fp16")
# One of so many calibration samples tells what training gained.
_FOLD = 5
_TINY = 1e-7
# Share of calibration samples that keep their label in an ordinary int8 file.
_AGREEMENT = 0.95


def export_onnx(
    fitted: Any,
    path: str | os.PathLike[str],
    *,
    quantize: str | None = None,
    X_calibration: Any = None,
    tolerance: float = 1e-4,
    opset: int | None = None,
    card: bool = False,
) -> Proof:
    """Write a fitted student to one ONNX file, and prove that it answers alike.

    Parameters
    ----------
    fitted : DistilledClassifier or Pipeline
        A fitted student, or a fitted Pipeline that ends in one. Before the student may
        stand an :class:`~skkd.ImageReader`, as the first step, and transformers of
        scikit-learn that skl2onnx converts exactly.
    path : str or path-like
        Name of the file, ``*.onnx``. A file that is there is replaced, in one step, by
        an export that succeeded.
    quantize : {None, "int8", "int8-distilled", "fp16"}, default=None
        None keeps the floats of the student. "int8" stores and computes convolutions
        and linear layers with 8 bits. "int8-distilled" trains these for it first, on
        four fifths of the calibration samples with the float student as the teacher
        and the student's own loss, and takes the result if it is closer to the student
        on the last fifth. "fp16" stores weights with 16 bits, and computes with 32.
    X_calibration : array-like of n samples, default=None
        A few hundred training samples, as `fitted` takes them. "int8" takes the ranges
        of values from them. The proof is on these; without them on synthetic samples.
    tolerance : float, default=1e-4
        Largest difference of a probability between file and student; above it nothing
        is written. With `quantize` it is that of the floats before it, and the proof
        says how far the quantised file is from the student.
    opset : int, default=None
        Version of ONNX's operators; None is that which torch's exporter prefers.
    card : bool, default=False
        Whether to write a model card beside the file, ``*.md``, with what the student
        is, what taught it, the proof, size and latency. Needs huggingface-hub
        (``pip install "skkd[card]"``).

    Returns
    -------
    Proof
        How far the file's answers were from the student's, and on how many samples.
        It is in the file as well.

    Raises
    ------
    ImportError
        If onnx, onnxscript or onnxruntime is not installed
        (``pip install "skkd[onnx]"``).
    NotFittedError
        If the student is not fitted.
    TypeError
        If `fitted` is no student.
    ValueError
        If a step or a layer cannot be written as ONNX, if the samples do not fit, or if
        the file's answers differ by more than `tolerance`. No file is left then.

    Notes
    -----
    - The first axis of inputs and outputs is free. The outputs are ``label``, with the
      classes' own type (int64, double, bool or string), and ``probabilities``, with
      columns in the order of ``classes_``.
    - The input ``X`` is uint8 if the student was fitted on uint8 images. Tables are
      float32, or float64 if the student is; a table with a ColumnTransformer, or with
      columns of text, gives an input for each column, under its name.
    - A student that makes its numbers of a table (``preprocessor="auto"``) gives an
      input for each column of a data frame: float64 for numbers, NaN where one is
      missing, and text for categories, the empty text where one is missing. Columns of
      dates are refused, by name.
    - Int8 is static, with a scale for each output channel, and ranges of activations
      that are clipped if that is closer to the student on `X_calibration`. Weights have
      7 of the 8 bits, with which processors without VNNI compute the same as those with
      it. The first and the last layer stay in float where more than 2 % of the
      calibration samples would get another label. Sums, pooling and softmax are floats.
    - Int8 files of float64 students take and give float32.
    - Students that compute with 16 bits (``precision="bf16"``) are exported, and
      proved, with 32.
    - ``metadata_props["skkd"]`` is a JSON text with classes, inputs, how files become
      images, teacher, temperature, alpha and loss, the proof and the versions of the
      libraries. Nothing of the machine is in the file: the same student and samples
      give the same bytes.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from skkd import DistilledClassifier
    >>> from skkd.export import export_onnx
    >>> X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    >>> student = DistilledClassifier(max_epochs=1).fit(X, X[:, 0] > 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     proof = export_onnx(student, f"{folder}/student.onnx")
    >>> proof.max_difference < 1e-4, proof.label_agreement
    (True, 1.0)
    """
    target = check_path(path, ".onnx")
    _check_options(quantize, X_calibration, tolerance, opset)
    parts = read_fitted(fitted)
    require("onnx", "onnxscript", "onnxruntime")
    if card:
        huggingface_hub()
    job = _Export(parts, read_samples(parts, X_calibration), float(tolerance))
    if quantize in _INT8:
        job.compute_in_float32()
    student = job.student(opset)
    model, proof = job.prove_floats(student)
    if quantize is not None:
        model, proof = job.quantize(student, quantize)
    metadata = describe_student(parts, job.samples, quantize, proof)
    with new_file(target) as temporary:
        temporary.write_bytes(_with_metadata(model, metadata))
    if card:
        write_card(target, parts, job.samples, metadata)
    return proof


def _check_options(
    quantize: Any, X_calibration: Any, tolerance: Any, opset: Any
) -> None:
    if quantize not in _QUANTIZE:
        raise ValueError(f"quantize={quantize!r}: expected one of {_QUANTIZE}.")
    if quantize in _INT8 and X_calibration is None:
        raise ValueError(
            f"quantize={quantize!r} needs samples to take the ranges of values from: "
            "pass a few hundred training samples, X_calibration=X_train[:300]."
        )
    check_number("tolerance", tolerance, low=0)
    if opset is not None:
        check_number("opset", opset, Integral, low=18)


class _Export:
    """One export: the student, the samples, and what it says of these."""

    def __init__(self, parts: Fitted, samples: Samples, tolerance: float) -> None:
        check_names(samples.inputs)
        names = tuple(samples.file_inputs) if samples.kind == "mapping" else None
        self.parts, self.samples, self.tolerance = parts, samples, tolerance
        self.module = build_module(parts.net, names)
        self.expected = expected_probabilities(parts, samples, self.module)
        self.steps: list[Any] = []

    def compute_in_float32(self) -> None:
        """Let the file compute so, whatever the student does."""
        self.module = self.module.float()
        self.samples = self.samples.in_float32()

    def student(self, opset: int | None) -> Any:
        """Return the graph of the student, and convert the steps before it."""
        student = module_to_onnx(self.module, self.samples.student_inputs, opset)
        clean(student)
        opset = next(o.version for o in student.opset_import if not o.domain)
        self.steps = convert_steps(self.parts, self.samples, opset)
        return student

    def prove_floats(self, student: Any) -> tuple[Any, Proof]:
        """Return the whole model and the proof of it; ValueError if it differs."""
        model, proof = self._assembled(student)
        check_proof(proof)
        return model, proof

    def quantize(self, student: Any, how: str) -> tuple[Any, Proof]:
        """Return the whole model, quantised, and how far it is from the student."""
        if how == "fp16":
            return self._assembled(store_as_fp16(student))
        inputs = self.samples.student_inputs
        quantized = quantize_int8(student, inputs)
        if how == "int8-distilled":
            quantized = self._better(quantized, inputs, student)
        model, proof = self._assembled(quantized)
        if proof.label_agreement < _AGREEMENT:
            warn(
                f"In {how} the student gives another label to "
                f"{1 - proof.label_agreement:.0%} of the calibration samples: compare "
                "the scores of both on held-out samples, or keep the floats.",
                DistillationWarning,
            )
        return model, proof

    def _better(
        self, quantized: Any, inputs: dict[str, np.ndarray], student: Any
    ) -> Any:
        """Return an int8 model that was trained, or the given one if that is closer."""
        held_out = np.arange(self.samples.n_samples) % _FOLD == _FOLD - 1
        seen = {name: values[~held_out] for name, values in inputs.items()}
        unseen = {name: values[held_out] for name, values in inputs.items()}
        logits = np.log(np.maximum(self.expected[~held_out], _TINY))
        taught = distill_for_int8(self.parts.net, self.module, seen, logits)
        opset = next(o.version for o in student.opset_import if not o.domain)
        model = module_to_onnx(taught, inputs, opset)
        clean(model)
        trained = quantize_int8(model, inputs)
        losses = [
            divergence(self.expected[held_out], run_probabilities(one, unseen))
            for one in (trained, quantized)
        ]
        return trained if losses[0] < losses[1] else quantized

    def _assembled(self, student: Any) -> tuple[Any, Proof]:
        model = join(self.steps, student)
        add_labels(model, self.parts.net.classes_)
        name_batch_axis(model)
        clean(model)
        onnx().checker.check_model(model)
        classes = self.parts.net.classes_
        content = serialize(model)
        return model, prove(
            content, self.samples, self.expected, classes, self.tolerance
        )


def _with_metadata(model: Any, metadata: OnnxMetadata) -> bytes:
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, metadata.to_json()
    return serialize(model)
