"""Searches on several processes: the teacher goes to each once, and comes back."""

import copy
import gc
import os
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
from joblib import parallel_backend
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier
from skkd._estimator import workers as _workers
from skkd.augment import RandomHorizontalFlip
from skkd.memory import FingerprintError
from skkd.students import MLP
from skkd.teachers import as_teacher

# Teachers in here travel to workers; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(chance-level|one-sided)\]:skkd.TeacherWarning"
)

try:  # what loky pickles functions by
    from joblib.externals import cloudpickle
except ImportError:  # not bundled any more
    import cloudpickle

N, D, C = 60, 4, 3


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, D).astype(np.float32)


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


@pytest.fixture(autouse=True)
def _nothing_sent():
    _workers._KNOWN.clear()
    _workers._RECEIVED.clear()
    yield
    _workers._KNOWN.clear()
    _workers._RECEIVED.clear()


class Large(ClassifierMixin, BaseEstimator):
    """A teacher of more than a megabyte, that notes where it is pickled and read."""

    def __init__(self, path=None, factor=1.0, seed=0):
        self.path, self.factor, self.seed = path, factor, seed
        self.classes_ = np.arange(C)
        self.payload_ = np.random.RandomState(seed).rand(150_000)

    def decision_function(self, X):
        flat = np.asarray(X, np.float64).reshape(len(X), -1)
        return self.factor * flat @ self.payload_[: C * flat.shape[1]].reshape(-1, C)

    def fit(self, X, y):
        raise AssertionError("fitted")

    def __getstate__(self):
        if not is_hashed():
            self.note("dump")
        return vars(self)

    def __setstate__(self, state):
        vars(self).update(state)
        self.note("load")

    def note(self, event):
        if self.path is not None:
            with open(f"{self.path}.log", "a") as file:
                file.write(f"{event} {os.getpid()}\n")

    def noted(self, event):
        if not os.path.exists(f"{self.path}.log"):
            return []
        with open(f"{self.path}.log") as file:
            lines = [line.split() for line in file]
        return [int(pid) for name, pid in lines if name == event]


def is_hashed():
    """Tell whether a state is asked for to tell the content, not to be sent."""
    frame = sys._getframe()
    while frame is not None:
        if os.path.basename(frame.f_code.co_filename) == "_fingerprint.py":
            return True
        frame = frame.f_back
    return False


FACTOR = 1.0


def scaled(rows):
    return np.asarray(rows)[:, :C] * FACTOR


class Mine(DistilledClassifier):
    """A student of somebody's own."""


def distil(cls=DistilledClassifier, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    return cls(**{"module": MLP, "module__hidden": (4,), "batch_size": 30, **params})


@pytest.fixture
def teacher(tmp_path):
    return Large(str(tmp_path / "log"))


def search(student, X, y, prefix="", **params):
    grid = {f"{prefix}temperature": [1.0, 2.0], f"{prefix}alpha": [0.5, 1.0]}
    return GridSearchCV(student, grid, cv=3, **{"n_jobs": 2, **params}).fit(X, y)


def test_a_search_sends_the_teacher_once(X, y, teacher):
    """Twelve tasks, and it is written once and read once in each process."""
    found = search(distil(teacher=teacher), X, y)
    assert len(teacher.noted("dump")) <= 2
    loads = teacher.noted("load")
    assert 1 <= len(loads) <= 2
    assert len({*loads}) == len(loads)
    assert os.getpid() not in loads
    assert found.best_estimator_.teacher is teacher

    again = search(distil(teacher=teacher), X, y)
    assert len(teacher.noted("dump")) <= 2
    assert len({*teacher.noted("load")}) == len(teacher.noted("load"))
    alone = search(distil(teacher=teacher), X, y, n_jobs=None)
    for results in (found, again):
        np.testing.assert_array_equal(
            results.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
        )


def test_a_search_of_a_pipeline_sends_the_teacher_of_a_subclass_once(X, y, teacher):
    student = distil(Mine, teacher=teacher)
    search(make_pipeline(StandardScaler(), student), X, y, "mine__")
    assert len(teacher.noted("dump")) <= 2
    loads = teacher.noted("load")
    assert len({*loads}) == len(loads)


def test_teachers_of_unknown_content_travel_with_each_task(X, y, teacher, monkeypatch):
    """What the tests above would see if nothing was done."""
    monkeypatch.setattr(_workers, "known_fingerprint", unknowable)
    search(distil(teacher=teacher), X, y)
    assert len(teacher.noted("dump")) > 2


def unknowable(content):
    raise FingerprintError("unknown")


@pytest.mark.parametrize("cls", [DistilledClassifier, Mine])
def test_the_very_same_teacher_comes_back(X, y, teacher, cls):
    student = distil(cls, teacher=teacher)
    done = cross_validate(student, X, y, cv=3, n_jobs=2, return_estimator=True)
    for net in done["estimator"]:
        assert type(net) is cls
        assert net.teacher is teacher
        assert net.teacher_ is teacher
        assert net.predict(X).shape == (N,)
    assert os.getpid() not in teacher.noted("load")


def test_a_teacher_that_was_asked_live_comes_back(X, y, teacher):
    images = X.reshape(N, 1, 2, 2)
    student = distil(teacher=teacher, augment=RandomHorizontalFlip())
    done = cross_validate(student, images, y, cv=3, n_jobs=2, return_estimator=True)
    for net in done["estimator"]:
        assert net.teacher_ is teacher
        assert net._objective_ is None
        net.partial_fit(images, y)


def test_a_teacher_that_changed_is_sent_anew(X, y, teacher):
    student = distil(teacher=teacher, alpha=1.0)
    scores = []
    for factor in (1.0, -1.0, 1.0):
        teacher.factor = factor
        done, alone = (
            cross_validate(student, X, y, cv=3, n_jobs=n_jobs, return_estimator=True)
            for n_jobs in (2, None)
        )
        np.testing.assert_array_equal(done["test_score"], alone["test_score"])
        for net, other in zip(done["estimator"], alone["estimator"], strict=True):
            np.testing.assert_array_equal(net.predict_proba(X), other.predict_proba(X))
            assert net.teacher is teacher
            assert net.teacher.factor == factor
        scores.append(done["estimator"][0].predict_proba(X))
    assert not np.array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


def test_a_copy_of_a_teacher_comes_back_as_itself(X, y, teacher):
    """It comes back as itself, not as the one of equal content sent before."""
    twin = copy.deepcopy(teacher)
    for sent in (teacher, twin):
        done = cross_validate(
            distil(teacher=sent), X, y, cv=2, n_jobs=2, return_estimator=True
        )
        assert [net.teacher is sent for net in done["estimator"]] == [True] * 2
        teacher.factor = 3.0  # the first may have changed by now
    assert twin.factor == 1.0


def test_only_the_last_pickles_are_kept(X, y, tmp_path):
    for seed in range(4):
        teacher = Large(str(tmp_path / f"log{seed}"), seed=seed)
        done = cross_validate(
            distil(teacher=teacher), X, y, cv=2, n_jobs=2, return_estimator=True
        )
        assert done["estimator"][0].teacher is teacher
        pickled = [k for k in _workers._KNOWN.values() if k.pickled is not None]
        assert len(pickled) <= _workers._KEPT


def test_a_grid_of_several_teachers(X, y, tmp_path):
    teachers = [Large(str(tmp_path / f"log{i}"), seed=i) for i in range(3)]
    grid = {"teacher": [as_teacher(t) for t in teachers], "alpha": [0.5, 1.0]}
    found, alone = (
        GridSearchCV(distil(), grid, cv=2, n_jobs=n, refit=False).fit(X, y)
        for n in (2, None)
    )
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_a_search_with_teachers_to_be_fitted(X, y):
    for cv in (None, 3):
        student = distil(teacher=LogisticRegression(), teacher_cv=cv)
        found, alone = (search(student, X, y, n_jobs=n) for n in (2, None))
        np.testing.assert_array_equal(
            found.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
        )


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_search_with_a_function_as_teacher(X, y, backend):
    weights = np.random.RandomState(0).randn(D, C)
    student = distil(teacher=lambda rows: np.asarray(rows) @ weights)
    with parallel_backend(backend):
        found = search(student, X, y)
    assert found.best_estimator_.teacher is student.teacher
    if backend == "threading":  # whose threads draw from the same generators
        return
    alone = search(student, X, y, n_jobs=None)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )


def test_threads_share_the_teacher(X, y, teacher):
    with parallel_backend("threading"):
        found = search(distil(teacher=teacher), X, y)
    assert teacher.noted("dump") == teacher.noted("load") == []
    assert found.best_estimator_.teacher is teacher


def test_what_a_function_refers_to_may_change(X, y, monkeypatch):
    """As in a notebook, whose functions are sent with their globals."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        student = distil(teacher=scaled, alpha=1.0)
        for factor in (10.0, -10.0):
            monkeypatch.setattr(module, "FACTOR", factor)
            nets = [
                cross_validate(
                    student, X, y, cv=2, n_jobs=n_jobs, return_estimator=True
                )["estimator"][0]
                for n_jobs in (2, None)
            ]
            one, other = (net.predict_proba(X) for net in nets)
            np.testing.assert_array_equal(one, other)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def test_ordinary_pickles_keep_what_is_the_same_the_same(X, y, teacher):
    for student in (distil(teacher=teacher), distil(teacher=teacher).fit(X, y)):
        twin, its_teacher = pickle.loads(pickle.dumps([student, teacher]))
        assert twin.teacher is its_teacher
        assert its_teacher is not teacher
        assert getattr(twin, "teacher_", its_teacher) is its_teacher
    student.teacher.factor = 7.0
    assert twin.teacher.factor == 1.0
    np.testing.assert_array_equal(twin.predict_proba(X), student.predict_proba(X))


def test_a_search_without_the_loky_hook(X, y, teacher, monkeypatch):
    monkeypatch.setattr(_workers, "reduction", None)

    class Late(DistilledClassifier):
        """Not registered, as no class is then."""

    found = search(distil(Late, teacher=teacher), X, y)
    assert found.best_estimator_.teacher is teacher
    assert not _workers._KNOWN


# --- Teachers are known weakly --------------------------------------------------------


def sent(teacher, cls=DistilledClassifier):
    """Return a student as loky writes it."""
    return bytes(_workers.reduction.dumps(distil(cls, teacher=teacher)))


def in_a_worker(monkeypatch):
    """Let this process take what it sent for that of another one."""
    monkeypatch.setattr(_workers, "_PROCESS", "another")
    _workers._KNOWN.clear()


class Slotted:
    """A teacher without weak references."""

    __slots__ = ("classes_",)

    def __init__(self):
        self.classes_ = np.arange(C)

    def predict_proba(self, X):
        return np.full((len(X), C), 1 / C)


FORMS_OF_TEACHERS = {
    "one": lambda teacher: teacher,
    "list": lambda teacher: [teacher, Large(seed=1)],
    "tuple": lambda teacher: (teacher,),
    "adapter": as_teacher,
    "pipeline": lambda teacher: make_pipeline(teacher),
}


@pytest.mark.parametrize("form", FORMS_OF_TEACHERS)
def test_a_teacher_that_was_sent_is_not_kept_alive(form):
    teacher = Large()
    gone = weakref.ref(teacher)
    whole = FORMS_OF_TEACHERS[form](teacher)
    sent(whole)
    assert _workers._KNOWN
    del teacher, whole
    gc.collect()
    assert gone() is None
    assert not _workers._KNOWN  # nor is its pickle


@pytest.mark.parametrize("form", FORMS_OF_TEACHERS)
def test_a_teacher_that_comes_back_is_not_kept_alive(form):
    teacher = Large()
    whole = FORMS_OF_TEACHERS[form](teacher)
    message = sent(whole)
    assert same_teacher(pickle.loads(message).teacher, whole)
    del teacher, whole
    gc.collect()
    again = pickle.loads(message).teacher  # the student came late
    gone = weakref.ref(again[0] if isinstance(again, (list, tuple)) else again)
    assert gone() is not None
    del again
    gc.collect()
    assert gone() is None
    assert not _workers._KNOWN and not _workers._RECEIVED


def same_teacher(one, other):
    if isinstance(other, (list, tuple)):
        return type(one) is type(other) and [*map(id, one)] == [*map(id, other)]
    return one is other


def test_a_fitted_student_comes_back_with_one_list(X, y):
    student = distil(teacher=[Large(), Large(seed=1)]).fit(X, y)
    twin = pickle.loads(bytes(_workers.reduction.dumps(student)))
    assert twin.teacher is twin.teacher_
    assert same_teacher(twin.teacher, student.teacher)


def test_a_teacher_without_weak_references_travels_as_any_object():
    teacher = Slotted()
    twin = pickle.loads(sent(teacher)).teacher
    assert isinstance(twin, Slotted) and twin is not teacher
    assert not _workers._KNOWN


def test_teachers_of_equal_content_come_back_as_themselves():
    teacher = Large()
    twin = copy.deepcopy(teacher)
    messages = [sent(one) for one in (teacher, twin)]  # both are on their way
    assert pickle.loads(messages[0]).teacher is teacher
    assert pickle.loads(messages[1]).teacher is twin


def test_a_teacher_that_changes_on_its_way_comes_back_as_itself():
    teacher = Large()
    messages = [sent(teacher)]
    teacher.factor = 2.0
    messages.append(sent(teacher))
    assert all(pickle.loads(message).teacher is teacher for message in messages)


def test_three_teachers_come_back_though_two_pickles_are_kept():
    teachers = [Large(seed=seed) for seed in range(3)]
    messages = [sent(teacher) for teacher in teachers]
    for message, teacher in zip(messages, teachers, strict=True):
        assert pickle.loads(message).teacher is teacher
    kept = [known.pickled is not None for known in _workers._KNOWN.values()]
    assert kept == [False, True, True]


def test_a_worker_keeps_the_teachers_that_it_received_last(monkeypatch, tmp_path):
    log = str(tmp_path / "log")
    messages = [sent(Large(log, seed=seed)) for seed in range(3)]
    in_a_worker(monkeypatch)
    first, again = (pickle.loads(messages[0]).teacher for _ in range(2))
    assert first is again
    gone = weakref.ref(first)
    del first, again
    gc.collect()
    assert gone() is not None  # for the next task
    for message in messages[1:]:
        pickle.loads(message)
    gc.collect()
    assert gone() is None
    assert len(_workers._RECEIVED) == _workers._KEPT
    assert len(Large(log).noted("load")) == 3


def test_what_a_worker_changed_does_not_come_back_as_the_original(monkeypatch):
    teacher, known = Large(), None
    message = sent(teacher)
    home, known = _workers._PROCESS, dict(_workers._KNOWN)
    in_a_worker(monkeypatch)
    student = pickle.loads(message)
    unchanged = bytes(_workers.reduction.dumps(student))
    student.teacher.factor = 5.0
    changed = bytes(_workers.reduction.dumps(student))
    _workers._KNOWN.clear()
    _workers._KNOWN.update(known)
    monkeypatch.setattr(_workers, "_PROCESS", home)
    assert pickle.loads(unchanged).teacher is teacher
    assert pickle.loads(changed).teacher.factor == 5.0
    assert teacher.factor == 1.0


def test_threads_send_and_receive_at_once():
    teachers, wrong = [Large(seed=seed) for seed in range(4)], []
    start = threading.Barrier(8)

    def work(i):
        start.wait()
        for _ in range(10):
            teacher = teachers[i % 4]
            if pickle.loads(sent(teacher)).teacher is not teacher:
                wrong.append(i)
            sent(Large(seed=100 + i))  # and gone

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not wrong
    gc.collect()
    assert len(_workers._KNOWN) == 4
