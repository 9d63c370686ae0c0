"""Sparse X is dense a batch at a time, in a fit, a prediction and a teacher's pass."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch import NeuralNetClassifier
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistilledClassifier
from skkd.memory import clear_cache
from skkd.memory._row_keys import row_keys
from skkd.teachers import as_teacher

DENSE, Y = load_digits(return_X_y=True)
DENSE, Y = DENSE[:300].astype("float32"), Y[:300]
X = sparse.csr_array(DENSE)
KINDS = [
    *(sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array),
    *(sparse.coo_matrix, sparse.lil_array, sparse.dok_array),
]


class Forbidding(SGDClassifier):
    """Takes sparse rows alone."""

    def predict_proba(self, X):
        assert sparse.issparse(X)
        return super().predict_proba(X)


def linear():
    return Forbidding("log_loss", random_state=0, max_iter=5, tol=None).fit(DENSE, Y)


def network():
    return nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 10))


def student(**params):
    return DistilledClassifier(**{"max_epochs": 2, "random_state": 0, **params})


@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [linear, network])
def test_fits_on_sparse_rows_are_those_on_dense_ones(kind, make):
    teacher = make()
    params = {"train_split": ValidSplit(3)} if kind is sparse.csr_array else {}
    net = student(teacher=teacher, **params).fit(kind(X), Y)
    assert net.n_features_in_ == 64
    logits = as_teacher(teacher).logits(X, range(10))
    dense = student(**params).fit(DENSE, Y, teacher_logits=logits)
    got, expected = net.predict_proba(kind(X)), dense.predict_proba(DENSE)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-6)
    net.partial_fit(kind(X), Y)
    assert net.score(kind(X), Y) == net.score(DENSE, Y)


def test_logits_of_sparse_rows_are_cached_by_content():
    teacher = linear()
    clear_cache()
    net = student(teacher=teacher)
    assert net.fit(X, Y).cache_info_.misses == 300
    twice = sparse.coo_array(
        (
            np.concatenate([X.data / 2, X.data / 2, [0.0]]),
            (
                np.concatenate([X.tocoo().row, X.tocoo().row, [0]]),
                np.concatenate([X.tocoo().col, X.tocoo().col, [0]]),
            ),
        ),
        shape=X.shape,
    )
    other = sparse.csr_array(X, copy=True)
    other.indices, other.indptr = other.indices.astype("i8"), other.indptr.astype("i8")
    unsorted = sparse.csr_array(X[:, ::-1])[:, ::-1]
    zeros = sparse.csr_array(
        (np.append(X.data, 0), np.append(X.indices, 0), [*X.indptr[:-1], X.nnz + 1]),
        shape=X.shape,
    )
    for same in (twice, other, unsorted, zeros.astype("float32"), sparse.csc_array(X)):
        rows = same.tocsr().astype("float32")
        np.testing.assert_array_equal(row_keys(rows)[0], row_keys(X)[0])
        assert net.fit(rows, Y).cache_info_.misses == 0
    assert zeros.nnz == X.nnz + 1  # the user's is left as it was


@pytest.mark.parametrize("params", [{"teacher_cv": 3}, {"teacher_cv": None}])
def test_teachers_are_fitted_on_sparse_rows(params):
    teacher = LogisticRegression(max_iter=50, tol=1)
    net = student(teacher=teacher, **params).fit(X, Y)
    search = GridSearchCV(net, {"alpha": [0.3]}, cv=2, error_score="raise")
    assert search.fit(X, Y).score(X, Y) > 0.1


def test_a_skorch_teacher_gets_dense_batches():
    net = NeuralNetClassifier(
        network, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0
    )
    net.set_params(train_split=None).fit(DENSE, Y)
    got, expected = (as_teacher(net).logits(rows, range(10)) for rows in (X, DENSE))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_teacher_X_may_be_sparse():
    net = student(teacher=linear()).fit(DENSE, Y, teacher_X=sparse.coo_array(X))
    same = student(teacher=linear()).fit(DENSE, Y, teacher_X=X)
    np.testing.assert_array_equal(net.predict_proba(X), same.predict_proba(X))


def test_text_behind_a_vectorizer():
    texts = ["good film", "bad film", "fine and good", "bad and worse"] * 20
    y = np.array(["pos", "neg"] * 40)
    teacher = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, y)
    pipe = make_pipeline(
        TfidfVectorizer(), student(teacher=teacher[-1], max_epochs=20, lr=0.02)
    )
    search = GridSearchCV(pipe, {"distilledclassifier__alpha": [0.3]}, cv=2)
    assert search.fit(texts, y).score(texts, y) == 1


def test_columns_must_be_as_many_as_in_the_fit():
    with pytest.raises(ValueError, match="63 features"):
        student().fit(X, Y).predict(X[:, 1:])


SCRIPT = """
import resource, numpy as np, scipy.sparse as sp
from sklearn.linear_model import SGDClassifier
from skkd import DistilledClassifier
n, d = 2000, 50_000  # 400 MB as float32
X = sp.random_array((n, d), density=1e-3, format="csr", rng=np.random.default_rng(0),
                    dtype=np.float32)
y = np.arange(n) % 2
teacher = SGDClassifier(loss="log_loss", max_iter=1, tol=None).fit(X, y)
net = DistilledClassifier(teacher=teacher, max_epochs=1, module__hidden=(4,))
net.fit(X[:64], y[:64]).predict(X[:64])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
net.fit(X, y).score(X, y)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_the_memory_of_a_wide_fit_is_that_of_a_few_batches():
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 150_000  # KB
