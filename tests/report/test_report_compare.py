"""compare: its figures against other people's, and that it changes nothing."""

import copy
import inspect
import pickle
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd._evaluate.statistics import bootstrap_mean
from skkd.recipes import BornAgain, DistilledEnsemble
from skkd.report import compare
from skkd.teachers import as_teacher

digits = load_digits()
NAMES = np.array([f"digit {number}" for number in digits.target])
X, y = digits.data[:1000].astype(np.float32), NAMES[:1000]
X_test, y_test = digits.data[1000:1400].astype(np.float32), NAMES[1000:1400]


def net(**params):
    params = {"module__hidden": 8, "lr": 0.01, "max_epochs": 5, **params}
    return DistilledClassifier(random_state=0, **params)


@pytest.fixture(scope="module")
def models():
    teacher = SVC(gamma=0.001).fit(X, y)
    return {
        "teacher": teacher,
        "student": net(teacher=teacher).fit(X, y),
        "plain": net().fit(X, y),
    }


@pytest.fixture(scope="module")
def result(models):
    return compare(models, X_test, y_test, timing=False)


def quick(models, X=X_test, y=y_test, **params):
    return compare(models, X, y, **{"timing": False, **params})


# Quality -----------------------------------------------------------------------


def calibration_error(y, proba, classes):
    """Bin by bin, as Guo et al. write it."""
    total = 0.0
    confidence = np.asarray(proba, dtype=float).max(axis=1)
    right = np.asarray(classes)[np.argmax(proba, axis=1)] == y
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            total += inside.sum() / len(y) * gap
    return total


@pytest.mark.parametrize("name", ["student", "plain"])
def test_quality_is_what_scikit_learn_says(models, result, name):
    model, measured = models[name], result.measures[name]
    predicted, proba = model.predict(X_test), model.predict_proba(X_test)
    exact = np.clip(proba, np.finfo(np.float32).eps, 1).astype(float)
    exact /= exact.sum(axis=1, keepdims=True)
    macro = {"average": "macro", "zero_division": 0}
    expected = {
        "accuracy": accuracy_score(y_test, predicted),
        "balanced_accuracy": balanced_accuracy_score(y_test, predicted),
        "precision": precision_score(y_test, predicted, **macro),
        "recall": recall_score(y_test, predicted, **macro),
        "f1": f1_score(y_test, predicted, **macro),
        "log_loss": log_loss(y_test, exact, labels=model.classes_),
        "calibration_error": calibration_error(y_test, proba, model.classes_),
        "agreement": np.mean(predicted == models["teacher"].predict(X_test)),
    }
    assert 0.5 < expected["accuracy"] < 0.99
    for key, value in expected.items():
        assert_allclose(measured[key], value, rtol=1e-5, err_msg=key)
    assert_array_equal(result.predictions[name].labels, predicted)


def test_what_does_not_apply_is_blank(result):
    teacher = result.measures["teacher"]
    for key in ("log_loss", "calibration_error", "agreement", "parameters"):
        assert teacher[key] is None
    assert teacher["multiply_adds"] is None
    assert teacher["accuracy"] > 0.9
    line = next(s for s in str(result).splitlines() if s.startswith("log loss"))
    assert line.split()[2] == "–"


def test_labels_of_two_kinds_and_of_numbers():
    X, y = load_breast_cancer(return_X_y=True)
    words = np.where(y == 1, "benign", "malignant")
    line = make_pipeline(StandardScaler(), LogisticRegression())
    by_word = quick({"a": line.fit(X[:300], words[:300])}, X[300:], words[300:])
    by_number = quick({"a": line.fit(X[:300], y[:300])}, X[300:], y[300:])
    assert by_word.classes.tolist() == ["benign", "malignant"]
    assert by_number.classes.tolist() == [0, 1]
    for key in ("accuracy", "log_loss", "calibration_error", "f1"):
        assert_allclose(by_word.measures["a"][key], by_number.measures["a"][key])


def test_columns_in_another_order_are_aligned_by_label(models):
    plain = models["plain"]
    order = np.random.RandomState(0).permutation(10)

    class Shuffled:
        classes_ = plain.classes_[order]

        def predict(self, X):
            return plain.predict(X)

        def predict_proba(self, X):
            return plain.predict_proba(X)[:, order]

    both = quick({"plain": plain, "shuffled": Shuffled()}).measures
    for key in ("accuracy", "log_loss", "calibration_error"):
        assert both["plain"][key] == both["shuffled"][key]


def test_a_class_that_a_model_lacks_costs_it_rows_and_its_log_loss():
    few = y != "digit 3"
    lacking = LogisticRegression(max_iter=3000).fit(X[few], y[few])
    measured = quick({"a": lacking, "b": net().fit(X, y)}).measures["a"]
    assert measured["accuracy"] == np.mean(lacking.predict(X_test) == y_test)
    assert measured["log_loss"] is None
    assert measured["calibration_error"] is not None


def test_labels_that_y_lacks_are_fine(models):
    few = y_test != "digit 3"
    result = quick(models, X_test[few], y_test[few])
    predicted = models["plain"].predict(X_test[few])
    assert "digit 3" in predicted
    recall = [np.mean(predicted[y_test[few] == c] == c) for c in set(y_test[few])]
    assert_allclose(result.measures["plain"]["balanced_accuracy"], np.mean(recall))


def test_a_model_with_other_labels_is_refused(models):
    with pytest.raises(
        ValueError, match="models\\['plain'\\] knows none of the labels"
    ):
        quick({"plain": models["plain"]}, y=np.char.upper(y_test))
    with pytest.raises(ValueError, match="labels of several types, int, str"):
        quick({"plain": models["plain"]}, y=digits.target[1000:1400])


# Whatever classifies -----------------------------------------------------------


def test_the_same_network_in_every_guise(models):
    plain = models["plain"]
    module = plain.module_
    guises = {
        "itself": plain,
        "pipeline": make_pipeline(FunctionTransformer().fit(X), plain),
        "frozen": FrozenEstimator(plain),
        "module": module,
        "teacher": as_teacher(plain),
        "named": as_teacher(module, classes=plain.classes_),
        "list": [plain, plain],
        "function": lambda X: module.eval()(torch.as_tensor(X)),
    }
    measured = quick(guises, teacher="itself").measures
    for name in guises:
        for key in ("accuracy", "log_loss", "calibration_error"):
            assert_allclose(
                measured[name][key], measured["itself"][key], rtol=1e-4, err_msg=name
            )
        if name != "itself":
            assert measured[name]["agreement"] == 1
        known = None if name == "function" else 1
        assert (measured[name]["parameters"] is None) == (known is None)
    sizes = {name: measured[name]["parameters"] for name in guises}
    assert sizes["list"] == sizes["module"] == sizes["frozen"] == 64 * 8 + 8 * 10 + 18
    adds = {name: measured[name]["multiply_adds"] for name in guises}
    assert adds["pipeline"] == adds["module"] == 64 * 8 + 8 * 10
    assert adds["list"] == 2 * adds["module"]  # it runs twice
    assert measured["function"]["bytes"] is None


def test_recipes_searches_and_skorch():
    y_encoded = digits.target[:1000]
    skorch = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 10)),
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    small = net(max_epochs=1)
    models = {
        "skorch": skorch.fit(X, y_encoded),
        "search": GridSearchCV(small, {"lr": [0.01]}, cv=2).fit(X, y_encoded),
        "generations": BornAgain(small, 2, ensemble=True).fit(X, y_encoded),
        "ensemble": DistilledEnsemble(small, 2).fit(X, y_encoded),
        "vote": VotingClassifier([("a", small), ("b", small)], voting="soft").fit(
            X, y_encoded
        ),
        "platt": CalibratedClassifierCV(SVC(gamma=0.001), cv=2).fit(X, y_encoded),
    }
    measured = quick(models, y=digits.target[1000:1400]).measures
    one = 64 * 8 + 8 * 10 + 18
    sizes = [measured[name]["parameters"] for name in models]
    assert sizes == [650, one, 2 * one, one, 2 * one, None]
    for name, model in models.items():
        expected = np.mean(model.predict(X_test) == digits.target[1000:1400])
        assert measured[name]["accuracy"] == expected, name
        assert measured[name]["log_loss"] is not None
        assert measured[name]["bytes"] > 0


def test_scores_teach_but_are_no_probabilities(models):
    measured = quick({"svc": as_teacher(models["teacher"])}).measures["svc"]
    assert measured["log_loss"] is None
    assert measured["accuracy"] > 0.9
    assert measured["bytes"] == len(pickle.dumps(models["teacher"]))
    several = quick({"both": [models["teacher"], models["plain"]]}).measures["both"]
    assert several["log_loss"] is None and several["calibration_error"] is None
    assert several["accuracy"] > 0.9


def test_rows_of_its_own_for_a_model(models):
    squares = nn.Sequential(nn.Flatten(), models["plain"].module_)
    images = X_test.reshape(-1, 1, 8, 8)
    both = {"plain": models["plain"], "squares": squares}
    result = quick(both, X_by_model={"squares": images})
    assert_array_equal(
        result.predictions["plain"].labels, result.predictions["squares"].labels
    )
    with pytest.raises(ValueError, match=r"X_by_model=\{'plain': ...\}"):
        quick({"plain": models["plain"]}, images)


def test_nothing_is_changed(models):
    module = nn.Sequential(nn.Linear(64, 10), nn.Dropout(0.5), nn.BatchNorm1d(10))
    module.train()[1].eval()
    every = {**models, "module": module}
    before = {name: pickle.dumps(model) for name, model in every.items()}
    modes = [part.training for part in module.modules()]
    student_modes = [part.training for part in models["student"].module_.modules()]
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    compare(every, X_test, y_test)
    assert modes == [part.training for part in module.modules()]
    after = [part.training for part in models["student"].module_.modules()]
    assert after == student_modes
    for name, model in every.items():
        assert pickle.dumps(model) == before[name], name
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])


# Costs -------------------------------------------------------------------------


def test_sizes(models, result, tmp_path):
    torch.save(models["plain"].module_.state_dict(), tmp_path / "weights.pt")
    assert result.measures["plain"]["bytes"] == (tmp_path / "weights.pt").stat().st_size
    assert result.measures["plain"]["parameters"] == 64 * 8 + 8 + 8 * 10 + 10
    assert result.measures["teacher"]["bytes"] == len(pickle.dumps(models["teacher"]))


def test_times_and_what_they_are_of(models):
    class Slow(BaseEstimator):
        classes_ = models["plain"].classes_

        def fit(self, X, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict(self, X):
            import time

            time.sleep(0.005 + 0.001 * (len(X) > 1))
            return np.full(len(X), "digit 1")

    result = compare({"slow": Slow(), **models}, X_test, y_test, batch_size=30)
    slow, fast = result.measures["slow"], result.measures["plain"]
    assert 0.005 <= slow["latency_low"] <= slow["latency"] <= slow["latency_high"]
    assert slow["latency"] < 0.05
    assert slow["throughput"] <= 30 / 0.006
    assert slow["throughput_low"] <= slow["throughput"] <= slow["throughput_high"]
    assert fast["latency"] > 0
    assert "batches of 30 rows; 1 thread" in result.notes[1]


# Differences -------------------------------------------------------------------


def test_pairs_are_of_the_same_rows(models, result):
    right = {name: m.predict(X_test) == y_test for name, m in models.items()}
    (first, *_), names = result.pairs, [(p.first, p.second) for p in result.pairs]
    assert names == [("teacher", "student"), ("teacher", "plain"), ("student", "plain")]
    gap = right["teacher"].astype(int) - right["student"]
    assert_allclose(first.difference, gap.mean())
    assert (first.only_first, first.only_second) == ((gap > 0).sum(), (gap < 0).sum())
    assert_allclose((first.low, first.high), bootstrap_mean(gap), atol=0.01)
    assert first.low < first.difference < first.high
    again = quick(models)
    assert again.pairs == result.pairs
    wide = quick(models, confidence=0.99).pairs[0]
    assert wide.low < first.low and wide.high > first.high


# Shown -------------------------------------------------------------------------


def test_shown_as_text_markdown_and_html(result):
    text, markdown, html = str(result), result.to_markdown(), result._repr_html_()
    for name, values in result.measures.items():
        assert f"{values['accuracy']:.3f}" in text
        assert name in text and name in markdown and name in html
    assert "95 % interval" in text and "Holm p is corrected for 3 pairs" in text
    head, bars, first = markdown.splitlines()[2:5]  # after the caveat
    assert "torch" in markdown.splitlines()[-1]  # the versions
    assert head.count("|") == bars.count("|") == first.count("|") == 5
    assert html.count("<table>") == html.count("</table>") == 2
    alone = quick({"plain": net().fit(X, y)})
    assert "McNemar" not in str(alone)


def test_one_of_a_thing_is_singular(models):
    one = quick(models, X_test[:1], y_test[:1], groups=[0])
    assert one.notes[0] == "1 row, 1 class."
    many = quick(models, X_test[:9], y_test[:9], groups=np.arange(9) // 3)
    assert "9 rows in 3 groups" in many.notes[0]


def test_a_difference_of_nothing_has_no_minus(result):
    pair = replace(result.pairs[0], difference=-1e-5, low=-1e-4, high=2e-4)
    shown = str(replace(result, pairs=(pair,)))
    assert "+0.000  +0.000 to +0.000" in shown


def test_names_are_escaped(models):
    result = quick({"a|b <script>": models["plain"]})
    assert "<script>" not in result._repr_html_()
    assert "a\\|b" in result.to_markdown()


def test_as_a_frame(result):
    frame = result.to_frame()
    assert frame.index.tolist() == ["teacher", "student", "plain"]
    assert frame.loc["plain", "parameters"] == 610
    assert frame.isna().loc["teacher", "log_loss"]
    assert result.to_frame("pairs")["second"].tolist() == ["student", "plain", "plain"]
    with pytest.raises(ValueError, match="expected 'models' or 'pairs'"):
        result.to_frame("rows")


def test_without_pandas(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_frame()


def test_it_can_be_pickled(result):
    assert str(pickle.loads(pickle.dumps(result))) == str(result)
    assert str(copy.deepcopy(result)) == str(result)


# Refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"models": []}, "expected a dict of fitted classifiers by name"),
        ({"models": {}}, "expected a dict of fitted classifiers by name"),
        ({"models": {1: None}}, "expected names, as strings"),
        ({"teacher": "master"}, "teacher='master' is none of the models"),
        ({"X_by_model": {"other": X_test}}, "X_by_model has the keys \\['other'\\]"),
        ({"confidence": 95}, "expected a finite number in \\(0, 1\\)"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"groups": [1, 2]}, "inconsistent numbers of samples"),
        ({"y": y_test[:-1]}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_parameters_are_named(models, given, message):
    given = {"models": models, "X": X_test, "y": y_test, **given}
    with pytest.raises((TypeError, ValueError), match=message):
        compare(**given)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("oom"), RuntimeError("CUDA error: out of memory")]
)
def test_a_model_that_is_out_of_memory_is_no_error_of_X(models, error, monkeypatch):
    def predict(X):
        raise error

    monkeypatch.setattr(models["plain"], "predict_proba", predict)
    with pytest.raises(type(error), match=str(error)) as caught:
        quick(models)
    assert caught.value is error


@pytest.mark.filterwarnings("ignore:.(one-sided|other-decisions)")  # behind a scaler
def test_rows_without_a_label_are_refused(models):
    some = np.where(np.arange(400) % 10 == 0, "?", y_test)
    marking = net(teacher=models["teacher"], unlabeled="?").fit(X, y)
    recipe = BornAgain(net(unlabeled="?"), n_generations=1).fit(X, y)
    for model in (marking, recipe, make_pipeline(StandardScaler(), marking)):
        model = model if hasattr(model, "estimator") else model.fit(X, y)
        with pytest.raises(ValueError, match=r"40 rows of y are '\?', by which models"):
            quick({"a": model}, y=some)


def test_models_that_cannot_be_asked_are_named(models):
    with pytest.raises(NotFittedError, match=r"models\['a'\], SVC, is not fitted"):
        quick({"a": SVC()})
    with pytest.raises(NotFittedError, match=r"models\['a'\], .* is not fitted"):
        quick({"a": net()})
    for unfitted in (
        [net()],
        BornAgain(net()),
        make_pipeline(SVC()),
        as_teacher(SVC()),
    ):
        with pytest.raises(NotFittedError, match=r"models\['a'\], .* is not fitted"):
            quick({"a": unfitted})
    with pytest.raises(TypeError, match=r"models\['a'\]: teacher is a dict"):
        quick({"a": {}})
    with pytest.raises(ValueError, match=r"models\['a'\], .* cannot predict X"):
        quick({"a": nn.Linear(64, 9)})


def test_a_module_is_softmaxed_over_all_classes(models):
    torch.manual_seed(0)
    module = nn.Linear(64, 10)
    answers = quick({"module": module}).predictions["module"]
    with torch.no_grad():
        expected = softmax(
            module(torch.as_tensor(X_test)).numpy().astype(float), axis=1
        )
    assert_allclose(answers.proba, expected, rtol=1e-4)


def test_documented_defaults_are_the_defaults():
    documented = re.findall(r"^    (\w+) : .*default=(.+)$", compare.__doc__, re.M)
    parameters = inspect.signature(compare).parameters
    assert {name for name, _ in documented} == set(parameters) - {"models", "X"}
    for name, default in documented:
        assert eval(default, {}) == parameters[name].default, name
