"""A student predicts at the speed of its network.

Claims, on one thread, against the network and a softmax by hand: predict_proba takes at
most 1.5 times as long for 1,797 rows of the digits (MLP 64-128-10), 2.2 times for one
row, 1.05 times for 256 images (ResNet-20), and gives the same to 1e-6. Exported, and
asked through OnnxClassifier, one image takes at most 1/3.5 of the network's time in
floats and 1/5 in int8, which is 1/20 of a ResNet-56 teacher that skorch asks; one row
of the digits takes at most 1/5 of the time of scikit-learn's MLPClassifier.

How: the ways take turns in one process, each called many times; the best of a round
counts, and ratios are taken round by round. The students are trained for one epoch,
which is all the same to the time. Without the extra "onnx" the exported ones are left
out.

    python benchmarks/bench_predict.py --threads 1
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import Bounds, Spread, describe_machine, flat_sets, parser, set_up, table
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier

from skkd import DistilledClassifier
from skkd.export import export_onnx
from skkd.runtime import OnnxClassifier
from skkd.students import MLP, CifarResNet

RAW = "network and softmax"
FLOATS, INT8, TEACHER = "OnnxClassifier", "OnnxClassifier, int8", "ResNet-56 by skorch"
SECONDS, N_TURNS = 0.2, 5  # that a way is called for in a round, at least
Way = Callable[[np.ndarray], np.ndarray]


class Case(NamedTuple):
    """A fitted student, and rows that it is asked about."""

    name: str
    student: DistilledClassifier
    X: np.ndarray
    y: np.ndarray
    n_rows: int
    bound: float  # of skkd, in times of the raw network


# The ways: each returns a function from X to probabilities, or None where it has none.


def raw(case: Case) -> Way:
    """Return what a user of torch writes."""
    net = case.student.module_.eval()
    dtype = next(net.parameters()).dtype

    def predict(X: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            inputs = torch.from_numpy(X)
            inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
            return torch.softmax(net(inputs), dim=1).numpy()

    return predict


def skkd(case: Case) -> Way:
    """Return the estimator's."""
    return case.student.predict_proba


def data_loader(case: Case) -> Way:
    """Return the estimator's by batches, as with any iterator_valid__ parameter."""
    student = DistilledClassifier(case.student.module_, max_epochs=0, device="cpu")
    student.set_params(iterator_valid__drop_last=False, random_state=0)
    return student.fit(case.X, case.y).predict_proba


def sklearn_mlp(case: Case) -> Way | None:
    """Return that of scikit-learn's network of the same size."""
    if case.X.ndim > 2:
        return None
    net = MLPClassifier((128,), max_iter=1, random_state=0)
    return net.fit(case.X, case.y).predict_proba


def exported(case: Case, quantize: str | None = None) -> Way | None:
    """Return that of the student's ONNX file."""
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.onnx"
        some = case.X[:256]
        export_onnx(case.student, path, quantize=quantize, X_calibration=some)
        return OnnxClassifier(path, n_threads=torch.get_num_threads()).predict_proba


def teacher(case: Case) -> Way | None:
    """Return that of a ResNet-56, as a user of skorch asks it."""
    if case.X.ndim < 4 or case.n_rows > 1:
        return None
    net = CifarResNet(10, case.X.shape[1:], depth=56)
    net = NeuralNetClassifier(net, criterion=torch.nn.CrossEntropyLoss)
    return net.initialize().predict_proba


WAYS = {
    RAW: raw,
    "skkd": skkd,
    "skkd, by a DataLoader": data_loader,
    "scikit-learn's MLP": sklearn_mlp,
    FLOATS: exported,
    INT8: partial(exported, quantize="int8"),
    TEACHER: teacher,
}
# At most so much of the time of another way, for one sample.
FASTER = [(FLOATS, RAW, 3.5), (INT8, RAW, 5), (INT8, TEACHER, 20)]
# Those whose probabilities are the network's own.
EQUAL = ("skkd", "skkd, by a DataLoader")


# The measurement ----------------------------------------------------------------


def cases() -> list[Case]:
    """Train the students."""
    X, y = flat_sets(None)["digits"]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (256, 3, 32, 32), dtype=np.uint8)
    labels = rng.integers(0, 10, 256)
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu"}
    mlp = DistilledClassifier(MLP, module__hidden=(128,), **params).fit(X, y)
    resnet = DistilledClassifier(CifarResNet, **params).fit(images, labels)
    return [
        Case("MLP, 1,797 rows", mlp, X, y, len(X), 1.5),
        Case("MLP, 1 row", mlp, X, y, 1, 2.2),
        Case("ResNet-20, 256 images", resnet, images, labels, 256, 1.05),
        Case("ResNet-20, 1 image", resnet, images, labels, 1, np.inf),
    ]


def measure(
    case: Case, n_rounds: int, seconds: float, least: int
) -> dict[str, list[float]]:
    """Return the seconds of a call of each way, round by round."""
    X = case.X[: case.n_rows]
    found = {name: way(case) for name, way in WAYS.items()}
    ways = {name: way for name, way in found.items() if way is not None}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(n_rounds):
        best = dict.fromkeys(ways, np.inf)
        end = time.perf_counter() + seconds * len(ways)
        n_turns = 0
        while n_turns < least or time.perf_counter() < end:
            n_turns += 1
            for name, way in ways.items():
                way(X)  # what another way left in the caches is not this one's
                start = time.perf_counter()
                way(X)
                best[name] = min(best[name], time.perf_counter() - start)
        for name in ways:
            times[name].append(best[name])
    return times


def differences(case: Case) -> dict[str, float]:
    """Return the largest difference of probabilities from the raw network's."""
    X = case.X[: case.n_rows]
    expected = raw(case)(X)
    return {name: float(np.abs(WAYS[name](case)(X) - expected).max()) for name in EQUAL}


def check_files(bounds: Bounds, case: Case, times: dict[str, list[float]]) -> None:
    """Hold the files against the network, the teacher and scikit-learn's MLP."""
    claims = [(FLOATS, "scikit-learn's MLP", 5)] if case.X.ndim == 2 else FASTER
    for way, other, factor in claims:
        if case.n_rows == 1 and way in times:
            pairs = zip(times[other], times[way], strict=True)
            found = Spread.of(a / b for a, b in pairs)
            print(f"{case.name}: {way} is {found.show()} times as fast as {other}")
            claim = f"{case.name}: {way}, part of the time of {other}"
            bounds.at_most(claim, 1 / found.median, 1 / factor)


def main() -> None:
    """Measure, print a table of ways x students, check the bounds."""
    options = parser(__doc__, reads_data=False).parse_args()
    set_up(options.threads)
    n_rounds = options.rounds or (1 if options.quick else 5)
    seconds, least = (0, 1) if options.quick else (SECONDS, N_TURNS)
    print(describe_machine(["torch", "skorch", "scikit-learn", "numpy"]))
    bounds = Bounds(enforced=not options.quick)
    all_cases = cases()
    cells: dict[str, list[str]] = {name: [name] for name in WAYS}
    for case in all_cases:
        times = measure(case, n_rounds, seconds, least)
        for name, row in cells.items():
            if name not in times:
                row += ["", ""]
                continue
            pairs = zip(times[name], times[RAW], strict=True)
            ratio = Spread.of(a / b for a, b in pairs)
            row += [f"{1e6 * np.median(times[name]):,.0f}", ratio.show()]
            if name == "skkd":
                claim = f"{case.name}: skkd to the network"
                bounds.at_most(claim, ratio.median, case.bound)
        check_files(bounds, case, times)
        for name, value in differences(case).items():
            bounds.at_most(f"{case.name}: {name}, largest difference", value, 1e-6)
    head = ["way"]
    for case in all_cases:
        head += [f"{case.name}, us", "times the network"]
    print(f"\n{n_rounds} rounds, {options.threads} thread(s)\n")
    print(table(head, cells.values()))
    bounds.finish()


if __name__ == "__main__":
    main()
