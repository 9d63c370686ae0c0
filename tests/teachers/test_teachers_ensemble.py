"""Lists of teachers: their mean by value, aligned by label, no member changed."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from oracles import ensemble
from scipy.special import logsumexp
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
X[142, 0] += 0.05  # it equals row 101, and equal rows are asked about once
X32 = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])


class Says:
    """A callable with logits of its own and a dtype, which counts its calls."""

    def __init__(self, seed, dtype=np.float64, n=7):
        self.z = np.random.default_rng(seed).normal(0, 5, (n, 4)).astype(dtype)
        self.calls = 0

    def __call__(self, X):
        self.calls += 1
        return self.z[np.asarray(X, int).ravel()]


INDEX = np.arange(7)[:, None]
COLUMNS = np.arange(4)


def log_softmax(z):
    return z - logsumexp(z, axis=1, keepdims=True)


# --- Weights and temperatures ---------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [1, 3, 2], (0.0, 2.0, 1.0), [0, 0, 5]])
@pytest.mark.parametrize(
    "temperatures", [None, [1, 1, 1], [0.25, 4, 20], np.array([2.0, 1.0, 0.5])]
)
@pytest.mark.parametrize("average", ["proba", "logits"])
def test_by_value(weights, temperatures, average):
    members = [Says(i) for i in range(3)]
    options = {"weights": weights, "temperatures": temperatures, "average": average}
    got = as_teacher(members, **options).logits(INDEX, COLUMNS)
    expected = ensemble([m.z for m in members], **options)
    assert got.dtype == np.float64
    if average == "proba":  # what an ensemble says is a distribution
        assert_allclose(np.exp(got).sum(axis=1), 1, rtol=1e-12)
    assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("average", ["proba", "logits"])
@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((np.float32, np.float32), np.float32),
        ((np.float32, np.float64), np.float64),
        ((np.float64, np.float32), np.float64),
        ((np.int64, np.float32), np.float32),
    ],
)
def test_dtypes(dtypes, expected, average):
    members = [Says(i, dtype) for i, dtype in enumerate(dtypes)]
    options = {"weights": [1, 2], "temperatures": [3, 0.7], "average": average}
    got = as_teacher(members, **options).logits(INDEX, COLUMNS)
    assert got.dtype == expected
    by_hand = ensemble([m.z for m in members], **options)
    assert_allclose(got, by_hand, rtol=1e-5, atol=2e-5)


def test_far_logits_do_not_underflow():
    members = [Says(0), Says(1)]
    members[0].z *= 1e4
    got = as_teacher(members, temperatures=[2, 3]).logits(INDEX, COLUMNS)
    assert np.isfinite(got).all()
    z = [m.z for m in members]
    assert_allclose(got, ensemble(z, temperatures=[2, 3]), rtol=1e-10)


def test_of_probabilities_a_temperature_is_a_power():
    forest = RandomForestClassifier(5, max_depth=2, random_state=0).fit(X, y)
    bayes = GaussianNB().fit(X, y)
    got = as_teacher([forest, bayes], temperatures=[2, 5]).logits(X, [0, 1, 2])
    eps = np.finfo(float).eps
    p = [np.clip(t.predict_proba(X), eps, None) for t in (forest, bayes)]
    p = [p[0] ** (1 / 2), p[1] ** (1 / 5)]
    mean = sum(q / q.sum(axis=1, keepdims=True) for q in p) / 2
    assert_allclose(got, np.log(mean), rtol=1e-10)


def test_a_temperature_of_a_list_in_a_list_is_of_its_mean():
    one, two, three = (Says(i) for i in range(3))
    nested = as_teacher([as_teacher([one, two], weights=[3, 1]), three])
    outer = as_teacher([[one, two], three], temperatures=[4, 1], weights=[2, 1])
    inner = ensemble([one.z, two.z], weights=[3, 1])
    assert_allclose(nested.logits(INDEX, COLUMNS), ensemble([inner, three.z]))
    inner = ensemble([one.z, two.z])
    expected = ensemble([inner, three.z], temperatures=[4, 1], weights=[2, 1])
    assert_allclose(outer.logits(INDEX, COLUMNS), expected)


def test_one_that_weighs_nothing_is_not_run_but_checked():
    members = [Says(0), Says(1), Says(2)]
    members[1].z[:] = np.nan
    teacher = as_teacher(members, weights=[1, 0, 1], average="logits")
    got = teacher.logits(INDEX, COLUMNS)
    assert_allclose(got, (members[0].z + members[2].z) / 2)
    assert [m.calls for m in members] == [1, 0, 1]
    stranger = GaussianNB().fit(X, NAMES[y])
    with pytest.raises(ValueError, match="does not know the classes"):
        as_teacher([members[0], stranger], weights=[1, 0]).check([0, 1, 2])


def test_the_students_temperature_applies_to_the_mean():
    teachers = [LogisticRegression(C=c, max_iter=5000).fit(X, y) for c in (0.01, 100)]
    seen = []

    def spy(student, teacher, y, temperature):
        seen.append((teacher.numpy().copy(), temperature))
        return student.sum(dim=1)

    DistilledClassifier(
        teacher=as_teacher(teachers, temperatures=[1, 3]),
        distillation=spy,
        temperature=7.0,
        max_epochs=1,
        batch_size=-1,
        iterator_train__shuffle=False,
        module__hidden=(),
    ).fit(X, y)
    ((logits, temperature),) = seen
    least = np.log(np.finfo(float).eps)  # a zero is taken for rare
    z = [np.maximum(t.predict_log_proba(X), least) for t in teachers]
    assert_allclose(logits, ensemble(z, temperatures=[1, 3]), rtol=1e-5, atol=1e-5)
    assert temperature == 7.0


@pytest.mark.parametrize(
    "values", [[1], [1, 1, 1], 2, [[1, 1]], [-1, 2], [np.nan, 1], [np.inf, 1], "ab"]
)
@pytest.mark.parametrize("option", ["weights", "temperatures"])
def test_numbers_that_are_not_one_for_each(option, values):
    with pytest.raises(ValueError, match=rf"{option}=.*expected 2 .*one for each"):
        as_teacher([Says(0), Says(1)], **{option: values})


def test_zeros():
    members = [Says(0), Says(1)]
    with pytest.raises(ValueError, match="not all zero"):
        as_teacher(members, weights=[0, 0])
    with pytest.raises(ValueError, match=r"temperatures=\[0, 1\].*above 0.*softens"):
        as_teacher(members, temperatures=[0, 1])


@pytest.mark.parametrize("option", ["weights", "temperatures"])
def test_one_teacher_has_no_use_for_them(option):
    with pytest.raises(ValueError, match=rf"{option}=\[2\]: expected a list.*got Says"):
        as_teacher(Says(0), **{option: [2]})
    with pytest.raises(ValueError, match="Teacher already"):
        as_teacher(as_teacher([Says(0)]), **{option: [2]})


def test_another_temperature_is_another_teacher_to_the_memory():
    members = [GaussianNB().fit(X, y), LogisticRegression(max_iter=5000).fit(X, y)]

    def computed(**options):
        teacher = as_teacher(members, **options)
        student = DistilledClassifier(teacher=teacher, max_epochs=1, module__hidden=())
        return student.fit(X, y).cache_info_.misses

    every = [computed(), computed(temperatures=[1, 2]), computed(temperatures=[2, 1])]
    assert every == [150, 150, 150]
    assert computed(temperatures=[1, 2]) == 0
    assert computed(temperatures=(1.0, 2.0)) == 0


# --- Teachers of different kinds ------------------------------------------------------


class Linear:
    """A callable teacher of ``columns``."""

    def __init__(self, columns):
        self.weight = np.random.default_rng(1).normal(size=(4, 3))[:, columns]

    def __call__(self, rows):
        return np.asarray(rows) @ self.weight


def network(seed):
    """Return a module as people leave them: in train mode, a part of it frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
        )
        module(torch.randn(64, 4))
    module[0].weight.requires_grad_(False)
    module[2].eval()
    return module


def skorch_net():
    net = NeuralNetClassifier(
        network(0), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0, lr=0.01
    )
    net.set_params(train_split=None)
    with torch.random.fork_rng():
        return net.fit(X32, y)


def outputs(module):
    """Return what a module says in eval mode, its modes put back: (n, 3)."""
    twin = pickle.loads(pickle.dumps(module)).eval()
    with torch.no_grad():
        return twin(torch.from_numpy(X32)).double().numpy()


def different_kinds():
    """Return teachers, each with its own order, and their logits in that of NAMES.

    For orders ``o`` column ``i`` of the teacher is class ``NAMES[o[i]]``.
    """
    net, module = skorch_net(), network(1)
    # Names that sort otherwise than the numbers of their classes.
    forest = RandomForestClassifier(4, max_depth=2, random_state=0).fit(X, NAMES[y])
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, 2 - y)
    bayes = GaussianNB().fit(X[::2], NAMES[y[::2]])
    function, of_list = Linear([0, 1, 2]), Linear([2, 0, 1])
    eps = np.finfo(float).eps
    log_p = [
        np.log(np.clip(t.predict_proba(X), eps, None))
        for t in (forest, pipeline, bayes)
    ]
    inner = ensemble([log_p[2], X @ of_list.weight[:, [2, 0, 1]]])
    inverse = [2, 0, 1]  # where the names are, in the order NAMES[[1, 2, 0]]
    members = [
        (as_teacher(net, classes=NAMES), outputs(net.module_)),
        (as_teacher(module, classes=NAMES[[1, 2, 0]]), outputs(module)[:, inverse]),
        (forest, log_p[0]),
        (as_teacher(pipeline, classes=NAMES[::-1]), log_p[1][:, ::-1]),
        (as_teacher(function, classes=list(NAMES)), X @ function.weight),
        ([bayes, as_teacher(of_list, classes=NAMES[[1, 2, 0]])], inner),
    ]
    raw = [net.module_, module, forest, pipeline, function, bayes, of_list]
    return members, raw, net


def snapshot(raw, net):
    """Return all of the teachers, down to the bit."""
    states = []
    for model in raw:
        if isinstance(model, nn.Module):
            tensors = {k: v.numpy().tobytes() for k, v in model.state_dict().items()}
            modes = [part.training for part in model.modules()]
            grads = [(p.requires_grad, p.grad is None) for p in model.parameters()]
            states.append((tensors, modes, grads))
        else:
            states.append(pickle.dumps(model))
    optimizer = net.optimizer_.state_dict()
    return [*states, str(optimizer), len(net.history), net.criterion_.training]


@pytest.mark.parametrize("order", [None, [2, 0, 1], [1, 0, 2]])
@pytest.mark.parametrize("average", ["proba", "logits"])
def test_different_kinds_are_aligned_by_label(order, average):
    members, raw, net = different_kinds()
    teachers, logits = zip(*members, strict=True)
    before = snapshot(raw, net)
    order = [0, 1, 2] if order is None else order
    options = {"weights": [1, 2, 0, 4, 5, 6], "temperatures": [1, 2, 3, 0.5, 4, 1]}
    teacher = as_teacher(list(teachers), average=average, **options)
    got = teacher.logits(X, NAMES[order])
    expected = ensemble(logits, average=average, **options)[:, order]
    assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
    # And each alone, since a mean may hide an exchange.
    for member, alone in members:
        said = as_teacher(member).logits(X, NAMES[order])
        assert_allclose(
            log_softmax(said), log_softmax(alone)[:, order], rtol=1e-4, atol=1e-4
        )
    assert snapshot(raw, net) == before


@pytest.mark.filterwarnings(r"ignore:\[train-mode\]:skkd.TeacherWarning")
@pytest.mark.parametrize("augmented", [False, True])
def test_different_kinds_teach_and_stay_as_they_are(augmented):
    members, raw, net = different_kinds()
    before = snapshot(raw, net)
    student = DistilledClassifier(
        teacher=[teacher for teacher, _ in members],
        augment=torch.clone if augmented else None,
        alpha=1.0,
        temperature=1.0,
        max_epochs=60,
        lr=0.05,
        random_state=0,
        device="cpu",
    )
    student.fit(X32, NAMES[y])
    assert snapshot(raw, net) == before
    mean = ensemble([z for _, z in members])
    # Taught by the teachers alone, it says what they say, under the same names.
    assert np.mean(student.predict(X32) == NAMES[mean.argmax(axis=1)]) > 0.95
    assert_array_equal(student.classes_, NAMES)
