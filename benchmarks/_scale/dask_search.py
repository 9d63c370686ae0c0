"""A grid search on a Dask cluster of one worker process, and of two.

The digits, an SVC teaches an MLP, 8 candidates x 3 folds; each cluster is new, its
workers warmed up by one fit each. The folder of logits is shared.
"""

import tempfile
from typing import Any

import numpy as np
from common import Bounds, Run, clocked, paired, ratios, seconds, table
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.svm import SVC

from skkd import DistilledClassifier

FASTER = 1.6
GRID = {"temperature": [1, 2, 4, 8], "alpha": [0.3, 0.6]}
N_EPOCHS = 60  # at least a second a fit


def bench(args: Any, bounds: Bounds) -> None:
    """Measure, print and check; one after the other in each round."""
    epochs, grid = (1, {"alpha": [0.3]}) if args.quick else (N_EPOCHS, GRID)
    print("\n## A search on Dask\n")
    sides = {
        "one worker": lambda number: search(1, epochs, grid),
        "two workers": lambda number: search(2, epochs, grid),
    }
    # Not isolated: the fits are in processes of their own.
    runs = paired(sides, args.rounds, isolate=False)
    one, two = runs.values()
    faster = ratios(one, two)
    lines = [[name, seconds(side).show(1)] for name, side in runs.items()]
    print(f"\n{table(['search', 'seconds'], lines)}\n")
    print(f"Two are {faster.show(2)} times as fast as one.")
    bounds.at_least("two workers, times as fast as one", faster.median, FASTER)


def search(n_workers, epochs, grid):
    """Time one search on so many workers."""
    from dask.distributed import Client, LocalCluster

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
