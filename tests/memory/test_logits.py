"""Cached logits: one pass over the data, whatever the form of its rows."""

import pickle
import threading
import time

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from counted_teachers import (
    ASKED,
    DISTINCT,
    Counted,
    CountedNB,
    X,
    asked,
    counted_function,
    fresh,
    nb,
    student,
    taught,
    y,
)
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch.helper import SliceDataset, SliceDict
from torch import nn
from torch.utils.data import TensorDataset

from skkd.exceptions import DistillationWarning
from skkd.memory import CacheInfo, LogitMemory, _lookup, clear_cache
from skkd.memory import _logits as memory
from skkd.search import pruned_cross_val_score

# Teachers in here are asked, counted and remembered; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes|not-probabilities|one-sided)\]:skkd.TeacherWarning"
)


# --- One pass -----------------------------------------------------------------------


def test_equal_rows_are_asked_about_once(place):
    est = student(nb(), memory=place)
    assert asked(lambda: est.fit(X, y)) == DISTINCT
    done = est.cache_info_
    assert isinstance(done, CacheInfo)
    assert done[:3] == (DISTINCT, 1, 0)
    assert done.note == ""
    assert done.nbytes >= DISTINCT * (16 + 12 + 8)
    assert asked(lambda: est.fit(X, y)) == 0
    assert est.cache_info_[:3] == (0, 150, 0)


def test_grid_search_is_one_pass(place):
    est = student(nb(), memory=place)
    grid = {"temperature": [1, 2, 4], "alpha": [0.0, 0.5, 1]}
    grid = GridSearchCV(est, grid, cv=3, error_score="raise")
    assert asked(lambda: grid.fit(X, y)) == DISTINCT
    assert grid.best_estimator_.cache_info_.misses == 0


def test_searches_give_what_they_gave_without_memory(place):
    grid = {"temperature": [1, 4], "alpha": [0.5, 1]}
    scores = [
        GridSearchCV(student(nb(), memory=m), grid, cv=3).fit(X, y).cv_results_
        for m in (False, place, place)
    ]
    for one in scores[1:]:
        assert_array_equal(one["mean_test_score"], scores[0]["mean_test_score"])


def test_cross_validation_and_repeats_are_one_pass(place):
    est = student(nb(), memory=place)

    def work():
        cross_val_score(est, X, y, cv=5)
        cross_val_score(est, X, y, cv=3)
        for seed in range(3):
            clone(est).set_params(random_state=seed, module__hidden=(4,)).fit(X, y)

    assert asked(work) == DISTINCT


def test_optuna_trials_are_one_pass(place):
    est, passes = student(nb(), memory=place), []

    def objective(trial):
        one = clone(est).set_params(temperature=trial.suggest_float("T", 1, 8))
        score = pruned_cross_val_score(one, X, y, trial, cv=3).mean()
        passes.append(one.fit(X, y).cache_info_.misses)
        return score

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    assert asked(lambda: study.optimize(objective, n_trials=3)) == DISTINCT
    assert passes == [0, 0, 0]


def test_partial_fit_and_warm_start():
    est = student(nb(), warm_start=True)
    assert asked(lambda: est.partial_fit(X[:75], y[:75], classes=[0, 1, 2])) == 75
    assert asked(lambda: est.partial_fit(X, y)) == DISTINCT - 75
    assert asked(lambda: est.fit(X, y)) == 0


def test_bootstraps_and_permutations(place):
    rng = np.random.default_rng(0)
    est, total = student(nb(), memory=place), 0
    for _ in range(4):
        rows = rng.integers(150, size=150)
        total += asked(lambda rows=rows: est.fit(X[rows], y[rows]))
        assert est.cache_info_.misses + est.cache_info_.hits == 150
        got, _ = taught(nb(), X[rows], y[rows], memory=place)
        assert_array_equal(got, fresh(nb(), X[rows], y[rows]))
    assert total <= DISTINCT


def test_two_teachers_have_rows_of_their_own(place):
    one, other = nb(), CountedNB(var_smoothing=0.1).fit(X, y)
    for _ in range(2):
        for teacher in (one, other):
            got, _ = taught(teacher, memory=place)
            assert_array_equal(got, fresh(teacher))
    assert (fresh(one) != fresh(other)).any()


WORDS = np.array(["red", "green", "blue"])[y]
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": X[:, 3]})
MIXED = FRAME.assign(word=WORDS, kind=pd.Categorical(WORDS))


def pipeline_of_words():
    encoded = make_column_transformer(
        (OneHotEncoder(), ["word", "kind"]), remainder="passthrough"
    )
    return make_pipeline(encoded, CountedNB()).fit(MIXED, y)


def lengths(texts):
    return np.array([[len(text), text.count("e"), ord(text[0])] for text in texts])


FORMS = {
    "array": (nb, X, {}),
    "float32": (nb, X.astype("f"), {}),
    "list": (nb, X.tolist(), {}),
    "frame": (lambda: CountedNB().fit(FRAME, y), FRAME, {}),
    "strings": (pipeline_of_words, X, {"teacher_X": MIXED}),
    "texts": (
        lambda: make_pipeline(FunctionTransformer(lengths), CountedNB()).fit(WORDS, y),
        X,
        {"teacher_X": WORDS.tolist()},
    ),
    "sparse": (
        lambda: make_pipeline(
            StandardScaler(with_mean=False), Dense(), CountedNB()
        ).fit(sp.csr_matrix(X), y),
        X,
        {"teacher_X": sp.csr_matrix(X)},
    ),
    "dataset": (Counted, TensorDataset(torch.tensor(X), torch.tensor(y)), {}),
    "slices": (
        Counted,
        SliceDataset(TensorDataset(torch.tensor(X), torch.tensor(y))),
        {},
    ),
    "mapping": (lambda: ByName(), {"a": X[:, :2], "b": X[:, 2:]}, {}),
    "images": (
        lambda: Counted(n_in=16),
        (X * 30).astype(np.uint8)[:, :, None, None] * np.ones((2, 2), np.uint8),
        {},
    ),
    "tensor": (Counted, torch.tensor(X), {}),
}


class Dense(FunctionTransformer):
    def transform(self, X):
        return X.toarray()


class ByNameStudent(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b):
        return self.linear(torch.cat([a, b], dim=1).float())


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.counted = Counted()

    def forward(self, a, b):
        return self.counted(torch.cat([a, b], dim=1))


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_all_forms(form):
    make, rows, beside = FORMS[form]
    teacher = make()
    params = {}
    if form == "mapping":
        params = {**params, "module": ByNameStudent}
    labels = None if form == "dataset" else y
    wanted = fresh(teacher, rows, labels, fit_params=beside, **{**params})
    got, first = taught(teacher, rows, labels, beside, **params)
    assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert first.note == ""
    again, second = taught(teacher, rows, labels, beside, **params)
    assert_array_equal(again, got)
    assert second.misses == 0
    distinct = len(np.unique(np.asarray(wanted).round(4), axis=0))
    assert distinct - 2 <= first.misses <= DISTINCT
    if form == "dataset":
        return
    # Slices of it are the same rows.
    if form == "mapping":
        rows = SliceDict(**rows)
    grid = GridSearchCV(
        student(teacher, **params), {"alpha": [0.5, 1]}, cv=3, error_score="raise"
    )
    assert asked(lambda: grid.fit(rows, y, **beside)) == 0


def brightness(paths):
    return np.array([[np.asarray(Image.open(path)).mean()] for path in paths])


def test_a_file_that_changes_is_asked_about_again(tmp_path, place):
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        Image.new("L", (2, 2), 40 * i).save(path)
    labels = np.array([0, 0, 0, 1, 1, 1])
    teacher = make_pipeline(FunctionTransformer(brightness), CountedNB())
    teacher.fit(paths, labels)
    beside = {"teacher_X": paths}
    rows = X[:6]
    before, first = taught(teacher, rows, labels, beside, memory=place)
    Image.new("L", (2, 2), 17).save(paths[4])
    after, second = taught(teacher, rows, labels, beside, memory=place)
    assert (first.misses, second.misses) == (6, 1)
    assert (before != after).any(axis=1).tolist() == [False] * 4 + [True, False]
    assert_array_equal(after, fresh(teacher, rows, labels, fit_params=beside))


# --- Where nothing is remembered ----------------------------------------------------


def test_memory_false_remembers_nothing():
    est = student(nb(), memory=False)
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [150, 150]
    assert est.cache_info_ == CacheInfo(150)
    # Not even for others.
    assert asked(lambda: student(nb()).fit(X, y)) == DISTINCT


@pytest.mark.parametrize("m", ["path", None, False, LogitMemory()])
def test_alpha_zero_asks_and_leaves_nothing(m, tmp_path):
    m = str(tmp_path / "memory") if m == "path" else m
    est = student(nb(), memory=m, alpha=0)
    assert asked(lambda: est.fit(X, y)) == 0
    assert est.cache_info_ == CacheInfo()
    assert not list(tmp_path.iterdir())
    est = student(None, memory=m).fit(X, y)
    assert est.cache_info_ == CacheInfo()
    given = student(nb(), memory=m).fit(X, y, teacher_logits=np.zeros((150, 3)))
    assert given.cache_info_ == CacheInfo()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("teacher_cv", "n_asked"), [(None, 150), (3, 300)])
def test_clones_are_others_at_every_fit(teacher_cv, n_asked, tmp_path):
    est = student(CountedNB(), teacher_cv=teacher_cv, memory=str(tmp_path))
    # Those of folds are asked for their decisions as well, which are checked.
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [n_asked, n_asked]
    assert est.cache_info_.misses == 150
    assert not list(tmp_path.iterdir())


def test_functions_are_asked_in_each_fit(tmp_path):
    for teacher in (counted_function, lambda rows: counted_function(rows)):
        est = student(teacher)
        assert [asked(lambda est=est: est.fit(X, y)) for _ in range(2)] == [150, 150]
        assert est.cache_info_.misses == 150
        assert "is a function, known by its name" in est.cache_info_.note
        for one in (teacher, [teacher, nb()]):
            for m in (str(tmp_path), LogitMemory(), joblib.Memory(None)):
                with pytest.warns(
                    DistillationWarning, match=r"Nothing is cached.*is a function, kn"
                ):
                    est = student(one, memory=m).fit(X, y)
                assert est.cache_info_.misses == 150
                assert "is a function, known by its name" in est.cache_info_.note
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["A", "stream"])  # before and behind the weights
def test_what_cannot_be_pickled_is_asked_in_each_fit(name, tmp_path):
    teacher = Counted()
    setattr(teacher, name, threading.Lock())
    est = student(teacher)
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [150, 150]
    assert "memory= cannot tell" in est.cache_info_.note
    with pytest.warns(DistillationWarning, match="memory= cannot tell"):
        est.set_params(memory=str(tmp_path)).fit(X, y)
    assert est.cache_info_.misses == 150
    assert not list(tmp_path.iterdir())


def test_rows_that_cannot_be_told_are_asked_about_in_each_fit(tmp_path):
    class Strange(list):
        pass

    rows = Strange((i for i in "ab") for _ in range(150))
    teacher = CountedNB().fit(X, y)
    est = student(make_pipeline(FunctionTransformer(ignore_rows), teacher))
    for _ in range(2):
        assert asked(lambda: est.fit(X, y, teacher_X=rows)) == 150
    assert est.cache_info_.note


def ignore_rows(rows):
    return X


# --- The memory of this process -----------------------------------------------------


def test_clear_cache_drops_all_logits():
    est = student(nb())
    est.fit(X, y)
    assert est.cache_info_.nbytes > 0
    clear_cache()
    assert asked(lambda: est.fit(X, y)) == DISTINCT


def test_max_bytes_bounds_the_cache_of_the_process():
    small = LogitMemory(max_bytes=36 * 50)
    for _ in range(3):
        got, done = taught(nb(), memory=small)
        assert_array_equal(got, fresh(nb()))
        assert memory._STORE.nbytes <= 36 * 50
    assert 0 < done.hits < 60
    got, done = taught(nb(), memory=LogitMemory(max_bytes=0))
    assert_array_equal(got, fresh(nb()))
    assert memory._STORE.nbytes == done.nbytes == 0


def test_the_least_recently_used_teacher_is_forgotten():
    bound = LogitMemory(max_bytes=36 * 400)
    teachers = [CountedNB(var_smoothing=10.0**-i).fit(X, y) for i in range(4)]
    for teacher in (*teachers[:2], teachers[0], teachers[2]):
        student(teacher, memory=bound).fit(X, y)
    again = [
        asked(lambda t=t: student(t, memory=bound).fit(X, y)) for t in teachers[:3]
    ]
    assert again[0] == 0
    assert again[1] >= 40


def test_threads_ask_about_no_row_twice():
    est = student(nb())
    grid = GridSearchCV(est, {"alpha": [0.3, 0.5, 0.9]}, cv=3, n_jobs=2)
    with joblib.parallel_backend("threading"):
        assert asked(lambda: grid.fit(X, y)) == DISTINCT


class Slow(CountedNB):
    def predict_proba(self, X):
        time.sleep(0.1)
        return super().predict_proba(X)


def test_threads_that_ask_at_once(place):
    teacher, start = Slow().fit(X, y), threading.Barrier(3)
    passes = []

    def fit():
        est = student(teacher, memory=place)
        start.wait()
        passes.append(est.fit(X, y).cache_info_.misses)

    threads = [threading.Thread(target=fit) for _ in range(3)]

    def work():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert asked(work) == DISTINCT
    assert sorted(passes) == [0, 0, DISTINCT]


def test_the_memory_of_a_process_is_not_pickled():
    est = student(nb(), memory=LogitMemory()).fit(X, y)
    small = len(pickle.dumps(est))
    assert len(pickle.dumps(memory._STORE)) < 200
    student(nb()).fit(np.tile(X, (20, 1)) + np.arange(3000)[:, None], np.tile(y, 20))
    assert abs(len(pickle.dumps(est)) - small) < 100


# --- Parts of a pass ----------------------------------------------------------------


def test_a_pass_in_parts_is_the_same(place, monkeypatch):
    whole, _ = taught(nb(), memory=False)
    monkeypatch.setattr(_lookup, "_ROWS", 7)
    ASKED.clear()
    got, done = taught(nb(), memory=place)
    assert_array_equal(got, whole)
    assert max(ASKED) == 7 and sum(ASKED) == done.misses == DISTINCT


class Breaking(CountedNB):
    def predict_proba(self, X):
        if len(ASKED) == 3:
            raise RuntimeError("interrupted")
        return super().predict_proba(X)


def test_an_interrupted_pass_keeps_what_it_has(place, monkeypatch):
    monkeypatch.setattr(_lookup, "_ROWS", 20)
    est = student(Breaking().fit(X, y), memory=place)
    ASKED.clear()
    with pytest.raises((RuntimeError, ValueError), match="interrupted"):
        est.fit(X, y)
    assert sum(ASKED) == 60
    ASKED[:] = [0] * 4
    est.fit(X, y)
    assert est.cache_info_[:2] == (DISTINCT - 60, 61)
