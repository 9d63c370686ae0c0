"""Students and data for the tests of training together."""

import numpy as np
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from skkd import DistilledClassifier
from skkd._packed.fits import Fold, PackedFits

X, y = load_digits(return_X_y=True)
X, y = X[:211].astype(np.float32), y[:211]  # folds of 140 and of 141 samples
TEACHER = LogisticRegression(max_iter=2000, random_state=0).fit(X / 16, y)
LOGITS = TEACHER.predict_log_proba(X / 16).astype(np.float32)
TWO = [{"temperature": 1.0, "alpha": 0.0}, {"temperature": 4.0, "alpha": 0.9}]
SPLITS = [*KFold(3).split(X)]


def student(**params):
    settings = {"max_epochs": 3, "batch_size": 32, "lr": 0.01, "random_state": 0}
    return DistilledClassifier(**{"memory": False, **settings, **params})


def folds(y=y, **rows):
    return [
        Fold(X[train], y[train], {key: value[train] for key, value in rows.items()})
        for train, _ in SPLITS
    ]


def check_equals_single_fits(estimator, candidates, data, atol, n_groups=1, columns=()):
    fits = PackedFits(estimator, candidates, data, None)
    assert fits.packing == (len(candidates) * len(data), n_groups, {}, 0)
    for (c, i), packed in fits.fitted.items():
        single = clone(estimator).set_params(**candidates[c])
        single.fit(data[i].X, data[i].y, **data[i].fit_params)
        assert_allclose(packed.predict_proba(X), single.predict_proba(X), atol=atol)
        losses = [net.history[:, "train_loss"] for net in (packed, single)]
        assert_allclose(*losses, rtol=1e-3)
        assert packed.next_seed_ == single.next_seed_  # the stream went as far
        for column in columns:
            recorded = [net.history[:, column] for net in (packed, single)]
            assert recorded[0] == recorded[1]
