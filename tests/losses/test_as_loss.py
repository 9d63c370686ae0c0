"""as_loss: from a name, an object, a class or a function to a loss for a fit."""

import inspect
from functools import partial

import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skkd import DistilledClassifier
from skkd.losses import (
    DKD,
    KD,
    DistillationLoss,
    FeatureLoss,
    HardLabel,
    LabelSmoothing,
    LogitMSE,
    LogitStandardization,
    WeightedSum,
    as_loss,
)
from skkd.losses._registry import LOSSES, flatten, needs_of

X, Y = load_iris(return_X_y=True)


class Scaled(DistillationLoss):
    """KD with a parameter, as a user would write it."""

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        return self.beta * KD()(student_logits, teacher_logits, y, temperature)


class Regression(DistillationLoss):
    """A user's loss whose parameters are called as parts of other losses are."""

    def __init__(self, loss="mse", losses=(("a", "kd"),), weights=(0,)):
        self.loss = loss
        self.losses = losses
        self.weights = weights

    def __call__(self, student_logits, teacher_logits, y, temperature):
        gap = student_logits - teacher_logits
        squared = {"mse": True, "huber": False}[self.loss]
        return (gap.square() if squared else gap.abs()).sum(dim=1)


class Callable:
    """A callable object of a user, with attributes that mean nothing to skkd."""

    needs = ["nothing"]
    loss = None

    def __init__(self):
        self.loss = "mse"
        self.losses = [("a", "kd")]
        self.weight = self.check = 0
        self.n_calls = 0

    def __call__(self, student_logits, teacher_logits, y, temperature):
        self.n_calls += 1
        return (student_logits - teacher_logits).square().sum(dim=1)


class Half(DistillationLoss):
    """A user's loss that contains another one, and says so."""

    def __init__(self, inner="kd"):
        self.inner = inner

    def weighted_parts(self):
        return [(0.5 * weight, part) for weight, part in flatten(self.inner)]

    def resolve_names(self):
        self.inner = as_loss(self.inner)


def fitted(loss, **params):
    teacher = LogisticRegression(max_iter=500).fit(X, Y)
    net = DistilledClassifier(
        teacher=teacher, distillation=loss, max_epochs=1, random_state=0, **params
    )
    return net.fit(X, Y)


@pytest.mark.parametrize(
    ("name", "cls"), [("kd", KD), ("hard", HardLabel), ("mse", LogitMSE)]
)
def test_as_loss_names(name, cls):
    assert type(as_loss(name)) is cls
    assert as_loss(name) is not as_loss(name)


def test_as_loss_clones_instances():
    mine = Scaled(beta=2.0)
    made = as_loss(mine, beta=3.0)
    assert (mine.beta, made.beta) == (2.0, 3.0)
    assert as_loss(mine) is not mine
    assert as_loss(mine).beta == 2.0


def test_as_loss_makes_classes():
    assert as_loss(Scaled, beta=3.0).beta == 3.0
    assert isinstance(as_loss(KD), KD)


def test_as_loss_takes_callables_as_they_are():
    def mine(student_logits, teacher_logits, y, temperature):
        return student_logits.sum(1)

    assert as_loss(mine) is mine
    wrapped = partial(mine)
    assert as_loss(wrapped) is wrapped
    with pytest.raises(TypeError, match=r"Got 'beta' .* has no parameters"):
        as_loss(mine, beta=1)


@pytest.mark.parametrize(
    "wrong",
    [None, 3, object(), int, torch.nn.Linear, len, lambda student, teacher: 0],
    ids=["None", "int", "object", "type", "module class", "builtin", "two arguments"],
)
def test_as_loss_rejects_other_things(wrong):
    with pytest.raises(TypeError, match=r"Got distillation=.*expected one of 'kd'"):
        as_loss(wrong)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *[("KD", "'kd'"), ("hrad", "'hard'"), ("logit_mse", "'mse'"), ("DKD", "'dkd'")],
        *[("JensenShannon", "'js'"), ("LogitStandardization", "'standardized_kd'")],
    ],
)
def test_as_loss_suggests_a_name(name, hint):
    expected = f"Got distillation='{name}'; expected .* Did you mean {hint}"
    with pytest.raises(ValueError, match=expected):
        as_loss(name)


def test_as_loss_lists_the_names():
    with pytest.raises(ValueError, match=r"'kd', 'hard', .* or 'crd', .*a callable\.$"):
        as_loss("zzzzzz")


@pytest.mark.parametrize("loss", [Scaled, Scaled()])
def test_as_loss_unknown_parameter(loss):
    with pytest.raises(ValueError, match=r"Got 'bta' .* Scaled; expected 'beta'"):
        as_loss(loss, bta=1)
    with pytest.raises(ValueError, match=r"Got 'beta' .* KD; it has no parameters"):
        as_loss("kd", beta=1)


# --- What a loss contains, it says itself -------------------------------------------


@pytest.mark.parametrize("name", ["mse", "huber"])
def test_a_parameter_called_loss_is_no_loss(name):
    mine = Regression(name)
    made = as_loss(mine)
    assert made.get_params() == mine.get_params()
    assert made.loss == mine.loss == name
    assert flatten(made) == [(1.0, made)]
    assert needs_of(made) == {"logits"}
    fitted(mine)
    assert mine.get_params() == Regression(name).get_params()


def test_attributes_of_a_callable_object_mean_nothing():
    mine = Callable()
    assert as_loss(mine) is mine
    assert flatten(mine) == [(1.0, mine)]
    assert needs_of(mine) == {"logits"}
    fitted(mine)
    assert mine.n_calls > 0
    assert {**vars(mine), "n_calls": 0} == vars(Callable())


def test_callables_inside_of_a_sum_keep_their_attributes():
    mine = Callable()
    [(_, made)] = as_loss(WeightedSum([("mine", mine)])).losses
    assert vars(made) == vars(mine) == vars(Callable())


def test_names_inside_are_objects_afterwards():
    inner = LogitStandardization("dkd")
    given = WeightedSum([("a", "kd"), ("b", inner), ("c", WeightedSum([("d", "js")]))])
    made = as_loss(given)
    assert repr(given) == (
        "WeightedSum(losses=[('a', 'kd'), ('b', LogitStandardization(loss='dkd')),\n"
        "                    ('c', WeightedSum(losses=[('d', 'js')]))])"
    )
    assert repr([part for _, part in flatten(made)]) == (
        "[KD(), LogitStandardization(loss=DKD()), JensenShannon()]"
    )
    first, second = flatten(made), flatten(made)
    assert all(a is b for (_, a), (_, b) in zip(first, second, strict=True))
    assert inner.loss == "dkd"


def test_a_fit_changes_no_loss_that_was_given():
    inner = LogitStandardization("dkd")
    given = WeightedSum([("a", "kd"), ("b", inner)])
    losses = given.losses
    fitted(given, distillation__b__loss__beta=3.0)
    assert given.losses is losses
    assert losses == [("a", "kd"), ("b", inner)]
    assert inner.loss == "dkd"


def test_a_users_loss_may_contain_others():
    mine = Half("dkd")
    made = as_loss(mine)
    assert mine.inner == "dkd"
    [(weight, part)] = flatten(WeightedSum([("half", made)], [3]))
    assert (weight, type(part)) == (1.5, DKD)
    assert part is made.inner
    assert needs_of(mine) == {"logits"}
    assert needs_of(Half(LabelSmoothing())) == set()
    assert needs_of(Half(FeatureLoss())) == {"features"}


@pytest.mark.parametrize("needs", [3, "logit", ["logits"]], ids=["3", "typo", "list"])
def test_what_a_loss_needs_must_be_known(needs):
    class Odd(Scaled):
        def __init__(self, needs=needs):
            self.needs = needs

    expected = "Got needs=.* for Odd; expected one of 'logits', 'features', 'nothing'"
    with pytest.raises(ValueError, match=expected):
        needs_of(Odd())
    with pytest.raises(ValueError, match=expected):
        fitted(Odd())


@pytest.mark.parametrize("cls", LOSSES.values())
def test_methods_inherit_their_documentation(cls):
    for name in ("check", "adapter", "build", "compare", "__call__", "weighted_parts"):
        method = getattr(cls, name, None)
        assert method is None or inspect.getdoc(method), name
    call = cls.compare if issubclass(cls, FeatureLoss) else cls.__call__
    assert "Return" in inspect.getdoc(call) or "Raise" in inspect.getdoc(call)
