"""Logits of every kind of teacher, compared with those computed by hand."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import (
    RandomForestClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetBinaryClassifier
from teacher_cases import (
    EPS32,
    EPS64,
    KINDS,
    X32,
    Duck,
    Flat,
    Saturated,
    Wrapped,
    X,
    by_hand,
    fitted,
    linear_logits,
    log_clip,
    network,
    never_built,
    skorch_net,
    softmax,
    student,
    taught,
    two,
    y,
)
from torch import nn

from skkd.teachers import as_teacher

# What teachers say is compared to the last digit; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_every_kind_by_value(kind, frozen):
    teacher, expected = KINDS[kind]()
    if frozen:
        teacher = (
            [FrozenEstimator(t) for t in teacher]
            if isinstance(teacher, list)
            else FrozenEstimator(teacher)
        )
    got = taught(teacher)
    assert np.isfinite(got).all()
    assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_zero_probabilities_are_clipped_not_infinite():
    forest = fitted(RandomForestClassifier(5, random_state=0))
    assert (forest.predict_proba(X) == 0).any()
    assert taught(forest).min() == pytest.approx(np.log(EPS64))
    net = skorch_net(Saturated(), nn.NLLLoss)
    assert (by_hand(net.module_) == 0).any()
    assert taught(net).min() == pytest.approx(np.log(EPS32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_of_a_function_is_widened(dtype):
    p = torch.tensor([[1, 2**-14, 0]], dtype=dtype)
    got = as_teacher(lambda rows: p, output="proba").logits(X[:1], [0, 1, 2])
    assert got.dtype == np.float32
    assert_allclose(got, [[0, np.log(2**-14), np.log(EPS32)]], rtol=1e-6)


def test_half_precision_of_an_array_is_widened():
    p = np.array([[1, 2**-14, 0]], dtype=np.float16)
    got = as_teacher(lambda rows: p, output="proba").logits(X[:1], [0, 1, 2])
    assert got.dtype == np.float32
    assert_allclose(got, [[0, np.log(2**-14), np.log(EPS32)]], rtol=1e-6)


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.BCELoss])
@pytest.mark.parametrize("flat", [False, True])
def test_skorch_binary_classifier_has_one_output(criterion, flat):
    module = Flat() if flat else network(1)
    if criterion is nn.BCELoss:
        module = nn.Sequential(module, nn.Sigmoid())
    net = skorch_net(module, criterion, NeuralNetBinaryClassifier)
    z = taught(net, X[two], y[two])
    raw = by_hand(net.module_, X32[two]).ravel()
    p = expit(raw) if criterion is nn.BCEWithLogitsLoss else raw
    assert_allclose(softmax(z)[:, 1], p, rtol=1e-5, atol=1e-6)
    if criterion is nn.BCEWithLogitsLoss:
        assert_allclose(z, np.column_stack([np.zeros_like(raw), raw]), rtol=1e-5)


def test_binary_scores_are_the_second_logit():
    svc = fitted(SVC(), X[two], y[two])
    score = svc.decision_function(X[two])
    expected = np.column_stack([np.zeros(len(score)), score])
    assert_allclose(taught(svc, X[two], y[two]), expected, rtol=1e-5)


@pytest.mark.parametrize("wrap", ["bare", "pipeline", "grid", "frozen"])
def test_votes_between_pairs_are_refused(wrap):
    # Three classes have three pairs: the shape alone would not tell.
    svc = SVC(decision_function_shape="ovo")
    teacher = {
        "bare": lambda: fitted(svc),
        "pipeline": lambda: fitted(make_pipeline(StandardScaler(), svc)),
        "grid": lambda: fitted(GridSearchCV(svc, {"C": [1]}, cv=2)),
        "frozen": lambda: FrozenEstimator(fitted(svc)),
    }[wrap]()
    with pytest.raises(ValueError, match="votes between pairs"):
        student(teacher, module=never_built).fit(X, y)


def test_votes_between_two_classes_are_scores():
    svc = fitted(SVC(decision_function_shape="ovo"), X[two], y[two])
    got = taught(svc, X[two], y[two])[:, 1]
    assert_allclose(got, svc.decision_function(X[two]), rtol=1e-5)


def test_svc_with_probabilities():
    # scikit-learn 1.9 deprecates them; where it does not warn, they are preferred.
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        svc = fitted(SVC(probability=True, random_state=0))
    if caught:
        assert {w.category for w in caught} == {FutureWarning}
    assert_allclose(taught(svc), log_clip(svc.predict_proba(X)), rtol=1e-5)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("auto", lambda t: np.log(t.predict_proba(X))),
        ("proba", lambda t: np.log(t.predict_proba(X))),
        ("log_proba", lambda t: t.predict_log_proba(X)),
        ("logits", lambda t: t.decision_function(X)),
    ],
)
def test_output_chooses_what_a_classifier_is_asked(output, expected):
    teacher = fitted(LogisticRegression(max_iter=1000))
    got = taught(as_teacher(teacher, output=output))
    assert_allclose(got, expected(teacher), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("output", ["proba", "log_proba"])
@pytest.mark.parametrize("make", [lambda f: f, lambda f: Wrapped(f)])
def test_output_tells_what_a_function_or_module_returns(output, make):
    p = torch.tensor([[0.0, 0.25, 0.75]])
    value = p if output == "proba" else p.log()

    def constant(rows):
        return value.repeat(len(rows), 1)

    got = taught(as_teacher(make(constant), output=output))
    assert_allclose(got, np.tile(log_clip(p.numpy(), EPS32), (150, 1)), rtol=1e-6)


def test_output_that_a_classifier_does_not_have():
    teacher = as_teacher(fitted(GaussianNB()), output="logits")
    with pytest.raises(ValueError, match=r"output='logits'.*only predict_proba"):
        student(teacher, module=never_built).fit(X, y)


class Focal(nn.Module):
    """A criterion that skkd does not know."""

    def forward(self, z, target):
        return nn.functional.cross_entropy(z, target)


def test_unknown_criterion_needs_a_word():
    net = skorch_net(network(), Focal)
    with pytest.raises(ValueError, match=r"Focal.*output='logits'"):
        student(net, module=never_built).fit(X, y)
    got = taught(as_teacher(net, output="logits"))
    assert_allclose(got, by_hand(net.module_), rtol=1e-4, atol=1e-5)


def test_a_student_freed_of_its_teacher_can_teach_again():
    freed = student(fitted(GaussianNB())).fit(X, y)
    before = freed.predict_proba(X)
    freed.trim_for_prediction()
    with pytest.raises(ValueError, match=r"no criterion.*output='logits'"):
        student(freed, module=never_built).fit(X, y)
    got = taught(as_teacher(freed, output="logits"))
    assert_allclose(softmax(got), before, rtol=1e-4, atol=1e-6)


# --- Lists --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [1, 3], (0.0, 2.0), np.array([0.2, 0.8])])
@pytest.mark.parametrize("average", ["proba", "logits"])
def test_weighted_mean_of_teachers(weights, average):
    one, other = linear_logits, network()
    w = np.asarray([1, 1] if weights is None else weights, dtype=float)
    w = w / w.sum()
    z = [linear_logits(X), by_hand(other)]
    if average == "proba":
        expected = np.log(w[0] * softmax(z[0]) + w[1] * softmax(z[1]))
    else:
        expected = w[0] * z[0] + w[1] * z[1]
    got = taught(as_teacher([one, other], weights=weights, average=average))
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_members_of_a_list_may_have_options_of_their_own():
    wide = fitted(GaussianNB(), X, np.array(["c", "a", "b"])[y])
    narrow = as_teacher(network(), classes=["b", "c", "a"])
    got = taught([wide, narrow], X, np.array(["a", "b", "c"])[y])
    p = wide.predict_proba(X) + softmax(by_hand(narrow.model))[:, [2, 0, 1]]
    assert_allclose(got, np.log(p / 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "weights", [[1], [1, 1, 1], [-1, 2], [0, 0], [np.nan, 1], [np.inf, 1]]
)
def test_weights_that_weigh_nothing(weights):
    with pytest.raises(ValueError, match=r"weights=.*expected 2 numbers"):
        as_teacher([linear_logits, linear_logits], weights=weights)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_teacher([]), "empty list"),
        (lambda: as_teacher(linear_logits, weights=[1]), "expected a list of teachers"),
        (lambda: as_teacher(linear_logits, average="logits"), "expected a list"),
        (lambda: as_teacher(linear_logits, output="score"), "output='score'"),
        (lambda: as_teacher(linear_logits, extra_classes="no"), "extra_classes='no'"),
        (lambda: as_teacher([linear_logits], average="geo"), "average='geo'"),
        (lambda: as_teacher(linear_logits, classes=[0, 1, 1]), "names a class twice"),
        (
            lambda: as_teacher(as_teacher(linear_logits), classes=np.arange(3)),
            "Teacher already",
        ),
        (lambda: as_teacher(as_teacher(Duck()), output="proba"), "Teacher already"),
    ],
)
def test_options_that_make_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_as_teacher_of_a_teacher_is_itself():
    teacher = as_teacher(linear_logits)
    assert as_teacher(teacher) is teacher
    assert as_teacher(FrozenEstimator(teacher)) is teacher
    assert clone(teacher) is teacher
