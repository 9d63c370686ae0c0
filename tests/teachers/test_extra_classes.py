"""Teachers that know classes which y lacks, as a fold may."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier, TeacherWarning
from skkd.memory import clear_cache
from skkd.recipes import BornAgain, DistilledEnsemble
from skkd.report import gain
from skkd.teachers import as_teacher, check_health

X, y = load_digits(return_X_y=True)
X = X.astype("float32")
NAMES = np.array([f"digit {i}" for i in range(10)])
A, a, B, b = X[:900], y[:900], X[900:], y[900:]
FOREST = RandomForestClassifier(30, random_state=0).fit(A, a)
LOGISTIC = make_pipeline(StandardScaler(), LogisticRegression()).fit(A, NAMES[a])


def student(teacher, **params):
    defaults = {"max_epochs": 2, "random_state": 0, "module__hidden": ()}
    return DistilledClassifier(teacher=teacher, **{**defaults, **params})


@pytest.mark.parametrize("lacking", [[3], [0, 9], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("make", [lambda: FOREST, lambda: GaussianNB().fit(A, a)])
def test_the_others_are_normalised_without_a_word(make, lacking):
    teacher, rows = make(), ~np.isin(b, lacking)
    net = student(teacher).fit(B[rows], b[rows])
    kept = np.setdiff1d(np.arange(10), lacking)
    assert_array_equal(net.classes_, kept)
    assert net.teacher_findings_ == []
    p = teacher.predict_proba(B[rows])[:, kept]
    got = np.exp(as_teacher(teacher).logits(B[rows], kept))
    assert_allclose(got.sum(axis=1), 1, rtol=1e-5)
    some = p.sum(axis=1) > 0
    expected = p[some] / p[some].sum(axis=1, keepdims=True)
    assert_allclose(got[some], expected, atol=1e-6)


def test_a_search_over_folds_that_lack_a_class():
    names = NAMES[b]
    groups = np.where(b == 7, 0, 1 + np.arange(len(b)) % 2)  # all sevens in one fold
    search = GridSearchCV(
        student(LOGISTIC), {"alpha": [0.3, 0.9]}, cv=GroupKFold(3), error_score="raise"
    )
    search.fit(B, names, groups=groups)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    # Whatever is cached of one fold is not taken for another.
    clear_cache()
    alone = cross_val_score(
        student(LOGISTIC, alpha=0.9, memory=False),
        B,
        names,
        groups=groups,
        cv=GroupKFold(3),
    )
    assert_array_equal(
        [search.cv_results_[f"split{i}_test_score"][1] for i in range(3)], alone
    )


RELABELLED = {
    "two halves": b > 4,
    "halves as numbers": (b > 4).astype(int),
    "another rule": (b % 3),
    "numbers without a gap": None,
}


@pytest.mark.parametrize("what", [k for k in RELABELLED if k != "two halves"])
def test_other_labels_that_are_numbers_too_are_found(what):
    rows, labels = np.ones(len(b), dtype=bool), RELABELLED[what]
    if labels is None:
        rows = b != 3
        labels = np.unique(b[rows], return_inverse=True)[1]
    pattern = r"\[(extra-classes|permuted-classes|chance-level)\]"
    with pytest.raises(ValueError, match=pattern):
        student(FOREST, strict=True).fit(B[rows], labels)
    with pytest.warns(TeacherWarning, match=pattern):
        check_health(FOREST, B[rows], labels, classes=np.unique(labels))


def test_two_classes_of_three_are_one_of_two():
    iris, labels = load_iris(return_X_y=True)
    naive = GaussianNB().fit(iris, labels)
    for teacher in (naive, as_teacher(naive, transform=nn.Identity())):
        net = student(teacher, strict=True)
        with pytest.raises(ValueError, match=r"\[extra-classes\].*\[2\].*in 3\d% of 1"):
            net.fit(iris, (labels == 2).astype(int))


def test_members_of_a_list_are_looked_at_one_by_one():
    members = [FOREST, GaussianNB().fit(A, a)]
    rows = b != 3
    for teacher in (members, as_teacher(members, transform=nn.Identity())):
        net = student(teacher, strict=True).fit(B[rows], b[rows])
        assert 3 not in net.classes_
        with pytest.raises(ValueError, match=r"(?s)extra-classes.*extra-classes"):
            student(teacher, strict=True).fit(B, b % 3)


def test_drop_and_error_say_what_is_meant():
    drop = as_teacher(FOREST, extra_classes="drop")
    net = student(drop, strict=True).fit(B[b < 3], b[b < 3])
    assert net.teacher_findings_ == []
    with pytest.raises(ValueError, match=r"have: \[3, 4.*extra_classes='drop'"):
        student(as_teacher(FOREST, extra_classes="error")).fit(B[b < 3], b[b < 3])


def test_a_network_by_position_is_told_how_to_name_its_columns():
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    rows = b != 3
    with pytest.raises(ValueError, match=r"classes=\[...\], extra_classes='drop'\)"):
        student(net).fit(B[rows], b[rows])
    named = as_teacher(net, classes=range(10), extra_classes="drop")
    with pytest.warns(TeacherWarning, match="random-head|chance-level"):
        student(named).fit(B[rows], b[rows])


def test_networks_with_names():
    rows = b != 3
    skorch = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10), nn.Softmax(1)),
        max_epochs=20,
        lr=0.01,
        verbose=0,
        train_split=None,
    ).fit(A, a)
    other = student(None, max_epochs=20, module__hidden=32).fit(A, NAMES[a])
    assert student(skorch, strict=True).fit(B[rows], b[rows]).score(B, b) > 0.3
    assert len(student(other).fit(B[rows], NAMES[b][rows]).classes_) == 9


def test_losses_views_weights_and_live_teachers():
    rows = b != 3
    for params in (
        {"distillation": "dkd"},
        {"distillation": "mse"},
        {"distillation": "hard", "class_weight": "balanced"},
        {"augment": lambda x: x},
    ):
        net = student(FOREST, strict=True, **params).fit(B[rows], b[rows])
        assert net.predict_proba(B[:5]).shape == (5, 9)
    with pytest.raises(ValueError, match="extra-classes"):
        student(FOREST, strict=True, augment=lambda x: x).fit(B, b % 3)


def test_logits_by_label():
    frame = pd.DataFrame(LOGISTIC.decision_function(B), columns=LOGISTIC.classes_)
    rows, names = b != 3, NAMES[b]
    part = frame[rows]
    got = student(None, strict=True).fit(B[rows], names[rows], teacher_logits=part)
    same = student(None).fit(
        B[rows], names[rows], teacher_logits=part.drop(columns="digit 3").to_numpy()
    )
    assert_array_equal(got.predict_proba(B), same.predict_proba(B))
    with pytest.raises(ValueError, match=r"name the columns, pd.DataFrame"):
        student(None).fit(B[rows], names[rows], teacher_logits=part.to_numpy())
    wrong = NAMES[b % 3]
    with pytest.raises(ValueError, match=r"\[extra-classes\].*teacher_logits"):
        student(None, strict=True).fit(B, wrong, teacher_logits=frame)


def test_recipes_and_gain():
    rows = b != 3
    for recipe in (BornAgain, DistilledEnsemble):
        assert len(recipe(student(FOREST)).fit(B[rows], b[rows]).classes_) == 9
    groups = np.where(b == 7, 0, 1 + np.arange(len(b)) % 2)
    result = gain(student(FOREST), B, b, seeds=1, cv=GroupKFold(3), groups=groups)
    # Of the fold that tests the sevens alone, only the teacher knows them.
    assert result.plain.min() == result.distilled.min() == 0
    assert result.teacher.min() > 0.8


@pytest.mark.parametrize("load", [load_iris, load_wine])
@pytest.mark.parametrize(
    "model", [RandomForestClassifier(random_state=0), LogisticRegression()]
)
def test_every_class_of_real_tables_may_be_lacking(load, model):
    rows, labels = load(return_X_y=True)
    teacher = make_pipeline(StandardScaler(), clone(model))
    teacher.fit(rows[::2], labels[::2])
    for lacking in range(3):
        kept = labels != lacking
        kept[::2] = False
        net = student(teacher, strict=True).fit(rows[kept], labels[kept])
        assert lacking not in net.classes_


def test_one_logit_for_two_classes_is_declared():
    rows, labels = load_breast_cancer(return_X_y=True)
    rows = StandardScaler().fit_transform(rows).astype("float32")
    fitted = LogisticRegression().fit(rows, labels)
    wide = nn.Linear(30, 64)  # the student is to be smaller
    net = nn.Sequential(wide, nn.Linear(64, 1))
    wide.weight.data[:30], wide.bias.data[:30] = torch.eye(30), 0.0
    net[1].weight.data.fill_(0.0)
    net[1].weight.data[:, :30] = torch.tensor(fitted.coef_).float()
    net[1].bias.data = torch.tensor(fitted.intercept_).float()
    with pytest.raises(ValueError, match=r"as_teacher\(model, output='logit'\)"):
        student(net).fit(rows, labels)
    sigmoid, flat = nn.Sequential(net, nn.Sigmoid()), nn.Sequential(net, nn.Flatten(0))
    for teacher in (
        as_teacher(net, output="logit"),
        as_teacher(flat, output="logit"),
        as_teacher(sigmoid, output="proba"),
        as_teacher(lambda z: fitted.decision_function(z), output="logit"),
        as_teacher(lambda z: fitted.predict_proba(z)[:, 1], output="proba"),
        as_teacher([net, flat], output="logit"),
    ):
        logits = teacher.logits(rows, [0, 1])
        p = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        assert_allclose(p, fitted.predict_proba(rows), rtol=1e-3, atol=1e-5)
    learner = student(as_teacher(net, output="logit"), strict=True, max_epochs=10)
    assert learner.fit(rows, labels).score(rows, labels) > 0.8
    wrong = as_teacher(flat, output="logit", classes=[1, 0])
    with pytest.raises(ValueError, match="permuted-classes"):
        student(wrong, strict=True).fit(rows, labels)
