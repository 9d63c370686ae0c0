"""Searches, and the teacher's pass, on Ray."""

import os
from contextlib import contextmanager

import numpy as np
import pytest
from joblib import parallel_config
from logged_teacher import N, data
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd.memory import _blocks as blocks
from skkd.memory import precompute_logits
from skkd.recipes import BornAgain
from skkd.report import gain
from skkd.search import PackedSearchCV

pytestmark = [
    pytest.mark.zoo,
    pytest.mark.filterwarnings("ignore::skkd.TeacherWarning"),
]

X, y = data()
GRID = {"temperature": [1.0, 2.0], "alpha": [0.5, 1.0]}


@pytest.fixture
def on_ray(ray):
    from ray.util.joblib import register_ray

    register_ray()
    with parallel_config("ray", n_jobs=2):
        yield


def scores_of(search):
    return search.cv_results_["mean_test_score"]


@contextmanager
def here():
    with parallel_config("loky", n_jobs=1):
        yield


def test_a_grid_search_on_ray(on_ray, teacher, student):
    """The teacher travels to each worker once, and anew once it has changed."""
    pipeline = make_pipeline(StandardScaler(), student)
    grid = {f"distilledclassifier__{name}": GRID[name] for name in GRID}
    for i, factor in enumerate((1.0, -1.0)):
        teacher.factor = factor
        found = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
        loads = teacher.noted("load")
        assert len(loads) == len({*loads}) <= 2 * (i + 1)
        assert os.getpid() not in loads
        assert len(teacher.noted("dump")) == i + 1
        assert found.best_estimator_[-1].teacher is teacher
        asked = teacher.n_rows
        with here():
            alone = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
        np.testing.assert_array_equal(scores_of(found), scores_of(alone))
        assert teacher.n_rows == asked  # by the workers: each row of each fold once


def test_a_recipe_on_ray(on_ray, teacher, student):
    recipe = BornAgain(student, n_generations=2)
    done = cross_validate(recipe, X, y, cv=3, return_estimator=True)
    assert teacher.n_rows == N
    with here():
        alone = cross_validate(recipe, X, y, cv=3, return_estimator=True)
    for one, other in zip(done["estimator"], alone["estimator"], strict=True):
        np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        assert one.estimator.teacher is teacher


def test_a_gain_on_ray(on_ray, teacher, student):
    found = gain(student, X, y, seeds=2, cv=3, n_jobs=2, teacher_saw="other rows")
    with here():
        alone = gain(student, X, y, seeds=2, cv=3, teacher_saw="other rows")
    np.testing.assert_allclose(found.distilled, alone.distilled, atol=1e-6)
    assert len(teacher.noted("dump")) == 1


def test_students_that_are_trained_together_on_ray(on_ray, teacher, student):
    found = PackedSearchCV(student, GRID, cv=3).fit(X, y)
    with here():
        alone = PackedSearchCV(student, GRID, cv=3).fit(X, y)
    np.testing.assert_array_equal(scores_of(found), scores_of(alone))
    assert not teacher.noted("load")


def test_a_folder_that_workers_of_ray_do_not_see(
    on_ray, student, tmp_path, monkeypatch
):
    """Ray has no way to ask its workers beforehand: the first fit says it."""
    monkeypatch.chdir(tmp_path)
    student.set_params(memory="cache")
    with pytest.raises(RuntimeError, match=r"does not see the folder memory='cache'"):
        cross_val_score(student, X, y, cv=3, error_score="raise")


def test_precompute_on_ray(ray, teacher, student, folder, monkeypatch):
    monkeypatch.setattr(blocks, "_AT_LEAST", 1)
    monkeypatch.setattr(blocks, "_ROWS", 8)
    done = precompute_logits(teacher, X, folder, client="ray")
    assert (done.misses, teacher.n_rows) == (N, N)
    assert os.getpid() not in teacher.noted("rows")
    assert student.fit(X, y).cache_info_.misses == 0
