"""Synthetic rows: what they are made of, and what a student learns from them."""

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, as_frame
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from table_cases import TEACHER, N, X, Y, student, unfitted_teacher

from skkd import DistilledClassifier
from skkd.report import gain
from skkd.search import PackedSearchCV
from skkd.tables import SyntheticRows


@pytest.mark.parametrize("method", ["marginals", "neighbors"])
def test_values_stay_what_they_are(method):
    rows = SyntheticRows(factor=1.5, method=method, local_variance=None).make(X)
    assert len(rows) == 1.5 * N
    assert rows.dtypes.tolist() == X.dtypes.tolist()
    for name in X:
        values = rows[name].dropna().unique().tolist()
        assert set(values) <= {*X[name].dropna().unique().tolist()}
    assert rows["age"].isna().any()


def test_a_tenth_of_the_values_is_new_and_one_in_each_row():
    numbers = np.arange(3000.0).reshape(300, 10)
    rows = SyntheticRows(factor=2).make(numbers)
    of_row = np.floor(rows / 10)
    is_new = of_row != np.median(of_row, axis=1, keepdims=True)
    assert is_new.any(axis=1).mean() > 0.98  # a row may be drawn for itself
    assert 0.1 < is_new.mean() < 0.16
    counts = np.bincount(np.median(of_row, axis=1).astype(int), minlength=300)
    assert (counts == 2).all()


def test_neighbours_give_the_new_values():
    numbers = np.repeat([[0.0, 0.0], [9.0, 9.0]], 2, axis=0)
    numbers[:, 0] += [0, 1, 0, 1]
    params = {"method": "neighbors", "local_variance": None}
    rows = SyntheticRows(fraction=0.5, **params).make(numbers)
    assert (np.abs(rows[:, 0] - rows[:, 1]) <= 1).all()


@pytest.mark.parametrize("kind", FRAMES)
def test_tables_of_other_libraries(kind):
    plain = pd.DataFrame({"n": [1.0, 2, 4], "c": ["x", "y", "x"], "i": [1, 2, 3]})
    made = SyntheticRows(factor=2).make(as_frame(kind, plain))
    expected = SyntheticRows(factor=2).make(plain)
    assert np.asarray(made).tolist() == np.asarray(expected).tolist()


def test_the_rows_are_those_of_a_seed():
    first, again = (SyntheticRows(random_state=1).make(X) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(SyntheticRows(random_state=2).make(X))


class Spy:
    """A teacher that keeps what it is asked about."""

    classes_ = np.array(["no", "yes"])

    def __init__(self):
        self.seen = []

    def predict_proba(self, X):
        self.seen.append(X)
        return TEACHER.predict_proba(X)


def test_the_teacher_labels_them_once_and_none_of_held_out_rows():
    spy = Spy()
    params = {"max_epochs": 1, "train_split": ValidSplit(4, stratified=True)}
    net = student(
        teacher=spy, synthetic=SyntheticRows(factor=2), memory=False, **params
    )
    net.fit(X.assign(row=np.arange(N)), Y)
    real, synthetic = spy.seen
    assert (len(real), len(synthetic)) == (N, N * 3 / 4 * 2)
    assert len(np.unique(synthetic["row"])) <= N * 3 / 4
    sizes = net.history[0, "batches", :, "train_batch_size"]
    assert sum(sizes) == N * 3 / 4 * 3
    assert sum(net.history[0, "batches", :, "valid_batch_size"]) == N / 4


def test_the_labels_weigh_as_much_as_without():
    """With alpha near 0 a fit on five times the rows is one on those that are real."""

    class Batches(Callback):
        def on_batch_begin(self, net, batch=None, **kwargs):
            self.n_labelled = getattr(self, "n_labelled", 0) + len(batch[1])

    seen = Batches()
    net = student(synthetic=SyntheticRows(), callbacks=[seen], max_epochs=1)
    net.fit(X, Y)
    assert seen.n_labelled == N
    assert net.cache_info_.misses + net.cache_info_.hits == 6 * N


def test_the_logits_are_cached():
    teacher = unfitted_teacher().fit(X, Y)
    nets = [
        student(teacher=teacher, synthetic=SyntheticRows(), alpha=a) for a in (0.2, 0.3)
    ]
    infos = [net.set_params(max_epochs=1).fit(X, Y).cache_info_ for net in nets]
    assert infos[1].misses == 0
    assert infos[1].hits == 6 * N


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_clones_label_them_too(teacher_cv):
    net = student(teacher=unfitted_teacher(), teacher_cv=teacher_cv)
    net.set_params(synthetic=SyntheticRows(factor=1)).fit(X, Y)
    assert net.cache_info_.misses == 2 * N
    assert net.score(X, Y) > 0.9


@pytest.mark.parametrize("params", [{"alpha": 0}, {"teacher": None}])
def test_there_are_none_where_no_teacher_runs(params):
    plain = student(**params).fit(X, Y)
    net = student(synthetic=SyntheticRows(), **params).fit(X, Y)
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))


def test_arrays_of_numbers_and_unlabelled_rows_and_weights():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(200, 3)).astype("float32")
    y = (numbers[:, 0] * numbers[:, 1] > 0).astype(int)
    marked = np.where(np.arange(200) < 100, y, -1)
    params = {
        "teacher": lambda X: 9 * np.stack([-X[:, 0] * X[:, 1], X[:, 0] * X[:, 1]], 1)
    }
    net = DistilledClassifier(
        **params,
        synthetic=SyntheticRows(fraction=0.5),
        unlabeled=-1,
        alpha=0.8,
        lr=0.01,
        random_state=0,
    )
    net.fit(numbers, marked, sample_weight=rng.random(200))
    assert net.preprocessor_ is None
    assert net.score(numbers, y) > 0.9


def test_searches_and_reports():
    net = student(synthetic=SyntheticRows(factor=1), max_epochs=1)
    grid = {"synthetic__factor": [1, 2]}
    search = PackedSearchCV(net, grid, cv=2, teacher_saw="other rows").fit(X, Y)
    assert search.packing_.n_alone == {"synthetic": 4}
    report = gain(net, X, Y, cv=2, seeds=1, teacher_saw="other rows")
    assert np.isfinite(report.gain)


BAD = {
    "no object": ({"synthetic": 5}, {}, TypeError, "SyntheticRows"),
    "factor": ({"synthetic": SyntheticRows(0)}, {}, ValueError, "factor=0"),
    "method": ({"synthetic": SyntheticRows(method="x")}, {}, ValueError, "method="),
    "logits": ({}, {"teacher_logits": np.zeros((N, 2))}, ValueError, "leave out one"),
    "teacher_X": ({}, {"teacher_X": X}, ValueError, "by preprocessor="),
    "augment": ({"augment": abs, "teacher_view": "clean"}, {}, ValueError, "augment="),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    params, fit_params, kind, words = BAD[name]
    net = student(**{"synthetic": SyntheticRows(), **params})
    with pytest.raises(kind, match=words):
        net.fit(X, Y, **fit_params)


def test_images_are_refused():
    images = np.zeros((4, 3, 8, 8), np.uint8)
    net = DistilledClassifier(
        teacher=lambda X: np.zeros((len(X), 2)), synthetic=SyntheticRows(), strict=False
    )
    with pytest.raises(ValueError, match="leave synthetic out"):
        net.fit(images, [0, 1] * 2)
