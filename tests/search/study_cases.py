"""Studies of a tiny student of the irises."""

import socket
import time

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback

from skkd import DistilledClassifier
from skkd.search import DistillationStudy

X, Y = load_iris(return_X_y=True)
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)
SPACE = {
    "alpha": FloatDistribution(0, 1),
    "temperature": FloatDistribution(1, 16, log=True),
    "lr": FloatDistribution(1e-3, 0.1, log=True),
}


def student(**params):
    defaults = {"teacher": TEACHER, "max_epochs": 2, "random_state": 0}
    return DistilledClassifier(**{**defaults, **params})


def study(**params):
    params = {"warm_starts": None, "random_state": 0, "heartbeat": 1, **params}
    return DistillationStudy(
        params.pop("estimator", student()),
        params.pop("space", SPACE),
        params.pop("data", (X, Y)),
        **params,
    )


# A definition as users write it; STORAGE and MEMORY are replaced, and so may others.
DEFINITION = """
import numpy as np
from optuna.distributions import FloatDistribution
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skkd import DistilledClassifier
from skkd.search import DistillationStudy

X, y = load_iris(return_X_y=True)
teacher = LogisticRegression(max_iter=500).fit(X, y)
study = DistillationStudy(
    DistilledClassifier(
        teacher=teacher, memory=MEMORY, max_epochs=2, random_state=0
    ),
    {"alpha": FloatDistribution(0, 1), "lr": FloatDistribution(1e-3, 0.1, log=True)},
    (X, y),
    storage=STORAGE,
    random_state=0,
)
"""


def write_definition(folder, storage, memory=None, **replaced):
    """Write study.py into a folder, and return its path."""
    text = DEFINITION.replace("STORAGE", repr(storage))
    text = text.replace("MEMORY", repr(None if memory is None else str(memory)))
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "study.py"
    path.write_text(text)
    return path


# Seconds that each epoch takes longer: not part of the definition.
PAUSE = [0.0]


class Slow(Callback):
    """Make epochs long enough to be interrupted."""

    def on_epoch_end(self, net, **kwargs):
        time.sleep(PAUSE[0])


FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def study_of(journal, name="distillation"):
    """Return Optuna's study of a journal."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    return optuna.load_study(study_name=name, storage=storage)


def until(condition, seconds=60):
    """Wait until something is so."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)


def wait_for_port(port):
    """Wait until somebody listens on a port of this machine."""

    def listens():
        with socket.socket() as client:
            return client.connect_ex(("localhost", port)) == 0

    until(listens)
