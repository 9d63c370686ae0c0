"""Teachers of a user's classes that pickle themselves in a way of their own."""

import pickle
import threading

import joblib
import numpy as np
import pytest
from counted_teachers import X, y
from sklearn.naive_bayes import GaussianNB

from skkd import DistilledClassifier
from skkd.memory._fingerprint import FingerprintError

# By way of the quick hash, which has to see whatever changes a fingerprint.
from skkd.memory._known import known_fingerprint as fingerprint
from skkd.teachers import as_teacher


class FromFile:
    """A model that is in a file, and is read again after pickling."""

    def __init__(self, path):
        self.path = path
        self._load()

    def _load(self):
        self.classes_, self._lock = np.arange(3), threading.Lock()
        self._model = joblib.load(self.path)

    def __getstate__(self):
        return {"path": self.path}

    def __setstate__(self, state):
        self.path = state["path"]
        self._load()

    def predict_proba(self, X):
        with self._lock:
            return self._model.predict_proba(X)


class Lazy(FromFile):
    """Reads the file when it is asked for the first time, and keeps nothing else."""

    def _load(self):
        self.classes_ = np.arange(3)

    def predict_proba(self, X):
        return joblib.load(self.path).predict_proba(X)


class Rebuilt(FromFile):
    def __reduce__(self):
        return Rebuilt, (self.path,)


@pytest.fixture
def path(tmp_path):
    joblib.dump(GaussianNB().fit(X, y), tmp_path / "model")
    return str(tmp_path / "model")


@pytest.mark.parametrize("cls", [FromFile, Lazy, Rebuilt])
def test_a_file_that_is_replaced_is_another_teacher(cls, path):
    def misses():
        est = DistilledClassifier(teacher=cls(path), max_epochs=1, module__hidden=())
        return est.fit(X, y).cache_info_.misses

    assert [misses(), misses()] == [149, 0]
    joblib.dump(GaussianNB(var_smoothing=0.1).fit(X, y), path)
    assert [misses(), misses()] == [149, 0]


@pytest.mark.parametrize("cls", [FromFile, Rebuilt])
def test_what_was_read_counts_not_the_file_alone(cls, path):
    """The old model gives its own logits once the file is another one."""
    old = cls(path)
    joblib.dump(GaussianNB(var_smoothing=0.1).fit(X, y), path)
    assert fingerprint(old) != fingerprint(cls(path))


@pytest.mark.parametrize("cls", [FromFile, Lazy, Rebuilt])
def test_the_same_file_is_the_same_teacher(cls, path):
    teacher = cls(path)
    before = fingerprint(as_teacher(teacher))
    teacher.predict_proba(X)
    assert fingerprint(as_teacher(teacher)) == before
    assert fingerprint(as_teacher(pickle.loads(pickle.dumps(teacher)))) == before


def test_what_is_hidden_and_cannot_be_identified_is_named(path):
    teacher = FromFile(path)
    teacher._session = (number for number in range(3))
    with pytest.raises(FingerprintError, match=r"FromFile leaves its '_session', a g"):
        fingerprint(teacher)


def test_functions_that_are_hidden_are_known_by_their_code(path):
    made = []
    for sign in (1, -1, 1):
        teacher = FromFile(path)
        teacher._final = lambda rows, sign=sign: sign * rows
        made.append(fingerprint(teacher))
    assert made[0] == made[2] != made[1]


def test_a_folder_is_all_of_its_files(tmp_path):
    class Saved:
        def __init__(self):
            self.folder = tmp_path

        def __getstate__(self):
            return {"folder": str(self.folder)}

    Saved.__qualname__, globals()["Saved"] = "Saved", Saved
    (tmp_path / "weights").write_bytes(b"1")
    before = fingerprint(Saved())
    assert fingerprint(Saved()) == before
    (tmp_path / "weights").write_bytes(b"22")
    assert fingerprint(Saved()) != before
