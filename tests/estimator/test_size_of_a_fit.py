"""How much of skkd a fit goes through: as much as a reader has to know."""

import gc
import sys
from collections import Counter
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import skkd
from skkd import DistilledClassifier
from skkd.memory import clear_cache

ROOT = Path(skkd.__file__).parent
X, Y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, Y)


def calls_of(function, *args):
    """Count the calls of functions of skkd, by file and name."""
    calls = Counter()
    clear_cache()

    def profile(frame, event, arg):
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(str(ROOT)):
            calls[str(Path(path).relative_to(ROOT)), frame.f_code.co_name] += 1

    # What earlier tests left is finalised by functions of skkd, too, at any time.
    gc.collect()
    gc.disable()
    sys.setprofile(profile)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


def files(calls):
    return {path for path, _ in calls}


def student(batch_size):
    return DistilledClassifier(
        teacher=TEACHER, max_epochs=1, batch_size=batch_size, random_state=0
    )


@pytest.fixture(scope="module", autouse=True)
def _warm():
    student(150).fit(X, Y)


def test_a_fit_of_one_batch():
    calls = calls_of(student(150).fit, X, Y)
    assert len(files(calls)) <= 32
    assert calls.total() <= 650


def test_one_further_batch():
    two, three = (calls_of(student(n).fit, X, Y) for n in (75, 50))
    further = three - two
    assert len(files(further)) <= 6
    assert further.total() <= 50


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_a_prediction(method):
    net = student(150).fit(X, Y)
    calls = calls_of(getattr(net, method), X)
    assert len(files(calls)) <= 5
    assert calls.total() <= 50


def test_the_classes_of_the_estimator():
    own = [c for c in DistilledClassifier.__mro__ if c.__module__.startswith("skkd.")]
    assert len(own) <= 5
