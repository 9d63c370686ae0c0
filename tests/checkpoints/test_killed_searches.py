"""Searches, recipes and studies that are killed and run again repeat nothing."""

import multiprocessing
import os
import signal
from collections import defaultdict

import numpy as np
import optuna
import pytest
from checkpoint_cases import (
    MAX_EPOCHS,
    Kill,
    Killed,
    Trained,
    X,
    Y,
    assert_same,
    rows_of,
    student,
    watched_by,
)
from joblib import parallel_config
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback

from skkd import DistilledClassifier, DistilledClassifierCV
from skkd.checkpoints import list_folder
from skkd.recipes import (
    AssistantChain,
    BornAgain,
    DistilledEnsemble,
    MutualLearning,
)
from skkd.report import gain
from skkd.search import PackedSearchCV, pruned_cross_val_score

GRID = {"temperature": [1.0, 4.0], "alpha": [0.2, 0.8]}
N_FOLDS = 3
N_FITS = len(GRID["temperature"]) * len(GRID["alpha"]) * N_FOLDS
TEACHER = RandomForestClassifier(5, random_state=0).fit(X[::2], Y[::2])


class Marks(Callback):
    """Writes a line for each epoch that is trained."""

    observes_only = True

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, net, dataset_train=None, **kwargs):
        write(self.path, net, dataset_train, f"epoch {len(net.history)}")


def write(path, net, dataset, what):
    rows = np.asarray(dataset.X)
    fit = f"{net.temperature} {net.alpha} {len(rows)} {float(rows[::7].sum())}"
    with open(path, "a") as file:  # short lines at the end of a file are whole
        file.write(f"{os.environ['RUN']}|{fit}|{what}\n")


class Marked(DistilledClassifier):
    """Writes a line when `fit` returns, and the fit is saved."""

    def fit(self, X, y=None, **fit_params):
        super().fit(X, y, **fit_params)
        marks = [cb for _, cb in self.callbacks_ if isinstance(cb, Marks)]
        if marks:
            write(marks[0].path, self, self.get_dataset(X, y), "finished")
        return self


def searched(folder, marks, n_jobs, run, backend="multiprocessing"):
    os.environ["RUN"] = str(run)
    settings = student(folder, teacher=TEACHER).get_params(deep=False)
    net = Marked(**{**settings, "callbacks": None if marks is None else [Marks(marks)]})
    search = GridSearchCV(net, GRID, cv=N_FOLDS, n_jobs=n_jobs)
    with parallel_config(backend=backend):
        return search.fit(X, Y)


def in_a_group_of_its_own(*arguments):
    os.setsid()
    searched(*arguments)


def killed(arguments, n_epochs, seconds):
    """Start a search, and kill it with its workers some time after so many epochs.

    Returns whether it had ended before.
    """
    marks = arguments[1]
    process = multiprocessing.get_context("fork").Process(
        target=in_a_group_of_its_own, args=arguments
    )
    wanted = n_lines(marks) + n_epochs
    process.start()
    while n_lines(marks) < wanted and process.is_alive():
        process.join(0.002)
    process.join(seconds)
    if process.exitcode is not None:
        assert process.exitcode == 0
        return True
    os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return False


def n_lines(path):
    return path.read_text().count("epoch") if path.exists() else 0


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize(
    ("n_jobs", "n_kills"),
    [(2, 4), *(pytest.param(n, 20, marks=pytest.mark.slow) for n in (1, 2))],
)
def test_kills_lose_nothing_and_repeat_nothing(n_jobs, n_kills, tmp_path):
    survives(tmp_path, n_jobs, n_kills, "multiprocessing")


@pytest.mark.slow  # each start of a worker imports torch
def test_kills_of_a_search_over_loky(tmp_path):
    survives(tmp_path, 2, 6, "loky")


def survives(folder, n_jobs, n_kills, backend):
    rng, marks = np.random.default_rng(n_jobs), folder / "marks"
    whole = searched(None, None, 1, 0)
    for run in range(n_kills):
        n_epochs, seconds = int(rng.integers(1, 4)), rng.uniform(0, 0.05)
        arguments = folder / "fits", marks, n_jobs, run, backend
        assert not killed(arguments, n_epochs, seconds)
    search = searched(folder / "fits", marks, n_jobs, n_kills, backend)
    for name, values in whole.cv_results_.items():
        if name.startswith(("split", "mean_test", "rank")):
            assert (values == search.cv_results_[name]).all()
    assert_same(whole.best_estimator_, search.best_estimator_)
    trained, finished = defaultdict(list), {}
    for line in marks.read_text().splitlines():
        run, fit, what = line.split("|")
        if what == "finished":
            finished.setdefault(fit, int(run))
        else:
            trained[fit].append((int(run), int(what.split()[1])))
    assert len(trained) == N_FITS + 1  # and that of all rows
    for fit, epochs in trained.items():
        assert {epoch for _, epoch in epochs} == {*range(1, MAX_EPOCHS + 1)}
        # Nothing is trained after the run in which it was finished.
        assert max(run for run, _ in epochs) <= finished[fit]
    # A kill may cost each worker the epoch that it was in, or had not saved.
    n_epochs = sum(map(len, trained.values()))
    assert n_epochs <= (N_FITS + 1) * MAX_EPOCHS + n_jobs * n_kills


def n_trained(function, *args):
    """Return what a function returns, and how many epochs were trained in it."""
    Trained.n_epochs = 0
    found = function(*args)
    return found, Trained.n_epochs


RECIPES = {
    "born again": lambda net: BornAgain(net, n_generations=2),
    "mutual learning": MutualLearning,
    "chain": lambda net: AssistantChain(net, [{"module__hidden": 200}]),
    "ensemble": lambda net: DistilledEnsemble(net, n_students=2),
}


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name, tmp_path):
    recipe = RECIPES[name]
    has_teacher = name == "chain"
    params = {"teacher": TEACHER if has_teacher else None}
    whole = recipe(watched_by(student(**params), Trained())).fit(X, Y)
    for epoch in (2, 4):
        net = watched_by(student(tmp_path, **params), Kill(epoch))
        with pytest.raises(Killed):
            recipe(net).fit(X, Y)
    again, n_again = n_trained(
        recipe(watched_by(student(tmp_path, **params), Trained())).fit, X, Y
    )
    assert_same(whole.student_, again.student_)
    assert (whole.predict_proba(X) == again.predict_proba(X)).all()
    loaded, n_loaded = n_trained(
        recipe(watched_by(student(tmp_path, **params), Trained())).fit, X, Y
    )
    assert n_again > 0 and n_loaded == 0
    assert_same(whole.student_, loaded.student_)
    assert (whole.predict_proba(X) == loaded.predict_proba(X)).all()


def test_mutual_learning_knows_its_students(tmp_path):
    def cohort(*hidden):
        students = [{"module__hidden": n} for n in hidden]
        net = student(tmp_path, teacher=None)
        return MutualLearning(net, n_students=students).fit(X, Y)

    first = cohort(8, 12)
    assert len(first.history_) == MAX_EPOCHS
    other = cohort(8, 13)
    assert rows_of(first.students_[0]) == rows_of(other.students_[0])
    shapes = [s.module_.state_dict().keys() for s in (first.student_, other.student_)]
    assert shapes[0] == shapes[1]
    again = cohort(8, 12)
    for one, two in zip(first.students_, again.students_, strict=True):
        assert_same_weights(one, two)


def assert_same_weights(one, other):
    a, b = one.module_.state_dict(), other.module_.state_dict()
    assert all((a[name] == b[name]).all() for name in {*a, *b})


@pytest.mark.parametrize("search", ["packed", "chosen"])
def test_students_that_are_trained_together(search, tmp_path):
    def searched(folder):
        if search == "packed":
            net = student(folder, teacher=RandomForestClassifier(3, random_state=0))
            net.set_params(teacher_cv=2)
            return PackedSearchCV(net, GRID, cv=2).fit(X, Y)
        params = student(folder).get_params(deep=False)
        own = {k: v for k, v in params.items() if k not in ("temperature", "alpha")}
        grid = {"temperatures": [1, 4], "alphas": [0.5], "cv": 2}
        return DistilledClassifierCV(**own, **grid, teacher_saw="other rows").fit(X, Y)

    whole, first = searched(None), searched(tmp_path)
    packing = first.packing_
    again = searched(tmp_path)
    assert again.packing_.n_loaded == packing.n_packed > 0
    assert again.packing_.n_packed == 0 and again.packing_.n_alone == {}
    assert "loaded from a checkpoint" in str(again.packing_)
    for name, values in whole.cv_results_.items():
        if name.startswith(("split", "mean_test", "rank")):
            assert (values == first.cv_results_[name]).all()
            assert (values == again.cv_results_[name]).all()
    best = [
        getattr(s, "best_estimator_", getattr(s, "student_", None))
        for s in (whole, first, again)
    ]
    assert_same(best[0], best[1])
    assert_same(best[0], best[2])


def test_one_that_was_trained_together_is_no_single_fit(tmp_path):
    net = student(tmp_path)
    search = PackedSearchCV(net, GRID, cv=2, refit=False, teacher_saw="other rows")
    search.fit(X, Y)
    single = GridSearchCV(watched_by(net, Trained()), GRID, cv=2, refit=False)
    _, n = n_trained(single.fit, X, Y)
    assert n == 8 * MAX_EPOCHS


@pytest.mark.parametrize("oof", [False, True])
def test_gain(oof, tmp_path):
    params = {"lr": 0.01}
    if oof:
        forest = RandomForestClassifier(3, random_state=0)
        params |= {"teacher": forest, "teacher_cv": 2}
    settings = {"cv": 2, "seeds": 2, "teacher_saw": "other rows"}
    whole = gain(student(**params), X, Y, **settings)
    first = gain(student(tmp_path, **params), X, Y, **settings)
    again = gain(student(tmp_path, **params), X, Y, **settings)
    found = [(r.gain, r.interval, r.verdict, repr(r.teacher)) for r in (whole, first)]
    assert found[0] == found[1]
    assert found[0] == (again.gain, again.interval, again.verdict, repr(again.teacher))
    n_bytes = {one.path: one.nbytes for one in list_folder(tmp_path)}
    assert len(n_bytes) >= 8


def test_an_objective_of_optuna_reports_what_was_trained_before(tmp_path):
    def objective(trial, *callbacks):
        net = student(tmp_path, temperature=trial.suggest_float("temperature", 1, 8))
        watched_by(net, *callbacks)
        score = pruned_cross_val_score(net, X, Y, trial, cv=2, teacher_saw="other rows")
        return score.mean()

    def study():
        study = optuna.create_study(direction="maximize")
        study.enqueue_trial({"temperature": 3.0})
        return study

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    first = study()
    with pytest.raises(Killed):
        first.optimize(lambda trial: objective(trial, Kill(3)), n_trials=1)
    second, third = study(), study()
    _, n = n_trained(
        lambda: second.optimize(lambda t: objective(t, Trained()), n_trials=1)
    )
    assert n == 2 * MAX_EPOCHS - 2
    _, n = n_trained(
        lambda: third.optimize(lambda t: objective(t, Trained()), n_trials=1)
    )
    assert n == 0
    values = [s.trials[0].intermediate_values for s in (second, third)]
    assert values[0] == values[1] and len(values[0]) == MAX_EPOCHS + 1
    assert second.best_value == third.best_value
