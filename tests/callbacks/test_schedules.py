"""Schedules: what changes by epoch, and that nothing else does."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from skkd import DistilledClassifier
from skkd.callbacks import Anneal, Schedule, WarmUp
from skkd.losses import (
    CRD,
    DKD,
    RKD,
    DistillationLoss,
    FeatureLoss,
    FitNet,
    LogitStandardization,
    WeightedSum,
)
from skkd.students import MLP

X, y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=500).fit(X, y)


def student(*callbacks, **params):
    params = {
        "module__hidden": 8,
        "max_epochs": 4,
        "batch_size": 50,
        "random_state": 0,
        "device": "cpu",
        **{"temperature": 4.0, "alpha": 0.5},
        **params,
    }
    return DistilledClassifier(callbacks=[*callbacks], **params)


class Scaled(DistillationLoss):
    """A loss that keeps what it was called with."""

    heard = []

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        self.heard.append((self.beta, temperature))
        return self.beta * (student_logits - teacher_logits).square().sum(dim=1)


class Spy(Callback):
    def __init__(self):
        self.seen_ = []

    def on_epoch_begin(self, net, **kwargs):
        self.seen_.append({})

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.seen_[-1]["now"] = (net._objective_.temperature, net._objective_.alpha)


def tripled(epoch, max_epochs):
    return 3.0 ** (epoch - 1)


def too_hot(epoch, max_epochs):
    return 1.5 if epoch == 3 else 0.5


# --- The functions ------------------------------------------------------------------


def test_anneal_goes_from_start_to_end():
    linear, cosine = (
        Anneal("alpha", 0.1, 0.7),
        Anneal("alpha", 0.1, 0.7, strategy="cosine"),
    )
    progress = np.arange(7) / 6
    found = [linear.value(epoch, 7, None) for epoch in range(7)]
    assert_allclose(found, 0.1 + 0.6 * progress)
    waves = [cosine.value(epoch, 7, None) for epoch in range(7)]
    assert_allclose(waves, 0.7 - 0.6 * (1 + np.cos(np.pi * progress)) / 2)
    for values in (found, waves):
        assert (values[0], values[-1]) == (0.1, 0.7)  # exactly: 1.0000001 is no alpha
    assert linear.value(0, 1, None) == 0.1  # a single epoch
    assert linear.value(9, 7, None) == 0.7  # a fit that went on


def test_warm_up_is_the_published_factor():
    # mdistiller counts epochs from 1: min(epoch / warmup, 1).
    found = [WarmUp("alpha", 20).value(epoch, 240, 0.9) for epoch in range(240)]
    assert_allclose(found, [min(epoch / 20, 1) * 0.9 for epoch in range(1, 241)])
    assert found[19] == 0.9 > found[18]


# --- In a fit -----------------------------------------------------------------------


def test_the_loss_gets_the_values_of_each_epoch(teacher):
    Scaled.heard.clear()
    schedules = (
        Schedule("temperature", tripled),
        WarmUp("distillation__beta", 4),
        Anneal("alpha", 0.2, 0.8),
    )
    spy = Spy()
    net = student(*schedules, spy, teacher=teacher, distillation=Scaled(beta=2.0))
    net.fit(X, y)
    expected = [(0.5, 1 / 3), (1.0, 1.0), (1.5, 3.0), (2.0, 9.0)]
    # Three batches in each epoch.
    assert_allclose(Scaled.heard, [pair for pair in expected for _ in range(3)])
    temperatures, alphas = np.transpose([seen["now"] for seen in spy.seen_])
    assert_allclose(temperatures, [1 / 3, 1, 3, 9])
    assert_allclose(alphas, [0.2, 0.4, 0.6, 0.8])
    for name in ("temperature", "distillation__beta", "alpha"):
        assert len(net.history[:, name]) == 4
    assert net.history[:, "distillation__beta"] == [0.5, 1.0, 1.5, 2.0]
    # Nothing is left of it.
    assert (net.temperature, net.alpha, net.distillation.beta) == (4.0, 0.5, 2.0)
    assert net.distillation_.beta == 2.0
    assert net._objective_ is None


class AtTheEnd(Callback):
    """What a checkpoint would keep, or another callback see, after each epoch."""

    def __init__(self):
        self.seen_ = []

    def on_epoch_end(self, net, **kwargs):
        objective = net._objective_
        self.seen_.append((objective.temperature, objective.loss.beta))


def test_between_epochs_all_is_as_it_was_given(teacher):
    schedules = (Anneal("temperature", 8, 1), WarmUp("distillation__beta", 4))
    spy = AtTheEnd()
    net = student(*schedules, spy, teacher=teacher, distillation=Scaled(beta=2.0))
    net.fit(X, y)
    assert spy.seen_ == [(4.0, 2.0)] * 4


class Pickles(Callback):
    """Pickles the net in the middle of an epoch, as a checkpoint may."""

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.pickled_ = None  # without the pickle before
        self.pickled_ = pickle.dumps(net)


def test_an_epoch_of_an_earlier_fit_is_forgotten(teacher):
    params = {"teacher": teacher, "alpha": 0.9, "max_epochs": 3}
    first = student(Anneal("temperature", 8, 1), Pickles(), **params).fit(X, y)
    net = pickle.loads(first.callbacks[1].pickled_)
    assert net._objective_ is None
    net.set_params(callbacks=[]).fit(X, y)
    plain = student(**params).fit(X, y)
    assert_array_equal(net.predict_proba(X), plain.predict_proba(X))


def test_a_constant_schedule_is_the_parameter_itself(teacher):
    scheduled = student(Anneal("temperature", 2, 2), teacher=teacher, alpha=0.9)
    plain = student(teacher=teacher, temperature=2.0, alpha=0.9)
    probabilities = [net.fit(X, y).predict_proba(X) for net in (scheduled, plain)]
    assert_array_equal(*probabilities)
    other = student(Anneal("temperature", 8, 1), teacher=teacher, alpha=0.9)
    assert (other.fit(X, y).predict_proba(X) != probabilities[0]).any()


def test_alpha_may_begin_at_0_and_is_then_the_plain_student(teacher):
    first = {"max_epochs": 1, "alpha": 0.9, "teacher": teacher}
    warm = student(Anneal("alpha", 0, 0.9), **first).fit(X, y)
    plain = student(max_epochs=1).fit(X, y)
    assert_array_equal(warm.predict_proba(X), plain.predict_proba(X))
    longer = student(Anneal("alpha", 0, 0.9), teacher=teacher, alpha=0.9).fit(X, y)
    assert longer.cache_info_.misses + longer.cache_info_.hits == len(X)


def test_epochs_count_on_where_a_fit_goes_on(teacher):
    net = student(WarmUp("alpha", 8), teacher=teacher, alpha=0.8).fit(X, y)
    assert_allclose(net.history[:, "alpha"], [0.1, 0.2, 0.3, 0.4])
    net.partial_fit(X, y)
    assert_allclose(net.history[:, "alpha"], np.arange(1, 9) / 10)
    net.set_params(warm_start=True).fit(X, y)
    assert_allclose(net.history[-4:, "alpha"], [0.8] * 4)
    net.set_params(warm_start=False).fit(X, y)
    assert_allclose(net.history[:, "alpha"], [0.1, 0.2, 0.3, 0.4])


def test_validation_losses_do_not_depend_on_it(teacher):
    from skorch.dataset import ValidSplit

    split = {"train_split": ValidSplit(3), "lr": 0.0, "teacher": teacher}
    net = student(Anneal("temperature", 8, 1), Anneal("alpha", 0.1, 1), **split)
    net.fit(X, y)
    losses = net.history[:, "valid_loss"]
    assert len(set(losses)) == 1
    assert all(a != b for a, b in pairwise(net.history[:, "train_loss"]))


# --- scikit-learn's ways ------------------------------------------------------------


def test_schedules_are_cloned_and_pickled(teacher):
    net = student(("cool", Anneal("temperature", 8, 1, "cosine")), teacher=teacher)
    for twin in (clone(net), pickle.loads(pickle.dumps(net))):
        assert repr(twin.callbacks) == repr(net.callbacks)
        assert twin.callbacks[0][1] is not net.callbacks[0][1]
    net.fit(X, y)
    back = pickle.loads(pickle.dumps(net))
    assert back._objective_ is None
    assert_array_equal(back.predict_proba(X), net.predict_proba(X))
    assert "_objective_" not in net.get_params()
    assert_array_equal(clone(net).fit(X, y).predict_proba(X), net.predict_proba(X))


def test_a_search_finds_its_parameters(teacher):
    net = student(("anneal", Anneal("temperature", 8, 1)), teacher=teacher)
    search = GridSearchCV(net, {"callbacks__anneal__end": [2, 5]}, cv=2).fit(X, y)
    end = search.best_params_["callbacks__anneal__end"]
    assert search.best_estimator_.history[-1, "temperature"] == end
    assert net.callbacks[0][1].end == 1  # of the one that was passed


def test_a_fitted_net_takes_other_settings(teacher):
    net = student(("anneal", Anneal("temperature", 8, 1)), teacher=teacher).fit(X, y)
    weights = net.module_.head.weight
    net.set_params(callbacks__anneal__end=2)
    assert net.module_.head.weight is weights  # nothing was built anew
    assert net.fit(X, y).history[-1, "temperature"] == 2
    net.set_params(callbacks=[]).fit(X, y)
    assert "temperature" not in net.history[-1]


# --- What is refused, and when a fit breaks off -------------------------------------


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (Anneal("temperature", 4, 0), r"epoch 3: temperature=0.0: expected a finite"),
        (Anneal("alpha", 0.5, 2), r"epoch 2: alpha=1.5: expected a number in \[0, 1\]"),
        (Schedule("alpha", too_hot), "epoch 3: alpha=1.5"),
        (Schedule("temperature", lambda *_: None), "epoch 0: float"),
        (Schedule("temperature", lambda *_: float("nan")), "expected a finite number"),
        (Anneal("temperature", 4, 1, "quadratic"), "strategy=.*'linear' or 'cosine'"),
        (WarmUp("alpha", 0), "n_epochs=0: expected 1 or more"),
        (Anneal("lr", 1, 2), "'lr', expected one of temperature, alpha: these"),
        (Anneal("distillation__beta", 1, 2), "'distillation__beta', expected one of"),
    ],
)
def test_mistakes_are_told_before_the_first_epoch(teacher, schedule, message):
    net = student(schedule, teacher=teacher)
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)
    assert len(net.history) == 0
    assert net._objective_ is None


def test_the_parameters_of_the_loss_are_named(teacher):
    net = student(Anneal("distillation__gamma", 1, 2), distillation=Scaled())
    with pytest.raises(ValueError, match="temperature, alpha, distillation__beta"):
        net.fit(X, y)


def rising(parameter):
    return Anneal(parameter, 0.5, 0.75)


class Few(DistillationLoss):
    def __init__(self, k=2):
        self.k = k

    def __call__(self, student_logits, teacher_logits, y, temperature):
        kept = teacher_logits.argsort(dim=1)[:, : self.k]  # refuses 2.0
        return (student_logits - teacher_logits).gather(1, kept).square().sum(dim=1)


class Nearest(FeatureLoss):
    """Compares by a number of its own; has neither an adapter nor a build."""

    def __init__(self, student_layer=None, teacher_layer=None, power=2.0):
        super().__init__(student_layer, teacher_layer)
        self.power = power

    def compare(self, student, teacher):
        return (student - teacher).abs().pow(self.power).flatten(1).mean(dim=1)


SUM = WeightedSum([("kd", "kd"), ("dkd", DKD()), ("hint", FitNet())], weights=[1, 1, 1])


def named(value):
    return value if isinstance(value, str) else type(value).__name__


@pytest.mark.parametrize(
    ("loss", "parameter"),
    [
        (CRD(), "n_dimensions"),  # read once
        (CRD(), "n_negatives"),
        (CRD(), "tau"),
        (FitNet(), "student_layer"),
        ("fitnet", "teacher_layer"),
        (RKD(), "cache"),  # no number
        (SUM, "weights"),
        (SUM, "losses"),
        (SUM, "kd"),
        (SUM, "hint__student_layer"),
        (WeightedSum([("crd", "crd")]), "crd__n_negatives"),
        (LogitStandardization(DKD()), "loss"),
        (Scaled(beta=None), "beta"),
        (Scaled(beta=True), "beta"),
    ],
    ids=named,
)
def test_what_is_no_number_read_at_every_batch_is_refused(loss, parameter):
    net = student(rising(f"distillation__{parameter}"), distillation=loss)
    with pytest.raises(ValueError, match=f"distillation__{parameter}', expected one"):
        net.fit(X, y)
    assert len(net.history) == 0


@pytest.mark.parametrize(
    ("loss", "parameter"),
    [
        (CRD(), "weight"),
        ("fitnet", "weight"),
        (RKD(), "distance"),
        (RKD(), "weight"),
        (Nearest(), "power"),
        (SUM, "dkd__beta"),
        (SUM, "hint__weight"),
        (LogitStandardization(DKD()), "loss__beta"),
        (LogitStandardization("dkd"), "loss__beta"),
    ],
    ids=named,
)
def test_numbers_that_are_read_at_every_batch(loss, parameter):
    parameter = f"distillation__{parameter}"
    net = student(rising(parameter), distillation=loss, max_epochs=2).fit(X, y)
    assert net.history[:, parameter] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("loss", "parameter"),
    [(RKD(), "angle"), (FitNet(), "weight"), (Nearest(), "power"), (SUM, "dkd__beta")],
    ids=named,
)
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
def test_a_schedule_of_a_loss_on_features_takes_effect(loss, parameter):
    torch.manual_seed(0)
    params = {"teacher": MLP(3, (4,), 8).eval(), "max_epochs": 1}
    schedule = Anneal(f"distillation__{parameter}", 3, 3)
    found = [
        student(*callbacks, distillation=distillation, **params).fit(X, y).forward(X)
        for callbacks, distillation in [
            ([schedule], loss),
            ([], clone(loss).set_params(**{parameter: 3.0})),
            ([], loss),
        ]
    ]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_the_loss_checks_the_values_of_all_epochs():
    net = student(
        Anneal("distillation__correct", 0.9, 1.5), distillation="virtual_teacher"
    )
    with pytest.raises(ValueError, match=r"epoch 1: Got correct=1.1.* between 0 and 1"):
        net.fit(X, y)
    assert len(net.history) == 0
    assert net._objective_ is None


def test_a_whole_number_stays_one(teacher):
    net = student(Anneal("distillation__k", 2, 1), distillation=Few(), max_epochs=2)
    net.set_params(teacher=teacher).fit(X, y)
    assert [(k, type(k)) for k in net.history[:, "distillation__k"]] == [
        (2, int),
        (1, int),
    ]
    # The second is computed as 3.0000000000000004.
    falls = Anneal("distillation__k", 4, 1)
    net.set_params(callbacks=[falls], max_epochs=4).fit(X, y)
    assert net.history[:, "distillation__k"] == [4, 3, 2, 1]
    net.set_params(callbacks=[Anneal("distillation__k", 2, 1)], max_epochs=3)
    with pytest.raises(ValueError, match=r"epoch 1: .*k=1.5: .* given as k=2.*2\.0"):
        net.fit(X, y)


def test_two_schedules_of_one_parameter_are_refused(teacher):
    net = student(Anneal("alpha", 0, 1), WarmUp("alpha"), teacher=teacher)
    with pytest.raises(ValueError, match="alpha has two schedules"):
        net.fit(X, y)


def test_alpha_0_asks_no_teacher(teacher):
    net = student(Anneal("alpha", 0, 0.9), teacher=teacher, alpha=0)
    with pytest.raises(ValueError, match="alpha=0 no teacher is used"):
        net.fit(X, y)
    # Without a teacher there is nothing wrong with it: a baseline.
    alone = student(Anneal("alpha", 0, 0.9)).fit(X, y)
    assert_array_equal(alone.predict_proba(X), student().fit(X, y).predict_proba(X))
    warm = student(WarmUp("alpha"), teacher=teacher, alpha=0).fit(X, y)
    assert set(warm.history[:, "alpha"]) == {0.0}


def test_a_schedule_of_a_plain_skorch_net_is_refused():
    net = NeuralNetClassifier(
        torch.nn.Linear(4, 3), callbacks=[Anneal("alpha", 0, 1)], train_split=None
    )
    with pytest.raises(TypeError, match="expected a DistilledClassifier"):
        net.fit(X.astype(np.float32), y)


class Breaks(Callback):
    def __init__(self, error):
        self.error = error

    def on_grad_computed(self, net, named_parameters, **kwargs):
        if len(net.history) == 2:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_nothing_is_left_of_an_epoch_that_broke_off(teacher, error):
    net = student(
        Anneal("temperature", 8, 1), Breaks(error), teacher=teacher, alpha=0.9
    )
    with pytest.raises(error):
        net.fit(X, y)
    assert net._objective_ is None
    assert net.temperature == 4.0
    net.set_params(callbacks=[]).fit(X, y)
    plain = student(teacher=teacher, alpha=0.9).fit(X, y)
    assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
