"""n_views: a fixed number of augmented views for each image."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from estimator_helpers import equal, state
from helpers import stable_repr
from scipy.special import log_softmax
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset
from view_helpers import (
    ASKED,
    Asked,
    C,
    Flat,
    Hearing,
    N,
    Oracle,
    Recording,
    distil,
    logits_of,
    recording,
)

from skkd.augment import Compose, Mixup, RandomCrop, RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.memory._row_keys import row_keys, view_seeds

AUGMENT = Compose([RandomHorizontalFlip(), RandomCrop(2)])


class Recording64(Recording):
    def __init__(self, n_classes, seen):
        super().__init__(n_classes, seen)
        self.double()


@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "module"),
    [
        (np.float32, Recording),
        (np.float64, Recording),
        (np.float64, Recording64),
        (np.uint8, Recording),
    ],
)
@pytest.mark.parametrize("memory", [None, False])
def test_student_and_teacher_see_the_same_views(X, y, views, dtype, module, memory):
    rows = (X * 40 + 128).clip(0, 255) if dtype == np.uint8 else X
    rows = rows.astype(dtype)
    asked, spy = [], Hearing()
    net = recording(
        module=module,
        teacher=Oracle(asked),
        augment=AUGMENT,
        n_views=views,
        max_epochs=views,
        distillation=spy,
        memory=memory,
    )
    net.fit(rows, y)
    seen = net.module_.seen
    assert sum(map(len, asked)) == views * N
    answers = {
        view.tobytes(): logits
        for views_ in asked
        for view, logits in zip(views_, logits_of(views_), strict=True)
    }
    for images, logits in zip(seen, spy.heard, strict=True):
        for image, said in zip(images.numpy(), logits.numpy(), strict=True):
            np.testing.assert_array_equal(said, answers[image.tobytes()])
    # Every view is used once in as many epochs, no matter which it is.
    used = sorted(i.numpy().tobytes() for images in seen for i in images)
    assert used == sorted(v.tobytes() for views_ in asked for v in views_)
    assert seen[0].dtype == (
        torch.float64
        if module is Recording64
        else torch.uint8
        if dtype == np.uint8
        else torch.float32
    )


def test_a_batch_has_several_views(X, y):
    """Not all rows take their first view in the first epoch."""
    seeds = view_seeds(row_keys(X)[0], 3)
    picked = []

    class Spy(RandomHorizontalFlip):
        def __call__(self, x, seeds=None):
            picked.append(np.asarray(seeds))
            return super().__call__(x, seeds)

    net = distil(augment=Spy(), n_views=3, max_epochs=6, batch_size=-1).fit(X, y)
    # Before them the augmentation itself is looked at.
    turns = [np.argwhere(np.isin(seeds, p))[:, 1] for p in picked[-6:]]
    for turn in turns:
        assert {*turn} == {0, 1, 2}
    np.testing.assert_array_equal(turns[0], turns[3])
    for three in zip(*turns[:3], strict=True):
        assert sorted(three) == [0, 1, 2]
    assert net.history[-1, "train_loss"] > 0


def test_views_are_those_of_the_row_wherever_it_lies(X, y):
    """Of a fold, another order, another random_state, another process."""
    views = {}
    rows = np.random.RandomState(3).permutation(N)
    for name, part, state_ in (("all", np.arange(N), 0), ("part", rows[:20], 7)):
        asked = []
        distil(
            teacher=Oracle(asked), augment=AUGMENT, n_views=2, random_state=state_
        ).fit(X[part], y[part])
        views[name] = {view.tobytes() for images in asked for view in images}
        assert len(views[name]) <= 2 * len(part)
    assert views["part"] < views["all"]

    code = (
        "import numpy as np, json; from skkd.memory._row_keys import *;"
        "X = np.random.RandomState(0).randn(36, 2, 5, 6).astype(np.float32);"
        "print(json.dumps(view_seeds(row_keys(X)[0], 2).tolist()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == view_seeds(row_keys(X)[0], 2).tolist()


def test_more_views_begin_with_the_fewer(X):
    keys = row_keys(X)[0]
    np.testing.assert_array_equal(view_seeds(keys, 5)[:, :2], view_seeds(keys, 2))
    assert view_seeds(keys, 5).dtype == np.int64
    assert np.unique(view_seeds(keys, 5)).size == 5 * N


# Its teacher is random, so that no two views are alike.
@pytest.mark.filterwarnings(r"ignore:\[(chance-level|one-sided)\]:skkd.TeacherWarning")
def test_each_view_is_asked_about_once(X, y):
    params = {"teacher": Asked(), "augment": AUGMENT}
    first = distil(n_views=3, **params).fit(X, y).cache_info_
    assert (first.misses, first.hits) == (3 * N, 0)
    again = distil(n_views=3, random_state=9, **params).fit(X[::-1], y[::-1])
    assert again.cache_info_[:2] == (0, 3 * N)
    more = distil(n_views=4, **params).fit(X, y).cache_info_
    assert more[:2] == (N, 3 * N)
    other = distil(n_views=1, teacher=Asked(), augment=RandomHorizontalFlip()).fit(X, y)
    assert other.cache_info_[:2] == (N, 0)
    part = distil(n_views=2, **params).fit(X[:10], y[:10]).cache_info_
    assert part[:2] == (0, 20)
    assert sum(ASKED) == 5 * N


def test_cached_logits_of_views_train_the_same_student(X, y):
    net = distil(teacher=Asked(), augment=AUGMENT, n_views=2)
    first = state(net.fit(X, y))
    assert equal(first, state(net.fit(X, y)))
    assert equal(first, state(net.set_params(memory=False).fit(X, y)))


@pytest.mark.parametrize("extra", [{}, {"train_split": ValidSplit(3)}])
def test_alpha_0_with_views_is_the_student_alone(X, y, extra):
    params = {"augment": AUGMENT, "n_views": 2, "module__dropout": 0.3, **extra}
    taught = distil(teacher=Asked(), alpha=0, **params)
    alone = distil(teacher=None, **params)
    taught.partial_fit(X, y).partial_fit(X, y)
    alone.partial_fit(X, y).partial_fit(X, y)
    assert equal(state(taught), state(alone))
    assert ASKED == []
    plain = distil(teacher=None, module__dropout=0.3, **extra)
    plain.partial_fit(X, y).partial_fit(X, y)
    assert not equal(state(plain), state(alone))


def test_views_with_weights_and_missing_labels(X, y):
    labels = np.where(np.arange(N) % 3 == 0, -1, y)
    weight = np.arange(N) + 1.0
    spy = Hearing()
    net = distil(
        teacher=Asked(),
        augment=RandomHorizontalFlip(p=1.0),
        n_views=2,
        unlabeled=-1,
        train_split=ValidSplit(3),
        distillation=spy,
        max_epochs=1,
        batch_size=-1,
        alpha=0.5,
        lr=0.0,
        optimizer=torch.optim.SGD,
    ).fit(X, labels, sample_weight=weight)
    # A part of the labelled rows is held out, no row that has none.
    labelled = np.flatnonzero(labels >= 0)
    split = ValidSplit(3)(TensorDataset(torch.zeros(len(labelled))), labels[labelled])
    kept = np.r_[labelled[split[0].indices], np.flatnonzero(labels < 0)]
    view = np.ascontiguousarray(X[kept, :, :, ::-1])
    with torch.no_grad():
        student = net.module_.eval()(torch.from_numpy(view)).double().numpy()
    w, known = weight[kept], labels[kept] >= 0
    each = -log_softmax(student, axis=1)[np.arange(len(kept)), labels[kept]]
    hard = (w * known * each).sum() / (w * known).sum()
    soft = w @ ((student - logits_of(view)) ** 2).sum(axis=1) / w.sum()
    assert net.history[-1, "train_loss"] == pytest.approx(
        0.5 * hard + 0.5 * soft, rel=1e-4
    )


@pytest.mark.parametrize("method", ["partial_fit", "warm_start"])
def test_further_calls_continue_with_the_next_views(X, y, method):
    """Two calls of an epoch show the views that one of two epochs does."""
    seen = {}
    for epochs, calls in ((2, 1), (1, 2)):
        net = recording(
            teacher=Asked(),
            augment=AUGMENT,
            n_views=2,
            max_epochs=epochs,
            warm_start=method == "warm_start",
        )
        for _ in range(calls):
            getattr(net, "partial_fit" if method == "partial_fit" else "fit")(X, y)
        seen[calls] = sorted(
            i.numpy().tobytes() for images in net.module_.seen for i in images
        )
    assert seen[1] == seen[2]


def test_only_the_largest_logits_of_views_may_be_stored(X, y):
    spy = Hearing()
    memory = LogitMemory(top_k=1)
    params = {"augment": AUGMENT, "n_views": 2, "memory": memory}
    net = distil(teacher=Asked(), distillation=spy, **params).fit(X, y)
    assert net.cache_info_.misses == 2 * N
    for logits in spy.heard:
        assert logits.shape[1] == C
        values = logits.sort(dim=1).values
        torch.testing.assert_close(values[:, 0], values[:, 1])  # the others
        assert (values[:, 2] > values[:, 1]).all()
    again = distil(teacher=Asked(), **params).fit(X, y)
    assert again.cache_info_[:2] == (0, 2 * N)


def test_views_of_a_dataset(X, y):
    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
    net = distil(teacher=Asked(), augment=AUGMENT, n_views=2).fit(rows, None)
    assert net.cache_info_[:2] == (2 * N, 0)
    assert net.fit(rows, None).cache_info_[:2] == (0, 2 * N)


@pytest.mark.parametrize("kind", ["tensor", "read-only", "reversed"])
def test_views_of_tensors_read_only_and_strided_arrays(X, y, kind):
    net = distil(teacher=Asked(), augment=AUGMENT, n_views=2)
    expected = state(net.fit(X, y))
    rows = X
    if kind == "tensor":
        rows = torch.from_numpy(X)
    elif kind == "read-only":
        rows = X.view()
        rows.setflags(write=False)
    else:
        rows = X[::-1].copy()[::-1]
    assert equal(expected, state(net.fit(rows, y)))


def test_views_for_a_teacher_fitted_on_the_way(X, y):
    net = distil(teacher=Flat(), teacher_cv=None, augment=AUGMENT, n_views=2)
    net.fit(X, y)
    assert net.cache_info_.misses == 2 * N
    assert net.teacher_.classes_.tolist() == [0, 1, 2]


def test_views_in_a_search(X, y):
    grid = [
        {"n_views": [None, 2]},
        {"teacher_view": ["clean"]},
        {"augment": [RandomHorizontalFlip(), RandomCrop(1)], "n_views": [2]},
    ]
    net = distil(teacher=Asked(), augment=RandomHorizontalFlip(), max_epochs=1)
    search = GridSearchCV(net, grid, cv=StratifiedKFold(3), refit=False)
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == 5
    # Live: two thirds of the rows in each of three folds, and once more before it,
    # to see whether the teacher is in health. Else once a view.
    assert sum(ASKED) == 2 * 2 * N + 2 * N + N + 2 * N


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"augment": None, "n_views": 2}, r"n_views=2 .*pass augment="),
        ({"augment": None, "teacher_view": "clean"}, "pass augment="),
        ({"n_views": 0}, r"n_views=0: expected None, a whole number"),
        ({"n_views": -1}, r"n_views=-1: expected"),
        ({"n_views": 1.5}, r"n_views=1.5: expected"),
        ({"n_views": True}, r"n_views=True: expected"),
        ({"n_views": "all"}, r"n_views='all': expected"),
        ({"augment": Mixup(), "n_views": 2}, r"Mixup\(\) mixes the rows"),
        (
            {"augment": Mixup(), "teacher_view": "clean"},
            r"Mixup\(\) mixes the rows",
        ),
        ({"augment": abs, "n_views": 2}, "takes no `seeds`"),
        ({"augment": lambda x: x, "n_views": 2}, "takes no `seeds`"),
        ({"augment": nn.Identity(), "n_views": 2}, "takes no `seeds`"),
        ({"n_views": 2, "teacher_cv": 3}, r"teacher_cv=3"),
        (
            {"augment": RandomHorizontalFlip(p=2), "n_views": 2},
            r"RandomHorizontalFlip.p=2: ",
        ),
    ],
    ids=stable_repr,
)
def test_refusals_of_views_name_the_reason(X, y, params, message):
    net = distil(**{"teacher": Asked(), "augment": RandomHorizontalFlip(), **params})
    with pytest.raises(ValueError, match=message):
        net.fit(X, y)
    assert not net.initialized_
    assert ASKED == []


@pytest.mark.parametrize(
    "arguments",
    [{"teacher_logits": np.zeros((N, C))}, {"teacher_X": np.zeros((N, 1))}],
)
@pytest.mark.parametrize("views", [None, 2])
def test_soft_targets_of_other_samples_are_refused_with_views(X, y, arguments, views):
    net = distil(teacher=Asked(), augment=RandomHorizontalFlip(), n_views=views)
    with pytest.raises(ValueError, match="teacher_view='clean'"):
        net.fit(X, y, **arguments)
