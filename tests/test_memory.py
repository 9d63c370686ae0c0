"""Logits that are remembered: one pass over the data, and never a stale row."""

import copy
import os
import pickle
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit
from skorch.helper import SliceDataset, SliceDict
from torch import nn
from torch.utils.data import TensorDataset

from skkd import DistillationWarning, DistilledClassifier
from skkd._store.disk import _digest
from skkd._store.process import Segment, checksums
from skkd.augment import RandomCrop, RandomHorizontalFlip
from skkd.memory import CacheInfo, LogitMemory, clear_cache
from skkd.memory import _logits as memory
from skkd.search import pruned_cross_val_score
from skkd.students import MLP
from skkd.teachers import as_teacher

# Teachers in here are asked, counted and remembered; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes|not-probabilities)\]:skkd.TeacherWarning"
)

X, y = load_iris(return_X_y=True)
DISTINCT = 149  # rows 101 and 142 are equal
ASKED = []


class Counted(nn.Module):
    """A network that leaves a mark outside itself whenever it is asked."""

    def __init__(self, n_out=3, n_in=4):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.normed = nn.BatchNorm1d(n_out)
        self.scale, self.plain = 1.0, torch.ones(1)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear.reset_parameters()

    def forward(self, x):
        ASKED.append(len(x))
        x = self.linear(x.float().flatten(1))
        return self.scale * self.plain * self.normed(x)


class CountedNB(GaussianNB):
    def predict_proba(self, X):
        ASKED.append(len(X))
        return super().predict_proba(X)


class CountedObject:
    def __init__(self, scale=1.0):
        self.scale = scale

    def __call__(self, rows):
        ASKED.append(len(rows))
        return self.scale * np.asarray(rows)[:, :3]


class LoggedNB(GaussianNB):
    """Writes to a file how many rows it was asked about, from any process."""

    def predict_proba(self, X):
        line = os.open(self.log_, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(line, f"{len(X)}\n".encode())
        os.close(line)
        return super().predict_proba(X)


def counted_function(rows):
    ASKED.append(len(rows))
    return np.asarray(rows)[:, :3]


def nb():
    return CountedNB().fit(X, y)


def student(teacher, **params):
    """Return the smallest student, quick to train."""
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    if "module" not in params:
        params = {"module": MLP, "module__hidden": (), **params}
    return DistilledClassifier(teacher=teacher, **params)


def asked(work):
    """Return how many rows the teacher was asked about while `work` was done."""
    ASKED.clear()
    work()
    return sum(ASKED)


def taught(teacher, rows=X, labels=y, fit_params=None, **params):
    """Return the logits that a student is taught, and what was asked: (n, c), pass."""
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.append(teacher_logits.numpy().copy())
        return student_logits.sum(dim=1)

    whole = {"batch_size": -1, "iterator_train__shuffle": False}
    est = student(teacher, distillation=spy, **whole, **params)
    est.fit(rows, labels, **(fit_params or {}))
    return seen[0], est.cache_info_


def fresh(teacher, rows=X, labels=y, **params):
    """Return the logits that are right, and nothing else."""
    return taught(teacher, rows, labels, **{**params, "memory": False})[0]


@pytest.fixture(params=["process", "folder"])
def place(request, tmp_path):
    """Where to remember: each test of it runs with both."""
    return None if request.param == "process" else str(tmp_path / "memory")


# --- One pass -----------------------------------------------------------------------


def test_equal_rows_are_asked_about_once(place):
    est = student(nb(), memory=place)
    assert asked(lambda: est.fit(X, y)) == DISTINCT
    done = est.cache_info_
    assert isinstance(done, CacheInfo)
    assert done[:3] == (DISTINCT, 1, 0)
    assert done.note == ""
    assert done.nbytes >= DISTINCT * (16 + 12 + 8)
    assert asked(lambda: est.fit(X, y)) == 0
    assert est.cache_info_[:3] == (0, 150, 0)


def test_grid_search_is_one_pass(place):
    est = student(nb(), memory=place)
    grid = {"temperature": [1, 2, 4], "alpha": [0.0, 0.5, 1]}
    grid = GridSearchCV(est, grid, cv=3, error_score="raise")
    assert asked(lambda: grid.fit(X, y)) == DISTINCT
    assert grid.best_estimator_.cache_info_.misses == 0


def test_searches_give_what_they_gave_without_memory(place):
    grid = {"temperature": [1, 4], "alpha": [0.5, 1]}
    scores = [
        GridSearchCV(student(nb(), memory=m), grid, cv=3).fit(X, y).cv_results_
        for m in (False, place, place)
    ]
    for one in scores[1:]:
        assert_array_equal(one["mean_test_score"], scores[0]["mean_test_score"])


def test_cross_validation_and_repeats_are_one_pass(place):
    est = student(nb(), memory=place)

    def work():
        cross_val_score(est, X, y, cv=5)
        cross_val_score(est, X, y, cv=3)
        for seed in range(3):
            clone(est).set_params(random_state=seed, module__hidden=(4,)).fit(X, y)

    assert asked(work) == DISTINCT


def test_optuna_trials_are_one_pass(place):
    est, passes = student(nb(), memory=place), []

    def objective(trial):
        one = clone(est).set_params(temperature=trial.suggest_float("T", 1, 8))
        score = pruned_cross_val_score(one, X, y, trial, cv=3).mean()
        passes.append(one.fit(X, y).cache_info_.misses)
        return score

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    assert asked(lambda: study.optimize(objective, n_trials=3)) == DISTINCT
    assert passes == [0, 0, 0]


def test_partial_fit_and_warm_start():
    est = student(nb(), warm_start=True)
    assert asked(lambda: est.partial_fit(X[:75], y[:75], classes=[0, 1, 2])) == 75
    assert asked(lambda: est.partial_fit(X, y)) == DISTINCT - 75
    assert asked(lambda: est.fit(X, y)) == 0


def test_bootstraps_and_permutations(place):
    rng = np.random.default_rng(0)
    est, total = student(nb(), memory=place), 0
    for _ in range(4):
        rows = rng.integers(150, size=150)
        total += asked(lambda rows=rows: est.fit(X[rows], y[rows]))
        assert est.cache_info_.misses + est.cache_info_.hits == 150
        got, _ = taught(nb(), X[rows], y[rows], memory=place)
        assert_array_equal(got, fresh(nb(), X[rows], y[rows]))
    assert total <= DISTINCT


def test_two_teachers_have_rows_of_their_own(place):
    one, other = nb(), CountedNB(var_smoothing=0.1).fit(X, y)
    for _ in range(2):
        for teacher in (one, other):
            got, _ = taught(teacher, memory=place)
            assert_array_equal(got, fresh(teacher))
    assert (fresh(one) != fresh(other)).any()


WORDS = np.array(["red", "green", "blue"])[y]
FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "d": X[:, 3]})
MIXED = FRAME.assign(word=WORDS, kind=pd.Categorical(WORDS))


def pipeline_of_words():
    encoded = make_column_transformer(
        (OneHotEncoder(), ["word", "kind"]), remainder="passthrough"
    )
    return make_pipeline(encoded, CountedNB()).fit(MIXED, y)


def lengths(texts):
    return np.array([[len(text), text.count("e"), ord(text[0])] for text in texts])


FORMS = {
    "array": (nb, X, {}),
    "float32": (nb, X.astype("f"), {}),
    "list": (nb, X.tolist(), {}),
    "frame": (lambda: CountedNB().fit(FRAME, y), FRAME, {}),
    "strings": (pipeline_of_words, X, {"teacher_X": MIXED}),
    "texts": (
        lambda: make_pipeline(FunctionTransformer(lengths), CountedNB()).fit(WORDS, y),
        X,
        {"teacher_X": WORDS.tolist()},
    ),
    "sparse": (
        lambda: make_pipeline(
            StandardScaler(with_mean=False), Dense(), CountedNB()
        ).fit(sp.csr_matrix(X), y),
        X,
        {"teacher_X": sp.csr_matrix(X)},
    ),
    "dataset": (Counted, TensorDataset(torch.tensor(X), torch.tensor(y)), {}),
    "slices": (
        Counted,
        SliceDataset(TensorDataset(torch.tensor(X), torch.tensor(y))),
        {},
    ),
    "mapping": (lambda: ByName(), {"a": X[:, :2], "b": X[:, 2:]}, {}),
    "images": (
        lambda: Counted(n_in=16),
        (X * 30).astype(np.uint8)[:, :, None, None] * np.ones((2, 2), np.uint8),
        {},
    ),
    "tensor": (Counted, torch.tensor(X), {}),
}


class Dense(FunctionTransformer):
    def transform(self, X):
        return X.toarray()


class ByNameStudent(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, a, b):
        return self.linear(torch.cat([a, b], dim=1).float())


class ByName(nn.Module):
    def __init__(self):
        super().__init__()
        self.counted = Counted()

    def forward(self, a, b):
        return self.counted(torch.cat([a, b], dim=1))


@pytest.mark.parametrize("form", FORMS)
def test_rows_in_all_forms(form):
    make, rows, beside = FORMS[form]
    teacher = make()
    params = {}
    if form == "mapping":
        params = {**params, "module": ByNameStudent}
    labels = None if form == "dataset" else y
    wanted = fresh(teacher, rows, labels, fit_params=beside, **{**params})
    got, first = taught(teacher, rows, labels, beside, **params)
    assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
    assert first.note == ""
    again, second = taught(teacher, rows, labels, beside, **params)
    assert_array_equal(again, got)
    assert second.misses == 0
    distinct = len(np.unique(np.asarray(wanted).round(4), axis=0))
    assert distinct - 2 <= first.misses <= DISTINCT
    if form == "dataset":
        return
    # Slices of it are the same rows.
    if form == "mapping":
        rows = SliceDict(**rows)
    grid = GridSearchCV(
        student(teacher, **params), {"alpha": [0.5, 1]}, cv=3, error_score="raise"
    )
    assert asked(lambda: grid.fit(rows, y, **beside)) == 0


def brightness(paths):
    return np.array([[np.asarray(Image.open(path)).mean()] for path in paths])


def test_a_file_that_changes_is_asked_about_again(tmp_path, place):
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for i, path in enumerate(paths):
        Image.new("L", (2, 2), 40 * i).save(path)
    labels = np.array([0, 0, 0, 1, 1, 1])
    teacher = make_pipeline(FunctionTransformer(brightness), CountedNB())
    teacher.fit(paths, labels)
    beside = {"teacher_X": paths}
    rows = X[:6]
    before, first = taught(teacher, rows, labels, beside, memory=place)
    Image.new("L", (2, 2), 17).save(paths[4])
    after, second = taught(teacher, rows, labels, beside, memory=place)
    assert (first.misses, second.misses) == (6, 1)
    assert (before != after).any(axis=1).tolist() == [False] * 4 + [True, False]
    assert_array_equal(after, fresh(teacher, rows, labels, fit_params=beside))


# --- Never a stale row --------------------------------------------------------------


def double_output(module, args, output):
    return 2 * output


def redefined(net, sign):
    """Give `net` a class of the same name with other code."""
    space = {"Counted": Counted, "__name__": "notebook"}
    exec(
        "class Net(Counted):\n"
        "    def forward(self, x):\n"
        f"        return {sign}super(Net, self).forward(x)",
        space,
    )
    net.__class__ = space["Net"]
    return net


def skorch_net():
    net = NeuralNetClassifier(Counted(), criterion=nn.CrossEntropyLoss, verbose=0)
    return net.initialize()


CHANGES = {
    "weight": (Counted, lambda t: t.linear.weight.data.mul_(2)),
    "weight-bit": (
        Counted,
        lambda t: t.linear.bias.data.view(torch.int32)[0].bitwise_xor_(1 << 22),
    ),
    "buffer": (Counted, lambda t: t.normed.running_mean.add_(1)),
    "plain-tensor": (Counted, lambda t: t.plain.mul_(2)),
    "attribute": (Counted, lambda t: setattr(t, "scale", 3.0)),
    "hook": (Counted, lambda t: t.register_forward_hook(double_output)),
    "class": (lambda: redefined(Counted(), ""), lambda t: redefined(t, "-")),
    "skorch": (skorch_net, lambda t: t.module_.linear.weight.data.mul_(2)),
    "sklearn-refit": (nb, lambda t: t.fit(X + y[:, None], y)),
    "pipeline-refit": (
        lambda: make_pipeline(StandardScaler(), CountedNB()).fit(X, y),
        lambda t: t[0].fit(X * 2),
    ),
    "list": (lambda: [nb(), Counted()], lambda t: t[1].linear.weight.data.mul_(2)),
    "weights": (
        lambda: as_teacher([nb(), Counted()], weights=[1, 1]),
        lambda t: t.weights.__setitem__(0, 0.9),
    ),
    "average": (
        lambda: as_teacher([nb(), Counted()]),
        lambda t: setattr(t, "average", "logits"),
    ),
    "classes": (
        lambda: as_teacher(Counted(), classes=[0, 1, 2]),
        lambda t: setattr(t, "classes", [2, 1, 0]),
    ),
    "output": (
        lambda: as_teacher(LogisticRegression(max_iter=500).fit(X, y), output="logits"),
        lambda t: setattr(t, "output", "proba"),
    ),
    "object": (CountedObject, lambda t: setattr(t, "scale", 2.0)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_teacher_that_changes_is_asked_again(kind, place):
    make, change = CHANGES[kind]
    teacher = make()
    est = student(teacher, memory=place)
    before = fresh(teacher)
    got, first = taught(teacher, memory=place)
    assert_array_equal(got, before)
    assert first.misses == DISTINCT
    # Temperature, alpha, seed and student are none of its business.
    est.set_params(temperature=1, alpha=0.9, lr=0.1, random_state=1)
    assert est.fit(X, y).cache_info_.misses == 0
    if kind != "class":  # pickle would not find it
        twin = pickle.loads(pickle.dumps(teacher))
        assert student(twin, memory=place).fit(X, y).cache_info_.misses == 0
    change(teacher)
    changed, second = taught(teacher, memory=place)
    assert second.misses == DISTINCT
    assert_array_equal(changed, fresh(teacher))
    assert (changed != before).any()


def test_what_changes_back_is_known_again(place):
    teacher = Counted()
    before, _ = taught(teacher, memory=place)
    teacher.linear.weight.data.mul_(2)
    taught(teacher, memory=place)
    teacher.linear.weight.data.div_(2)
    again, done = taught(teacher, memory=place)
    assert done.misses == 0
    assert_array_equal(again, before)


def test_a_teacher_that_goes_on_training(place):
    net = skorch_net().set_params(train_split=None, max_epochs=1)
    for _ in range(3):
        net.partial_fit(X.astype("f"), y)
        got, done = taught(net, memory=place)
        assert done.misses == DISTINCT
        assert_array_equal(got, fresh(net))


def test_classes_of_the_student_in_another_order(place):
    for order in ([0, 1, 2], [2, 0, 1], [0, 1, 2]):
        got, _ = taught(nb(), classes=order, memory=place)
        assert_array_equal(got, fresh(nb(), classes=order))
    names = np.array(["a", "b", "c"])
    teacher = CountedNB().fit(X, names[y])
    got, done = taught(teacher, X, names[y], memory=place)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(teacher, X, names[y]))


def test_folds_that_lack_a_class(place):
    teacher = as_teacher(nb(), extra_classes="drop")
    for part in (y < 2, y > 0, y < 3):
        got, _ = taught(teacher, X[part], y[part], memory=place)
        assert_array_equal(got, fresh(teacher, X[part], y[part]))


def test_rows_of_its_own(place):
    for rows in (X, X[:, ::-1].copy(), -X, X.astype("f")):
        beside = {"teacher_X": rows}
        got, done = taught(nb(), X, y, beside, memory=place)
        assert done.misses == DISTINCT
        assert_array_equal(got, fresh(nb(), X, y, fit_params=beside))


def test_one_bit_of_one_row(place):
    rows = X.copy()
    taught(nb(), rows, memory=place)
    rows.view(np.int64)[7, 2] ^= 1 << 51
    got, done = taught(nb(), rows, memory=place)
    assert done.misses == 1
    assert_array_equal(got, fresh(nb(), rows))


def test_dtypes_of_rows(place):
    class Kind(CountedObject):
        def __call__(self, rows):
            rows = np.asarray(rows)
            signs = np.signbit(rows[:, :3].astype(float))
            return signs + float(rows.dtype.num)

    zero = np.zeros((6, 4))
    labels = [0, 1, 2] * 2
    for rows in (zero, -zero, zero.astype("f"), zero.astype("u1"), zero.astype("i1")):
        got, done = taught(Kind(), rows, labels, memory=place)
        assert done.misses == 1
        assert_array_equal(got, fresh(Kind(), rows, labels))


def test_names_of_columns_that_change_places(place):
    teacher = make_pipeline(
        make_column_transformer(("passthrough", ["c", "a"])), CountedNB()
    ).fit(FRAME, y)
    renamed = FRAME.set_axis([*"cbad"], axis=1)
    for rows in (FRAME, renamed):
        got, _ = taught(teacher, rows, memory=place)
        assert_array_equal(got, fresh(teacher, rows))


def test_the_teacher_and_all_random_states_are_left_alone(place):
    teacher = Counted()
    teacher.normed.eval()
    before = pickle.dumps(teacher), copy.deepcopy(teacher.state_dict())
    modes = [part.training for part in teacher.modules()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    for one in (place, LogitMemory(place, verify=5), LogitMemory(place, top_k=2)):
        student(teacher, memory=one).fit(X, y)
        student(teacher, memory=one).fit(X, y)
    assert pickle.dumps(teacher) == before[0]
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[1][name])
    assert [part.training for part in teacher.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])


def test_students_are_the_same_bit_for_bit(place):
    # Rows that are remembered draw no random numbers that others would have drawn.
    plain = student(Counted(), memory=False, max_epochs=3).fit(X, y).predict_proba(X)
    for m in (place, place, LogitMemory(place, verify=3)):
        est = student(Counted(), memory=m, max_epochs=3).fit(X, y)
        assert_allclose(est.predict_proba(X), plain, rtol=1e-5)
    again = student(Counted(), memory=place, max_epochs=3).fit(X, y)
    assert_array_equal(again.predict_proba(X), est.predict_proba(X))


# --- Where nothing is remembered ----------------------------------------------------


def test_memory_false_remembers_nothing():
    est = student(nb(), memory=False)
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [150, 150]
    assert est.cache_info_ == CacheInfo(150)
    # Not even for others.
    assert asked(lambda: student(nb()).fit(X, y)) == DISTINCT


@pytest.mark.parametrize("m", ["path", None, False, LogitMemory()])
def test_alpha_zero_asks_and_leaves_nothing(m, tmp_path):
    m = str(tmp_path / "memory") if m == "path" else m
    est = student(nb(), memory=m, alpha=0)
    assert asked(lambda: est.fit(X, y)) == 0
    assert est.cache_info_ == CacheInfo()
    assert not list(tmp_path.iterdir())
    est = student(None, memory=m).fit(X, y)
    assert est.cache_info_ == CacheInfo()
    given = student(nb(), memory=m).fit(X, y, teacher_logits=np.zeros((150, 3)))
    assert given.cache_info_ == CacheInfo()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_clones_are_others_at_every_fit(teacher_cv, tmp_path):
    est = student(CountedNB(), teacher_cv=teacher_cv, memory=str(tmp_path))
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [150, 150]
    assert est.cache_info_.misses == 150
    assert not list(tmp_path.iterdir())


def test_functions_are_asked_in_each_fit(tmp_path):
    for teacher in (counted_function, lambda rows: counted_function(rows)):
        est = student(teacher)
        assert [asked(lambda est=est: est.fit(X, y)) for _ in range(2)] == [150, 150]
        assert est.cache_info_.misses == 150
        assert "is a function, known by its name" in est.cache_info_.note
        for one in (teacher, [teacher, nb()]):
            for m in (str(tmp_path), LogitMemory(), joblib.Memory(None)):
                with pytest.raises(
                    ValueError, match="is a function, known by its name"
                ):
                    student(one, memory=m).fit(X, y)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["A", "stream"])  # before and behind the weights
def test_what_cannot_be_pickled_is_asked_in_each_fit(name, tmp_path):
    teacher = Counted()
    setattr(teacher, name, threading.Lock())
    est = student(teacher)
    assert [asked(lambda: est.fit(X, y)) for _ in range(2)] == [150, 150]
    assert "memory= cannot tell" in est.cache_info_.note
    with pytest.raises(ValueError, match="memory= cannot tell"):
        student(teacher, memory=str(tmp_path)).fit(X, y)


def test_rows_that_cannot_be_told_are_asked_about_in_each_fit(tmp_path):
    class Strange(list):
        pass

    rows = Strange((i for i in "ab") for _ in range(150))
    teacher = CountedNB().fit(X, y)
    est = student(make_pipeline(FunctionTransformer(ignore_rows), teacher))
    for _ in range(2):
        assert asked(lambda: est.fit(X, y, teacher_X=rows)) == 150
    assert est.cache_info_.note


def ignore_rows(rows):
    return X


# --- The memory of this process -----------------------------------------------------


def test_forget():
    est = student(nb())
    est.fit(X, y)
    assert est.cache_info_.nbytes > 0
    clear_cache()
    assert asked(lambda: est.fit(X, y)) == DISTINCT


def test_the_bound():
    small = LogitMemory(max_bytes=36 * 50)
    for _ in range(3):
        got, done = taught(nb(), memory=small)
        assert_array_equal(got, fresh(nb()))
        assert memory._STORE.nbytes <= 36 * 50
    assert 0 < done.hits < 60
    got, done = taught(nb(), memory=LogitMemory(max_bytes=0))
    assert_array_equal(got, fresh(nb()))
    assert memory._STORE.nbytes == done.nbytes == 0


def test_the_least_recently_used_teacher_is_forgotten():
    bound = LogitMemory(max_bytes=36 * 400)
    teachers = [CountedNB(var_smoothing=10.0**-i).fit(X, y) for i in range(4)]
    for teacher in (*teachers[:2], teachers[0], teachers[2]):
        student(teacher, memory=bound).fit(X, y)
    again = [
        asked(lambda t=t: student(t, memory=bound).fit(X, y)) for t in teachers[:3]
    ]
    assert again[0] == 0
    assert again[1] >= 40


def test_threads_ask_about_no_row_twice():
    est = student(nb())
    grid = GridSearchCV(est, {"alpha": [0.3, 0.5, 0.9]}, cv=3, n_jobs=2)
    with joblib.parallel_backend("threading"):
        assert asked(lambda: grid.fit(X, y)) == DISTINCT


class Slow(CountedNB):
    def predict_proba(self, X):
        time.sleep(0.1)
        return super().predict_proba(X)


def test_threads_that_ask_at_once(place):
    teacher, start = Slow().fit(X, y), threading.Barrier(3)
    passes = []

    def fit():
        est = student(teacher, memory=place)
        start.wait()
        passes.append(est.fit(X, y).cache_info_.misses)

    threads = [threading.Thread(target=fit) for _ in range(3)]

    def work():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert asked(work) == DISTINCT
    assert sorted(passes) == [0, 0, DISTINCT]


def test_the_memory_of_a_process_is_not_pickled():
    est = student(nb(), memory=LogitMemory()).fit(X, y)
    small = len(pickle.dumps(est))
    assert len(pickle.dumps(memory._STORE)) < 200
    student(nb()).fit(np.tile(X, (20, 1)) + np.arange(3000)[:, None], np.tile(y, 20))
    assert abs(len(pickle.dumps(est)) - small) < 100


# --- On disk ------------------------------------------------------------------------


def files_in(folder):
    return sorted(Path(folder).rglob("rows-*"))


def test_a_search_in_two_processes(tmp_path):
    teacher = LoggedNB().fit(X, y)
    teacher.log_ = str(tmp_path / "log")
    teacher.more_ = frozenset("abcdefgh"), np.arange(2e5)  # its order, and a mapped one
    place = str(tmp_path / "memory")

    def search(n_jobs, m):
        est = student(teacher, memory=m)
        grid = {"temperature": [1, 4], "alpha": [0.0, 0.5]}
        grid = GridSearchCV(est, grid, cv=3, n_jobs=n_jobs, error_score="raise")
        return grid.fit(X, y)

    two = search(2, place)
    lines = [int(line) for line in (tmp_path / "log").read_text().split()]
    assert sum(lines) == DISTINCT
    assert two.best_estimator_.cache_info_.misses == 0
    one = search(1, False)
    assert_array_equal(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"]
    )
    assert len(files_in(place)) == 1
    assert not list(Path(place).rglob("tmp-*"))


def test_paths_and_joblibs_memory_share_one_store(tmp_path):
    forms = [
        str(tmp_path),
        tmp_path,
        joblib.Memory(tmp_path, verbose=0),
        joblib.Memory(str(tmp_path), verbose=0),
        LogitMemory(str(tmp_path)),
        LogitMemory(tmp_path),
        LogitMemory(joblib.Memory(tmp_path, verbose=0)),
    ]
    est = student(nb())
    passes = [
        clone(est).set_params(memory=m).fit(X, y).cache_info_.misses for m in forms
    ]
    assert passes == [DISTINCT] + [0] * 6
    # Nothing was remembered in the process beside it, as Memory(None) would show.
    for m in (
        None,
        joblib.Memory(None),
        LogitMemory(),
        LogitMemory(joblib.Memory(None)),
    ):
        passes.append(clone(est).set_params(memory=m).fit(X, y).cache_info_.misses)
    assert passes[7:] == [DISTINCT, 0, 0, 0]
    # What joblib itself keeps there does not mind.
    assert joblib.Memory(tmp_path, verbose=0).cache(len)("abc") == 3


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    student(nb(), memory="here").fit(X, y)
    assert student(nb(), memory=tmp_path / "here").fit(X, y).cache_info_.misses == 0


@pytest.mark.parametrize("name", ["keys", "rows", "checks"])
def test_a_damaged_file_is_reported_and_repaired(name, tmp_path):
    est = student(nb(), memory=str(tmp_path))
    est.fit(X, y)
    (folder,) = files_in(tmp_path)
    file = folder / f"{name}.npy"
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.warns(DistillationWarning, match="is damaged") as caught:
        got, done = taught(nb(), memory=str(tmp_path))
    assert str(folder) in str(caught[0].message)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(nb()))
    assert est.fit(X, y).cache_info_.misses == 0


def test_a_place_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError, match=r"nothing can be written there.*memory=None"):
        student(nb(), memory=file).fit(X, y)


@pytest.mark.parametrize("m", [5, 0, True, object(), 1.5, ("a",)])
def test_what_is_no_memory(m):
    for one in (m, LogitMemory(m)):
        with pytest.raises(ValueError, match="memory"):
            student(nb(), memory=one).fit(X, y)


def test_additions_of_many_fits_stay_few_folders(tmp_path):
    for start in range(0, 60, 2):
        rows = np.r_[start : start + 2, 50, 100]
        student(nb(), memory=tmp_path).fit(X[rows], [0, 0, 1, 2])
    assert len(files_in(tmp_path)) <= 4
    assert asked(lambda: student(nb(), memory=tmp_path).fit(X, y)) == DISTINCT - 61


# --- Parts of a pass ----------------------------------------------------------------


def test_a_pass_in_parts_is_the_same(place, monkeypatch):
    whole, _ = taught(nb(), memory=False)
    monkeypatch.setattr(memory, "_ROWS", 7)
    ASKED.clear()
    got, done = taught(nb(), memory=place)
    assert_array_equal(got, whole)
    assert max(ASKED) == 7 and sum(ASKED) == done.misses == DISTINCT


class Breaking(CountedNB):
    def predict_proba(self, X):
        if len(ASKED) == 3:
            raise RuntimeError("interrupted")
        return super().predict_proba(X)


def test_an_interrupted_pass_keeps_what_it_has(place, monkeypatch):
    monkeypatch.setattr(memory, "_ROWS", 20)
    est = student(Breaking().fit(X, y), memory=place)
    ASKED.clear()
    with pytest.raises((RuntimeError, ValueError), match="interrupted"):
        est.fit(X, y)
    assert sum(ASKED) == 60
    ASKED[:] = [0] * 4
    est.fit(X, y)
    assert est.cache_info_[:2] == (DISTINCT - 60, 61)


# --- verify= ------------------------------------------------------------------------

OUTSIDE = {"scale": 1.0}


class Global(CountedObject):
    """A teacher that depends on something that is no part of it."""

    def __call__(self, rows):
        return OUTSIDE["scale"] * super().__call__(rows)


@pytest.fixture
def outside():
    OUTSIDE["scale"] = 1.0
    yield OUTSIDE
    OUTSIDE["scale"] = 1.0


def test_verify_counts(place):
    est = student(nb(), memory=LogitMemory(place, verify=10))
    assert asked(lambda: est.fit(X, y)) == DISTINCT
    assert est.cache_info_[:3] == (DISTINCT, 1, 0)
    assert asked(lambda: est.fit(X, y)) == 10
    assert est.cache_info_[:3] == (0, 150, 10)
    est.set_params(memory=LogitMemory(place, verify=1000))
    assert asked(lambda: est.fit(X, y)) == 150
    assert est.cache_info_.verified == 150


@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"top_k": 2}])
def test_verify_catches_what_depends_on_something_outside(place, outside, options):
    est = student(Global(), memory=LogitMemory(place, verify=3, **options))
    est.fit(X, y)
    est.fit(X, y)
    outside["scale"] = 1.1
    with pytest.raises(ValueError, match=r"verify=3: of 3 rows, 3 have.*memory=False"):
        est.fit(X, y)


class Random(CountedObject):
    def __call__(self, rows):
        return np.random.default_rng().normal(size=(len(rows), 3))


def test_verify_catches_what_says_something_else_each_time(place):
    est = student(Random(), memory=LogitMemory(place, verify=3)).fit(X, y)
    with pytest.raises(ValueError, match="gives others each time"):
        est.fit(X, y)


@pytest.mark.parametrize("options", [{"top_k": 2}, {"top_k": 1, "dtype": "float16"}])
def test_verify_does_not_mind_the_last_digits(place, outside, options):
    # Two logits change places, which of them is kept is not a matter of content.
    est = student(Tied(), memory=LogitMemory(place, verify=150, **options)).fit(X, y)
    outside["scale"] = -1.0
    assert est.fit(X, y).cache_info_.verified == 150


class Tied(CountedObject):
    def __call__(self, rows):
        near = 1e-6 * OUTSIDE["scale"]
        return np.tile([1.0 + near, 1.0 - near, -5.0], (len(rows), 1))


def test_a_tampered_store(tmp_path):
    est = student(nb(), memory=LogitMemory(tmp_path, verify=150)).fit(X, y)
    (folder,) = files_in(tmp_path)
    keys, rows = (np.load(folder / f"{name}.npy") for name in ("keys", "rows"))
    rows[:, 0] += 1
    np.save(folder / "rows.npy", rows)
    with pytest.warns(DistillationWarning, match="checksum of a row"):
        got, done = taught(nb(), memory=tmp_path)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(nb()))
    # Who forges the checksums too is found out by verify= alone.
    (folder,) = files_in(tmp_path)
    keys, rows = (np.load(folder / f"{name}.npy") for name in ("keys", "rows"))
    rows[:, 0] += 1
    forged = Segment(keys, rows, checksums(keys, rows))
    for name, values in forged._asdict().items():
        np.save(folder / f"{name}.npy", values)
    folder.rename(folder.with_name(f"rows-{_digest(forged)}-0"))
    assert (taught(nb(), memory=tmp_path)[0] != fresh(nb())).any()
    with pytest.raises(ValueError, match="verify=150"):
        est.fit(X, y)


# --- LogitMemory as a parameter -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float64"}, "dtype='float64'.*float16"),
        ({"dtype": np.float16}, "dtype="),
        ({"top_k": 0}, "top_k=0.*at least 1"),
        ({"top_k": 1.5}, "top_k=1.5"),
        ({"top_k": True}, "top_k=True"),
        ({"max_bytes": -1}, "max_bytes=-1.*at least 0"),
        ({"max_bytes": None}, "max_bytes=None"),
        ({"max_bytes": 1e9}, "max_bytes="),
        ({"verify": -1}, "verify=-1"),
        ({"verify": None}, "verify=None"),
        ({"verify": "all"}, "verify='all'"),
    ],
)
def test_wrong_values_are_told_before_anything_is_asked(options, message):
    est = student(nb(), memory=LogitMemory(**options), alpha=0)
    ASKED.clear()
    with pytest.raises(ValueError, match=message):
        est.fit(X, y)
    assert not ASKED


def test_it_is_a_parameter_like_others(tmp_path):
    est = student(nb(), memory=LogitMemory(tmp_path, verify=2))
    assert est.get_params()["memory__verify"] == 2
    twin = clone(est).set_params(memory__verify=3, memory__top_k=2)
    assert (twin.memory.verify, est.memory.verify) == (3, 2)
    assert twin.memory is not est.memory
    assert "LogitMemory" in repr(est)
    assert "verify=2" in repr(est.memory)
    loaded = pickle.loads(pickle.dumps(est.fit(X, y)))
    assert loaded.fit(X, y).cache_info_[:3] == (0, 150, 2)
    grid = GridSearchCV(est, {"memory__top_k": [1, None]}, cv=2, error_score="raise")
    assert asked(lambda: grid.fit(X, y)) >= DISTINCT
    whole = GridSearchCV(
        est, {"memory": [None, False, LogitMemory()]}, cv=2, error_score="raise"
    )
    assert len(set(whole.fit(X, y).cv_results_["mean_test_score"])) == 1


@pytest.mark.parametrize(
    "options",
    [{"dtype": "float16"}, {"top_k": 1}, {"top_k": 1, "dtype": "float16"}],
)
def test_smaller_forms_teach_the_same_twice(place, options):
    m = LogitMemory(place, **options)
    params = {"max_epochs": 3, "train_split": ValidSplit(3), "memory": m}
    first, again = (student(nb(), **params).fit(X, y) for _ in range(2))
    assert (first.cache_info_.misses, again.cache_info_.misses) == (DISTINCT, 0)
    assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    full = student(nb(), **{**params, "memory": False}).fit(X, y)
    assert_allclose(first.predict_proba(X), full.predict_proba(X), atol=0.02)
    assert (first.predict_proba(X) != full.predict_proba(X)).any()
    # They are not taken for one another, nor for the full ones.
    other, done = taught(nb(), memory=place)
    assert done.misses == DISTINCT
    assert_array_equal(other, fresh(nb()))


def test_top_k_as_the_loss_sees_it():
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    z, got = fresh(teacher), taught(teacher, memory=LogitMemory(top_k=1))[0]
    p, q = (
        np.exp(one - np.logaddexp.reduce(one, axis=1, keepdims=True))
        for one in (z, got)
    )
    assert_allclose(q.max(axis=1), p.max(axis=1), rtol=1e-5)
    rest = np.sort(q, axis=1)[:, :2]
    assert_allclose(rest[:, 0], rest[:, 1], rtol=1e-5)
    assert_allclose(rest.sum(axis=1), np.sort(p, axis=1)[:, :2].sum(axis=1), rtol=1e-3)


def test_two_classes_and_top_k_of_all(place):
    part = y < 2
    teacher = CountedNB().fit(X[part], y[part])
    for k in (1, 2, 5):
        got, _ = taught(teacher, X[part], y[part], memory=LogitMemory(place, top_k=k))
        assert_allclose(got, fresh(teacher, X[part], y[part]), rtol=1e-6)


def test_float16_overflow(place):
    est = student(CountedObject(1e6), memory=LogitMemory(place, dtype="float16"))
    with pytest.raises(ValueError, match=r"beyond the range of float16.*float32"):
        est.fit(X, y)
    est.set_params(memory=LogitMemory(place)).fit(X, y)


# --- Views --------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).integers(0, 255, (30, 1, 4, 4), dtype=np.uint8)
LABELS = np.arange(30) % 3


class Sees(Counted):
    def __init__(self):
        super().__init__(n_in=16)


def test_views_are_asked_about_once(place):
    def fit(augment, n_views=2, rows=IMAGES, labels=LABELS, teacher=None):
        est = student(
            Sees() if teacher is None else teacher,
            **{"augment": augment, "n_views": n_views, "memory": place},
        )
        count = asked(lambda: est.fit(rows, labels))
        assert count == est.cache_info_.misses
        assert count + est.cache_info_.hits == n_views * len(rows)
        return count

    crop = RandomCrop(1)
    assert fit(crop) == 60
    assert fit(crop) == 0
    assert fit(clone(crop)) == 0
    assert fit(crop, rows=IMAGES[::-2], labels=LABELS[::-2]) == 0
    assert fit(crop, n_views=3) == 30  # the first two are the same
    assert fit(RandomCrop(2)) == 60
    assert fit(RandomHorizontalFlip()) == 60
    changed = Sees()
    changed.linear.weight.data.mul_(2)
    assert fit(crop, teacher=changed) == 60


def test_a_view_is_not_the_row(place):
    est = student(Sees(), augment=RandomHorizontalFlip(p=1.0), n_views=1, memory=place)
    assert asked(lambda: est.fit(IMAGES, LABELS)) == 30
    assert asked(lambda: student(Sees(), memory=place).fit(IMAGES, LABELS)) == 30
    flipped = IMAGES[..., ::-1].copy()
    got, _ = taught(
        Sees(),
        IMAGES,
        LABELS,
        memory=place,
        augment=RandomHorizontalFlip(p=1.0),
        n_views=1,
    )
    assert_allclose(got, fresh(Sees(), flipped, LABELS), rtol=1e-5, atol=1e-5)


MADE_BY = {
    "callbacks__x__scoring": lambda net, X, y: 0.0,
    "optimizer__weight_decay": 0.1,
    "distillation__weight": lambda rows: rows,
    "iterator_train__collate_fn": lambda rows: rows,
}


@pytest.mark.parametrize("name", MADE_BY)
def test_parameters_of_what_made_a_net_are_not_its_content(name):
    callbacks = [("x", EpochScoring("accuracy"))]
    middle = DistilledClassifier(MLP, max_epochs=0, callbacks=callbacks).fit(X, y)
    assert taught(middle)[1].misses == DISTINCT
    middle.set_params(**{name: MADE_BY[name]})
    _, done = taught(middle)
    assert (done.misses, done.hits, done.note) == (0, 150, "")


def test_a_taught_student_as_a_teacher(recwarn):
    """Its own teacher, and what it was used for since, are not its content."""
    own = DistilledClassifier(teacher=lambda rows: np.zeros((len(rows), 3)))
    middle = own.set_params(max_epochs=1, random_state=0).fit(X, y)
    small = DistilledClassifier(teacher=middle, max_epochs=1, module__hidden=2)
    assert small.fit(X, y).cache_info_.misses == 149  # two rows are equal
    middle.predict(X)
    assert small.fit(X, y).cache_info_.misses == 0
    middle.partial_fit(X, y)
    assert small.fit(X, y).cache_info_.misses == 149  # two rows are equal
