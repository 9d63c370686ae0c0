"""Findings about a teacher: each is made if it is true, and only then."""

import numpy as np
import pytest
import torch
from health_cases import (
    CLASSES,
    SHUFFLED,
    SICK,
    SWAPPED,
    X,
    codes_of,
    dead,
    dropping,
    equal,
    fresh_net,
    linear,
    net,
    noise,
    state,
    student,
    y,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from torch import nn

from skkd import TeacherWarning
from skkd.teachers import as_teacher, check_health
from skkd.teachers.health._evidence import (
    find_permutation,
)
from skkd.teachers.health._findings import examine


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("name", SICK)
def test_a_sick_teacher_is_found(name, teacher, trained):
    code, make = SICK[name]
    sick = make(teacher, trained)
    with pytest.warns(TeacherWarning, match=rf"^\[{code}\]") as caught:
        found = check_health(sick, X, y, temperature=4)
    assert set(codes_of(found)) == {code}
    assert [str(w.message) for w in caught] == [str(finding) for finding in found]
    assert caught[0].filename == __file__
    with pytest.warns(TeacherWarning, match=rf"^\[{code}\]") as caught:
        fitted = student(sick).fit(X, y)
    assert codes_of(fitted.teacher_findings_) == [code]
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("name", SICK)
def test_strict_raises_before_training(name, teacher, trained):
    code, make = SICK[name]
    sick = make(teacher, trained)
    with pytest.raises(ValueError, match=rf"^\[{code}\]"):
        check_health(sick, X, y, temperature=4, strict=True)
    strict = student(sick, strict=True)
    with pytest.raises(ValueError, match=rf"^\[{code}\]"):
        strict.fit(X, y)
    assert not hasattr(strict, "module_")  # as it was before


@pytest.mark.parametrize("train", [True, False])
def test_modules_are_left_as_they_were(train, trained):
    sick = dropping(trained).train(train)
    nn.init.zeros_(sick.head.weight)
    before = state(sick)
    with pytest.warns(TeacherWarning) as caught:
        check_health(sick, X, y)
        student(sick).fit(X, y)
    assert len(caught) == 2 * (1 + train)
    with pytest.raises(ValueError, match="constant-output"):
        student(sick, strict=True).fit(X, y)
    assert sick.training == train
    assert equal(before, state(sick))


def test_what_is_not_finite_is_a_finding_not_a_crash():
    with pytest.warns(TeacherWarning, match=r"\[non-finite\].* in 600 of 600 rows"):
        found = check_health(lambda X: np.full((len(X), 10), np.nan), X, y)
    assert codes_of(found) == ["non-finite"]
    logits = np.zeros((40, 10))
    logits[3, 4] = np.inf
    found = examine(logits, np.arange(40) % 10, classes=CLASSES)
    assert "1 of 40" in found[0].message


def test_all_findings_are_raised_together(teacher, trained):
    with pytest.raises(ValueError, match=r"\[train-mode\][^$]*\n\[constant-output\]"):
        module = dropping(trained)
        nn.init.zeros_(module.head.weight)
        check_health(module, X, y, strict=True)


# Permutations ------------------------------------------------------------------


@pytest.mark.parametrize("columns", [SWAPPED, SHUFFLED])
def test_the_classes_that_are_named_mend_it(columns, teacher):
    say = linear(teacher, columns)
    with pytest.raises(ValueError, match="permuted-classes") as error:
        check_health(say, X, y, strict=True)
    named = str(error.value).split("classes=")[1].split(")")[0]
    assert eval(named) == columns
    assert check_health(as_teacher(say, classes=columns), X, y) == []


def test_named_columns_are_named_anew(teacher):
    names = np.array(list("abcdefghij"))
    wrong = as_teacher(teacher, classes=names[SWAPPED])
    with pytest.warns(TeacherWarning, match="permuted") as caught:
        check_health(wrong, X, names[y])
    named = str(caught[0].message).split("classes=")[1].split(")")[0]
    assert eval(named) == names.tolist()


def test_the_columns_of_logits_are_reordered(teacher):
    logits = linear(teacher, SHUFFLED)(X)
    with pytest.warns(TeacherWarning, match=r"permuted.*teacher_logits\[:,") as caught:
        student().fit(X, y, teacher_logits=logits)
    order = eval(str(caught[0].message).split("teacher_logits[:, ")[1][:-2])
    assert np.array_equal(logits[:, order], linear(teacher)(X))


def test_two_classes_may_be_swapped():
    X2, y2 = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0).fit(X2[::2], y2[::2])
    with pytest.warns(TeacherWarning, match=r"permuted.*classes=\[0, 1\]"):
        check_health(as_teacher(forest, classes=[1, 0]), X2, y2)


def test_a_teacher_that_confuses_two_classes_is_not_permuted():
    rng = np.random.RandomState(0)
    y_encoded = np.repeat(CLASSES, 1000)
    decisions = y_encoded.copy()
    for true, taken in [(3, 5), (5, 3)]:
        rows = np.flatnonzero(y_encoded == true)
        decisions[rng.choice(rows, 550, replace=False)] = taken  # 55 of 100
    assert find_permutation(decisions, y_encoded, 10) is None


def test_many_classes_with_few_rows():
    y_encoded = np.repeat(np.arange(100), 5)
    rng = np.random.RandomState(0)
    right = rng.rand(500) < 0.8
    decisions = np.where(right, y_encoded, rng.randint(0, 100, 500))
    assert find_permutation(decisions, y_encoded, 100) is None
    order = rng.permutation(100)
    found = find_permutation(order[decisions], y_encoded, 100)
    assert (found[order] == np.arange(100)).mean() > 0.95


@pytest.mark.parametrize("wrap", [as_teacher, lambda teacher: teacher])
def test_the_remedy_is_for_a_teacher_that_is_wrapped_already(wrap, teacher):
    say = linear(teacher, SWAPPED)
    with pytest.raises(ValueError, match=r"as_teacher\(model, .* model is say its"):
        check_health(wrap(say), X, y, strict=True)
    message = r"as_teacher\(say\) is a Teacher already.* as_teacher\(model, classes="
    with pytest.raises(ValueError, match=message):
        as_teacher(as_teacher(say), classes=SWAPPED)
    mended = as_teacher(as_teacher(say).model, classes=SWAPPED)
    assert check_health(mended, X, y) == []


@pytest.mark.parametrize("transform", [None, torch.clone])
def test_columns_that_are_dropped_are_not_looked_at(transform, trained):
    class Sure(nn.Module):
        """Of classes that the rows do not have."""

        def forward(self, x):
            return trained.module_(x) + 1000.0 * (torch.arange(10) >= 3)

    options = {"classes": CLASSES, "extra_classes": "drop", "transform": transform}
    few = y < 3
    assert check_health(as_teacher(Sure().eval(), **options), X[few], y[few]) == []


# Healthy teachers --------------------------------------------------------------

DATA = {
    "iris": load_iris,
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
}
HEALTHY = {
    "logistic": LogisticRegression,
    "forest": lambda: RandomForestClassifier(50, random_state=0),
    "svc": SVC,
    "calibrated svc": lambda: CalibratedClassifierCV(SVC(), cv=2),
    "neighbours": KNeighborsClassifier,
    "mlp": lambda: MLPClassifier(max_iter=500, random_state=0),
    "net": net,
    "module": net,
}


def clean_data(name, part):
    X, y = DATA[name](return_X_y=True)
    X = scale(X).astype(np.float32)
    if part == "tenth":
        X, _, y, _ = train_test_split(X, y, train_size=0.1, stratify=y, random_state=0)
    return X, y


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("part", ["whole", "tenth"])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_teacher_gives_no_finding(name, data, part):
    X, y = clean_data(data, part)
    if name in ("net", "module"):
        torch.manual_seed(0)
        healthy = net(module__n_inputs=X.shape[1], module__n_outputs=y.max() + 1)
        labels = y
    else:
        healthy, labels = HEALTHY[name](), np.array([f"class {c}" for c in y])
    healthy.fit(X, labels)
    if name == "module":
        healthy = healthy.module_.eval()
    assert check_health(healthy, X, labels) == []
    assert student(healthy).fit(X, labels).teacher_findings_ == []


def test_few_rows_prove_nothing():
    assert check_health(noise, X[:29], y[:29]) == []
    assert check_health(fresh_net().eval(), X[:29], y[:29]) == []
    assert check_health(linear_of_one_class, X[:29], y[:29] == 0) == []


@pytest.mark.parametrize("value", [1.0, -3.0])
@pytest.mark.parametrize("kind", ["module", "sklearn", "saturated"])
def test_of_one_class_there_is_nothing_to_find(kind, value):
    one = np.full(len(X), 4)
    if kind == "sklearn":
        lone = GaussianNB().fit(X, one)
    elif kind == "module":
        lone = nn.Linear(64, 1).requires_grad_(False)
        nn.init.zeros_(lone.weight)
        nn.init.constant_(lone.bias, value)
    else:
        lone = as_teacher(GaussianNB().fit(X, y), extra_classes="drop")
    assert check_health(lone, X, one) == []


def test_a_teacher_of_several_classes_is_looked_at_on_one():
    with pytest.warns(TeacherWarning, match="constant-output"):
        check_health(as_teacher(dead, classes=CLASSES), X, np.full(len(X), 4))


@pytest.mark.parametrize("declared", [None, CLASSES])
def test_without_rows_there_is_nothing_to_ask(declared, teacher):
    for one in (teacher, fresh_net().eval(), [teacher, noise]):
        with pytest.raises(ValueError, match="X has no rows: expected some"):
            check_health(one, X[:0], y[:0], classes=declared)


def linear_of_one_class(X):
    return np.column_stack([X[:, 20], -X[:, 20]])


def weak(n, k, strength, seed, prior=None):
    rng = np.random.RandomState(seed)
    y_encoded = rng.choice(k, n, p=prior)
    logits = rng.randn(n, k)
    logits[np.arange(n), y_encoded] += strength
    return logits, y_encoded


@pytest.mark.parametrize("n, k", [(12, 2), (50, 2), (50, 3), (150, 10), (500, 100)])
def test_a_weak_teacher_is_useful(n, k):
    alarms = 0
    for seed in range(40):
        logits, y_encoded = weak(n, k, 0.5, seed)  # right in 64 of 100 for two classes
        alarms += len(examine(logits, y_encoded, classes=np.arange(k)))
    assert alarms == 0


@pytest.mark.parametrize("n, k, least", [(150, 3, 20), (1000, 2, 32), (500, 100, 24)])
def test_noise_is_found_where_rows_suffice(n, k, least):
    found = [
        examine(*weak(n, k, 0.0, seed), classes=np.arange(k)) for seed in range(40)
    ]
    assert sum(codes_of(f) == ["chance-level"] for f in found) >= least


def test_a_teacher_that_never_answers_the_rare_class_may_know_it():
    prior = np.array([0.95, 0.05])
    logits, y_encoded = weak(1000, 2, 1.0, 0, prior)
    logits += 2 * np.log(prior)
    assert (logits.argmax(axis=1) == 0).mean() > 0.99
    assert examine(logits, y_encoded, classes=[0, 1]) == []


def test_a_teacher_of_balanced_classes_is_healthy_though_less_accurate():
    logits, y_encoded = weak(1000, 2, 1.0, 0, [0.95, 0.05])
    assert (logits.argmax(axis=1) == y_encoded).mean() < 0.9
    assert examine(logits, y_encoded, classes=[0, 1]) == []


def test_a_poor_teacher_is_worse_than_the_most_frequent_class():
    logits, y_encoded = weak(1000, 3, 0.3, 0, [0.6, 0.3, 0.1])
    (found,) = examine(logits, y_encoded, classes=[0, 1, 2])
    assert found.code == "below-majority"
    share = (y_encoded == 0).mean()
    assert f"most frequent class has {share:.3g}" in found.message


def test_unlabelled_rows_do_not_count(teacher):
    partly = np.where(np.arange(len(y)) % 2 == 0, y, -1)
    assert student(teacher, unlabeled=-1).fit(X, partly).teacher_findings_ == []
    with pytest.warns(TeacherWarning, match="chance-level.* on 300 labelled .* 10 cl"):
        student(noise, unlabeled=-1).fit(X, partly)
    scarce = np.where(np.arange(len(y)) < 20, y, -1)
    kwargs = {"unlabeled": -1, "classes": CLASSES}
    assert student(noise, **kwargs).fit(X, scarce).teacher_findings_ == []
