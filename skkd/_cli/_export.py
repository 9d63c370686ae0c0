"""`skkd export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from skkd._cli._command import echo_json, run_safely

# A few hundred images calibrate; more take longer, and change little.
_N_CALIBRATION = 300


@click.command("export")
@click.argument("student")
@click.option("--out", help="The file to write. [STUDENT with .onnx]")
@click.option("--quantize", help="Such as int8; whole floats without it.")
@click.option("--data", help="A folder of training images, for quantising and proof.")
@click.option("--json", "as_json", is_flag=True, help="Write the proof as JSON.")
@run_safely
def command(
    student: str, out: str | None, quantize: str | None, data: str | None, as_json: bool
) -> None:
    """Write a STUDENT (.safetensors) as one ONNX file, proved to answer alike.

    \b
    Example:
      skkd export student.safetensors --quantize int8 --data photos
    """
    from skkd._safe_file import load_student
    from skkd.export import export_onnx
    from skkd.images import load_image_folder

    path = Path(out or Path(student).with_suffix(".onnx"))
    fitted = load_student(student)
    X = None
    if data is not None:
        X = load_image_folder(data).data
        rows = np.random.default_rng(0).permutation(len(X))[:_N_CALIBRATION]
        X = X[np.sort(rows)]
    proof = export_onnx(fitted, path, quantize=quantize, X_calibration=X)
    size = path.stat().st_size
    if as_json:
        echo_json({"path": str(path), "bytes": size, "proof": asdict(proof)})
        return
    click.echo(
        f"{path}, {size:,} bytes: on {proof.n_samples} {proof.samples} samples the "
        f"same labels on {100 * proof.label_agreement:g} %, probabilities within "
        f"{proof.max_difference:.1g}."
    )
