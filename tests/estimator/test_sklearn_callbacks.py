"""scikit-learn's callbacks: progress bars see the epochs, and can end a fit."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skkd import DistilledClassifier

sklearn_callback = pytest.importorskip("sklearn.callback")

X, y = load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=500).fit(X, y)


def net(**params):
    return DistilledClassifier(**{"max_epochs": 3, "random_state": 0, **params})


class Record:
    """A callback of scikit-learn's that is passed on to the estimators of a search."""

    max_propagation_depth = None

    def __init__(self, stop_at=None):
        self.stop_at, self.events = stop_at, []

    def setup(self, estimator, context):
        self.events.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.events.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.events.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        score = None
        if context.task_name == "epoch":
            score = fitted_estimator.score(X, y)
        self.events.append(("end", context.task_name, context.task_id, score))
        return context.task_name == "epoch" and context.task_id == self.stop_at

    def epochs(self):
        return [e[2] for e in self.events if e[:2] == ("end", "epoch")]


@pytest.mark.parametrize("teacher_cv", ["prefit", 2])
def test_each_epoch_of_a_fit_is_a_task(teacher, teacher_cv):
    record = Record()
    student = net(teacher=teacher, teacher_cv=teacher_cv)
    student = clone(student.set_callbacks(record)).fit(X, y)
    begun = [event[1:] for event in record.events if event[0] == "begin"]
    assert begun == [("fit", 0), ("epoch", 0), ("epoch", 1), ("epoch", 2)]
    assert record.events[0] == ("setup", "fit")
    assert record.events[-1] == ("teardown", "fit")
    # What a callback scores is the student after this epoch.
    scores = [event[3] for event in record.events if event[:2] == ("end", "epoch")]
    shorter = net(teacher=teacher, teacher_cv=teacher_cv, max_epochs=2).fit(X, y)
    assert scores[1:] == [shorter.score(X, y), student.score(X, y)]


def test_callbacks_change_nothing_of_a_fit(teacher):
    student = net(teacher=teacher).set_callbacks(Record()).fit(X, y)
    plain = net(teacher=teacher).fit(X, y)
    np.testing.assert_array_equal(student.predict_proba(X), plain.predict_proba(X))
    assert [name for name, _ in student.callbacks_] == [n for n, _ in plain.callbacks_]
    student.set_callbacks()
    assert {*vars(student)} == {*vars(plain)}
    assert student.get_params().keys() == plain.get_params().keys()


def test_a_callback_ends_the_training():
    record = Record(stop_at=1)
    student = net(max_epochs=9).set_callbacks(record).fit(X, y)
    assert len(student.history) == 2
    assert record.epochs() == [0, 1]
    np.testing.assert_array_equal(
        student.predict_proba(X), net(max_epochs=2).fit(X, y).predict_proba(X)
    )


def test_training_that_goes_on_is_counted_again():
    record = Record()
    student = net(warm_start=True).set_callbacks(record).fit(X, y).fit(X, y)
    assert record.epochs() == [0, 1, 2, 0, 1, 2]
    student.partial_fit(X, y)
    assert len(record.epochs()) == 6  # a fit alone has tasks, as in scikit-learn


def test_a_refused_fit_is_torn_down():
    record = Record()
    student = net(alpha=2).set_callbacks(record)
    with pytest.raises(ValueError, match="alpha"):
        student.fit(X, y)
    assert record.events == []  # it never began
    student = net(module__width=3).set_callbacks(record)
    with pytest.raises(TypeError, match="width"):
        student.fit(X, y)
    assert record.events[-1] == ("teardown", "fit")
    assert not hasattr(student, "_callback_fit_ctx")
    del student.module__width
    student.fit(X, y)
    assert record.epochs() == [0, 1, 2]


class Checkpoint(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.pickled_ = None
        self.pickled_ = pickle.dumps(net)


def test_a_checkpoint_is_not_in_the_middle_of_a_task():
    student = net(callbacks=[Checkpoint()]).set_callbacks(Record()).fit(X, y)
    back = pickle.loads(student.callbacks[0].pickled_)
    assert not hasattr(back, "_callback_fit_ctx")
    back.partial_fit(X, y)
    assert back.score(X, y) > 0.5


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("steps", [0, 1])
def test_a_progress_bar_of_a_search_shows_the_epochs(
    teacher, capsys, monkeypatch, n_jobs, steps
):
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "200")
    model = net(teacher=teacher if not steps else None)
    prefix = ""
    if steps:
        model, prefix = make_pipeline(StandardScaler(), model), "distilledclassifier__"
    search = GridSearchCV(model, {f"{prefix}lr": [0.1, 0.01]}, cv=2, n_jobs=n_jobs)
    search.set_callbacks(sklearn_callback.ProgressBar(max_propagation_depth=None))
    search.fit(X, y)
    out = capsys.readouterr().out
    shown = [line for line in out.splitlines() if "DistilledClassifier - fit" in line]
    assert len(shown) == 5, out  # four fits and the refit
    assert all("100%" in line for line in shown)


def test_the_score_after_each_epoch_is_logged():
    monitor = sklearn_callback.ScoringMonitor(scoring="accuracy")
    student = net().set_callbacks(monitor).fit(X, y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert len(scores) == 4  # three epochs and the fit
    assert scores.count(student.score(X, y)) == 2  # the last epoch and the fit


@pytest.mark.slow
def test_with_an_older_scikit_learn_nothing_is_added():
    code = (
        "import sys; sys.modules['sklearn.callback'] = None\n"
        "from skkd._estimator import sklearn_callbacks as module\n"
        "assert module.CallbackSupportMixin is None\n"
        "class Net: fit = on_train_begin = None\n"
        "assert vars(module.support_callbacks(Net))['fit'] is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    # scikit-learn's own modules import it, from 1.9 on.
    assert done.returncode == 0 or "sklearn/" in done.stderr, done.stderr
