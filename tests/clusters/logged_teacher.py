"""A teacher that notes in a file, from any process, what becomes of it."""

import os
import sys

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

N, D, C = 90, 4, 3


def data():
    """Return the samples of all tests here: distinct ones."""
    X = np.random.RandomState(0).randn(N, D).astype(np.float32)
    return X, LoggedTeacher("")._scores(X + 0.1).argmax(axis=1)


class LoggedTeacher(ClassifierMixin, BaseEstimator):
    """Notes where it is pickled and read, and how many rows it is asked about.

    Its class labels are numbers, its scores are linear; it has a megabyte. `log` is not
    the name of a file, whose times of change would be content.
    """

    def __init__(self, log, factor=1.0, deadly_beyond=None):
        self.log, self.factor, self.deadly_beyond = log, factor, deadly_beyond
        self.classes_ = np.arange(C)
        self.payload_ = np.random.RandomState(0).randn(130_000)

    def decision_function(self, X):
        self.note(f"rows {len(X)}")
        abroad = self.deadly_beyond not in (None, os.getpid())
        if abroad and not os.path.exists(f"{self.log}.killed"):
            open(f"{self.log}.killed", "w").close()
            os._exit(1)
        return self._scores(X)

    def _scores(self, X):
        X = np.asarray(X, np.float64)
        return self.factor * X @ self.payload_[: C * X.shape[1]].reshape(-1, C)

    def fit(self, X, y):
        raise AssertionError("fitted")

    def __getstate__(self):
        if not is_hashed():
            self.note("dump")
        return vars(self)

    def __setstate__(self, state):
        vars(self).update(state)
        self.note("load")

    def note(self, event):
        file = os.open(f"{self.log}.txt", os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, f"{os.getpid()} {event}\n".encode())
        os.close(file)

    def noted(self, event):
        """Return the processes in which something happened, and how often."""
        if not os.path.exists(f"{self.log}.txt"):
            return []
        with open(f"{self.log}.txt") as file:
            lines = [line.split() for line in file]
        return [int(pid) for pid, name, *_ in lines if name == event]

    @property
    def n_rows(self):
        """How many rows it was asked about, in all processes."""
        if not os.path.exists(f"{self.log}.txt"):
            return 0
        with open(f"{self.log}.txt") as file:
            lines = [line.split() for line in file]
        return sum(int(line[2]) for line in lines if line[1] == "rows")


def is_hashed():
    """Tell whether a state is asked for to tell the content, not to be sent."""
    frame = sys._getframe()
    while frame is not None:
        name = os.path.basename(frame.f_code.co_filename)
        if name in ("_fingerprint.py", "_known.py"):
            return True
        frame = frame.f_back
    return False
