"""WeightedSum, what losses are made of, and searches over them."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skkd import DistilledClassifier
from skkd.losses import (
    DIST,
    DKD,
    KD,
    FeatureLoss,
    HardLabel,
    LabelSmoothing,
    LogitMSE,
    LogitStandardization,
    VirtualTeacher,
    WeightedSum,
    as_loss,
)
from skkd.losses._registry import LOSSES as NAMES
from skkd.losses._registry import flatten, needs_of

X, Y = load_iris(return_X_y=True)
LOGITS = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
STUDENT, TEACHER, LABELS = LOGITS[0], LOGITS[1], torch.arange(6) % 5


class Between(FeatureLoss):
    """A loss between layers, with the parameters of every such loss."""


class Spy(KD):
    """KD times beta, which writes down its betas and temperatures."""

    seen = []

    def __init__(self, beta=1.0):
        self.beta = beta

    def __call__(self, student_logits, teacher_logits, y, temperature):
        Spy.seen.append((self.beta, temperature))
        kd = super().__call__(student_logits, teacher_logits, y, temperature)
        return self.beta * kd


def plain(student_logits, teacher_logits, y, temperature):
    return (student_logits - teacher_logits).abs().sum(dim=1)


def call(loss, temperature=2.0):
    return loss(STUDENT, TEACHER, LABELS, temperature)


# --- The sum ------------------------------------------------------------------------


def test_it_is_the_weighted_sum_of_its_parts():
    loss = WeightedSum([("a", "kd"), ("b", LogitMSE()), ("c", plain)], [2, -0.5, 3])
    expected = 2 * call(KD()) - 0.5 * call(LogitMSE()) + 3 * call(plain)
    torch.testing.assert_close(call(loss), expected)
    ones = WeightedSum([("a", "kd"), ("b", LogitMSE()), ("c", plain)])
    torch.testing.assert_close(call(ones), call(KD()) + call(LogitMSE()) + call(plain))


def test_one_loss_for_the_batch_makes_the_sum_one():
    loss = WeightedSum([("kd", "kd"), ("dist", DIST())], np.array([0.5, 2.0]))
    expected = 0.5 * call(KD()).mean() + 2 * call(DIST())
    torch.testing.assert_close(call(loss), expected)
    assert call(loss).shape == ()


def test_a_weight_of_nought_leaves_a_part_out():
    def never(student_logits, teacher_logits, y, temperature):
        raise AssertionError("called")

    loss = WeightedSum([("kd", KD()), ("never", never)], [1, 0])
    assert torch.equal(call(loss), call(KD()))


def test_a_teacher_is_not_needed_by_parts_that_ask_none():
    loss = WeightedSum([("a", LabelSmoothing()), ("b", VirtualTeacher())])
    assert loss(STUDENT, None, LABELS, 2.0).shape == (6,)


def test_another_shape_is_told():
    loss = WeightedSum([("kd", "kd"), ("wrong", lambda s, t, y, T: s - t)])
    with pytest.raises(ValueError, match=r"shape \(6, 5\), expected \(6,\)"):
        call(loss)


# --- Its parameters -----------------------------------------------------------------


def test_parameters_of_parts_by_their_names():
    dkd = DKD()
    losses = [("kd", "kd"), ("dkd", dkd), ("named", "dkd")]
    weights = [1, 2, 3]
    loss = WeightedSum(losses, weights)
    assert loss.losses is losses
    assert loss.weights is weights
    params = loss.get_params()
    assert params["dkd"] is dkd
    assert (params["dkd__beta"], params["named__beta"]) == (8.0, 8.0)
    assert loss.get_params(deep=False) == {"losses": losses, "weights": weights}

    loss.set_params(kd=HardLabel(), dkd__beta=2, named__alpha=3, weights=None)
    assert repr([part for _, part in loss.losses]) == (
        "[HardLabel(), DKD(beta=2), DKD(alpha=3)]"
    )
    assert losses[0] == ("kd", "kd")  # the list that was given is as it was
    loss.set_params(kd="dkd", kd__beta=4)
    assert repr(dict(loss.losses)["kd"]) == "DKD(beta=4)"


def test_parts_are_cloned_with_it():
    loss = WeightedSum([("a", DKD()), ("f", Between("layer")), ("g", plain)], (1, 2, 3))
    copy = clone(loss).set_params(a__beta=2)
    assert repr(copy.losses[0][1]) == "DKD(beta=2)"
    assert loss.losses[0][1].beta == 8.0
    assert copy.losses[1][1].student_layer == "layer"
    assert copy.losses[2][1] is plain
    assert as_loss(loss, a__beta=2).losses[0][1].beta == 2
    assert loss.losses[0][1].beta == 8.0
    with pytest.raises(ValueError, match="Invalid parameter 'b'"):
        copy.set_params(b=KD())


@pytest.mark.parametrize(
    ("losses", "weights", "expected"),
    [
        ("kd", None, "Got losses='kd' .* expected a list of pairs"),
        (None, None, "Got losses=None"),
        ([], None, r"Got losses=\[\]"),
        ([KD()], None, "expected a list of pairs"),
        ((("a", KD()),), None, "expected a list of pairs"),
        ([("a", KD()), ("b", KD(), 1)], None, "expected a list of pairs"),
        ([(1, KD())], None, "expected a list of pairs"),
        ([("a", KD()), ("a", DKD())], None, "Got the names .* expected each once"),
        ([("a__b", KD())], None, "without '__'"),
        ([("weights", KD())], None, "neither 'losses' nor 'weights'"),
        ([("a", "kdd")], None, "Got distillation='kdd'.*mean 'kd'"),
        ([("a", KD())], [1, 2], r"Got weights=\[1, 2\] .* of 1 losses"),
        ([("a", KD()), ("b", DKD())], [1], "a finite number for each"),
        ([("a", KD())], 1.0, "expected None, or a finite number for each"),
        ([("a", KD())], "1", "Got weights='1'"),
        ([("a", KD())], [np.nan], "a finite number"),
        ([("a", KD())], [np.inf], "a finite number"),
        ([("a", KD())], [True], "a finite number"),
        ([("a", KD()), ("b", DKD())], [0, 0.0], "not all of them 0"),
    ],
)
def test_impossible_sums_are_told_when_used(losses, weights, expected):
    loss = WeightedSum(losses, weights)  # as any estimator, it checks nothing here
    repr(loss), loss.get_params(), clone(loss)
    for use in (as_loss, call, flatten, needs_of):
        with pytest.raises(ValueError, match=expected):
            use(loss)


def test_a_part_that_is_no_loss_is_told():
    with pytest.raises(TypeError, match="Got distillation=3; expected"):
        as_loss(WeightedSum([("a", 3)]))


# --- What it is made of -------------------------------------------------------------


def test_flatten_takes_sums_apart():
    kd, between = KD(), Between(weight=7.0)
    inner = WeightedSum([("b", between), ("d", DKD), ("x", "hard")], [2, 3, 0])
    outer = WeightedSum([("kd", kd), ("inner", inner), ("js", "js")], [0.5, 10, 1])
    parts = flatten(outer)
    assert [weight for weight, _ in parts] == [0.5, 20, 30, 1]
    assert parts[0][1] is kd
    assert parts[1][1] is between
    assert repr([part for _, part in parts[2:]]) == "[DKD(), JensenShannon()]"
    assert flatten(kd) == [(1.0, kd)]
    assert flatten(plain) == [(1.0, plain)]
    [(weight, named)] = flatten("kd")
    assert (weight, type(named)) == (1.0, KD)


@pytest.mark.parametrize(
    ("loss", "needs"),
    [
        ("kd", {"logits"}),
        (KD, {"logits"}),
        (plain, {"logits"}),
        (LogitStandardization(), {"logits"}),
        (LabelSmoothing(), set()),
        ("virtual_teacher", set()),
        (Between(), {"features"}),
        (WeightedSum([("a", "label_smoothing")]), set()),
        (WeightedSum([("a", "kd"), ("b", LabelSmoothing())]), {"logits"}),
        (WeightedSum([("a", plain), ("b", Between())]), {"logits", "features"}),
        (WeightedSum([("a", "kd"), ("b", Between())], [0, 1]), {"features"}),
        (
            WeightedSum([("a", WeightedSum([("b", Between())])), ("c", "js")]),
            {"logits", "features"},
        ),
    ],
)
def test_what_a_loss_needs(loss, needs):
    assert needs_of(loss) == needs
    if isinstance(loss, WeightedSum):
        assert loss.needs == needs


def test_features_are_not_compared_by_a_call():
    loss = WeightedSum([("kd", "kd"), ("between", Between())])
    as_loss(loss)
    with pytest.raises(TypeError, match="Between compares features"):
        call(loss)
    with pytest.raises(TypeError, match="expected one that compares the teacher's"):
        as_loss(LogitStandardization(loss))


# --- In an estimator ----------------------------------------------------------------


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=1000).fit(X, Y)


def search(teacher, grid, **params):
    student = DistilledClassifier(
        teacher=teacher, max_epochs=1, batch_size=-1, random_state=0, **params
    )
    found = GridSearchCV(student, grid, cv=2, error_score="raise").fit(X, Y)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
    return found


def test_names_can_be_searched(teacher):
    asked = [name for name, cls in NAMES.items() if cls.needs == "logits"]
    found = search(teacher, {"distillation": [*asked, DKD(beta=2.0), DIST]})
    assert len(found.cv_results_["params"]) == len(asked) + 2


def test_parameters_of_a_named_loss_can_be_searched(teacher):
    found = search(teacher, {"distillation__beta": [2, 8]}, distillation="dkd")
    assert found.best_estimator_.distillation == "dkd"
    assert found.best_estimator_.distillation_.beta in (2, 8)


@pytest.mark.parametrize(
    ("distillation", "grid"),
    [
        (LogitStandardization(Spy()), {"distillation__loss__beta": [0.5, 2]}),
        (WeightedSum([("spy", Spy())]), {"distillation__spy__beta": [0.5, 2]}),
        (
            WeightedSum([("a", LogitStandardization(Spy())), ("b", "js")]),
            {"distillation__a__loss__beta": [0.5, 2]},
        ),
        ("standardized_kd", {"distillation__loss": [Spy(0.5), Spy(2)]}),
        (WeightedSum([("kd", "kd")]), {"distillation__kd": [Spy(0.5), Spy(2)]}),
    ],
)
def test_parameters_of_nested_losses_reach_them(teacher, distillation, grid):
    Spy.seen.clear()
    search(teacher, {**grid, "temperature": [1, 3]}, distillation=distillation)
    # Two folds of each, and the best once more.
    assert set(Spy.seen) == {(0.5, 1), (0.5, 3), (2, 1), (2, 3)}
    assert len(Spy.seen) == 9


def test_parts_of_a_sum_can_be_searched(teacher):
    loss = WeightedSum([("kd", "kd"), ("dkd", "dkd")])
    grid = {
        "distillation__kd": ["hard", LogitMSE()],
        "distillation__dkd__beta": [2, 8],
        "distillation__weights": [None, [1, 0], [0.5, 2]],
    }
    found = search(teacher, grid, distillation=loss)
    assert len(found.cv_results_["params"]) == 12
    assert loss.losses == [("kd", "kd"), ("dkd", "dkd")]
    best = found.best_estimator_
    assert clone(best).get_params()["distillation__dkd__beta"] in (2, 8)


def test_impossible_losses_are_told_before_training(teacher):
    def never_built(**kwargs):
        raise AssertionError("built")

    for loss, expected in [
        (WeightedSum([("kd", "kd")], [0]), "not all of them 0"),
        (DKD(beta=np.nan), "Got beta=nan"),
        (LogitStandardization("kdd"), "mean 'kd'"),
    ]:
        student = DistilledClassifier(never_built, teacher=teacher, distillation=loss)
        with pytest.raises(ValueError, match=expected):
            student.fit(X, Y)


def test_a_wrong_name_of_a_nested_parameter_is_told(teacher):
    student = DistilledClassifier(
        teacher=teacher, distillation="dkd", distillation__bta=2
    )
    with pytest.raises(ValueError, match=r"Got 'bta' .* Did you mean 'beta'"):
        student.fit(X, Y)
