"""Fits that are killed, and what has to be the same after they were run again."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from skorch.callbacks import Callback

from skkd import DistilledClassifier

X, Y = load_digits(return_X_y=True)
X, Y = X[:120].astype("float32"), Y[:120]
IMAGES = X.reshape(-1, 1, 8, 8)
FOREST = RandomForestClassifier(10, random_state=0).fit(X, Y)
MAX_EPOCHS = 4


class Killed(Exception):
    """In the place of SIGKILL."""


class Kill(Callback):
    """Ends the process, as it were, in the middle of an epoch."""

    observes_only = True

    def __init__(self, epoch, batch=1):
        self.epoch = epoch
        self.batch = batch

    def on_batch_begin(self, net, batch=None, training=None, **kwargs):
        place = len(net.history), len(net.history[-1]["batches"])
        if place == (self.epoch, self.batch):
            raise Killed


class Trained(Callback):
    """Counts the epochs that are trained."""

    observes_only = True
    n_epochs = 0

    def on_epoch_end(self, net, *args, **kwargs):
        Trained.n_epochs += 1


def student(folder=None, **params):
    settings = {
        "teacher": FOREST,
        "max_epochs": MAX_EPOCHS,
        "random_state": 0,
        "checkpoint": folder,
        "checkpoint_every": None if folder is None else 1,
    }
    return DistilledClassifier(**{**settings, **params})


def watched_by(net, *callbacks):
    """Add callbacks that have no influence on the fit."""
    given = net.callbacks if isinstance(net.callbacks, list) else []
    return net.set_params(callbacks=[*given, *callbacks])


def kill(net, X, y, epoch, batch=1, **fit_params):
    """Fit a net, which is killed in this epoch."""
    try:
        watched_by(net, Kill(epoch, batch)).fit(X, y, **fit_params)
    except Killed:
        return
    raise AssertionError("the fit was not killed")


def rows_of(net):
    """Return the history without durations, and as it prints: NaN equals NaN."""
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in net.history]
    return repr([dict(sorted(row.items())) for row in rows])


def assert_same(one, other):
    """Check that two nets have learnt the same, bit for bit."""
    assert rows_of(one) == rows_of(other)
    assert one.next_seed_ == other.next_seed_
    a, b = one.module_.state_dict(), other.module_.state_dict()
    assert [*a] == [*b]
    for name in a:
        assert torch.equal(a[name], b[name]), name
        assert a[name].stride() == b[name].stride(), name
    a, b = (net.optimizer_.state_dict() for net in (one, other))
    assert repr(a) == repr(b)
    assert one.teacher_temperature_ == other.teacher_temperature_
    assert [f.code for f in one.teacher_findings_] == [
        f.code for f in other.teacher_findings_
    ]


def random_streams():
    return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
