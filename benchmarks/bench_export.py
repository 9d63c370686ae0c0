"""Exported files: how close to the student, how right, how small, in floats and int8.

Claims, for networks for CIFAR-10 with public weights and for students that are trained
here: a float file gives the student's probabilities to 1e-4; the int8 file loses at
most 0.5 points of test accuracy against the floats, and has at most 0.30 of their size
(not met by the MLP on digits, 42 kB in floats: the text of its metadata and the scales
do not shrink).

    python benchmarks/bench_export.py --data FOLDER

FOLDER holds mnist.npz, cifar10_jpeg.tar.xz and weights/ with resnet20-12fca82f.th and
resnet56-cifar10jpeg-8977.pt. Int8 is chosen on training images, 300 for each file, and
the test images (2,000 of CIFAR-10 and of MNIST, 597 digits) are looked at once. The
accuracies are those of one training and one split: a difference of 0.5 points of 2,000
images is ten images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from common import Bounds, describe_machine, load_cifar10, load_mnist, parser, table
from sklearn.datasets import load_digits

from skkd import DistilledClassifier
from skkd.export import export_onnx
from skkd.students import SmallCNN, load_cifar_resnet

N_CALIBRATION, N_TEST = 300, 2000
WEIGHTS = {
    "ResNet-20": "weights/resnet20-12fca82f.th",
    "ResNet-56": "weights/resnet56-cifar10jpeg-8977.pt",
}
POINTS, SIZE = 0.5, 0.30


class Case(NamedTuple):
    """A fitted student, training and test samples."""

    student: Any
    X: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def main() -> None:
    """Run, print the table, fail where a claim does not hold."""
    options = parser(__doc__)
    options.add_argument("--distilled", action="store_true", help="int8-distilled too")
    args = options.parse_args()
    torch.set_num_threads(args.threads)
    print(describe_machine(["onnx", "onnxruntime"]))
    bounds, rows = Bounds(enforced=not args.quick), []
    for name, make in cases(args.data, quick=args.quick).items():
        rows += measure(name, make(), bounds, args.distilled)
    print()
    head = [
        "student",
        "file",
        "kB",
        "of fp32",
        "accuracy",
        "same label",
        "max |p - p'|",
    ]
    print(table(head, rows))
    bounds.finish()


def cases(folder: Path, *, quick: bool) -> dict[str, Callable[[], Case]]:
    """Return what makes each student, by its name."""
    made = {"MLP 64-128-10, digits": digits}
    if not quick:
        made["MLP 784-128-10, MNIST"] = partial(mnist, folder, None)
        made["SmallCNN, MNIST"] = partial(mnist, folder, SmallCNN)
        for name, weights in WEIGHTS.items():
            made[f"{name}, CIFAR-10"] = partial(cifar, folder, folder / weights)
    return made


def digits() -> Case:
    """Train the default student on a table."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    student = fitted(None, X[:1200], y[:1200], max_epochs=20)
    return Case(student, X[:1200], X[1200:], y[1200:])


def mnist(folder: Path, module: Any) -> Case:
    """Train a student on 6,000 images, flat for an MLP."""
    data = load_mnist(folder, 6000, N_TEST)
    X, y, X_test, y_test = (np.asarray(part) for part in data)
    if module is None:
        X, X_test = (x.reshape(len(x), -1) for x in (X, X_test))
    student = fitted(module, X, y, max_epochs=3)
    return Case(student, X, X_test, y_test)


def cifar(folder: Path, weights: Path) -> Case:
    """Take a network with its weights for a student that was fitted."""
    data = load_cifar10(folder, 3000, N_TEST)
    X, y, X_test, y_test = (np.asarray(part) for part in data)
    student = fitted(load_cifar_resnet(weights), X, y, max_epochs=0)
    return Case(student, X, X_test, y_test)


def fitted(module: Any, X: np.ndarray, y: np.ndarray, **params: Any) -> Any:
    """Return a fitted student."""
    student = DistilledClassifier(module, device="cpu", random_state=0, **params)
    return student.fit(X, y)


def measure(name: str, case: Case, bounds: Bounds, distilled: bool) -> list[list[str]]:
    """Export a student in all ways; return a row for each."""
    ways = [None, "int8", "fp16"] + ["int8-distilled"] * distilled
    rows, accuracy, size = [], {}, {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        expected = case.student.predict(case.X_test)
        for way in ways:
            calibration = case.X[:N_CALIBRATION]
            proof = export_onnx(
                case.student, path, quantize=way, X_calibration=calibration
            )
            labels = predict(path, case.X_test)
            accuracy[way] = 100 * float((labels == case.y_test).mean())
            size[way] = path.stat().st_size
            rows.append(
                [
                    name,
                    way or "fp32",
                    f"{size[way] / 1000:,.0f}",
                    f"{size[way] / size[None]:.3f}",
                    f"{accuracy[way]:.2f}",
                    f"{100 * (labels == expected).mean():.1f}",
                    f"{proof.max_difference:.1e}",
                ]
            )
            print(*rows[-1], flush=True)
            if way is None:
                bounds.at_most(f"{name}: max |p - p'|", proof.max_difference, 1e-4)
    for way in [way for way in ways if way and way.startswith("int8")]:
        lost = accuracy[None] - accuracy[way]
        bounds.at_most(f"{name}: points lost in {way}", lost, POINTS)
        bounds.at_most(f"{name}: size of {way}", size[way] / size[None], SIZE)
    return rows


def predict(path: Path, X: np.ndarray) -> np.ndarray:
    """Return the labels that a file gives."""
    session = onnxruntime.InferenceSession(str(path))
    dtype = {"tensor(uint8)": "uint8", "tensor(float)": "float32"}
    X = X.astype(dtype[session.get_inputs()[0].type])
    batches = [X[i : i + 100] for i in range(0, len(X), 100)]
    return np.concatenate([session.run(["label"], {"X": b})[0] for b in batches])


if __name__ == "__main__":
    main()
