"""teacher_view="clean": the teacher sees the image without augmentation."""

import numpy as np
from scipy.special import log_softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from view_helpers import (
    Asked,
    C,
    Flat,
    Hearing,
    N,
    Oracle,
    distil,
    logits_of,
    recording,
)

from skkd.augment import RandomHorizontalFlip


def fit_and_listen(X, y, *, teacher=None, **arguments):
    """Return what was said of each row, in the order of X."""
    spy = Hearing()
    params = {key: arguments.pop(key) for key in [*arguments] if key == "teacher_cv"}
    net = distil(
        teacher=teacher,
        augment=RandomHorizontalFlip(p=1.0),
        teacher_view="clean",
        distillation=spy,
        batch_size=-1,
        max_epochs=1,
        iterator_train__shuffle=False,
        **params,
    ).fit(X, y, **arguments)
    assert len(spy.heard) == 1
    return spy.heard[0].numpy(), net


def test_a_clean_view_shows_the_teacher_the_plain_image(X, y):
    log = []
    heard, net = fit_and_listen(X, y, teacher=Oracle(log))
    np.testing.assert_array_equal(heard, logits_of(X))
    np.testing.assert_array_equal(np.concatenate(log), X)
    assert net.cache_info_.misses == N


def test_a_clean_view_is_cached_as_without_augment(X, y):
    distil(teacher=Asked()).fit(X, y)
    _, net = fit_and_listen(X, y, teacher=Asked())
    assert net.cache_info_[:2] == (0, N)


def test_a_clean_view_of_the_teacher_leaves_the_student_its_augmented_one(X, y):
    net = recording(
        teacher=Asked(),
        augment=RandomHorizontalFlip(p=1.0),
        teacher_view="clean",
        batch_size=-1,
        iterator_train__shuffle=False,
    )
    net.fit(X, y)
    for images in net.module_.seen:
        np.testing.assert_array_equal(images, X[:, :, :, ::-1])


def test_a_clean_view_goes_with_teacher_logits(X, y):
    table = np.random.RandomState(2).randn(N, C).astype(np.float32)
    heard, _ = fit_and_listen(X, y, teacher_logits=table)
    np.testing.assert_array_equal(heard, table)


def test_a_clean_view_goes_with_teacher_x(X, y):
    other = np.random.RandomState(3).randn(N, 7).astype(np.float32)
    heard, _ = fit_and_listen(X, y, teacher=Oracle(), teacher_X=other)
    np.testing.assert_array_equal(heard, logits_of(other))


def test_a_clean_view_goes_with_teacher_cv(X, y):
    heard, net = fit_and_listen(X, y, teacher=Flat(), teacher_cv=3)
    assert len(net.teacher_) == 3
    expected = np.empty((N, C))
    for train, test in StratifiedKFold(3).split(X, y):
        expected[test] = Flat().fit(X[train], y[train]).predict_proba(X[test])
    np.testing.assert_allclose(np.exp(log_softmax(heard, axis=1)), expected, atol=1e-5)


def test_a_clean_view_goes_with_any_callable(X, y):
    net = distil(teacher=Asked(), augment=lambda x: x.flip(3), teacher_view="clean")
    assert net.fit(X, y).cache_info_.misses == N


def test_a_clean_view_in_a_pipeline(X, y):
    student = distil(
        teacher=Asked(), augment=RandomHorizontalFlip(), teacher_view="clean"
    )
    pipeline = make_pipeline(FunctionTransformer(), student).fit(X, y)
    assert pipeline[-1].cache_info_.misses == N
