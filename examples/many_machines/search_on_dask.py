"""A grid search over the workers of a Dask cluster, the teacher's logits computed once.

    python search_on_dask.py                                     two processes here
    python search_on_dask.py --scheduler-file FILE --memory FOLDER

FILE is what ``dask scheduler --scheduler-file FILE`` writes, and FOLDER lies where all
machines see it.
"""

import argparse
import tempfile

import numpy as np
from dask.distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.memory import precompute_logits

GRID = {"temperature": [1, 4], "alpha": [0.0, 0.3, 0.6]}


def connect(scheduler_file):
    """Return a client of the cluster, or of two processes of this machine."""
    if scheduler_file:
        return Client(scheduler_file=scheduler_file)
    return Client(LocalCluster(n_workers=2, threads_per_worker=1))


def search(client, memory, epochs):
    """Search, and return the best student and its accuracy on other samples."""
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    X_teacher, X_rest, y_teacher, y_rest = train_test_split(X, y, random_state=0)
    teacher = SVC(gamma=0.001).fit(X_teacher, y_teacher)
    X_train, X_test, y_train, y_test = train_test_split(X_rest, y_rest, random_state=0)

    done = precompute_logits(teacher, X_train, memory, client=client)
    print(f"teacher: {done.misses} samples computed by the workers")

    student = DistilledClassifier(
        teacher=teacher, memory=memory, max_epochs=epochs, random_state=0
    )
    with parallel_config("dask", client=client):
        found = GridSearchCV(student, GRID, cv=3).fit(X_train, y_train)
    best = found.best_estimator_
    print(f"best: {found.best_params_}, {found.best_score_:.3f} in cross-validation")
    print(f"on samples that nobody saw: {best.score(X_test, y_test):.3f}")
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scheduler-file", help="of the cluster")
    parser.add_argument("--memory", help="a folder that all machines see")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, connect(args.scheduler_file) as c:
        search(c, args.memory or scratch, args.epochs)


if __name__ == "__main__":
    main()
