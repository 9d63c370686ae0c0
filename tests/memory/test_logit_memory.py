"""LogitMemory: on disk, verified, in smaller forms, and as a parameter."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import pytest
from counted_teachers import (
    ASKED,
    DISTINCT,
    CountedNB,
    CountedObject,
    LoggedNB,
    X,
    asked,
    fresh,
    nb,
    student,
    taught,
    y,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch.dataset import ValidSplit

from skkd import DistillationWarning
from skkd._store.disk import _digest
from skkd._store.process import Segment
from skkd._utils.checksum import row_checksums
from skkd.memory import LogitMemory

# Teachers in here are asked, counted and remembered; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes|not-probabilities|one-sided)\]:skkd.TeacherWarning"
)


# --- On disk ------------------------------------------------------------------------


def files_in(folder):
    return sorted(Path(folder).rglob("rows-*"))


def test_a_search_in_two_processes(tmp_path):
    teacher = LoggedNB().fit(X, y)
    teacher.log_ = str(tmp_path / "log")
    teacher.more_ = frozenset("abcdefgh"), np.arange(2e5)  # its order, and a mapped one
    place = str(tmp_path / "memory")

    def search(n_jobs, m):
        est = student(teacher, memory=m)
        grid = {"temperature": [1, 4], "alpha": [0.0, 0.5]}
        grid = GridSearchCV(est, grid, cv=3, n_jobs=n_jobs, error_score="raise")
        return grid.fit(X, y)

    two = search(2, place)
    lines = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert sum(lines) == DISTINCT
    assert two.best_estimator_.cache_info_.misses == 0
    one = search(1, False)
    assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert len(files_in(place)) == 1
    assert not list(Path(place).rglob("tmp-*"))


def test_paths_and_joblibs_memory_share_one_store(tmp_path):
    forms = [
        str(tmp_path),
        tmp_path,
        joblib.Memory(tmp_path, verbose=0),
        joblib.Memory(str(tmp_path), verbose=0),
        LogitMemory(str(tmp_path)),
        LogitMemory(tmp_path),
        LogitMemory(joblib.Memory(tmp_path, verbose=0)),
    ]
    est = student(nb())
    passes = [
        clone(est).set_params(memory=m).fit(X, y).cache_info_.misses for m in forms
    ]
    assert passes == [DISTINCT] + [0] * 6
    # Nothing was remembered in the process beside it, as Memory(None) would show.
    for m in (
        None,
        joblib.Memory(None),
        LogitMemory(),
        LogitMemory(joblib.Memory(None)),
    ):
        passes.append(clone(est).set_params(memory=m).fit(X, y).cache_info_.misses)
    assert passes[7:] == [DISTINCT, 0, 0, 0]
    # What joblib itself keeps there does not mind.
    assert joblib.Memory(tmp_path, verbose=0).cache(len)("abc") == 3


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    student(nb(), memory="here").fit(X, y)
    assert student(nb(), memory=tmp_path / "here").fit(X, y).cache_info_.misses == 0


@pytest.mark.parametrize("name", ["keys", "rows", "checks"])
def test_a_damaged_file_is_reported_and_repaired(name, tmp_path):
    est = student(nb(), memory=str(tmp_path))
    est.fit(X, y)
    (folder,) = files_in(tmp_path)
    file = folder / f"{name}.npy"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(DistillationWarning, match="is damaged") as caught:
        got, done = taught(nb(), memory=str(tmp_path))
    assert str(folder) in str(caught[0].message)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(nb()))
    assert est.fit(X, y).cache_info_.misses == 0


def test_a_damaged_file_is_reported_at_the_users_line(tmp_path):
    est = student(nb(), memory=tmp_path).fit(X, y)
    (files_in(tmp_path)[0] / "rows.npy").write_bytes(b"")
    with pytest.warns(DistillationWarning, match="is damaged") as caught:
        est.fit(X, y)
    assert caught[0].filename == __file__


def test_a_place_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=r"nothing can be written there.*memory=None"):
        student(nb(), memory=file).fit(X, y)


@pytest.mark.parametrize("m", [5, 0, True, object(), 1.5, ("a",)])
def test_what_is_no_memory(m):
    for one in (m, LogitMemory(m)):
        with pytest.raises(ValueError, match="memory"):
            student(nb(), memory=one).fit(X, y)


def test_additions_of_many_fits_stay_few_folders(tmp_path):
    for start in range(0, 60, 2):
        rows = np.r_[start : start + 2, 50, 100]
        student(nb(), memory=tmp_path).fit(X[rows], [0, 0, 1, 2])
    assert len(files_in(tmp_path)) <= 4
    assert asked(lambda: student(nb(), memory=tmp_path).fit(X, y)) == DISTINCT - 61


# --- verify= ------------------------------------------------------------------------

OUTSIDE = {"scale": 1.0}


class Global(CountedObject):
    """A teacher that depends on something that is no part of it."""

    def __call__(self, rows):
        return OUTSIDE["scale"] * super().__call__(rows)


@pytest.fixture
def outside():
    OUTSIDE["scale"] = 1.0
    yield OUTSIDE
    OUTSIDE["scale"] = 1.0


def test_verify_counts(place):
    est = student(nb(), memory=LogitMemory(place, verify=10))
    assert asked(lambda: est.fit(X, y)) == DISTINCT
    assert est.cache_info_[:3] == (DISTINCT, 1, 0)
    assert asked(lambda: est.fit(X, y)) == 10
    assert est.cache_info_[:3] == (0, 150, 10)
    est.set_params(memory=LogitMemory(place, verify=1000))
    assert asked(lambda: est.fit(X, y)) == 150
    assert est.cache_info_.verified == 150


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"top_k": 2}])
def test_verify_catches_what_depends_on_something_outside(place, outside, options):
    est = student(Global(), memory=LogitMemory(place, verify=3, **options))
    est.fit(X, y)
    est.fit(X, y)
    outside["scale"] = 1.1
    with pytest.raises(ValueError, match=r"verify=3: of 3 rows, 3 have.*memory=False"):
        est.fit(X, y)


class Random(CountedObject):
    def __call__(self, rows):
        return np.random.default_rng().normal(size=(len(rows), 3))


def test_verify_catches_what_says_something_else_each_time(place):
    est = student(Random(), memory=LogitMemory(place, verify=3)).fit(X, y)
    with pytest.raises(ValueError, match="gives others each time"):
        est.fit(X, y)


@pytest.mark.parametrize("options", [{"top_k": 2}, {"top_k": 1, "dtype": "float16"}])
def test_verify_does_not_mind_the_last_digits(place, outside, options):
    # Two logits change places, which of them is kept is not a matter of content.
    est = student(Tied(), memory=LogitMemory(place, verify=150, **options)).fit(X, y)
    outside["scale"] = -1.0
    assert est.fit(X, y).cache_info_.verified == 150


class Tied(CountedObject):
    def __call__(self, rows):
        near = 1e-6 * OUTSIDE["scale"]
        return np.tile([1.0 + near, 1.0 - near, -5.0], (len(rows), 1))


def test_a_tampered_store(tmp_path):
    est = student(nb(), memory=LogitMemory(tmp_path, verify=150)).fit(X, y)
    (folder,) = files_in(tmp_path)
    keys, rows = (np.load(folder / f"{name}.npy") for name in ("keys", "rows"))
    rows[:, 0] += 1
    np.save(folder / "rows.npy", rows)
    with pytest.warns(DistillationWarning, match="checksum of a row"):
        got, done = taught(nb(), memory=tmp_path)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(nb()))
    # Who forges the checksums too is found out by verify= alone.
    (folder,) = files_in(tmp_path)
    keys, rows = (np.load(folder / f"{name}.npy") for name in ("keys", "rows"))
    rows[:, 0] += 1
    forged = Segment(keys, rows, row_checksums(keys, rows))
    for name, values in forged._asdict().items():
        np.save(folder / f"{name}.npy", values)
    folder.rename(folder.with_name(f"rows-{_digest(forged)}-0"))
    assert (taught(nb(), memory=tmp_path)[0] != fresh(nb())).any()
    with pytest.raises(ValueError, match="verify=150"):
        est.fit(X, y)


# --- LogitMemory as a parameter -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float64"}, "dtype='float64'.*float16"),
        ({"dtype": np.float16}, "dtype="),
        ({"top_k": 0}, "top_k=0.*at least 1"),
        ({"top_k": 1.5}, "top_k=1.5"),
        ({"top_k": True}, "top_k=True"),
        ({"max_bytes": -1}, "max_bytes=-1.*at least 0"),
        ({"max_bytes": None}, "max_bytes=None"),
        ({"max_bytes": 1e9}, "max_bytes="),
        ({"verify": -1}, "verify=-1"),
        ({"verify": None}, "verify=None"),
        ({"verify": "all"}, "verify='all'"),
    ],
)
def test_wrong_values_are_told_before_anything_is_asked(options, message):
    est = student(nb(), memory=LogitMemory(**options), alpha=0)
    ASKED.clear()
    with pytest.raises(ValueError, match=message):
        est.fit(X, y)
    assert not ASKED


def test_it_is_a_parameter_like_others(tmp_path):
    est = student(nb(), memory=LogitMemory(tmp_path, verify=2))
    assert est.get_params()["memory__verify"] == 2
    twin = clone(est).set_params(memory__verify=3, memory__top_k=2)
    assert (twin.memory.verify, est.memory.verify) == (3, 2)
    assert twin.memory is not est.memory
    assert "LogitMemory" in repr(est)
    assert "verify=2" in repr(est.memory)
    loaded = pickle.loads(pickle.dumps(est.fit(X, y)))
    assert loaded.fit(X, y).cache_info_[:3] == (0, 150, 2)
    grid = GridSearchCV(est, {"memory__top_k": [1, None]}, cv=2, error_score="raise")
    assert asked(lambda: grid.fit(X, y)) >= DISTINCT
    whole = GridSearchCV(
        est, {"memory": [None, False, LogitMemory()]}, cv=2, error_score="raise"
    )
    assert len(set(whole.fit(X, y).cv_results_["mean_test_score"])) == 1


@pytest.mark.parametrize(
    "options",
    [{"dtype": "float16"}, {"top_k": 1}, {"top_k": 1, "dtype": "float16"}],
)
def test_smaller_forms_teach_the_same_twice(place, options):
    m = LogitMemory(place, **options)
    params = {"max_epochs": 3, "train_split": ValidSplit(3), "memory": m}
    first, again = (student(nb(), **params).fit(X, y) for _ in range(2))
    assert (first.cache_info_.misses, again.cache_info_.misses) == (DISTINCT, 0)
    assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    full = student(nb(), **{**params, "memory": False}).fit(X, y)
    assert_allclose(first.predict_proba(X), full.predict_proba(X), atol=0.02)
    assert (first.predict_proba(X) != full.predict_proba(X)).any()
    # They are not taken for one another, nor for the full ones.
    other, done = taught(nb(), memory=place)
    assert done.misses == DISTINCT
    assert_array_equal(other, fresh(nb()))


def test_top_k_as_the_loss_sees_it():
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    z, got = fresh(teacher), taught(teacher, memory=LogitMemory(top_k=1))[0]
    p, q = (
        np.exp(one - np.logaddexp.reduce(one, axis=1, keepdims=True))
        for one in (z, got)
    )
    assert_allclose(q.max(axis=1), p.max(axis=1), rtol=1e-5)
    rest = np.sort(q, axis=1)[:, :2]
    assert_allclose(rest[:, 0], rest[:, 1], rtol=1e-5)
    assert_allclose(rest.sum(axis=1), np.sort(p, axis=1)[:, :2].sum(axis=1), rtol=1e-3)


def test_two_classes_and_top_k_of_all(place):
    part = y < 2
    teacher = CountedNB().fit(X[part], y[part])
    for k in (1, 2, 5):
        got, _ = taught(teacher, X[part], y[part], memory=LogitMemory(place, top_k=k))
        assert_allclose(got, fresh(teacher, X[part], y[part]), rtol=1e-6)


def test_float16_overflow(place):
    est = student(CountedObject(1e6), memory=LogitMemory(place, dtype="float16"))
    with pytest.raises(ValueError, match=r"beyond the range of float16.*float32"):
        est.fit(X, y)
    est.set_params(memory=LogitMemory(place)).fit(X, y)
