"""A grid search on Dask, and the plan of a teacher's pass over a million images.

Claim, on 2 cores: with two workers of one thread each, a search of students of at least
a second a fit is at least 1.6 times as fast as with one worker.

How: the digits, an SVC teaches an MLP, 8 candidates x 3 folds; in each round once with
one worker process and once with two, each cluster new, its workers warmed up by one fit
each. The folder of logits is shared.

The plan has no bound: MobileNetV2 with random weights stands for a network of 1,000
classes; a slice of random images of 224 x 224 pixels is measured, in this process, and
planned for 1,000,000, whole in float32, and the 16 largest logits in float16.

    python benchmarks/bench_dask.py --threads 1
"""

import tempfile

import numpy as np
import torch
from common import (
    Bounds,
    Run,
    clocked,
    describe_machine,
    paired,
    parser,
    ratios,
    seconds,
    set_up,
    table,
)
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC
from torchvision.models import mobilenet_v2

from skkd import DistilledClassifier
from skkd.memory import LogitMemory, plan_logits

BOUND = 1.6
GRID = {"temperature": [1, 2, 4, 8], "alpha": [0.3, 0.6]}


def search(n_workers, epochs, grid):
    """Time one search on so many workers."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    teacher = SVC(gamma=0.001).fit(X, y)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        Client(cluster),
        parallel_config("dask"),
    ):
        student = DistilledClassifier(
            teacher=teacher,
            memory=folder,
            max_epochs=1,
            batch_size=32,
            random_state=0,
            device="cpu",
        )
        cross_val_score(student, X, y, cv=2 * n_workers)  # imports, the teacher's pass
        student.set_params(max_epochs=epochs)
        found = GridSearchCV(student, grid, cv=3, refit=False)
        duration, _ = clocked(lambda: found.fit(X, y))
        each = found.cv_results_["mean_fit_time"].mean()
        print(f"  {n_workers} workers: {each:.2f} s a fit")
    return Run(duration, found.best_score_)


def plan(n_slice):
    """Plan a million images of 1,000 classes by a slice."""
    torch.manual_seed(0)
    teacher = mobilenet_v2(num_classes=1000).eval()
    shape = (n_slice, 3, 224, 224)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    memories = {
        "float32": LogitMemory(),
        "float16": LogitMemory(dtype="float16"),
        "float16, top_k=16": LogitMemory(dtype="float16", top_k=16),
    }
    rows = []
    for name, memory in memories.items():
        out = plan_logits(teacher, images, 10**6, memory, classes=range(1000))
        hours, each = f"{out.seconds / 3600:.1f}", out.nbytes / out.n_samples
        rows.append([name, f"{out.nbytes / 1e9:.3f}", f"{each:,.0f}", hours])
    print(f"\n1,000,000 images, planned by {out.n_measured}:\n")
    print(table(["logits", "GB", "bytes an image", "hours"], rows))


def main():
    """Run what the command line asks for."""
    args = parser(__doc__, reads_data=False).parse_args()
    epochs, rounds, grid, n_slice = args.epochs or 60, args.rounds or 3, GRID, 288
    if args.quick:
        epochs, rounds, grid, n_slice = 1, 1, {"alpha": [0.3]}, 16
    set_up(args.threads)
    print(describe_machine(["distributed"]))
    sides = {
        "one worker": lambda number: search(1, epochs, grid),
        "two workers": lambda number: search(2, epochs, grid),
    }
    # Not isolated: the fits are in processes of their own.
    runs = paired(sides, rounds, isolate=False)
    one, two = runs.values()
    spread = ratios(one, two)
    lines = [[name, seconds(side).show(1)] for name, side in runs.items()]
    print(f"\n{table(['search', 'seconds'], lines)}\n")
    plan(n_slice)
    print()
    bounds = Bounds(enforced=not args.quick)
    bounds.at_least("two workers, times as fast as one", spread.median, BOUND)
    bounds.finish()


if __name__ == "__main__":
    main()
