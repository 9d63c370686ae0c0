"""Every teacher of the zoo teaches, is cached, travels, and stays as it was."""

import pickle

import numpy as np
import pytest
import zoo_boosting
import zoo_images
import zoo_keras
import zoo_onnx
import zoo_programs
import zoo_tables
import zoo_wrapped
from sklearn.model_selection import GridSearchCV
from zoo_case import ZOO

from skkd import DistilledClassifier
from skkd.memory._fingerprint import fingerprint
from skkd.teachers import as_teacher

pytestmark = ZOO
FAMILIES = (
    zoo_boosting,
    zoo_tables,
    zoo_images,
    zoo_programs,
    zoo_wrapped,
    zoo_keras,
    zoo_onnx,
)
CASES = {case.name: case for family in FAMILIES for case in family.CASES}
_MADE = {}


@pytest.fixture(params=CASES)
def case(request):
    case = CASES[request.param]
    part = request.node.originalname.removeprefix("test_").partition("_")[0]
    if part in case.cannot:
        # A search ends in as many ways as it has processes: that one is not run.
        mark = pytest.mark.xfail(reason=case.cannot[part], run=part != "search")
        request.applymarker(mark)
    return case


@pytest.fixture
def teacher(case):
    if case.name not in _MADE:
        _MADE[case.name] = case.make(case.X, case.y)
    return _MADE[case.name]


def student(case, teacher, **params):
    params = {"max_epochs": 1, "random_state": 0, **case.student, **params}
    return DistilledClassifier(teacher=teacher, strict=True, **params)


def outputs(case, teacher):
    return as_teacher(teacher).logits(case.X, np.unique(case.y))


def computed(case, teacher, memory):
    info = student(case, teacher, memory=memory).fit(case.X, case.y).cache_info_
    assert info.note == ""
    return info.misses


@pytest.mark.parametrize("memory", ["process", "folder"])
def test_cache(case, teacher, memory, tmp_path):
    memory = tmp_path if memory == "folder" else None
    seen = [computed(case, teacher, memory) for _ in range(2)]
    assert seen == [len(case.X), 0]


def test_untouched(case, teacher):
    before, content = outputs(case, teacher), fingerprint(as_teacher(teacher))
    student(case, teacher).fit(case.X, case.y)
    np.testing.assert_array_equal(outputs(case, teacher), before)
    assert fingerprint(as_teacher(teacher)) == content


def test_pickle(case, teacher):
    est = student(case, teacher).fit(case.X, case.y)
    twin = pickle.loads(pickle.dumps(est))
    np.testing.assert_array_equal(twin.predict_proba(case.X), est.predict_proba(case.X))
    assert computed(case, twin.teacher, None) == 0


def misses(est, X, y):
    return est.cache_info_.misses


def test_search_in_workers(case, teacher, tmp_path):
    """Their processes hash texts in an order of their own."""
    est = student(case, teacher, memory=tmp_path).fit(case.X, case.y)
    search = GridSearchCV(
        est, {"alpha": [0.3, 0.9]}, cv=2, n_jobs=2, scoring=misses, error_score="raise"
    )
    search.fit(case.X, case.y)
    assert search.best_estimator_.cache_info_.misses == 0
    assert search.cv_results_["mean_test_score"].tolist() == [0, 0]
    assert search.best_estimator_.classes_.tolist() == np.unique(case.y).tolist()


def test_another_model_is_another_teacher(case):
    if case.change is None:
        pytest.skip("cannot be changed after fit")
    teacher = case.make(case.X, case.y)
    before, content = outputs(case, teacher), fingerprint(as_teacher(teacher))
    case.change(teacher)
    assert (outputs(case, teacher) != before).any()
    assert fingerprint(as_teacher(teacher)) != content
