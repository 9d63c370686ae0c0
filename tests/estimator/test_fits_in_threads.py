"""Fits in several threads are those of one thread, and leave the teacher alone."""

import copy
import threading

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from torch import nn

from skkd import DistilledClassifier

X, Y = load_iris(return_X_y=True)
X = X.astype("float32")


class Noise:
    """An augmentation that draws from torch's global generator."""

    def __call__(self, x):
        return x + 0.1 * torch.randn_like(x)


def network():
    torch.manual_seed(0)
    layers = (nn.BatchNorm1d(4), nn.Linear(4, 200), nn.ReLU(), nn.Dropout(0.5))
    # Left in train mode on purpose: it has to stay so.
    return nn.Sequential(*layers, nn.Linear(200, 3)).train()


def in_threads(function, n=4):
    out, errors = {}, []

    def run(i):
        try:
            out[i] = function(i)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not errors
    return [out[i] for i in range(n)]


def test_seeded_fits_are_repeatable_and_leave_global_streams_alone():
    teacher = LogisticRegression(max_iter=500).fit(X, Y)

    def fit(seed):
        net = DistilledClassifier(
            teacher=teacher, max_epochs=5, random_state=seed, batch_size=16
        )
        return net.fit(X, Y).predict_proba(X)

    alone = [fit(i) for i in range(4)]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]
    together = in_threads(fit)
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore:.*train-mode:skkd.TeacherWarning")
@pytest.mark.filterwarnings(
    "ignore:.*(random-head|chance-level|one-sided):skkd.TeacherWarning"
)
@pytest.mark.parametrize("augment", [None, Noise()])
def test_a_search_in_threads_is_the_search_of_one(augment):
    teacher = network()
    before = copy.deepcopy(teacher.state_dict())
    net = DistilledClassifier(
        teacher=teacher,
        augment=augment,
        max_epochs=3,
        batch_size=16,
        random_state=0,
        module__hidden=8,
    )
    grid = {"alpha": [0.1, 0.4, 0.7, 1.0]}
    one = GridSearchCV(net, grid, cv=2).fit(X, Y)
    with parallel_config(backend="threading"):
        four = GridSearchCV(net, grid, cv=2, n_jobs=4).fit(X, Y)
    for key in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(one.cv_results_[key], four.cv_results_[key])
    np.testing.assert_array_equal(one.predict_proba(X), four.predict_proba(X))
    assert all(part.training for part in teacher.modules())
    after = teacher.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.filterwarnings(
    "ignore:.*(random-head|chance-level|one-sided):skkd.TeacherWarning"
)
def test_losses_on_features_do_not_mix_between_threads():
    teacher = network().eval()

    def fit(seed):
        net = DistilledClassifier(
            teacher=teacher,
            distillation="similarity",
            module__hidden=8,
            max_epochs=3,
            batch_size=16,
            random_state=seed,
        )
        return net.fit(X, Y).predict_proba(X)

    alone = [fit(i) for i in range(4)]
    for one, other in zip(alone, in_threads(fit), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not any(part._forward_hooks for part in teacher.modules())


def test_many_threads_ask_one_student():
    net = DistilledClassifier(max_epochs=2, random_state=0).fit(X, Y)
    expected = net.predict_proba(X)
    for got in in_threads(lambda i: net.predict_proba(X), n=8):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.parametrize("augment", [None, Noise()])
def test_a_teacher_in_train_mode_that_is_asked_by_several_threads(augment):
    teacher = network()
    before = copy.deepcopy(teacher.state_dict())

    def fit(i):
        net = DistilledClassifier(
            teacher=teacher,
            augment=augment,
            module__hidden=8,
            max_epochs=2,
            memory=False,
            random_state=0,
        )
        return net.fit(X, Y).predict_proba(X)

    first, *others = in_threads(fit)
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert all(part.training for part in teacher.modules())
    after = teacher.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
