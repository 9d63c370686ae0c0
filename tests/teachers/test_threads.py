"""What threads share has an owner: modes, layer hooks and random streams."""

import copy
import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from teacher_cases import X32, network, rng_state, skorch_net, state_of, y
from torch import nn

from skkd import DistilledClassifier
from skkd._fit.layer_hooks import LayerRecorder
from skkd._utils.modules import eval_mode
from skkd._utils.rng import preserved_rng, seeded_rng
from skkd.memory._fingerprint import fingerprint
from skkd.teachers import as_teacher

pytestmark = [
    pytest.mark.filterwarnings("ignore::skkd.TeacherWarning"),
    pytest.mark.filterwarnings("ignore:Scoring failed"),
]
CLASSES = [0, 1, 2]


def in_threads(*functions, seconds=60):
    """Run functions at the same time; return what they return, or raise."""
    with ThreadPoolExecutor(len(functions)) as pool:
        return [f.result(seconds) for f in [pool.submit(f) for f in functions]]


class Turns:
    """Lets threads take steps in a given order."""

    def __init__(self, order):
        self.order, self.changed = [*order], threading.Condition()

    def take(self, step):
        with self.changed:
            assert self.changed.wait_for(lambda: self.order[:1] == [step], 20)

    def done(self):
        with self.changed:
            del self.order[0]
            self.changed.notify_all()


# Modes ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["aAbB", "abAB", "abBA", "baAB", "baBA"])
@pytest.mark.parametrize("nested", ["same", "part", "whole"])
def test_modes_come_back_when_the_last_block_ends(order, nested):
    whole = network()
    part = {"same": whole, "part": whole[1], "whole": nn.Sequential(whole)}[nested]
    before = [m.training for m in part.modules()], [m.training for m in whole.modules()]
    turns, inside = Turns(order), []

    def block(module, enter, leave):
        turns.take(enter)
        with eval_mode(module):
            turns.done()
            turns.take(leave)
            inside.append(not any(m.training for m in module.modules()))
        turns.done()

    in_threads(lambda: block(whole, "a", "A"), lambda: block(part, "b", "B"))
    assert inside == [True, True]
    after = [m.training for m in part.modules()], [m.training for m in whole.modules()]
    assert after == before


def test_modes_come_back_after_an_error_and_for_modules_named_twice():
    module = network()
    before = state_of(module)
    with pytest.raises(KeyError), eval_mode(module, module, module[0]):
        with eval_mode(module):
            assert not module.training
        assert not module.training
        raise KeyError
    assert state_of(module) == before


class Waits(nn.Module):
    """A batch norm in front of a barrier: all threads are in its forward at once."""

    def __init__(self, n):
        super().__init__()
        self.body, self.n, self.seen = network(), n, 0
        self.lock = threading.Lock()
        self.met = threading.Event()

    def forward(self, x):
        with self.lock:
            self.seen += 1
            if self.seen >= self.n:
                self.met.set()
        assert self.met.wait(20)
        return self.body(x)


def wrap(kind, module):
    teacher = skorch_net(network()) if kind == "skorch" else None
    if kind == "skorch":
        teacher.module_ = module
    if kind == "ensemble":
        return as_teacher([module, LogisticRegression(max_iter=500).fit(X32, y)])
    if kind == "transform":
        return as_teacher(lambda rows: rows[:, :3], transform=module)
    return as_teacher(teacher or module)


@pytest.mark.parametrize("kind", ["module", "skorch", "ensemble", "transform"])
def test_a_teacher_in_four_threads_is_the_same_bit_for_bit(kind):
    module = Waits(4)
    if kind == "transform":
        module.body = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5))
    teacher = wrap(kind, module)
    before, rng = state_of(module), rng_state()
    got = in_threads(*[lambda: teacher.logits(X32, CLASSES)] * 4)
    assert state_of(module) == before
    assert rng_state() == rng
    assert all(np.array_equal(logits, got[0]) for logits in got)
    assert np.array_equal(teacher.logits(X32, CLASSES), got[0])


# Layers ---------------------------------------------------------------------------


def test_recorders_of_two_threads_do_not_mix():
    module = network().eval()
    both = threading.Barrier(2)

    def record(rows):
        with LayerRecorder(module, ["0"], keep=True, whose="teacher") as recorder:
            both.wait(20)
            with torch.no_grad():
                module(rows)
            both.wait(20)
            return recorder.passes

    one, other = torch.from_numpy(X32[:5]), torch.from_numpy(X32[5:12])
    got = in_threads(lambda: record(one), lambda: record(other))
    for rows, passes in zip((one, other), got, strict=True):
        ((features,),) = passes
        assert torch.equal(features, module[0](rows).detach())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_no_hook_stays_if_one_cannot_be_registered(fails_at, monkeypatch):
    module = network()
    recorder = LayerRecorder(module, ["0", "3"], keep=True, whose="teacher")
    register, calls = nn.Module.register_forward_hook, []

    def failing(self, hook):
        calls.append(hook)
        if len(calls) > fails_at:
            raise KeyboardInterrupt
        return register(self, hook)

    monkeypatch.setattr(nn.Module, "register_forward_hook", failing)
    with pytest.raises(KeyboardInterrupt), recorder:
        pass
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


@pytest.mark.parametrize("random_state", [0, None])
def test_losses_on_features_of_one_teacher_in_threads(random_state):
    teacher = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    fits = [
        DistilledClassifier(
            teacher=teacher,
            distillation="similarity",
            module__hidden=8,
            max_epochs=3,
            batch_size=16,
            random_state=random_state,
            memory=False,
        )
        for _ in range(4)
    ]
    before = state_of(teacher)
    in_threads(*[lambda fit=fit: fit.fit(X32, y) for fit in fits])
    assert state_of(teacher) == before
    if random_state is not None:
        first, *others = [fit.predict_proba(X32) for fit in fits]
        assert all(np.array_equal(first, other) for other in others)


# Random streams -------------------------------------------------------------------


def student(**params):
    params = {"max_epochs": 2, "batch_size": 16, "random_state": 0, **params}
    params["module__hidden"] = ()
    return DistilledClassifier(**params, memory=False, device="cpu")


def test_seeded_fits_in_threads_are_as_alone():
    teacher = LogisticRegression(max_iter=500).fit(X32, y)

    def one(seed):
        fit = student(teacher=teacher, random_state=seed).fit(X32, y)
        return fit.predict_proba(X32)

    alone, rng = [one(seed) for seed in range(4)], rng_state()
    got = in_threads(*[lambda seed=seed: one(seed) for seed in range(4)])
    assert rng_state() == rng
    assert all(map(np.array_equal, alone, got))


TEACHERS = {
    "module": (network, {}),
    "augment": (network, {"augment": nn.Dropout(0.1)}),
    "skorch": (lambda: skorch_net(network()), {"teacher_cv": 2}),
    "linear": (lambda: LogisticRegression(max_iter=500), {"teacher_cv": None}),
}


@pytest.mark.parametrize("kind", TEACHERS)
def test_a_search_in_threads_is_one_in_sequence_bit_for_bit(kind):
    make, params = TEACHERS[kind]
    teacher = make()
    before = state_of(teacher)
    scores = []
    for n_jobs in (1, 4):
        search = GridSearchCV(
            student(teacher=teacher, **params),
            {"alpha": [0.1, 0.3, 0.5, 0.7]},
            cv=2,
            scoring="neg_log_loss",
            n_jobs=n_jobs,
        )
        with parallel_config(backend="threading"):
            scores.append(search.fit(X32, y).cv_results_["mean_test_score"])
    assert np.array_equal(*scores)
    assert np.isfinite(scores[0]).all()
    assert state_of(teacher) == before


def test_overlapping_blocks_restore_the_first_states():
    rng, turns = rng_state(), Turns("abBA")

    def block(enter, leave, context, draws):
        turns.take(enter)
        with context:
            if draws:
                torch.rand(3), np.random.rand(3), random.random()
            turns.done()
            turns.take(leave)
            drawn = torch.rand(2) if enter == "a" else None
        turns.done()
        return drawn

    with seeded_rng(3):
        torch.rand(3)
        alone = torch.rand(2)
    for order in ("abBA", "abAB", "baAB", "baBA"):
        turns.order[:] = order
        got = in_threads(
            lambda: block("a", "A", seeded_rng(3), True),
            # A teacher that draws does so before the owner comes.
            lambda: block("b", "B", preserved_rng(), order[0] == "b"),  # noqa: B023
        )
        assert torch.equal(got[0], alone)
        assert rng_state() == rng


class Fits(ClassifierMixin, BaseEstimator):
    """A teacher that fits seeded students in threads of its own."""

    def __init__(self, how="pool"):
        self.how = how

    def fit(self, X, y):
        members = [student(random_state=i, max_epochs=1) for i in range(3)]
        if self.how == "pool":
            members = in_threads(*[lambda m=m: m.fit(X, y) for m in members])
        else:
            members = Parallel(3, prefer="threads")(
                delayed(member.fit)(X, y) for member in members
            )
        self.members_, self.classes_ = members, np.unique(y)
        return self

    def predict_proba(self, X):
        return sum(member.predict_proba(X) for member in self.members_) / 3


SEVERAL = pytest.param("several", marks=pytest.mark.slow)
NESTED = {
    "pool": lambda: Fits("pool"),
    "joblib": lambda: Fits("joblib"),
    "voting": lambda: VotingClassifier(
        [(str(i), student(random_state=i)) for i in range(3)], voting="soft", n_jobs=3
    ),
    "search": lambda: GridSearchCV(student(), {"alpha": [0.1, 0.5]}, cv=2, n_jobs=2),
}


@pytest.mark.parametrize("threads", ["one", SEVERAL])
@pytest.mark.parametrize("kind", NESTED)
def test_a_teacher_that_is_fitted_in_threads_cannot_block_its_student(kind, threads):
    outer = student(teacher=NESTED[kind](), teacher_cv=None)

    def one():
        with parallel_config(backend="threading"):
            return copy.deepcopy(outer).fit(X32, y).predict_proba(X32)

    rng = rng_state()
    got = in_threads(*[one] * (1 if threads == "one" else 3), seconds=100)
    assert rng_state() == rng
    # Which threads a plain pool waits for cannot be seen: another fit may get the turn.
    if (kind, threads) != ("pool", "several"):
        assert all(np.array_equal(got[0], other) for other in got)


def test_a_turn_is_not_lent_while_its_owner_computes():
    order, start = [], threading.Event()

    def owner():
        with seeded_rng(0):
            start.set()
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                torch.rand(100)
            order.append("owner")

    def other():
        assert start.wait(20)
        with seeded_rng(1):
            order.append("other")

    in_threads(owner, other)
    assert order == ["owner", "other"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are spawned here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks():
    started, end = threading.Event(), threading.Event()

    def owner():
        with seeded_rng(0):
            started.set()
            assert end.wait(60)

    thread = threading.Thread(target=owner)
    thread.start()
    assert started.wait(20)
    child = os.fork()
    if not child:
        with seeded_rng(1):
            os._exit(7)
    waited = time.monotonic() + 30
    done = (0, 0)
    while done[0] == 0 and time.monotonic() < waited:
        done = os.waitpid(child, os.WNOHANG)
        time.sleep(0.02)
    end.set()
    thread.join()
    assert os.waitstatus_to_exitcode(done[1]) == 7


def test_a_fingerprint_does_not_depend_on_another_threads_recorder():
    module = network()
    alone = fingerprint(module)
    with LayerRecorder(module, ["0", None], keep=True, whose="teacher"):
        assert any(m._forward_hooks for m in module.modules())
        assert fingerprint(module) == alone
    module[0].register_forward_hook(_Twice())
    assert fingerprint(module) != alone


class _Twice:
    def __call__(self, module, inputs, output):
        return 2 * output


class FakeDevices:
    """The generators of two devices, as the module of an accelerator has them."""

    def __init__(self):
        self.states, self.current = {0: "a", 1: "b"}, 1

    def index_of(self, device):
        index = torch.device(device).index
        return self.current if index is None else index

    def current_device(self):
        return self.current

    def get_rng_state(self, device):
        return self.states[self.index_of(device)]

    def set_rng_state(self, state, device):
        self.states[self.index_of(device)] = state

    def manual_seed(self, seed):
        self.states[self.current] = seed

    @contextmanager
    def device(self, device):
        before, self.current = self.current, self.index_of(device)
        yield
        self.current = before


@pytest.mark.parametrize("device, index", [("cuda", 1), ("cuda:0", 0), ("cuda:1", 1)])
def test_the_stream_of_a_device_is_seeded_and_restored(device, index, monkeypatch):
    fake = FakeDevices()
    monkeypatch.setattr(torch, "get_device_module", lambda device: fake)
    untouched = 1 - index
    before, rng = dict(fake.states), rng_state()
    with seeded_rng(3, device):
        assert fake.states == {index: 3, untouched: before[untouched]}
        with preserved_rng(device):
            fake.states[index] = "drawn"
            # Another thread, or the block itself, may change the current device.
            fake.current = untouched
        assert fake.states == {index: 3, untouched: before[untouched]}
        with seeded_rng(4, torch.device("cuda", index)):
            assert fake.states[index] == 4
        assert fake.states[index] == 3
    assert fake.states == before
    assert rng_state() == rng
