"""Numbers that stand for a teacher's labels, in every client of scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from teacher_cases import network, skorch_net

from skkd import DistilledClassifier
from skkd.teachers import as_teacher
from skkd.teachers.health import check_encoding

X, y = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])
LABELS = NAMES[y]
TWO = y < 2


def teacher_of(X, labels):
    return LogisticRegression(max_iter=500).fit(X, labels)


def student(teacher=None, **params):
    teacher = teacher_of(X, LABELS) if teacher is None else teacher
    params = {"max_epochs": 25, "lr": 0.05, "random_state": 0, **params}
    return DistilledClassifier(
        teacher=teacher, module__hidden=(), device="cpu", **params
    )


def right(predicted):
    return np.mean(np.asarray(predicted) == LABELS)


def fitted(client, X=X, labels=LABELS):
    return client.fit(X, labels).score(X, labels)


def semi(est):
    labels = np.where(np.arange(150) % 3, y, -1)
    return SelfTrainingClassifier(est).fit(X, labels).score(X, y)


CLIENTS = {
    "fit": fitted,
    "pipeline": lambda e: fitted(make_pipeline(StandardScaler(), e)),
    "cross_val_score": lambda e: cross_val_score(e, X, LABELS, cv=3).mean(),
    "cross_validate": lambda e: cross_validate(e, X, LABELS, cv=3)["test_score"].mean(),
    "predict": lambda e: right(cross_val_predict(e, X, LABELS, cv=3)),
    "proba": lambda e: right(
        NAMES[cross_val_predict(e, X, LABELS, cv=3, method="predict_proba").argmax(1)]
    ),
    "grid": lambda e: fitted(GridSearchCV(e, {"alpha": [0.3, 0.6]}, cv=2)),
    "random": lambda e: fitted(
        RandomizedSearchCV(e, {"alpha": [0.3, 0.6]}, n_iter=2, cv=2, random_state=0)
    ),
    "learning_curve": lambda e: learning_curve(
        e, X, LABELS, cv=2, train_sizes=[0.7, 1.0], shuffle=True, random_state=0
    )[2].mean(),
    "validation_curve": lambda e: validation_curve(
        e, X, LABELS, param_name="alpha", param_range=[0.3, 0.6], cv=2
    )[1].mean(),
    "voting": lambda e: fitted(VotingClassifier([("a", e), ("b", GaussianNB())])),
    "soft voting": lambda e: fitted(VotingClassifier([("a", e)], voting="soft")),
    "stacking": lambda e: fitted(
        StackingClassifier([("a", e), ("b", GaussianNB())], cv=3)
    ),
    "bagging": lambda e: fitted(BaggingClassifier(e, n_estimators=2, random_state=0)),
    "adaboost": lambda e: fitted(AdaBoostClassifier(e, n_estimators=2, random_state=0)),
    "calibrated": lambda e: fitted(CalibratedClassifierCV(e, cv=3)),
    "calibrated as one": lambda e: fitted(
        CalibratedClassifierCV(e, cv=3, ensemble=False)
    ),
    "self-training": semi,
    "several outputs": lambda e: (
        MultiOutputClassifier(e)
        .fit(X, np.column_stack([LABELS, LABELS]))
        .score(X, np.column_stack([LABELS, LABELS]))
    ),
    "permutation importance": lambda e: (
        permutation_importance(
            e.fit(X, LABELS), X, LABELS, n_repeats=1
        ).importances_mean.max()
        + 0.8
    ),
}


@pytest.mark.parametrize("name", CLIENTS)
def test_a_teacher_of_strings_in_every_client(name):
    assert CLIENTS[name](student()) > 0.85


BINARY = {
    "voting": lambda e: VotingClassifier([("a", e)], voting="soft"),
    "one against the rest": OneVsRestClassifier,
    "one against one": OneVsOneClassifier,
    "tuned threshold": TunedThresholdClassifierCV,
    "fixed threshold": FixedThresholdClassifier,
    "calibrated": lambda e: CalibratedClassifierCV(e, cv=2),
}


@pytest.mark.parametrize("name", BINARY)
def test_a_teacher_of_two_strings_in_every_client(name):
    est = student(teacher_of(X[TWO], LABELS[TWO]))
    assert fitted(BINARY[name](est), X[TWO], LABELS[TWO]) == 1


@pytest.mark.parametrize("client", [OneVsRestClassifier, OneVsOneClassifier])
def test_binary_problems_need_a_teacher_of_two_classes(client):
    with pytest.raises(ValueError, match=r"does not know the classes \[0, 1\]"):
        client(student()).fit(X, LABELS)


def test_numbers_give_the_same_student_as_names():
    named = student().fit(X, LABELS)
    numbered = student().fit(X, y)
    assert np.array_equal(named.predict_proba(X), numbered.predict_proba(X))
    assert numbered.classes_.tolist() == [0, 1, 2]
    assert numbered.teacher_.classes_.tolist() == NAMES.tolist()


@pytest.mark.parametrize("kind", ["list", "transform", "skorch", "named module"])
def test_every_kind_of_teacher_takes_numbers(kind):
    linear = teacher_of(X, LABELS)
    plain = skorch_net(network()).fit(X.astype(np.float32), y)
    plain.set_params(lr=0.1, max_epochs=30).fit(X.astype(np.float32), y)
    teacher = {
        "list": lambda: [linear, teacher_of(X, LABELS)],
        "transform": lambda: as_teacher(linear, transform=torch.clone),
        "skorch": lambda: as_teacher(plain, classes=NAMES),
        "named module": lambda: as_teacher(plain.module_.eval(), classes=NAMES),
    }[kind]()
    named, numbered = student(teacher).fit(X, LABELS), student(teacher).fit(X, y)
    assert np.array_equal(named.predict_proba(X), numbered.predict_proba(X))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("order", [[1, 2, 0], [2, 0, 1], [0, 2, 1], [2, 1, 0]])
def test_numbers_in_another_order_are_refused(order, live):
    est = student(augment=torch.clone if live else None)
    named = r"as_teacher\(model, classes=\[0, 1, 2\]\)"
    with pytest.raises(ValueError, match=rf"knows \['setosa'.*{named}"):
        est.fit(X, np.array(order)[y])


def test_the_remedy_is_one():
    order = np.array([1, 2, 0])
    named = as_teacher(teacher_of(X, LABELS), classes=order)
    assert student(named).fit(X, order[y]).score(X, order[y]) > 0.9


@pytest.mark.parametrize("shift", [1, -1])
def test_numbers_that_are_not_from_0_are_refused(shift):
    with pytest.raises(ValueError, match="does not know the classes"):
        student().fit(X, y + shift)


def test_a_fold_that_lacks_a_class_is_refused():
    with pytest.raises(ValueError, match=r"does not know the classes \[0, 1\] of y"):
        student().fit(X[TWO], y[TWO])


@pytest.mark.parametrize(
    "known",
    [[1, 2, 3], [1.5, 2.5, 3.5], ["b", "a", "c"]],
    ids=["ints", "floats", "unsorted"],
)
def test_labels_that_scikit_learn_would_not_number_so_are_refused(known):
    classes = np.array(known, dtype=object)
    teacher = as_teacher(network(), classes=classes)
    assert teacher.match_encoded([0, 1, 2]) is teacher
    with pytest.raises(ValueError, match="does not know the classes"):
        student(teacher).fit(X, y)


def test_numbers_mean_labels_in_a_fit_only():
    teacher = as_teacher(teacher_of(X, LABELS))
    with pytest.raises(ValueError, match="does not know the classes"):
        teacher.logits(X, [0, 1, 2])
    matched = teacher.match_encoded([2, 0, 1])
    expected = teacher.logits(X, NAMES[[2, 0, 1]])
    assert np.array_equal(matched.logits(X, [2, 0, 1]), expected)
    assert matched.encoded_labels == NAMES.tolist()
    assert teacher.encoded_labels is None
    assert teacher.match_encoded(NAMES) is teacher
    two = as_teacher(network(2), classes=["a", "b"])
    assert two.match_encoded([False, True]) is two
    assert two.match_encoded([0.0, 1.0]) is two
    assert two.match_encoded([0, 1]) is not two
    assert clone(matched) is matched


def test_members_that_know_other_names_are_refused():
    german = teacher_of(X, np.array(["borsten", "bunt", "virginisch"])[y])
    with pytest.raises(ValueError, match="can stand for one of these only"):
        student([teacher_of(X, LABELS), german]).fit(X, y)


# The crop changes the shape, which is told.
@pytest.mark.filterwarnings("ignore:augment= makes rows:skkd.DistillationWarning")
def test_a_teacher_that_cannot_be_asked_about_plain_rows_is_refused():
    narrow = teacher_of(X[:, 2:], LABELS)
    with pytest.raises(ValueError, match="could not predict the training samples"):
        student(narrow, augment=lambda x: x[:, 2:]).fit(X, y)


def test_alpha_0_asks_no_teacher_what_numbers_mean():
    order = np.array([1, 2, 0])
    assert student(alpha=0).fit(X, order[y]).score(X, order[y]) > 0.9


# The check --------------------------------------------------------------------------


def weak(n, k, strength, seed=0):
    rng = np.random.RandomState(seed)
    y_encoded = np.arange(n) % k
    logits = rng.randn(n, k)
    logits[np.arange(n), y_encoded] += strength
    return logits, y_encoded


def matched(k):
    names = [f"class {i:03}" for i in range(k)]
    return as_teacher(lambda X: X, classes=names).match_encoded(range(k))


@pytest.mark.parametrize("n, k, strength", [(60, 2, 1.5), (60, 3, 1.5), (500, 100, 2)])
def test_a_weak_teacher_is_not_refused(n, k, strength):
    for seed in range(20):
        logits, y_encoded = weak(n, k, strength, seed)
        check_encoding(logits, y_encoded, range(k), matched(k))


@pytest.mark.parametrize("n, k", [(10, 2), (30, 3), (60, 10), (500, 100)])
def test_two_swapped_classes_are_refused(n, k):
    for seed in range(10):
        logits, y_encoded = weak(n, k, 6, seed)
        logits[:, [0, 1]] = logits[:, [1, 0]]
        with pytest.raises(ValueError, match=r"reordered|chance"):
            check_encoding(logits, y_encoded, range(k), matched(k))


def test_a_teacher_that_never_predicts_the_rare_class_is_not_refused():
    y_encoded = np.repeat([0, 1], [950, 50])
    rng = np.random.RandomState(0)
    logits = rng.randn(1000, 2)
    logits[np.arange(1000), y_encoded] += 1
    logits[:, 0] += 5
    assert (logits.argmax(axis=1) == 0).mean() > 0.98
    check_encoding(logits, y_encoded, [0, 1], matched(2))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_prove_nothing_are_refused(value):
    logits, y_encoded = weak(60, 3, 5)
    with pytest.raises(ValueError, match="no better than chance"):
        check_encoding(np.zeros((60, 3)), y_encoded, range(3), matched(3))
    with pytest.raises(ValueError, match="on 0 labelled samples"):
        check_encoding(logits, np.full(60, -1), range(3), matched(3))
    logits[3, 1] = value
    with pytest.raises(ValueError, match="not finite"):
        check_encoding(logits, y_encoded, range(3), matched(3))
