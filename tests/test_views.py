"""Views of images: fixed ones, the plain image, mixed ones, and who sees what."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import stable_repr
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skkd import DistilledClassifier
from skkd.augment import Compose, Mixup, RandomCrop, RandomErasing, RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.memory._row_keys import row_keys, view_seeds
from skkd.students import MLP

N, C = 36, 3
SHAPE = (2, 5, 6)
AUGMENT = Compose([RandomHorizontalFlip(), RandomCrop(2)])


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, *SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def y():
    return np.random.RandomState(1).permutation(np.arange(N) % C)


@pytest.fixture(autouse=True)
def _nobody_asked():
    ASKED.clear()


def distil(**params):
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    params = {"module": MLP, "module__hidden": (5,), "batch_size": 10, **params}
    return DistilledClassifier(**params)


def recording(module=None, **params):
    """Make a student whose module notes the images it is trained on."""
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    params = {"module__seen": [], "batch_size": 10, **params}
    return DistilledClassifier(module or Recording, **params)


def state(net):
    return [value.clone() for value in net.module_.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def logits_of(images):
    """Logits that differ wherever a pixel does."""
    flat = np.asarray(images, np.float64).reshape(len(images), -1)
    weights = np.random.RandomState(5).randn(flat.shape[1], C)
    return (flat @ weights).astype(np.float32)


class Oracle(ClassifierMixin, BaseEstimator):
    """Keeps all images that it is asked about."""

    def __init__(self, log=None):
        self.log = log

    def __call__(self, images):
        if self.log is not None:
            self.log.append(np.array(images))
        return logits_of(images)


# Rows that `Asked` was asked about: an attribute would be a part of its content.
ASKED = []


class Asked:
    """A teacher whose content can be told."""

    def __call__(self, images):
        ASKED.append(len(images))
        return logits_of(images)


class Recording(nn.Module):
    """Notes every training image."""

    def __init__(self, n_classes, seen):
        super().__init__()
        self.seen = seen
        self.head = nn.Linear(int(np.prod(SHAPE)), n_classes)

    def forward(self, x):
        if self.training:
            self.seen.append(x.detach().clone())
        return self.head(x.to(self.head.weight.dtype).flatten(1))


class Recording64(Recording):
    def __init__(self, n_classes, seen):
        super().__init__(n_classes, seen)
        self.double()


class Flat(BaseEstimator, ClassifierMixin):
    """A classifier of images from scikit-learn."""

    def fit(self, X, y):
        self.model_ = LogisticRegression().fit(X.reshape(len(X), -1), y)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(X.reshape(len(X), -1))


class Hearing:
    """A distillation loss that keeps the logits it is given."""

    def __init__(self):
        self.heard = []

    def __call__(self, student, teacher, y, temperature):
        self.heard.append(teacher.clone())
        return ((student - teacher) ** 2).sum(dim=1)


class TestFixedViews:
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
    def test_student_and_teacher_see_the_same(self, X, y, views, dtype, module, memory):
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

    def test_a_batch_has_several_views(self, X, y):
        """Not all rows take their first view in the first epoch."""
        seeds = view_seeds(row_keys(X)[0], 3)
        picked = []

        class Spy(RandomHorizontalFlip):
            def __call__(self, x, seeds=None):
                picked.append(np.asarray(seeds))
                return super().__call__(x, seeds)

        net = distil(augment=Spy(), n_views=3, max_epochs=6, batch_size=-1).fit(X, y)
        turns = [np.argwhere(np.isin(seeds, p))[:, 1] for p in picked]
        assert len(turns) == 6
        for turn in turns:
            assert {*turn} == {0, 1, 2}
        np.testing.assert_array_equal(turns[0], turns[3])
        for three in zip(*turns[:3], strict=True):
            assert sorted(three) == [0, 1, 2]
        assert net.history[-1, "train_loss"] > 0

    def test_views_are_those_of_the_row_wherever_it_lies(self, X, y):
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

    def test_more_views_begin_with_the_fewer(self, X):
        keys = row_keys(X)[0]
        np.testing.assert_array_equal(view_seeds(keys, 5)[:, :2], view_seeds(keys, 2))
        assert view_seeds(keys, 5).dtype == np.int64
        assert np.unique(view_seeds(keys, 5)).size == 5 * N

    # Its teacher is random, so that no two views are alike.
    @pytest.mark.filterwarnings(r"ignore:\[chance-level\]:skkd.TeacherWarning")
    def test_each_view_is_asked_about_once(self, X, y):
        params = {"teacher": Asked(), "augment": AUGMENT}
        first = distil(n_views=3, **params).fit(X, y).cache_info_
        assert (first.misses, first.hits) == (3 * N, 0)
        again = distil(n_views=3, random_state=9, **params).fit(X[::-1], y[::-1])
        assert again.cache_info_[:2] == (0, 3 * N)
        more = distil(n_views=4, **params).fit(X, y).cache_info_
        assert more[:2] == (N, 3 * N)
        other = distil(n_views=1, teacher=Asked(), augment=RandomHorizontalFlip()).fit(
            X, y
        )
        assert other.cache_info_[:2] == (N, 0)
        part = distil(n_views=2, **params).fit(X[:10], y[:10]).cache_info_
        assert part[:2] == (0, 20)
        assert sum(ASKED) == 5 * N

    def test_the_remembered_teach_as_the_first(self, X, y):
        net = distil(teacher=Asked(), augment=AUGMENT, n_views=2)
        first = state(net.fit(X, y))
        assert equal(first, state(net.fit(X, y)))
        assert equal(first, state(net.set_params(memory=False).fit(X, y)))

    @pytest.mark.parametrize("extra", [{}, {"train_split": ValidSplit(3)}])
    def test_alpha_0_is_the_student_alone(self, X, y, extra):
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

    def test_weights_and_missing_labels_go_with_it(self, X, y):
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
        split = ValidSplit(3)(
            TensorDataset(torch.zeros(len(labelled))), labels[labelled]
        )
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
    def test_the_turn_goes_on(self, X, y, method):
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

    def test_only_the_largest_logits_may_be_kept(self, X, y):
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

    def test_rows_of_a_dataset(self, X, y):
        rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(y))
        net = distil(teacher=Asked(), augment=AUGMENT, n_views=2).fit(rows, None)
        assert net.cache_info_[:2] == (2 * N, 0)
        assert net.fit(rows, None).cache_info_[:2] == (0, 2 * N)

    @pytest.mark.parametrize("kind", ["tensor", "read-only", "reversed"])
    def test_whatever_holds_the_rows(self, X, y, kind):
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

    def test_a_teacher_fitted_on_the_way(self, X, y):
        net = distil(teacher=Flat(), teacher_cv=None, augment=AUGMENT, n_views=2)
        net.fit(X, y)
        assert net.cache_info_.misses == 2 * N
        assert net.teacher_.classes_.tolist() == [0, 1, 2]

    def test_in_a_search(self, X, y):
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
    def test_refusals_name_the_reason(self, X, y, params, message):
        net = distil(
            **{"teacher": Asked(), "augment": RandomHorizontalFlip(), **params}
        )
        with pytest.raises(ValueError, match=message):
            net.fit(X, y)
        assert not net.initialized_
        assert ASKED == []

    @pytest.mark.parametrize(
        "arguments",
        [{"teacher_logits": np.zeros((N, C))}, {"teacher_X": np.zeros((N, 1))}],
    )
    @pytest.mark.parametrize("views", [None, 2])
    def test_what_was_said_of_other_rows_is_refused(self, X, y, arguments, views):
        net = distil(teacher=Asked(), augment=RandomHorizontalFlip(), n_views=views)
        with pytest.raises(ValueError, match="teacher_view='clean'"):
            net.fit(X, y, **arguments)


class TestPlain:
    def heard(self, X, y, *, teacher=None, **arguments):
        """Return what was said of each row, in the order of X."""
        spy = Hearing()
        params = {
            key: arguments.pop(key) for key in [*arguments] if key == "teacher_cv"
        }
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

    def test_the_teacher_sees_the_plain_image(self, X, y):
        log = []
        heard, net = self.heard(X, y, teacher=Oracle(log))
        np.testing.assert_array_equal(heard, logits_of(X))
        np.testing.assert_array_equal(np.concatenate(log), X)
        assert net.cache_info_.misses == N

    def test_it_is_remembered_as_without_augment(self, X, y):
        distil(teacher=Asked()).fit(X, y)
        _, net = self.heard(X, y, teacher=Asked())
        assert net.cache_info_[:2] == (0, N)

    def test_the_student_sees_the_view(self, X, y):
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

    def test_logits_that_were_given(self, X, y):
        table = np.random.RandomState(2).randn(N, C).astype(np.float32)
        heard, _ = self.heard(X, y, teacher_logits=table)
        np.testing.assert_array_equal(heard, table)

    def test_rows_of_its_own(self, X, y):
        other = np.random.RandomState(3).randn(N, 7).astype(np.float32)
        heard, _ = self.heard(X, y, teacher=Oracle(), teacher_X=other)
        np.testing.assert_array_equal(heard, logits_of(other))

    def test_clones_of_folds(self, X, y):
        heard, net = self.heard(X, y, teacher=Flat(), teacher_cv=3)
        assert len(net.teacher_) == 3
        expected = np.empty((N, C))
        for train, test in StratifiedKFold(3).split(X, y):
            expected[test] = Flat().fit(X[train], y[train]).predict_proba(X[test])
        np.testing.assert_allclose(
            np.exp(log_softmax(heard, axis=1)), expected, atol=1e-5
        )

    def test_any_callable_augments(self, X, y):
        net = distil(teacher=Asked(), augment=lambda x: x * 2, teacher_view="clean")
        assert net.fit(X, y).cache_info_.misses == N

    def test_in_a_pipeline(self, X, y):
        student = distil(
            teacher=Asked(), augment=RandomHorizontalFlip(), teacher_view="clean"
        )
        pipeline = make_pipeline(FunctionTransformer(), student).fit(X, y)
        assert pipeline[-1].cache_info_.misses == N


class Linear(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        torch.manual_seed(2)  # inside of a stream of its own
        self.head = nn.Linear(int(np.prod(SHAPE)), n_classes, dtype=torch.float64)
        self.given = []

    def forward(self, x):
        if self.training:
            self.given.append(x.detach().clone())
        return self.head(x.flatten(1))


class Telling(Mixup):
    """Notes what it mixed."""

    log = []

    def mix(self, x, seeds=None):
        made = super().mix(x, seeds)
        Telling.log.append((x, *made))
        return made


class TestMixup:
    @pytest.fixture(autouse=True)
    def _nothing_noted(self):
        Telling.log.clear()

    def fit(self, X, y, arguments=None, **params):
        params = {"optimizer": torch.optim.SGD, "lr": 0.0, "max_epochs": 1, **params}
        params = {"module": Linear, "batch_size": 10, "augment": Telling(), **params}
        net = DistilledClassifier(random_state=0, device="cpu", **params)
        return net.fit(X.astype(np.float64), y, **(arguments or {}))

    def expected(self, net, X, y, weight, teacher=None, alpha=0.0, wrap=lambda v: v):
        """Return the losses of the batches, from the equation."""
        rows = {x.tobytes(): i for i, x in enumerate(X.astype(np.float64))}
        known = y >= 0
        hard_weight = np.where(known, weight, 0)
        hard_weight = hard_weight / hard_weight.mean()
        soft_weight = weight / weight.mean()
        values = []
        for x, view, partner, share in Telling.log:
            own = np.array([rows[row.tobytes()] for row in x.numpy()])
            other, lam = own[partner.numpy()], share.double().numpy()
            mixed = lam[:, None, None, None] * X[own].astype(np.float64)
            mixed += (1 - lam[:, None, None, None]) * X[other].astype(np.float64)
            np.testing.assert_allclose(view.numpy(), mixed, atol=1e-6)
            with torch.no_grad():
                out = net.module_.head(view.flatten(1)).numpy()
            log_p, n = log_softmax(out, axis=1), np.arange(len(own))
            hard = -(
                lam * hard_weight[own] * log_p[n, y[own]]
                + (1 - lam) * hard_weight[other] * log_p[n, y[other]]
            ).mean()
            soft = 0.0
            if alpha:
                gap = ((out - teacher(view.numpy())) ** 2).sum(axis=1) / 2
                soft = (soft_weight[own] * gap).mean()
            values.append((1 - alpha) * hard + alpha * soft)
        return values

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("unlabelled", [False, True])
    @pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
    def test_the_loss_is_the_formula(self, X, y, weighted, unlabelled, alpha):
        labels = np.where(np.arange(N) % 4 == 0, -1, y) if unlabelled else y
        weight = np.arange(N) + 1.0 if weighted else np.ones(N)
        net = self.fit(
            X,
            labels,
            {"sample_weight": weight} if weighted else None,
            teacher=Oracle(),
            unlabeled=-1 if unlabelled else None,
            alpha=alpha,
            distillation="mse",
        )
        expected = self.expected(net, X, labels, weight, logits_of, alpha)
        got = net.history[-1, "batches", :, "train_loss"]
        assert len(got) == 4
        np.testing.assert_allclose(got, expected, rtol=1e-5)

    def test_without_a_teacher(self, X, y):
        net = self.fit(X, y, augment=Compose([RandomHorizontalFlip(p=0.0), Telling()]))
        expected = self.expected(net, X, y, np.ones(N))
        got = net.history[-1, "batches", :, "train_loss"]
        np.testing.assert_allclose(got, expected, rtol=1e-5)

    def test_a_weight_of_a_class_counts_for_its_own_share(self, X, y):
        net = self.fit(X, y, class_weight={0: 1.0, 1: 2.0, 2: 5.0})
        expected = self.expected(net, X, y, np.array([1.0, 2.0, 5.0])[y])
        got = net.history[-1, "batches", :, "train_loss"]
        np.testing.assert_allclose(got, expected, rtol=1e-5)

    def test_the_gradient_is_that_of_the_formula(self, X, y):
        net = self.fit(X, y, batch_size=-1, lr=1.0)
        ((_, view, partner, share),) = Telling.log
        start = Linear(C).head
        rows = {x.tobytes(): c for x, c in zip(X.astype(np.float64), y, strict=True)}
        ((x, *_),) = Telling.log
        own = torch.tensor([rows[row.tobytes()] for row in x.numpy()])
        target = nn.functional.one_hot(own, C) * share[:, None].double()
        target += nn.functional.one_hot(own[partner], C) * (1 - share[:, None].double())
        nn.functional.cross_entropy(start(view.flatten(1)), target).backward()
        moved = start.weight - start.weight.grad
        torch.testing.assert_close(net.module_.head.weight, moved, rtol=1e-6, atol=1e-6)

    def test_the_teacher_sees_the_mixed_image(self, X, y):
        asked = []
        net = self.fit(X, y, teacher=Oracle(asked))
        looked_at, *asked = asked
        np.testing.assert_array_equal(looked_at, X)
        for (_, view, *_), images, given in zip(
            Telling.log, asked, net.module_.given, strict=True
        ):
            np.testing.assert_array_equal(view, images)
            assert torch.equal(view, given)

    def test_alpha_0_asks_nobody(self, X, y):
        params = {"lr": 0.1}
        taught = self.fit(X, y, teacher=Asked(), alpha=0, **params)
        assert equal(state(taught), state(self.fit(X, y, **params)))
        assert ASKED == []

    def test_validation_mixes_nothing(self, X, y):
        net = self.fit(X, y, train_split=ValidSplit(3), batch_size=-1)
        _, held = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
        log_p = np.log(net.predict_proba(X[held.indices].astype(np.float64)))
        expected = -log_p[np.arange(len(log_p)), y[held.indices]].mean()
        assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)
        assert len(Telling.log) == 1

    def test_callbacks_see_the_label_of_the_row_itself(self, X, y):
        labels = []

        class Spy(Callback):
            def on_batch_end(self, net, batch=None, **kwargs):
                labels.extend(batch[1])

        names = np.array(list("abc"))[y]
        self.fit(X, names, callbacks=[Spy()])
        assert sorted(labels) == sorted(names)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            (
                {"criterion__weight": torch.ones(C, dtype=torch.float64)},
                "mixed rows: give the weights of classes as class_weight",
            ),
            ({"criterion__reduction": "sum"}, "gives one loss for a batch"),
        ],
    )
    def test_criteria_that_do_not_go_with_it(self, X, y, params, message):
        with pytest.raises(ValueError, match=message):
            self.fit(X, y, **params)

    def test_a_criterion_is_left_as_it_was(self, X, y):
        net = self.fit(X, y)
        assert net.criterion_.reduction == "mean"

    def test_probabilities_and_smoothed_labels(self, X, y):
        smooth = self.fit(X, y, criterion__label_smoothing=0.1)
        assert smooth.history[-1, "train_loss"] > 0
        module = nn.Sequential(
            nn.Flatten(), nn.Linear(60, C, dtype=torch.float64), nn.Softmax(1)
        )
        assert self.fit(X, y, module=module, criterion=nn.NLLLoss)

    def test_uint8_images_and_the_default_student(self, X, y):
        rows = (X * 40 + 128).clip(0, 255).astype(np.uint8)
        net = DistilledClassifier(
            teacher=Asked(),
            augment=Compose([RandomHorizontalFlip(), RandomErasing(2), Mixup(0.4)]),
            max_epochs=1,
            random_state=0,
            device="cpu",
        )
        one, other = state(net.fit(rows, y)), state(net.fit(rows, y))
        assert equal(one, other)
