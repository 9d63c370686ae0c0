"""Losses that need no teacher: fitted without one, and asking none."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

from skkd import DistilledClassifier
from skkd.losses import WeightedSum

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)


def distil(**params):
    params = {"distillation": "label_smoothing", "alpha": 0.2} | params
    return DistilledClassifier(max_epochs=3, random_state=0, **params)


def asked(X):
    raise AssertionError("the teacher was asked")


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


@pytest.mark.parametrize("teacher", [None, asked], ids=["none", "unasked"])
def test_label_smoothing_is_that_of_torch(teacher):
    mine = distil(teacher=teacher).fit(X, y)
    torchs = distil(alpha=0.0, criterion__label_smoothing=0.2).fit(X, y)
    torch.testing.assert_close(weights(mine), weights(torchs), rtol=1e-4, atol=1e-5)
    plain = distil(alpha=0.0).fit(X, y)
    assert (weights(mine) - weights(plain)).abs().max() > 1e-3


def test_a_virtual_teacher_teaches():
    taught = distil(distillation="virtual_teacher", temperature=20.0, alpha=0.5)
    plain = distil(alpha=0.0).fit(X, y)
    assert not torch.equal(weights(taught.fit(X, y)), weights(plain))
    assert taught.teacher_ is None
    assert taught.cache_info_.misses == 0


def test_rows_are_weighted():
    weight = np.where(y == 2, 0.0, 1.0)
    part = distil(classes=[0, 1, 2]).fit(X, y, sample_weight=weight)
    assert not (part.predict(X) == 2).any()


@pytest.mark.parametrize("name", ["label_smoothing", "virtual_teacher"])
@pytest.mark.parametrize("teacher", [None, asked], ids=["none", "unasked"])
def test_unlabelled_rows_would_teach_nothing(name, teacher):
    partly = np.where(np.arange(len(y)) % 2, y, -1)
    net = distil(distillation=name, teacher=teacher, unlabeled=-1)
    with pytest.raises(ValueError, match="75 rows are marked as unlabelled"):
        net.fit(X, partly)


def test_in_a_search_with_losses_that_need_one():
    grid = {"distillation": ["kd", "label_smoothing"], "alpha": [0.0, 0.2]}
    search = GridSearchCV(distil(), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 4


def test_a_sum_with_a_loss_that_needs_a_teacher_needs_one():
    both = WeightedSum([("kd", "kd"), ("smooth", "label_smoothing")])
    with pytest.raises(ValueError, match="pass a teacher, or the latter alone"):
        distil(distillation=both, teacher=None).fit(X, y)
    plain = distil(distillation=both, teacher=None, alpha=0.0).fit(X, y)
    logits = np.eye(3)[y] * 4 + np.random.RandomState(0).randn(len(y), 3)
    taught = distil(distillation=both).fit(X, y, teacher_logits=logits)
    assert not torch.equal(weights(taught), weights(plain))
