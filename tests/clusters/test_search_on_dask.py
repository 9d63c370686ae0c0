"""Searches on a Dask cluster: as in one process, with one teacher for each worker."""

import gc
import os
import threading
import time

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from logged_teacher import LoggedTeacher, N, data
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifierCV
from skkd._estimator import on_dask
from skkd.recipes import BornAgain
from skkd.report import gain
from skkd.search import PackedSearchCV

distributed = pytest.importorskip("distributed")
# Teachers in here travel to workers; none has to be right.
pytestmark = pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")

X, y = data()
GRID = {"temperature": [1.0, 2.0], "alpha": [0.5, 1.0]}


@pytest.fixture(autouse=True)
def _workers(client):
    """Let no test hang for ever on a cluster that has lost its workers."""
    client.wait_for_workers(2, timeout=180)


def scores_of(search):
    return search.cv_results_["mean_test_score"]


def test_a_grid_search(client, teacher, student):
    """Twelve tasks, and the teacher travels to each worker once, for all its rows."""
    with parallel_config("dask"):
        found = GridSearchCV(student, GRID, cv=3).fit(X, y)
    assert teacher.n_rows == N
    loads = teacher.noted("load")
    assert len(loads) == len({*loads}) <= 2
    assert os.getpid() not in loads
    assert found.best_estimator_.teacher is teacher
    assert found.best_estimator_.cache_info_.misses == 0  # the refit, in this process
    alone = GridSearchCV(student, GRID, cv=3).fit(X, y)
    np.testing.assert_array_equal(scores_of(found), scores_of(alone))
    assert teacher.n_rows == N


def test_further_searches_send_nothing(client, teacher, student):
    for _ in range(3):
        with parallel_config("dask"):
            cross_val_score(student, X, y, cv=4)
    assert len(teacher.noted("dump")) == 1
    assert len(teacher.noted("load")) <= 2
    assert teacher.n_rows == N


def test_a_pipeline(client, teacher, student):
    pipeline = make_pipeline(StandardScaler(), student)
    with parallel_config("dask"):
        found = cross_val_score(pipeline, X, y, cv=3)
    np.testing.assert_array_equal(found, cross_val_score(pipeline, X, y, cv=3))
    assert len(teacher.noted("load")) <= 2


def test_a_recipe(client, teacher, student):
    recipe = BornAgain(student, n_generations=2)
    with parallel_config("dask"):
        found = GridSearchCV(recipe, {"n_generations": [1, 2]}, cv=2).fit(X, y)
    alone = GridSearchCV(recipe, {"n_generations": [1, 2]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(scores_of(found), scores_of(alone))
    assert teacher.n_rows == N
    assert len(teacher.noted("load")) <= 2


def test_a_gain(client, teacher, student):
    with parallel_config("dask"):
        found = gain(student, X, y, seeds=2, cv=3, teacher_saw="other rows")
    alone = gain(student, X, y, seeds=2, cv=3, teacher_saw="other rows")
    np.testing.assert_allclose(found.distilled, alone.distilled, atol=1e-6)
    np.testing.assert_allclose(found.plain, alone.plain, atol=1e-6)
    assert len(teacher.noted("load")) <= 2


def test_students_that_are_trained_together_are_in_this_process(teacher, student):
    with parallel_config("dask"):
        found = PackedSearchCV(student, GRID, cv=3).fit(X, y)
        chosen = DistilledClassifierCV(
            teacher=teacher, max_epochs=1, cv=2, alphas=[0.5], random_state=0
        ).fit(X, y)
    alone = PackedSearchCV(student, GRID, cv=3).fit(X, y)
    np.testing.assert_array_equal(scores_of(found), scores_of(alone))
    assert found.packing_ == alone.packing_
    assert chosen.score(X, y) > 0
    assert not teacher.noted("load")


def test_a_teacher_that_changed_is_sent_anew(client, teacher, student):
    """And again what it was at first."""
    student.set_params(alpha=1.0, memory=None)
    for factor in (1.0, -1.0, 1.0):
        teacher.factor = factor
        with parallel_config("dask"):
            done = cross_validate(student, X, y, cv=3, return_estimator=True)
        alone = cross_validate(student, X, y, cv=3, return_estimator=True)
        for net, other in zip(done["estimator"], alone["estimator"], strict=True):
            np.testing.assert_array_equal(net.predict_proba(X), other.predict_proba(X))
            assert net.teacher is net.teacher_ is teacher


def test_a_list_of_teachers(client, teacher, student):
    student.set_params(teacher=[teacher, teacher])
    with parallel_config("dask"):
        done = cross_validate(student, X, y, cv=2, return_estimator=True)
    assert all(net.teacher[0] is teacher for net in done["estimator"])
    assert len(teacher.noted("load")) <= 2


def test_a_function_as_teacher_travels_with_each_task(client, student):
    weights = np.random.RandomState(0).randn(4, 3)
    student.set_params(teacher=lambda rows: np.asarray(rows) @ weights, memory=None)
    with parallel_config("dask"):
        found = cross_val_score(student, X, y, cv=2)
    np.testing.assert_array_equal(found, cross_val_score(student, X, y, cv=2))


def fit(student):
    return student.fit(X, y)


def test_a_student_that_is_no_clone_takes_its_teacher_along(client, teacher, student):
    with parallel_config("dask"):
        (fitted,) = Parallel()(delayed(fit)(one) for one in [student])
    assert fitted.predict(X).shape == (N,)


# What must not be ---------------------------------------------------------------------


class Locked:
    """A teacher that holds what belongs to one process."""

    classes_ = np.arange(3)

    def __init__(self):
        self.lock = threading.Lock()

    def predict_proba(self, X):
        return np.full((len(X), 3), 1 / 3)


def test_a_teacher_that_cannot_be_pickled_is_refused_before_the_search(student):
    student.set_params(teacher=Locked(), memory=None)
    with (
        parallel_config("dask"),
        pytest.raises(TypeError, match=r"The teacher Locked cannot be sent to other"),
    ):
        GridSearchCV(student, GRID, cv=3).fit(X, y)


def test_a_student_that_cannot_be_pickled_is_refused_before_the_search(student):
    student.set_params(module__hidden=(4,), callbacks=[threading.Lock()])
    with (
        parallel_config("dask"),
        pytest.raises(TypeError, match=r"The student cannot be sent to the workers"),
    ):
        GridSearchCV(student, GRID, cv=3).fit(X, y)


def test_a_folder_that_workers_do_not_see(
    client, teacher, student, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # the workers are elsewhere
    student.set_params(memory="cache")
    with (
        parallel_config("dask"),
        pytest.raises(RuntimeError, match=r"does not see the folder memory='cache'"),
    ):
        GridSearchCV(student, GRID, cv=3).fit(X, y)
    assert teacher.n_rows == 0


def pretend(version):
    from skkd.memory import _requirements as module

    module._MET.clear()
    if version is None:
        module._versions = module._true
        return
    module._true = module._versions
    others = {**dict(module._versions()), "torch": version}
    module._versions = lambda: tuple(others.items())


def test_workers_of_other_versions(client, teacher, student):
    worker = [*client.scheduler_info()["workers"]][-1]
    client.run(pretend, "1.13.1", workers=[worker])
    try:
        with (
            parallel_config("dask"),
            pytest.raises(RuntimeError, match=r"torch \d.* and not 1\.13\.1"),
        ):
            GridSearchCV(student, GRID, cv=3).fit(X, y)
    finally:
        client.run(pretend, None, workers=[worker])
    assert teacher.n_rows == 0


@pytest.mark.slow  # the process that takes its place
def test_a_worker_that_dies(client, teacher, student):
    """Its task is done by another, or by the one that takes its place.

    What joblib 1.6 scatters by itself goes to one worker, and is lost with it: the
    search then ends with a CancelledError.
    """
    teacher.deadly_beyond = os.getpid()
    with parallel_config("dask", scatter=[X]):
        found = cross_val_score(student, X, y, cv=3)
    teacher.deadly_beyond = None
    np.testing.assert_array_equal(found, cross_val_score(student, X, y, cv=3))


def delivered():
    from skkd._estimator.sent_teacher import DELIVERED

    return len(DELIVERED)


def n_delivered(client):
    return sum(client.run(delivered).values())


def test_a_teacher_that_is_gone_is_gone_from_the_workers(client, student, tmp_path):
    gc.collect()
    before = n_delivered(client)
    student.set_params(teacher=LoggedTeacher(str(tmp_path / "log")))
    with parallel_config("dask"):
        clone(student)
    assert n_delivered(client) == before + 2
    student.set_params(teacher=None)
    gc.collect()
    wait_until(lambda: n_delivered(client) == before)


def wait_until(true, seconds=10):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_teachers_of_a_client_go_with_it(client, student):
    with distributed.Client(client.scheduler.address, set_as_default=False) as other:
        before = n_delivered(client)
        with parallel_config("dask", client=other):
            clone(student)
        assert n_delivered(client) == before + 2
    wait_until(lambda: n_delivered(client) == before)


def test_nothing_is_brought_to_workers_that_joblib_does_not_use(
    client, teacher, student
):
    clone(student)
    assert not teacher.noted("dump")
    assert on_dask._active_client() is None
