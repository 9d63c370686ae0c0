"""DistilledClassifier: the loss, the labels, the weights, the randomness."""

import copy
import pickle
import random
import warnings
from collections import OrderedDict

import numpy as np
import oracles
import pandas as pd
import pytest
import torch
from helpers import stable_repr
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from torch import nn
from torch.utils.data import TensorDataset

from skkd import DistillationWarning, DistilledClassifier
from skkd._estimator import skorch_classifier
from skkd._utils import modules as _modules
from skkd.losses import DistillationLoss
from skkd.students import MLP
from skkd.teachers import as_teacher

# Most teachers in here say the same of all rows: what counts is what becomes of it.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(constant-output|random-head)\]:skkd.TeacherWarning"
)

N, D, C = 60, 4, 3


@pytest.fixture(scope="module")
def X():
    return np.random.RandomState(0).randn(N, D)


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


@pytest.fixture(scope="module")
def table(X):
    """Logits of a teacher, one row for each of X."""
    return np.random.RandomState(1).randn(N, C).astype(np.float32) * 3


@pytest.fixture(scope="module")
def forest(X, y):
    return LogisticRegression().fit(X, y)


def distil(**params):
    params = {"max_epochs": 2, "random_state": 0, "device": "cpu", **params}
    return DistilledClassifier(**params)


def full_batch(**params):
    """One step of plain gradient descent on all rows, in float64."""
    params = {"batch_size": -1, "max_epochs": 1, "lr": 1.0, **params}
    return distil(module=Linear64, optimizer=torch.optim.SGD, **params)


def state(net):
    return [value.clone() for value in net.module_.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def close(one, other, **kwargs):
    return all(torch.allclose(a, b, **kwargs) for a, b in zip(one, other, strict=True))


def cross_entropy(logits, y):
    return -log_softmax(np.asarray(logits, np.float64), axis=1)[np.arange(len(y)), y]


class Linear64(nn.Module):
    """Logistic regression in float64 that starts at zero."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(*input_shape, n_classes, dtype=torch.float64)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x):
        return self.linear(x)


class Echo(nn.Module):
    """Its logits are the first columns of its input: a batch shows its rows."""

    def __init__(self, n_classes):
        super().__init__()
        self.n_classes = n_classes
        self.factor = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x):
        return x[:, : self.n_classes] * self.factor


class EchoProbabilities(Echo):
    def forward(self, x):
        return super().forward(x).softmax(dim=1)


class EchoTuple(Echo):
    def forward(self, x):
        logits = super().forward(x)
        return logits, torch.zeros(len(x), 7)


class Output(OrderedDict):
    @property
    def logits(self):
        return self["logits"]


class EchoOutput(Echo):
    """As the networks of transformers, which return an object."""

    def forward(self, x):
        return Output(logits=super().forward(x))


class Seeing(nn.Module):
    """Notes the dtype and the values of what it is given."""

    def __init__(self, n_classes, log):
        super().__init__()
        self.log = log
        self.head = nn.Linear(1, n_classes)

    def forward(self, x):
        self.log.append(x)
        return self.head(x.float().flatten(1).mean(dim=1, keepdim=True))


class Forbidden(ClassifierMixin, BaseEstimator):
    """A teacher that must not be asked."""

    def __init__(self):
        self.classes_ = np.arange(C)

    def fit(self, X, y):
        raise AssertionError("fitted")

    def predict_proba(self, X):
        raise AssertionError("asked")


class Uniform(ClassifierMixin, BaseEstimator):
    """Says the same of every row, and draws from the global generators meanwhile."""

    def __init__(self, draws=0):
        self.draws = draws

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        np.random.rand(self.draws), torch.rand(self.draws)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Factor(DistillationLoss):
    """A loss with a parameter."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def __call__(self, student_logits, teacher_logits, y, temperature):
        gap = student_logits - teacher_logits
        return self.factor * (gap**2).sum(dim=1)


class BatchLoss(DistillationLoss):
    """A loss that is defined over a batch."""

    def __call__(self, student_logits, teacher_logits, y, temperature):
        return ((student_logits - teacher_logits) ** 2).mean()


class NoReduction(nn.Module):
    """A criterion of somebody's own, which always gives the mean."""

    def forward(self, logits, y):
        return nn.functional.cross_entropy(logits, y)


class IgnoresReduction(NoReduction):
    reduction = "mean"


class LossModule(nn.Module):
    """A distillation loss written as torch users do."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, student_logits, teacher_logits, y, temperature):
        return self.scale * ((student_logits - teacher_logits) ** 2).sum(dim=1)


class Noise(nn.Module):
    """An augmentation; a module, as those of torchvision are."""

    def forward(self, x):
        return x + torch.randn_like(x)


class TestLoss:
    def frozen(self, module=Echo, **params):
        """Never changes, so that the losses of an epoch can be computed outside."""
        params = {"optimizer": torch.optim.SGD, "lr": 0.0, **params}
        return distil(module=module, max_epochs=1, **params)

    def test_it_sees_the_logits_classes_and_temperature_of_its_rows(self, X, y, table):
        batches = []

        def spy(student, teacher, labels, temperature):
            batches.append((student.detach().numpy(), teacher, labels, temperature))
            return student.sum(dim=1)

        labels = np.array(["a", "b", "c"])[y]
        net = self.frozen(distillation=spy, temperature=3.5, batch_size=7)
        net.fit(X, labels, teacher_logits=table)
        seen = []
        for student, teacher, y_encoded, temperature in batches:
            rows = [
                int(np.flatnonzero((X[:, :C] == s).all(axis=1))[0]) for s in student
            ]
            np.testing.assert_array_equal(teacher.numpy(), table[rows])
            np.testing.assert_array_equal(y_encoded.numpy(), y[rows])
            assert y_encoded.dtype == torch.int64
            assert temperature == 3.5
            seen += rows
        assert seen != list(range(N))  # shuffled
        assert sorted(seen) == list(range(N))

    @pytest.mark.parametrize("module", [Echo, EchoTuple, EchoOutput])
    @pytest.mark.parametrize("alpha", [0, 0.3, 0.5, 1])
    @pytest.mark.parametrize("batch_size", [-1, 20])
    def test_it_is_the_formula(self, X, y, table, alpha, module, batch_size):
        net = self.frozen(module, alpha=alpha, temperature=2.5, batch_size=batch_size)
        net.fit(X, y, teacher_logits=table)
        hard = cross_entropy(X[:, :C], y).mean()
        soft = oracles.kd(X[:, :C], table, 2.5).mean()
        expected = (1 - alpha) * hard + alpha * soft
        assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1)

    def test_it_is_the_formula_where_the_module_gives_probabilities(self, X, y, table):
        params = {"criterion": nn.NLLLoss, "alpha": 0.3, "temperature": 4.0}
        net = self.frozen(EchoProbabilities, **params)
        net.fit(X, y, teacher_logits=table)
        hard = cross_entropy(X[:, :C], y).mean()
        soft = oracles.kd(X[:, :C], table, 4.0).mean()
        expected = 0.7 * hard + 0.3 * soft
        assert net.history[-1, "train_loss"] == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(
            net.predict_proba(X), np.exp(log_softmax(X[:, :C], axis=1))
        )

    def test_both_terms_carry_gradient(self, X, y, table):
        def step(alpha):
            net = full_batch(alpha=alpha).fit(X, y, teacher_logits=table)
            return net.module_.linear.weight.detach()

        hard, soft, mixed = step(0), step(1), step(0.25)
        assert hard.abs().max() > 0.01
        assert soft.abs().max() > 0.01
        assert (hard - soft).abs().max() > 0.01
        torch.testing.assert_close(mixed, 0.75 * hard + 0.25 * soft)

    def test_alpha_1_uses_no_label(self, X, y, table):
        shuffled = np.random.RandomState(3).permutation(y)
        one = distil(alpha=1).fit(X, y, teacher_logits=table)
        other = distil(alpha=1).fit(X, shuffled, teacher_logits=table)
        assert equal(state(one), state(other))

    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"augment": Noise()},
            {"module__dropout": 0.5},
            {"teacher_cv": None},
            {"train_split": ValidSplit(3)},
            {"memory": "unused"},
        ],
        ids=stable_repr,
    )
    def test_alpha_0_is_the_plain_student(self, X, y, params, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        taught = distil(alpha=0, teacher=Forbidden(), **params)
        plain = distil(teacher=None, **params)
        taught.partial_fit(X, y).partial_fit(X, y)
        plain.partial_fit(X, y).partial_fit(X, y)
        assert equal(state(taught), state(plain))
        assert list(tmp_path.iterdir()) == []

    def test_a_teacher_draws_no_number_of_the_student(self, X, y):
        """Shuffling and dropout are the same whatever a teacher draws."""

        def drawing(rows):
            torch.rand(3), np.random.rand(3), random.random()
            return np.zeros((len(rows), C), np.float32)

        def zeros(rows):
            return np.zeros((len(rows), C), np.float32)

        params = {"module__dropout": 0.5, "alpha": 0.5}
        one = distil(teacher=drawing, **params).fit(X, y)
        other = distil(teacher=zeros, **params).fit(X, y)
        assert equal(state(one), state(other))

    @pytest.mark.parametrize("cv", [None, 3])
    def test_nor_does_a_teacher_that_is_fitted_on_the_way(self, X, y, cv):
        params = {"module__dropout": 0.5, "teacher_cv": cv}
        one = distil(teacher=Uniform(draws=0), **params).fit(X, y)
        other = distil(teacher=Uniform(draws=3), **params).fit(X, y)
        assert equal(state(one), state(other))

    def test_validation_is_the_plain_criterion_and_asks_no_teacher(self, X, y):
        asked = []

        def teacher(rows):
            asked.append(len(rows))
            return np.ones((len(rows), C))

        net = distil(
            teacher=teacher, augment=Noise(), train_split=ValidSplit(3), max_epochs=1
        ).fit(X, y)
        train, held_out = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
        looked_at, *asked = asked  # before training
        assert looked_at == N
        assert sum(asked) == len(train)
        p = net.predict_proba(X[held_out.indices])
        expected = -np.log(p[np.arange(len(p)), y[held_out.indices]]).mean()
        assert net.history[-1, "valid_loss"] == pytest.approx(expected, rel=1e-5)

    def test_validation_is_the_plain_criterion_beside_logits_and_weights(
        self, X, y, table
    ):
        net = distil(alpha=0.9, train_split=ValidSplit(3), max_epochs=1)
        net.fit(X, y, teacher_logits=table, sample_weight=np.arange(N) + 1.0)
        _, held_out = ValidSplit(3)(TensorDataset(torch.zeros(N)), y)
        rows = held_out.indices
        expected = -np.log(net.predict_proba(X[rows])[np.arange(len(rows)), y[rows]])
        assert net.history[-1, "valid_loss"] == pytest.approx(expected.mean(), rel=1e-5)

    def test_a_torch_module_can_be_the_distillation(self, X, y, forest):
        net = distil(teacher=forest, distillation=LossModule()).fit(X, y)
        assert all("scale" not in name for name in net.module_.state_dict())
        again = pickle.loads(pickle.dumps(net)).set_params(distillation="kd")
        assert again.fit(X, y).history[-1, "train_loss"] > 0

    def test_distillation_can_be_set_after_construction(self, X, y, forest):
        net = clone(distil(teacher=forest)).set_params(distillation="mse").fit(X, y)
        assert not equal(state(net), state(distil(teacher=forest).fit(X, y)))

    def test_its_parameters_reach_it(self, X, y, table):
        def loss(**params):
            net = self.frozen(alpha=1, distillation=Factor, **params)
            return net, lambda: net.fit(X, y, teacher_logits=table).history[-1]

        _, plain = loss()
        net, doubled = loss(distillation__factor=2.0)
        expected = plain()["train_loss"]
        assert doubled()["train_loss"] == pytest.approx(2 * expected)
        net.set_params(distillation__factor=3.0)
        assert doubled()["train_loss"] == pytest.approx(3 * expected)
        assert clone(net).distillation__factor == 3.0
        net.set_params(distillation__fcator=3.0)
        with pytest.raises(ValueError, match="fcator"):
            doubled()
        with pytest.raises(ValueError, match="distillation__x"):
            distil(distillation_x=3).fit(X, y)

    def test_a_loss_of_another_shape_is_refused(self, X, y, forest):
        net = distil(teacher=forest, distillation=lambda s, t, y, T: (s - t) ** 2)
        with pytest.raises(ValueError, match=r"shape \(60, 3\), expected \(60,\)"):
            net.fit(X, y)

    @pytest.mark.parametrize(
        "params",
        [
            {"temperature": 0},
            {"temperature": -1.0},
            {"temperature": float("nan")},
            {"temperature": float("inf")},
            {"temperature": "4"},
            {"temperature": True},
            {"alpha": -0.1},
            {"alpha": 1.1},
            {"alpha": float("nan")},
            {"alpha": None},
            {"teacher_cv": "fit"},
        ],
        ids=stable_repr,
    )
    def test_invalid_values_raise_before_training(self, X, y, params):
        net = distil(teacher=Forbidden(), **params)
        with pytest.raises(ValueError, match=f"{next(iter(params))}=.*expected"):
            net.fit(X, y)
        assert not net.initialized_


class TestRandomState:
    def test_the_same_fit_twice_is_bit_equal(self, X, y, forest):
        net = distil(teacher=forest, module__dropout=0.2, augment=Noise())
        one, other = state(net.fit(X, y)), state(net.fit(X, y))
        assert equal(one, other)
        assert equal(one, state(clone(net).fit(X, y)))

    def test_another_seed_is_another_fit(self, X, y):
        one, other = (distil(random_state=i).fit(X, y) for i in range(2))
        assert not equal(state(one), state(other))

    def draw(self):
        return torch.rand(1).item(), np.random.rand(), random.random()

    def seeded(self):
        torch.manual_seed(7), np.random.seed(7), random.seed(7)

    @pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)])
    def test_the_global_generators_are_left_alone(self, X, y, forest, random_state):
        self.seeded()
        expected = self.draw()
        self.seeded()
        net = distil(
            teacher=forest,
            random_state=random_state,
            augment=Noise(),
            module__dropout=0.5,
            train_split=ValidSplit(3),
        )
        net.fit(X, y).partial_fit(X, y)
        net.predict(X), net.predict_proba(X), net.score(X, y)
        assert self.draw() == expected

    def test_also_where_fit_raises(self, X, y):
        def bad(view):
            torch.rand(3), np.random.rand(3), random.random()
            raise RuntimeError("stop")

        self.seeded()
        expected = self.draw()
        self.seeded()
        with pytest.raises(RuntimeError, match="stop"):
            distil(augment=bad).fit(X, y)
        assert self.draw() == expected

    def test_initialize_follows_it_too(self):
        nets = []
        for seed in range(2):
            torch.manual_seed(seed)
            net = distil(module=MLP, module__n_classes=2, module__input_shape=(3,))
            nets.append(net.initialize())
            assert torch.initial_seed() == seed
        assert equal(state(nets[0]), state(nets[1]))

    def test_other_devices_are_not_seeded(self, X, y, monkeypatch):
        def forbidden(*args):
            raise AssertionError("seeded")

        monkeypatch.setattr(torch.cuda, "manual_seed_all", forbidden)
        distil().fit(X, y)

    def test_none_follows_torch(self, X, y):
        fits = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            fits.append(state(distil(random_state=None).fit(X, y)))
        assert equal(fits[0], fits[1])
        assert not equal(fits[0], fits[2])

    def test_predict_alone_disturbs_nothing(self, X, y):
        net = distil(random_state=None).fit(X, y)
        self.seeded()
        expected = self.draw()
        self.seeded()
        net.predict(X), net.score(X, y)
        assert self.draw() == expected

    def test_an_instance_moves_on(self, X, y):
        net = distil(random_state=np.random.RandomState(0))
        one, other = state(net.fit(X, y)), state(net.fit(X, y))
        assert not equal(one, other)
        again = distil(random_state=np.random.RandomState(0))
        assert equal(one, state(again.fit(X, y)))

    def test_partial_fit_goes_on_with_the_stream(self, X, y):
        def orders():
            log = []
            net = distil(module=Seeing, module__log=log, max_epochs=1, batch_size=N)
            for _ in range(3):
                net.partial_fit(X, y)
            return [x[:, 0].tolist() for x in net.module_.log if len(x) == N]

        one, other, third = orders()
        assert sorted(one) == sorted(other)
        assert one != other != third != one
        assert orders() == [one, other, third]


LABELS = [
    np.array([5, 7, 9]),
    np.array([-1, 0, 1]),
    np.array([1.0, 2.0, 5.0]),
    np.array(["no", "yes", "maybe"]),
    np.array(["no", "yes", "maybe"], dtype=object),
    np.array([2**40, 3, 4]),
    np.array([1, 2, 3], dtype=np.uint8),
]


class TestLabels:
    @pytest.mark.parametrize("names", LABELS, ids=lambda names: repr(names.dtype))
    def test_they_come_out_as_they_went_in(self, X, y, names):
        labels = names[y]
        teacher = LogisticRegression().fit(X, labels)
        net = distil(teacher=teacher, max_epochs=40, lr=0.01).fit(X, labels)
        predicted = net.predict(X)
        assert predicted.dtype == labels.dtype
        np.testing.assert_array_equal(net.classes_, np.unique(labels))
        assert net.score(X, labels) == (predicted == labels).mean() > 0.9
        best = net.predict_proba(X).argmax(axis=1)
        np.testing.assert_array_equal(net.classes_[best], predicted)

    def test_bools(self, X):
        labels = X[:, 0] > 0
        net = distil(max_epochs=30, lr=0.01).fit(X, labels)
        assert net.predict(X).dtype == bool
        assert net.score(X, labels) > 0.9

    @pytest.mark.parametrize(
        "wrap",
        [
            list,
            pd.Series,
            pd.Categorical,
            lambda y: pd.Series(y, dtype="category"),
            lambda y: pd.Series(y, index=range(100, 100 + len(y))),
        ],
        ids=["list", "Series", "Categorical", "Series of categories", "other index"],
    )
    def test_containers(self, X, y, wrap):
        labels = np.array(["b", "c", "a"])[y]
        net = distil(max_epochs=30, lr=0.01).fit(X, wrap(labels.tolist()))
        assert net.classes_.tolist() == ["a", "b", "c"]
        assert (net.predict(X) == labels).mean() > 0.9

    def test_tensors(self, X, y):
        net = distil().fit(torch.tensor(X), torch.tensor(y) + 3)
        assert net.classes_.tolist() == [3, 4, 5]

    def test_declared_classes_are_sorted(self, X, y):
        labels = np.array(["b", "c", "a"])[y]
        teacher = LogisticRegression().fit(X, labels)
        declared = ["c", "a", "b"]
        net = distil(teacher=teacher, classes=declared, alpha=1, max_epochs=60, lr=0.01)
        net.fit(X, labels)
        assert net.classes_.tolist() == ["a", "b", "c"]
        taught = teacher.predict_proba(X)
        assert np.abs(net.predict_proba(X) - taught).max() < 0.15
        assert (net.predict(X) == teacher.predict(X)).mean() > 0.9

    def test_declared_classes_may_have_no_row(self, X, y):
        net = distil(classes=[0, 1, 2, 3]).fit(X, y)
        assert net.predict_proba(X).shape == (N, 4)

    def test_one_class(self, X):
        net = distil().fit(X, np.full(N, "only"))
        assert set(net.predict(X)) == {"only"}
        np.testing.assert_array_equal(net.predict_proba(X), 1)

    def test_a_column_warns(self, X, y):
        with pytest.warns(DataConversionWarning, match="column-vector"):
            net = distil().fit(X, y[:, None])
        assert equal(state(net), state(distil().fit(X, y)))

    @pytest.mark.parametrize(
        ("labels", "error", "message"),
        [
            (None, ValueError, "requires y"),
            (np.linspace(0, 1, N), ValueError, "continuous"),
            (np.eye(3)[np.arange(N) % 3], ValueError, "1d array"),
            (np.full(N, np.nan), ValueError, "NaN"),
            ([*"ab" * 29, None, None], TypeError, "several types, NoneType, str"),
            (np.array([1, "b"] * 30, dtype=object), ValueError, "unknown"),
            (np.zeros(N - 1), ValueError, "inconsistent"),
        ],
    )
    def test_what_cannot_be_learnt_is_refused(self, X, labels, error, message):
        with pytest.raises(error, match=message):
            distil().fit(X, labels)

    @pytest.mark.parametrize("classes", [[], [[0, 1]], [0, 0, 1]])
    def test_bad_declarations_are_refused(self, X, y, classes):
        with pytest.raises(ValueError, match="classes="):
            distil(classes=classes).fit(X, y)

    def test_declarations_must_agree(self, X, y):
        with pytest.raises(ValueError, match="differs"):
            distil(classes=[0, 1, 2]).partial_fit(X, y, classes=[0, 1, 2, 3])


def missing_object(values):
    values = np.array(values, dtype=object)
    values[-20:] = np.nan
    return values


class TestUnlabeled:
    """The last twenty rows have no label."""

    known = slice(0, N - 20)

    def mark(self, y, marker=-1):
        y = np.array(y, dtype=object if isinstance(marker, str) else None)
        y[-20:] = marker
        return y

    @pytest.mark.parametrize(
        ("make", "marker"),
        [
            (lambda s, y: np.r_[y[:-20], [-1] * 20], -1),
            (lambda s, y: np.r_[y[:-20], [99] * 20], 99),
            (lambda s, y: np.r_[y[:-20] * 1.0, [np.nan] * 20], np.nan),
            (lambda s, y: [*s[:-20], *["?"] * 20], "?"),
            (lambda s, y: [*s[:-20], *[-1] * 20], -1),
            (lambda s, y: [*s[:-20], *[float("nan")] * 20], np.nan),
            (lambda s, y: [*s[:-20], *[None] * 20], np.nan),
            (lambda s, y: missing_object(s), np.nan),
            (lambda s, y: pd.Series([*s[:-20], *[None] * 20]), np.nan),
            (lambda s, y: pd.Series([*s[:-20], *[None] * 20], dtype="category"), pd.NA),
            (lambda s, y: pd.Series([*y[:-20], *[None] * 20], dtype="Int64"), pd.NA),
            (lambda s, y: pd.Series([*y[:-20], *[None] * 20], dtype="Int64"), np.nan),
        ],
    )
    def test_markers(self, X, y, make, marker):
        strings = np.array(["a", "b", "c"])[y].tolist()
        labels = make(strings, y)
        net = distil(unlabeled=marker).fit(X, labels, teacher_logits=np.zeros((N, C)))
        assert len(net.classes_) == C
        expected = net.score(X[self.known], list(labels)[:-20])
        assert net.score(X, labels) == expected
        assert clone(net).unlabeled is marker

    def test_a_marker_that_became_a_string_is_noticed(self, X):
        labels = np.array(["a", "b"] * 29 + [-1, -1])  # NumPy makes strings of all
        net = distil(unlabeled=-1)
        with pytest.raises(ValueError, match="dtype=object"):
            net.fit(X, labels, teacher_logits=np.zeros((N, 3)))

    def test_the_labels_term_ignores_them(self, X, y, table):
        """With alpha=0, rows without label change nothing, whatever they hold."""
        labels = self.mark(y)
        noise = X.copy()
        noise[-20:] = 100
        one, other = (
            full_batch(alpha=0, teacher=Forbidden(), unlabeled=-1).fit(x, labels)
            for x in (X, noise)
        )
        known = full_batch(teacher=None).fit(X[self.known], y[self.known])
        assert equal(state(one), state(other))
        assert close(state(one), state(known), rtol=1e-12)

    def test_the_teachers_term_uses_them(self, X, y, table):
        labels, changed = self.mark(y), table.copy()
        changed[-1] += [9, -9, 0]
        net = full_batch(alpha=0.5, unlabeled=-1)
        one = state(net.fit(X, labels, teacher_logits=table))
        other = state(net.fit(X, labels, teacher_logits=changed))
        assert not close(one, other)

    def test_each_term_is_the_mean_of_its_rows(self, X, y, table):
        labels = self.mark(y)

        def step(alpha):
            net = full_batch(alpha=alpha, unlabeled=-1)
            return state(net.fit(X, labels, teacher_logits=table))

        hard = state(full_batch().fit(X[self.known], y[self.known]))
        soft = state(full_batch(alpha=1).fit(X, y, teacher_logits=table))
        expected = [0.3 * h + 0.7 * s for h, s in zip(hard, soft, strict=True)]
        assert close(step(0.7), expected, rtol=1e-10)

    def test_also_beside_held_out_rows(self, X, y, table):
        """What is held out leaves the balance of the two terms as it is."""
        labels, split = self.mark(y), ValidSplit(4, stratified=False)
        net = full_batch(alpha=0.5, unlabeled=-1, train_split=split)
        both = state(net.fit(X, labels, teacher_logits=table))
        kept = np.r_[10 : N - 20]  # the first fourth of the labelled rows is held out
        rows = np.r_[kept, N - 20 : N]
        hard = state(full_batch().fit(X[kept], y[kept]))
        net.set_params(alpha=1, train_split=None, unlabeled=None)
        soft = state(net.fit(X[rows], y[rows], teacher_logits=table[rows]))
        expected = [(h + s) / 2 for h, s in zip(hard, soft, strict=True)]
        assert close(both, expected, rtol=1e-10)

    def test_they_take_no_part_in_class_weights(self, X, y, table):
        labels = self.mark(y)
        counts = np.bincount(y[self.known])
        weight = np.ones(N)
        weight[self.known] = ((N - 20) / C / counts)[y[self.known]]
        one = full_batch(unlabeled=-1, class_weight="balanced")
        other = full_batch(unlabeled=-1)
        one.fit(X, labels, teacher_logits=table)
        other.fit(X, labels, teacher_logits=table, sample_weight=weight)
        assert close(state(one), state(other), rtol=1e-12)

    def test_they_are_not_held_out(self, X, y, table):
        net = distil(unlabeled=-1, train_split=ValidSplit(4, stratified=True))
        net.fit(X, self.mark(y), teacher_logits=table)
        batches = net.history[-1]["batches"]
        assert sum(b.get("train_batch_size", 0) for b in batches) == N - 10
        assert sum(b.get("valid_batch_size", 0) for b in batches) == 10
        assert 0 < net.history[-1, "valid_loss"] < 5

    @pytest.mark.parametrize("use_caching", [True, False])
    @pytest.mark.parametrize("on_train", [True, False])
    def test_they_are_not_scored(self, X, y, table, use_caching, on_train):
        labels = self.mark(y)
        scoring = EpochScoring(
            "accuracy", on_train=on_train, use_caching=use_caching, name="acc"
        )
        net = distil(
            unlabeled=-1, callbacks=[scoring], lr=1e-9, train_split=ValidSplit(4)
        ).fit(X, labels, teacher_logits=table)
        train, valid = ValidSplit(4)(
            TensorDataset(torch.zeros(N - 20)), labels[self.known]
        )
        rows = (train if on_train else valid).indices
        expected = net.score(X[rows], y[rows])
        assert net.history[-1, "acc"] == pytest.approx(expected)

    def test_a_teacher_is_needed(self, X, y):
        with pytest.raises(ValueError, match=r"20 rows .* only a teacher"):
            distil(unlabeled=-1).fit(X, self.mark(y))

    def test_none_means_that_every_label_is_one(self, X):
        labels = np.where(X[:, 0] > 0, 1, -1)
        assert distil().fit(X, labels).classes_.tolist() == [-1, 1]

    def test_all_may_be_unlabelled(self, X, y, table):
        net = distil(unlabeled=-1, classes=[0, 1, 2], alpha=1, class_weight="balanced")
        net.fit(
            X, np.full(N, -1), teacher_logits=table, sample_weight=np.arange(N) * 1.0
        )
        assert set(net.predict(X)) <= {0, 1, 2}
        with pytest.raises(ValueError, match="nothing to score"):
            net.score(X, np.full(N, -1))

    def test_then_the_classes_must_be_declared(self, X):
        net = distil(unlabeled=-1)
        with pytest.raises(ValueError, match=r"pass classes="):
            net.fit(X, np.full(N, -1), teacher_logits=np.zeros((N, 2)))


class TestWeights:
    @pytest.mark.parametrize("alpha", [0, 0.5, 1])
    @pytest.mark.parametrize("student", [full_batch, distil], ids=["linear", "mlp"])
    def test_zero_is_absence(self, X, y, table, alpha, student):
        weight = np.ones(N)
        weight[::3] = 0
        kept = weight > 0
        params = {"alpha": alpha, "batch_size": -1}
        one = student(**params).fit(X, y, teacher_logits=table, sample_weight=weight)
        other = student(**params).fit(X[kept], y[kept], teacher_logits=table[kept])
        assert close(state(one), state(other), rtol=1e-6, atol=1e-9)
        assert not close(
            state(one), state(student(**params).fit(X, y, teacher_logits=table))
        )

    @pytest.mark.parametrize("alpha", [0, 0.5, 1])
    def test_an_integer_is_repetition(self, X, y, table, alpha):
        weight = np.random.RandomState(0).randint(1, 4, N)
        rows = np.repeat(np.arange(N), weight)
        net = full_batch(alpha=alpha)
        one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
        other = state(net.fit(X[rows], y[rows], teacher_logits=table[rows]))
        assert close(one, other, rtol=1e-10)

    @pytest.mark.parametrize("split", [None, ValidSplit(3)])
    def test_their_scale_does_not_matter(self, X, y, table, split):
        weight = np.random.RandomState(0).rand(N)
        net = full_batch(train_split=split)
        one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
        other = state(net.fit(X, y, teacher_logits=table, sample_weight=9 * weight))
        assert close(one, other, rtol=1e-12)
        same = state(net.fit(X, y, teacher_logits=table, sample_weight=np.full(N, 3)))
        assert close(same, state(net.fit(X, y, teacher_logits=table)), rtol=1e-12)

    def test_held_out_rows_do_not_count(self, X, y, table):
        split = ValidSplit(3)
        _, valid = split(TensorDataset(torch.zeros(N)), y)
        weight = np.ones(N)
        weight[valid.indices] = 50
        net = full_batch(train_split=split)
        one = state(net.fit(X, y, teacher_logits=table, sample_weight=weight))
        assert close(one, state(net.fit(X, y, teacher_logits=table)), rtol=1e-12)

    @pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]])
    def test_class_weights(self, X, y, table, labels):
        names = np.array(labels)
        given = np.random.RandomState(0).rand(N)
        by_class = {labels[0]: 1.0, labels[1]: 5.0, labels[2]: 0.5}
        weight = given * [by_class[labels[c]] for c in y]
        one = full_batch(class_weight=by_class)
        one.fit(X, names[y], teacher_logits=table, sample_weight=given)
        other = full_batch()
        other.fit(X, names[y], teacher_logits=table, sample_weight=weight)
        assert close(state(one), state(other), rtol=1e-12)

    def test_balanced_classes(self, X, y, table):
        weight = (N / C / np.bincount(y))[y]
        one = full_batch(class_weight="balanced").fit(X, y, teacher_logits=table)
        other = full_batch().fit(X, y, teacher_logits=table, sample_weight=weight)
        assert close(state(one), state(other), rtol=1e-12)

    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (np.zeros(N), "zero"),
            (-np.ones(N), "[Nn]egative"),
            (np.full(N, np.nan), "NaN"),
            (np.ones(N - 1), "sample_weight"),
        ],
    )
    def test_bad_weights_are_refused(self, X, y, weight, message):
        net = distil()
        with pytest.raises(ValueError, match=message):
            net.fit(X, y, sample_weight=weight)
        assert not net.initialized_

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"distillation": BatchLoss()}, "distillation=.*one loss for a batch"),
            ({"criterion": NoReduction}, "criterion=NoReduction.*one loss for a batch"),
            ({"criterion": IgnoresReduction}, "criterion=Ignores.*one loss for a"),
            ({"criterion__reduction": "sum"}, "criterion=CrossEntropyLoss.*one loss"),
            ({"criterion__weight": torch.ones(C)}, "class_weight="),
        ],
    )
    def test_losses_of_a_batch_cannot_weigh_its_rows(
        self, X, y, table, params, message
    ):
        template = MLP(n_classes=C, input_shape=(D,))
        net = distil(module=template, **params)
        with pytest.raises(ValueError, match=message):
            net.fit(X, y, teacher_logits=table, sample_weight=np.ones(N))
        assert not hasattr(net, "module_")  # no step was made
        net.fit(X, y, teacher_logits=table)  # without weights they are fine

    def test_the_criterion_is_given_back_its_reduction(self, X, y):
        net = distil().fit(X, y, sample_weight=np.ones(N))
        assert net.criterion_.reduction == "mean"

    def test_score_takes_them(self, X, y):
        net = distil().fit(X, y)
        right = net.predict(X) == y
        assert net.score(X, y, sample_weight=right + 1e-9) == pytest.approx(1)
        labels = y.copy()
        labels[-20:] = -1
        net.set_params(unlabeled=-1)
        assert net.score(X, labels, sample_weight=right + 1e-9) == pytest.approx(1)
        with pytest.raises(ValueError, match="sample_weight"):
            net.score(X, labels, sample_weight=np.ones(3))


class TestInputs:
    @pytest.mark.parametrize(
        ("dtype", "parameters"),
        [
            (np.float64, torch.float64),
            (np.float32, torch.float32),
            (np.float16, torch.float32),
            (np.int64, torch.float32),
            (np.uint8, torch.float32),
            (bool, torch.float32),
            (">f8", torch.float64),
        ],
    )
    def test_tables_of_any_dtype(self, X, y, forest, dtype, parameters):
        rows = (10 * np.abs(X)).astype(dtype)
        net = distil(teacher=forest).fit(rows, y)
        assert {p.dtype for p in net.module_.parameters()} == {parameters}
        assert net.predict_proba(rows).shape == (N, C)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
    def test_images_of_any_dtype(self, dtype):
        X = np.random.RandomState(0).randint(0, 255, (8, 1, 6, 6)).astype(dtype)
        net = distil().fit(X, np.arange(8) % 2)
        assert {p.dtype for p in net.module_.parameters()} == {torch.float32}
        assert net.n_features_in_ == 1
        assert net.input_shape_ == (1, 6, 6)
        with pytest.raises(
            ValueError, match=r"\(2, 1, 7, 6\), expected \(n, 1, 6, 6\)"
        ):
            net.predict(np.zeros((2, 1, 7, 6), dtype))
        with pytest.raises(ValueError, match=r"\(2, 3, 6, 6\)"):
            net.predict(np.zeros((2, 3, 6, 6), dtype))

    def test_bytes_stay_bytes_until_the_module(self):
        X = np.random.RandomState(0).randint(0, 255, (8, 3, 4, 4)).astype(np.uint8)
        net = distil(module=Seeing, module__log=[]).fit(X, np.arange(8) % 2)
        net.predict(X)
        assert {x.dtype for x in net.module_.log} == {torch.uint8}
        np.testing.assert_array_equal(net.module_.log[-1].numpy(), X)

    def test_float64_meets_a_module_of_float32(self, X, y):
        net = distil(module=Seeing, module__log=[]).fit(X, y)
        assert {x.dtype for x in net.module_.log} == {torch.float32}

    def test_half_precision_students_predict(self, X, y):
        class Half(MLP):
            def __init__(self, n_classes, input_shape):
                super().__init__(n_classes, input_shape)
                self.bfloat16()

        net = distil(module=Half).fit(X, y, teacher_logits=np.zeros((N, C)))
        p = net.predict_proba(X)
        assert p.dtype == np.float32
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)

    def test_lazy_layers(self, X, y, forest):
        net = distil(module=lambda n_classes: nn.LazyLinear(n_classes), max_epochs=1)
        before = net.set_params(lr=0.0).fit(X, y).module_.weight.clone()
        after = net.set_params(lr=0.1).fit(X, y).module_.weight
        assert (before - after).abs().max() > 0.01
        net.set_params(max_epochs=0, teacher=nn.Linear(D, C)).fit(X, y)

    def test_read_only_and_strided_arrays(self, X, y, forest):
        frozen = X.copy()
        frozen.flags.writeable = False
        expected = state(distil(teacher=forest).fit(X, y))
        assert equal(expected, state(distil(teacher=forest).fit(frozen, y)))
        fortran = np.asfortranarray(X)
        assert equal(expected, state(distil(teacher=forest).fit(fortran, y)))
        backwards = np.ascontiguousarray(X[::-1])[::-1]
        assert equal(expected, state(distil(teacher=forest).fit(backwards, y)))

    @pytest.mark.parametrize(
        ("rows", "error", "message"),
        [
            (np.zeros((N, 8, 8)), ValueError, r"X\[:, None\]"),
            (np.array(["a.png"] * N), ValueError, "ImageReader"),
            (["a.png"] * N, ValueError, "ImageReader"),
            ([["a.png"]] * N, ValueError, "ImageReader"),
            (pd.Series(["a.png"] * N), ValueError, "ImageReader"),
            (pd.DataFrame({"path": ["a.png"] * N}), ValueError, "ImageReader"),
            (np.full((N, D), np.nan), ValueError, "NaN"),
            (np.zeros(N), ValueError, "2D|1D"),
            (np.zeros((0, D)), ValueError, "0 sample"),
            (np.zeros((N, 0)), ValueError, "0 feature"),
        ],
        ids=stable_repr,
    )
    def test_what_is_no_table_and_no_image_is_refused(self, y, rows, error, message):
        net = distil()
        with pytest.raises(error, match=message):
            net.fit(rows, y)
        assert not net.initialized_

    def test_sparse_matrices_are_refused(self, X, y):
        from scipy import sparse

        for kind in (sparse.csr_matrix, sparse.coo_array, sparse.dok_array):
            with pytest.raises(TypeError, match="toarray"):
                distil().fit(kind(X), y)

    @pytest.mark.parametrize(
        ("module", "message"),
        [
            (nn.Linear(D + 1, C), "does not take rows of X"),
            (nn.Linear(D, C + 1), r"shape \(n, 4\), expected \(n, 3\)"),
            (nn.Sequential(nn.Linear(D, C), nn.Unflatten(1, (C, 1))), "expected"),
            (nn.Embedding(4, C), "does not take rows of X"),
        ],
    )
    def test_a_student_that_does_not_fit_is_refused(self, X, y, module, message):
        before = copy.deepcopy(module.state_dict())
        net = distil(module=module, teacher=Forbidden())
        with pytest.raises(ValueError, match=message):
            net.fit(X, y)
        assert equal(before.values(), module.state_dict().values())
        assert not hasattr(net, "module_")

    def test_a_student_that_returns_no_tensor_is_refused(self, X, y):
        class Strange(Echo):
            def forward(self, x):
                return {"out": super().forward(x)}

        with pytest.raises(TypeError, match="returns a dict"):
            distil(module=Strange).fit(X, y)

    def test_a_module_instance_is_a_template(self, X, y):
        template = nn.Linear(D, C)
        before = copy.deepcopy(template.state_dict())
        net = distil(module=template).fit(X, y)
        assert net.module_ is not template
        assert equal(before.values(), template.state_dict().values())
        assert not equal(state(net), [*before.values()])

    def test_a_factory_keeps_what_was_bound(self, X, y):
        from functools import partial

        net = distil(module=partial(MLP, hidden=(7,), n_classes=C)).fit(X, y)
        assert net.module_.body[1].out_features == 7
        net = distil(module=partial(MLP, n_classes=5))
        with pytest.raises(ValueError, match="expected"):
            net.fit(X, y)

    def test_what_a_factory_lacks_is_named(self, X, y):
        with pytest.raises(TypeError, match="module__<argument>"):
            distil(module=nn.Linear).fit(X, y)


class TestFeatures:
    def test_names_are_remembered_and_compared(self, X, y):
        frame = pd.DataFrame(X, columns=list("abcd"))
        teacher = LogisticRegression().fit(frame, y)
        net = distil(teacher=teacher, train_split=ValidSplit(3)).fit(frame, y)
        assert net.feature_names_in_.tolist() == list("abcd")
        net.predict(frame)
        with pytest.raises(ValueError, match="feature names"):
            net.predict(frame[list("dcba")])
        with pytest.warns(UserWarning, match="feature names"):
            net.predict(X)

    @pytest.mark.parametrize("use_caching", [True, False])
    def test_callbacks_predict_without_a_warning(self, X, y, use_caching):
        frame = pd.DataFrame(X, columns=list("abcd"))
        scoring = EpochScoring("accuracy", use_caching=use_caching, name="acc")
        net = distil(train_split=ValidSplit(3), callbacks=[scoring])
        net.fit(frame, pd.Series(y))
        assert net.history[-1, "acc"] == net.history[-1, "valid_acc"]

    def test_their_number_is_compared(self, X, y):
        net = distil().fit(X, y)
        assert net.n_features_in_ == D
        for wrong in (X[:, :2], torch.tensor(X[:, :2])):
            with pytest.raises(ValueError, match=r"2 features|shape \(2,\)"):
                net.predict(wrong)
        with pytest.raises(ValueError, match="features"):
            net.partial_fit(X[:, :2], y)

    def test_a_fit_forgets_those_of_the_last(self, X, y):
        net = distil(module=MLP, module__input_shape=(2,))
        net.set_params(module__input_shape=(D,)).fit(pd.DataFrame(X).add_prefix("a"), y)
        dataset = TensorDataset(torch.tensor(X[:, :2]), torch.tensor(y))
        net.set_params(module__input_shape=(2,)).fit(dataset, None)
        assert not hasattr(net, "feature_names_in_")
        assert net.predict(X[:, :2]).shape == (N,)


class TestSizes:
    def test_a_student_larger_than_its_teacher_warns(self, X, y):
        with pytest.warns(DistillationWarning, match="larger than its teacher") as seen:
            distil(teacher=nn.Linear(D, C)).fit(X, y)
        assert seen[0].filename == __file__

    def test_a_teacher_without_parameters_has_no_size(self, X, y, forest):
        distil(teacher=forest).fit(X, y)
        distil(teacher=lambda rows: np.zeros((len(rows), C))).fit(X, y)


class TestAugment:
    def test_student_and_teacher_see_the_same_view(self, X, y):
        views, asked = [], []

        def augment(x):
            views.append(x + torch.randn_like(x))
            return views[-1]

        def teacher(rows):
            asked.append(rows.copy())
            return np.zeros((len(rows), C))

        net = distil(
            module=Seeing,
            module__log=[],
            teacher=teacher,
            augment=augment,
            batch_size=25,
        ).fit(X, y)
        given = [x for x in net.module_.log if len(x) > 2]  # without the first check
        looked_at, *asked = asked
        np.testing.assert_array_equal(looked_at, X.astype(np.float32))
        assert len(given) == len(asked) == len(views) == 6
        for view, student_saw, teacher_saw in zip(views, given, asked, strict=True):
            assert torch.equal(view, student_saw)
            np.testing.assert_array_equal(view.numpy(), teacher_saw)

    def test_prediction_and_validation_see_no_view(self, X, y):
        views = []

        def augment(x):
            views.append(len(x))
            return x

        net = distil(augment=augment, train_split=ValidSplit(3), max_epochs=1)
        net.fit(X, y).predict(X)
        assert sum(views) == 40

    @pytest.mark.parametrize(
        ("params", "arguments"),
        [
            ({}, {"teacher_logits": np.zeros((N, C))}),
            ({}, {"teacher_X": np.zeros((N, 1))}),
            ({"teacher_cv": 3}, {}),
        ],
    )
    def test_targets_of_the_plain_rows_are_refused(self, X, y, params, arguments):
        net = distil(teacher=LogisticRegression(), augment=Noise(), **params)
        with pytest.raises(ValueError, match="augment="):
            net.fit(X, y, **arguments)

    def test_a_teacher_fitted_on_the_way_is_asked_live(self, X, y):
        net = distil(teacher=LogisticRegression(), teacher_cv=None, augment=Noise())
        net.fit(X, y)
        assert net.teacher_.score(X, y) > 0.8

    def test_what_cannot_be_called_is_refused(self, X, y):
        with pytest.raises(TypeError, match="expected a callable"):
            distil(augment="flip").fit(X, y)

    def test_weights_and_unlabelled_rows_go_with_it(self, X, y, forest):
        labels = np.where(np.arange(N) < 20, -1, y)
        net = distil(teacher=forest, augment=Noise(), unlabeled=-1)
        net.fit(X, labels, sample_weight=np.arange(N) + 1.0)
        assert net.history[-1, "train_loss"] > 0


class TestFailures:
    def test_an_unfitted_teacher_is_refused(self, X, y):
        with pytest.raises(NotFittedError, match="FrozenEstimator"):
            distil(teacher=LogisticRegression()).fit(X, y)

    @pytest.mark.parametrize(
        ("change", "labels"),
        [
            ({"temperature": -1}, None),
            ({"augment": 3}, None),
            ({}, np.zeros(3)),
        ],
        ids=stable_repr,
    )
    def test_a_failed_fit_leaves_the_teacher_alone(self, X, y, change, labels):
        net = distil(teacher=LogisticRegression(), teacher_cv=None).fit(X, y)
        taught_by = net.teacher_
        coefficients = taught_by.coef_.copy()
        net.set_params(**change)
        with pytest.raises((ValueError, TypeError)):
            net.fit(X, y if labels is None else labels)
        assert net.teacher_ is taught_by
        np.testing.assert_array_equal(taught_by.coef_, coefficients)
        assert net.teacher.__dict__.keys() == LogisticRegression().__dict__.keys()

    def test_an_interrupted_fit_keeps_what_was_learnt(self, X, y):
        calls = []

        def interrupt(x):
            calls.append(len(x))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return x

        torch.manual_seed(3)
        net = distil(augment=interrupt, batch_size=20, max_epochs=50).fit(X, y)
        assert torch.initial_seed() == 3
        assert len(calls) == 3
        assert net.predict(X).shape == (N,)

    def test_predict_before_fit(self, X):
        with pytest.raises(NotFittedError):
            distil().predict(X)

    def test_teacher_logits_of_another_shape(self, X, y):
        net = distil()
        for wrong in (np.zeros((N, 2)), np.zeros((N - 1, C)), np.zeros(N)):
            with pytest.raises(ValueError, match="teacher_logits has shape"):
                net.fit(X, y, teacher_logits=wrong)

    def test_teacher_logits_that_are_not_finite(self, X, y):
        with pytest.raises(ValueError, match=r"60 of 60 rows.*clip"):
            distil().fit(X, y, teacher_logits=np.full((N, C), -np.inf))


class TestCopies:
    @pytest.mark.parametrize(
        "copied",
        [
            lambda net: pickle.loads(pickle.dumps(net)),
            copy.deepcopy,
            copy.copy,
        ],
        ids=["pickle", "deepcopy", "copy"],
    )
    @pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, NoReduction])
    def test_they_predict_the_same(self, X, y, forest, copied, criterion):
        net = distil(teacher=forest, criterion=criterion).fit(X, y)
        twin = copied(net)
        np.testing.assert_array_equal(twin.predict_proba(X), net.predict_proba(X))
        assert twin.classes_.tolist() == net.classes_.tolist()
        net.partial_fit(X, y)
        assert equal(state(twin.partial_fit(X, y)), state(net)) or copied is copy.copy

    def test_clones_share_the_teacher_and_nothing_else(self, X, y, forest):
        net = distil(teacher=forest).fit(X, y)
        twin = clone(net)
        assert twin.teacher is forest
        assert not hasattr(twin, "module_")
        assert not hasattr(twin, "teacher_")

    @pytest.mark.parametrize(
        ("module", "criterion"),
        [(None, nn.CrossEntropyLoss), (EchoProbabilities, nn.NLLLoss)],
    )
    def test_a_trimmed_student_has_no_teacher(self, X, y, module, criterion):
        teacher = as_teacher(lambda rows: np.zeros((len(rows), C)))  # not picklable
        net = distil(
            module=module, teacher=teacher, criterion=criterion, augment=abs
        ).fit(X, np.array(["a", "b", "c"])[y])
        expected, labels = net.predict_proba(X), net.predict(X)
        net.trim_for_prediction()
        stored = pickle.dumps(net)
        twin = pickle.loads(stored)
        assert twin.teacher is None
        assert twin.teacher_ is None
        assert len(stored) < 20_000
        np.testing.assert_array_equal(twin.predict_proba(X), expected)
        np.testing.assert_array_equal(twin.predict(X), labels)
        repr(twin)


def test_the_defaults_are_silent_and_use_every_row(X, y, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = DistilledClassifier(max_epochs=1, batch_size=7).fit(X, y)
    assert capsys.readouterr().out == ""
    batches = net.history[-1]["batches"]
    assert sum(batch["train_batch_size"] for batch in batches) == N


@pytest.mark.parametrize("accelerator", [None, "mps", "cuda"])
def test_auto_takes_the_accelerator(monkeypatch, accelerator):
    found = None if accelerator is None else torch.device(accelerator)
    uncached = _modules.resolve_device.__wrapped__
    monkeypatch.setattr(skorch_classifier, "resolve_device", uncached)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    # As in torch 2.6, where it has no argument.
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: found)
    assert DistilledClassifier().device == (accelerator or "cpu")
    assert DistilledClassifier().get_params()["device"] == "auto"
