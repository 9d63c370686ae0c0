"""A teacher is bit for bit the same after every use."""

import copy
import pickle
import random

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from teacher_cases import (
    X32,
    X,
    fitted,
    linear_logits,
    network,
    rng_state,
    skorch_net,
    state_of,
    student,
    taught,
    y,
)
from torch import nn

from skkd.teachers import as_teacher

# What teachers say is compared to the last digit; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)


def search(n_jobs):
    def run(est):
        grid = GridSearchCV(est, {"temperature": [1, 2]}, cv=2, n_jobs=n_jobs)
        grid.fit(X, y)
        if n_jobs == 1:
            assert grid.best_estimator_.teacher is est.teacher
            assert grid.best_estimator_.teacher_ is est.teacher

    return run


def fit_clone(est):
    twin = clone(clone(est))
    assert twin.teacher is est.teacher
    assert twin.fit(X, y).teacher_ is est.teacher


def in_pipeline(est):
    pipe = clone(make_pipeline(StandardScaler(), est)).fit(X, y)
    assert pipe[-1].teacher is est.teacher
    pipe.predict(X)


def change_params(est):
    est.set_params(temperature=2, alpha=0.9, module__hidden=()).fit(X, y)
    est.set_params(teacher=est.teacher, distillation="mse").fit(X, y)
    twin = clone(est)
    twin.set_params(**est.get_params(deep=False)).fit(X, y)
    assert twin.teacher is est.teacher


def shallow_copy(est):
    twin = copy.copy(est.fit(X, y))
    assert twin.teacher is est.teacher
    assert_array_equal(twin.predict_proba(X), est.predict_proba(X))
    twin.fit(X, y)


def round_trip(copied):
    def run(est):
        twin = copied(est.fit(X, y))
        given, got = (as_teacher(e.teacher).logits(X, [0, 1, 2]) for e in (est, twin))
        assert_array_equal(got, given)
        assert_array_equal(twin.predict_proba(X), est.predict_proba(X))
        twin.fit(X, y)  # and it can teach again
        assert_array_equal(twin.predict_proba(X), est.predict_proba(X))

    return run


def through_augment(est):
    est.set_params(augment=torch.clone).fit(X32, y)


def freed(est):
    teacher = est.teacher
    est.fit(X, y).trim_for_prediction()
    est.predict(X)
    est.teacher = teacher  # for the comparison


USES = {
    "fit": lambda est: est.fit(X, y),
    "fit-and-predict": lambda est: est.fit(X, y).predict(X),
    "partial-fit": lambda est: est.partial_fit(X, y).partial_fit(X, y),
    "clone": fit_clone,
    "grid-1": search(1),
    "grid-2": search(2),
    "cross-val": lambda est: cross_val_score(est, X, y, cv=2),
    "pipeline": in_pipeline,
    "set-params": change_params,
    "copy": shallow_copy,
    "deepcopy": round_trip(copy.deepcopy),
    "pickle": round_trip(lambda est: pickle.loads(pickle.dumps(est))),
    "augment": through_augment,
    "trim": freed,
    "repr": lambda est: (repr(est), est._repr_html_()),
}
UNCHANGED = {
    "module": network,
    "skorch": lambda: skorch_net(network()),
    "forest": lambda: fitted(RandomForestClassifier(3, random_state=0)),
    "list": lambda: [network(), skorch_net(network()), fitted(GaussianNB())],
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", UNCHANGED)
def test_teacher_is_the_same_bit_for_bit(kind, use):
    teacher = UNCHANGED[kind]()
    est = student(teacher)
    before, rng = state_of(teacher), rng_state()
    USES[use](est)
    assert rng_state() == rng
    assert state_of(teacher) == before
    assert est.get_params()["teacher"] is teacher
    assert est.teacher is teacher


class ModeKeeper(nn.Module):
    """Counts in a buffer how often it was asked, and in which mode."""

    def __init__(self):
        super().__init__()
        self.body = network()
        self.asked_in_train_mode = 0

    def train(self, mode=True):
        raise AssertionError("somebody moved the teacher to another mode")

    def forward(self, x):
        self.asked_in_train_mode += any(m.training for m in self.modules())
        assert not torch.is_grad_enabled()
        return self.body(x)


def test_teacher_is_asked_in_eval_mode_without_calling_train():
    teacher = ModeKeeper()
    taught(teacher)
    assert teacher.asked_in_train_mode == 0
    assert teacher.training
    assert not teacher.body[2].training


def test_mode_is_given_back_after_an_error():
    teacher = nn.Sequential(network(), nn.Linear(7, 3))
    before = state_of(teacher)
    with pytest.raises(ValueError, match="does not take X"):
        student(teacher).fit(X, y)
    assert state_of(teacher) == before


class TwoParts(NeuralNetClassifier):
    """A net with a second module, which skorch moves between modes too."""

    def initialize_module(self):
        super().initialize_module()
        self.extra_ = nn.Dropout(0.5)
        return self


def test_every_part_of_a_skorch_net_gets_its_mode_back():
    net = TwoParts(network(), criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    net.module_.eval()
    assert net.extra_.training
    taught(net)
    assert net.extra_.training
    assert not any(m.training for m in net.module_.modules())


@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_a_random_teacher_leaves_the_students_stream_alone():
    def noisy(rows):
        np.random.rand(3), random.random(), torch.rand(2)
        return linear_logits(rows)

    quiet = student(linear_logits, max_epochs=3).fit(X, y)
    noise = student(noisy, max_epochs=3).fit(X, y)
    assert_array_equal(quiet.predict_proba(X), noise.predict_proba(X))
