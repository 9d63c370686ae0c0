"""Every classifier of scikit-learn teaches, or is refused for a reason."""

import pickle
import warnings
from inspect import signature

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.utils import all_estimators

from skkd import DistilledClassifier, TeacherWarning
from skkd.memory._fingerprint import fingerprint
from skkd.teachers import as_teacher, check_health

X, Y = load_iris(return_X_y=True)
X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
NAMES = np.array(["setosa", "versicolor", "virginica"], dtype=object)
SEVERAL_LABELS = np.stack([Y == 0, Y > 0, Y == 2], axis=1).astype(int)
CLASSIFIERS = dict(all_estimators("classifier"))
OF_TWO_CLASSES = ("FixedThresholdClassifier", "TunedThresholdClassifierCV")
REFUSED = {
    "OutputCodeClassifier": "Labels alone are no soft targets",
    "ClassifierChain": "several outputs, each with classes of its own",
    "MultiOutputClassifier": "several outputs, each with classes of its own",
}
TAUGHT_BY = sorted(CLASSIFIERS.keys() - REFUSED.keys())


def unfitted(name):
    cls, few = CLASSIFIERS[name], GaussianNB()
    parameters = signature(cls).parameters
    params = {}
    if "estimators" in parameters:
        params = {"estimators": [("a", few), ("b", LogisticRegression(C=0.1))]}
        params |= {"voting": "soft"} if "voting" in parameters else {}
    elif "estimator" in parameters and name == "OneVsOneClassifier":
        params = {"estimator": LogisticRegression(C=0.1)}
    elif "estimator" in parameters and name != "AdaBoostClassifier":
        params = {"estimator": few}
    if "random_state" in parameters:
        params["random_state"] = 0
    return cls(**params)


def fitted(model, X, y):
    with warnings.catch_warnings(action="ignore"):  # of what is not converged yet
        return (unfitted(model) if isinstance(model, str) else model).fit(X, y)


def task(n_classes, kind):
    rows = Y != 0 if n_classes == 2 else Y >= 0
    return X[rows], NAMES[Y[rows]] if kind == "strings" else Y[rows]


def student(teacher, **params):
    params = {"max_epochs": 1, "random_state": 0, "module__hidden": (), **params}
    return DistilledClassifier(teacher=teacher, **params)


@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")  # of those that are bad
@pytest.mark.filterwarnings("ignore:Class .* is deprecated:FutureWarning")
@pytest.mark.parametrize("name", TAUGHT_BY)
@pytest.mark.parametrize(("n", "kind"), [(2, "strings"), (3, "numbers")])
def test_it_teaches(name, n, kind, tmp_path):
    if n > 2 and name in OF_TWO_CLASSES:
        pytest.skip("has a threshold between two classes")
    X, y = task(n, kind)
    model = fitted(name, X, y)
    classes, teacher = np.unique(y), as_teacher(model)
    before, content = teacher.logits(X, classes), fingerprint(teacher)
    for memory in (None, tmp_path):
        fits = [student(model, memory=memory).fit(X, y) for _ in range(2)]
        assert [fit.cache_info_.misses for fit in fits] == [len(X), 0]
    np.testing.assert_array_equal(teacher.logits(X, classes), before)
    assert fingerprint(teacher) == content
    twin = pickle.loads(pickle.dumps(fits[1]))
    np.testing.assert_array_equal(twin.predict(X), fits[1].predict(X))
    again = student(twin.teacher).fit(X, y)
    assert again.cache_info_.misses == 0
    # Turned classes are turned columns, and never other numbers.
    np.testing.assert_array_equal(teacher.logits(X, classes[::-1]), before[:, ::-1])


@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.parametrize("name", TAUGHT_BY)
@pytest.mark.parametrize(("n", "kind"), [(2, "numbers"), (3, "strings")])
def test_it_decides_as_its_logits_say(name, n, kind):
    """Or the check of teachers tells."""
    if n > 2 and name in OF_TWO_CLASSES:
        pytest.skip("has a threshold between two classes")
    X, y = task(n, kind)
    model, classes = fitted(name, X, y), np.unique(y)
    decided = classes[as_teacher(model).logits(X, classes).argmax(axis=1)]
    codes = [finding.code for finding in check_health(model, X, y)]
    other = (decided != model.predict(X)).mean() > 0.03
    assert ("other-decisions" in codes) >= other


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(name):
    several = "several" in REFUSED[name]
    model = fitted(name, X, SEVERAL_LABELS if several else Y)
    with pytest.raises((TypeError, ValueError), match=REFUSED[name]):
        student(model).fit(X, Y)


def misses(est, X, y):
    return est.cache_info_.misses


@pytest.mark.slow
@pytest.mark.parametrize("name", ["StackingClassifier", "SVC", "MLPClassifier"])
def test_it_teaches_in_workers(name, tmp_path):
    X, y = task(3, "strings")
    est = student(fitted(name, X, y), memory=tmp_path).fit(X, y)
    search = GridSearchCV(est, {"alpha": [0.3, 0.9]}, cv=2, n_jobs=2, scoring=misses)
    search.fit(X, y)
    assert search.cv_results_["mean_test_score"].tolist() == [0, 0]


OTHER_DECISIONS = {
    "of saturated scores": SGDClassifier(loss="modified_huber", random_state=0),
    "of distances": NearestCentroid(),
    "in a search": GridSearchCV(NearestCentroid(), {"metric": ["euclidean"]}),
    "in a wrapper": SelfTrainingClassifier(NearestCentroid()),
}


@pytest.mark.parametrize("name", OTHER_DECISIONS)
def test_other_decisions_are_told(name):
    model = fitted(OTHER_DECISIONS[name], X, Y)
    with pytest.warns(TeacherWarning, match="other-decisions"):
        student(model).fit(X, Y)


@pytest.mark.parametrize("strategy", ["prior", "stratified", "uniform", "constant"])
def test_a_dummy_is_found_out(strategy):
    model = DummyClassifier(strategy=strategy, constant=1, random_state=0).fit(X, Y)
    with pytest.warns(TeacherWarning):
        student(model).fit(X, Y)


OF_SEVERAL_LABELS = {
    "one-vs-rest": OneVsRestClassifier(LogisticRegression()),
    "network": MLPClassifier((5,), random_state=0, max_iter=300, solver="lbfgs"),
    "search": GridSearchCV(OneVsRestClassifier(GaussianNB()), {"n_jobs": [1]}),
    "pipeline": make_pipeline(StandardScaler(), OneVsRestClassifier(GaussianNB())),
    "ridge": RidgeClassifier(),
}


@pytest.mark.parametrize("name", OF_SEVERAL_LABELS)
def test_several_labels_are_refused_and_one_of_them_teaches(name):
    model = fitted(OF_SEVERAL_LABELS[name], X, SEVERAL_LABELS)
    with pytest.raises(ValueError, match="several labels for each sample") as raised:
        student(model).fit(X, Y)
    i, message = 2, str(raised.value)
    remedy = message[message.index("as_teacher") : -1]
    teacher = eval(remedy, {"model": model, "i": i, "as_teacher": as_teacher})
    decided = teacher.logits(X, [0, 1]).argmax(axis=1)
    np.testing.assert_array_equal(decided, model.predict(X)[:, i])


VOTES = {
    "hard": (VotingClassifier([("a", GaussianNB())]), TypeError, "Labels alone"),
    "pairs": (SVC(decision_function_shape="ovo"), ValueError, "votes between pairs"),
    "processes": (
        GaussianProcessClassifier(multi_class="one_vs_one"),
        ValueError,
        "Use one_vs_rest mode instead",
    ),
}


@pytest.mark.parametrize("name", VOTES)
def test_votes_are_refused(name):
    model, error, message = VOTES[name]
    with pytest.raises(error, match=message):
        student(model.fit(X, Y)).fit(X, Y)


def test_a_probability_of_one_of_two_is_no_score():
    X, y = task(2, "strings")
    model = OneVsOneClassifier(GaussianNB()).fit(X, y)
    with pytest.raises(ValueError, match="returns a probability") as raised:
        student(model).fit(X, y)
    message = str(raised.value)
    remedy = message[message.index("as_teacher") : -1]
    teacher = eval(remedy, {"model": model, "as_teacher": as_teacher})
    decided = np.unique(y)[teacher.logits(X, np.unique(y)).argmax(axis=1)]
    np.testing.assert_array_equal(decided, model.predict(X))
    assert as_teacher(OneVsOneClassifier(GaussianNB()).fit(*task(3, "strings"))).logits(
        X, np.unique(y)
    ).shape == (100, 2)


def test_rows_without_neighbours():
    far = np.concatenate([X, X[:3] + 100])
    y = np.append(Y, [0, 0, 0])
    model = RadiusNeighborsClassifier(radius=1.0).fit(X, Y)
    with pytest.raises(ValueError, match="No neighbors found"):
        student(model).fit(far, y)
    model = RadiusNeighborsClassifier(radius=1.0, outlier_label=2).fit(X, Y)
    logits = as_teacher(model).logits(far, [0, 1, 2])
    assert (logits[-3:].argmax(axis=1) == 2).all()


@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
def test_rows_that_naive_bayes_does_not_take():
    model = CLASSIFIERS["CategoricalNB"]().fit(X, Y)
    with pytest.raises(ValueError, match="does not take X") as raised:
        student(model).fit(X - 4, Y)
    assert "Negative values" in str(raised.value)


def test_bagged_machines_vote():
    """Of parts without probabilities, bagging gives shares of votes."""
    model = BaggingClassifier(LinearSVC(), 5, random_state=0).fit(X, Y)
    logits = as_teacher(model).logits(X, [0, 1, 2])
    votes = np.mean(
        [np.eye(3)[part.predict(X).astype(int)] for part in model.estimators_], axis=0
    )
    np.testing.assert_allclose(np.exp(logits), votes, atol=1e-12)
