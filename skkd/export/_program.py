"""A fitted student as a program of torch.export, for ExecuTorch and others."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np
import torch

from skkd._formats.onnx_metadata import Proof
from skkd._utils.atomic import new_file
from skkd._utils.checks import check_number
from skkd._utils.modules import cast_floats, describe
from skkd.export._file import check_path
from skkd.export._fitted import read_fitted
from skkd.export._metadata import describe_student
from skkd.export._module import Probabilities, build_module, first_two
from skkd.export._proof import check_proof, compare, expected_probabilities
from skkd.export._samples import read_samples

_METADATA = "skkd.json"
_BATCH_SIZE = 64


def export_program(
    fitted: Any,
    path: str | os.PathLike[str],
    *,
    X_calibration: Any = None,
    tolerance: float = 1e-4,
) -> Proof:
    """Write a fitted student to a program of torch.export, and prove that it is alike.

    Parameters
    ----------
    fitted : DistilledClassifier or Pipeline
        A fitted student, or an :class:`~skkd.ImageReader` and one.
    path : str or path-like
        Name of the file, ``*.pt2``. A file that is there is replaced, in one step, by
        an export that succeeded.
    X_calibration : array-like of n samples, default=None
        Training samples for the proof; without them it is on synthetic samples.
    tolerance : float, default=1e-4
        Largest difference of a probability between program and student; above it
        nothing is written.

    Returns
    -------
    Proof
        How far the program's answers were from the student's.

    Raises
    ------
    NotFittedError
        If the student is not fitted.
    TypeError
        If `fitted` is no student.
    ValueError
        If torch cannot trace the student, if a step of the pipeline is not the
        student's, or if the answers differ. No file is left then.

    Notes
    -----
    The program takes the inputs of the student and gives probabilities. What
    :func:`export_onnx` writes into a file as metadata is the extra file ``skkd.json``.

    Examples
    --------
    >>> import numpy as np, tempfile, torch
    >>> from skkd import DistilledClassifier
    >>> from skkd.export import export_program
    >>> X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    >>> student = DistilledClassifier(max_epochs=1).fit(X, X[:, 0] > 0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     proof = export_program(student, f"{folder}/student.pt2")
    ...     program = torch.export.load(f"{folder}/student.pt2")
    >>> program.module()(torch.from_numpy(X[:5])).shape
    torch.Size([5, 2])
    """
    target = check_path(path, ".pt2")
    check_number("tolerance", tolerance, low=0)
    parts = read_fitted(fitted)
    if parts.steps:
        name, step = parts.steps[0]
        raise ValueError(
            f"The step {name!r} ({type(step).__name__}) is no part of the student, and "
            "a program of torch.export holds torch alone: export the student without "
            "it, or the pipeline by export_onnx."
        )
    samples = read_samples(parts, X_calibration)
    names = tuple(samples.file_inputs) if samples.kind == "mapping" else None
    module = build_module(parts.net, names)
    expected = expected_probabilities(parts, samples, module)
    program = _traced(module, samples.student_inputs)
    given = _run(program, module, samples.student_inputs)
    agrees = given.argmax(axis=1) == expected.argmax(axis=1)
    proof = compare(given, agrees, samples, expected, float(tolerance))
    check_proof(proof)
    text = describe_student(parts, samples, None, proof).to_json()
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={_METADATA: text})
    with new_file(target) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return proof


def _traced(
    module: Probabilities, inputs: dict[str, np.ndarray]
) -> torch.export.ExportedProgram:
    """Return the module as a program that takes any number of samples."""
    args = first_two(inputs, module)
    batch = torch.export.Dim("n")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                module, args, dynamic_shapes=(tuple({0: batch} for _ in args),)
            )
    except Exception as error:  # torch has a class of its own for each stage
        raise ValueError(
            f"torch.export cannot trace the student {describe(module.student)}: "
            f"{type(error).__name__}: {str(error).strip():.300} Use no control flow "
            "that depends on the values of a tensor."
        ) from error
    for node in program.graph.nodes:  # lines of source, and where they are
        node.meta.pop("stack_trace", None)
    return program


@torch.no_grad()
def _run(
    program: torch.export.ExportedProgram,
    module: Probabilities,
    inputs: dict[str, np.ndarray],
) -> np.ndarray:
    tensors = [cast_floats(values, module) for values in inputs.values()]
    batches = zip(*(tensor.split(_BATCH_SIZE) for tensor in tensors), strict=True)
    forward = program.module()
    return torch.cat([forward(*batch) for batch in batches]).numpy()
