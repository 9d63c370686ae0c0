"""Which fits are the same, which are not, and which cannot be told from others."""

import datetime
import functools
import threading
import time
import types

import numpy as np
import pytest
import torch
from checkpoint_cases import FOREST, MAX_EPOCHS, X, Y, kill, student
from sklearn.ensemble import RandomForestClassifier
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    EpochTimer,
    InputShapeSetter,
    LoadInitState,
    LRScheduler,
)
from skorch.callbacks import Checkpoint as SkorchCheckpoint
from torch import nn

from skkd.callbacks import Schedule
from skkd.checkpoints import CheckpointFolder
from skkd.memory import LogitMemory
from skkd.teachers import as_teacher

WIDTH = 12
SIZES = {"hidden": [12]}
COUNTS, BY_NAME, N_BUILT = [], {}, 0


def scale(x):
    return x * 0.5


class Wide(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        global N_BUILT
        COUNTS.append(1)
        BY_NAME["built"] = BY_NAME.get("built", 0) + 1
        N_BUILT += 1
        self.body, self.head = nn.Linear(64, WIDTH), nn.Linear(WIDTH, n_classes)
        assert SIZES["hidden"]

    def forward(self, x):
        return self.head(torch.relu(self.body(scale(x))))


def build(n_classes):
    return Wide(n_classes)


def halves(epoch, max_epochs):
    return 8 / 2**epoch


def n_trained(net, inputs=X, labels=Y, **fit_params):
    return MAX_EPOCHS - net.fit(inputs, labels, **fit_params).resumed_


@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 2.0},
        {"alpha": 0.5},
        {"random_state": 1},
        {"lr": 0.01},
        {"batch_size": 32},
        {"optimizer__weight_decay": 0.01},
        {"module__hidden": 9},
        {"distillation": "mse"},
        {"teacher": RandomForestClassifier(10, random_state=1).fit(X, Y)},
        {"teacher": as_teacher(FOREST, name="v1")},
        {"class_weight": "balanced"},
        {"memory": LogitMemory(dtype="float16")},
        {"callbacks": [EarlyStopping("train_loss", sink=print)]},
        {"iterator_train__shuffle": False},
        {"teacher_cv": None},
        {"module": build},
    ],
    ids=lambda params: "-".join(params),
)
def test_another_parameter_is_another_fit(params, tmp_path):
    student(tmp_path).fit(X, Y)
    assert n_trained(student(tmp_path, **params)) == MAX_EPOCHS
    assert n_trained(student(tmp_path, **params)) == 0
    assert n_trained(student(tmp_path)) == 0


@pytest.mark.parametrize(
    "params",
    [
        {"verbose": 1},
        {"memory": False},
        {"strict": True},
        {"on_interrupt": "keep"},
        {"checkpoint_every": 3},
        {"checkpoint_every": datetime.timedelta(seconds=1)},
        {"callbacks": []},
        {"device": "auto" if not torch.accelerator.is_available() else "cpu"},
    ],
    ids=lambda params: "-".join(params),
)
def test_what_changes_no_result_is_no_other_fit(params, tmp_path):
    student(tmp_path, device="cpu", callbacks=[]).fit(X, Y)
    assert n_trained(student(tmp_path, **{"callbacks": [], **params})) == 0


def test_other_data_is_another_fit(tmp_path):
    student(tmp_path).fit(X, Y)
    other = X.copy()
    other[3, 20] += 1e-3
    swapped = np.where(np.arange(len(Y)) == 7, (Y + 1) % 10, Y)
    weights = np.linspace(1, 2, len(Y))
    logits = np.log(FOREST.predict_proba(X) + 1e-3)
    assert n_trained(student(tmp_path), other) == MAX_EPOCHS
    assert n_trained(student(tmp_path), X[::-1], Y[::-1]) == MAX_EPOCHS
    assert n_trained(student(tmp_path), X, swapped) == MAX_EPOCHS
    student(tmp_path, teacher=None).fit(X, Y)
    assert n_trained(student(tmp_path, teacher=None), X, Y.astype(str)) == MAX_EPOCHS
    assert n_trained(student(tmp_path), X, Y, sample_weight=weights) == MAX_EPOCHS
    assert n_trained(student(tmp_path), X, Y, teacher_logits=logits) == MAX_EPOCHS
    assert n_trained(student(tmp_path), X, Y, teacher_logits=logits) == 0
    assert n_trained(student(tmp_path), X.copy(), Y.tolist()) == 0


def test_code_counts_with_the_constants_and_functions_that_it_reads(
    tmp_path, monkeypatch
):
    here = globals()
    assert n_trained(student(tmp_path, module=build)) == MAX_EPOCHS
    assert n_trained(student(tmp_path, module=build)) == 0  # COUNTS has grown
    monkeypatch.setitem(here, "WIDTH", 13)
    assert n_trained(student(tmp_path, module=build)) == MAX_EPOCHS
    monkeypatch.undo()
    SIZES["hidden"].append(3)
    assert n_trained(student(tmp_path, module=build)) == MAX_EPOCHS
    SIZES["hidden"].pop()
    assert n_trained(student(tmp_path, module=build)) == 0
    changed = compile("def scale(x):\n    return x * 0.25\n", __file__, "exec")
    other = types.FunctionType(changed.co_consts[0], here, "scale")
    monkeypatch.setitem(here, "scale", other)
    assert n_trained(student(tmp_path, module=build)) == MAX_EPOCHS
    monkeypatch.undo()
    assert n_trained(student(tmp_path, module=build)) == 0


def test_a_template_counts_with_what_of_it_is_frozen(tmp_path):
    def template():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))

    student(tmp_path, module=template()).fit(X, Y)
    frozen = template()
    frozen[0].requires_grad_(False)
    assert n_trained(student(tmp_path, module=frozen)) == MAX_EPOCHS
    assert n_trained(student(tmp_path, module=frozen)) == 0
    assert n_trained(student(tmp_path, module=template())) == 0


def test_callbacks_of_an_earlier_fit_are_the_same_callbacks(tmp_path):
    schedules = [Schedule("temperature", halves), LRScheduler("ExponentialLR", gamma=1)]
    net = student(tmp_path, callbacks=schedules).fit(X, Y)
    assert n_trained(net) == 0
    kill(student(tmp_path, lr=0.02, callbacks=schedules), X, Y, 3)
    assert student(tmp_path, lr=0.02, callbacks=schedules).fit(X, Y).resumed_ == 2


class Keeper(Callback):
    """Keeps something that no file can hold."""

    def on_train_begin(self, net, **kwargs):
        self.lock_ = threading.Lock()


class LateKeeper(Callback):
    def on_epoch_end(self, net, **kwargs):
        self.lock_ = threading.Lock()


class Holder(Callback):
    def __init__(self, part):
        self.part = part


class OwnOptimizer(torch.optim.SGD):
    pass


class Restless:
    """An augmentation that changes in the training."""

    def __init__(self):
        self.n, self.parts = 0, {}

    def __call__(self, x):
        self.n += 1
        return x + 0.01 * (self.n % 7)


def local():
    def inner(n_classes):
        return Wide(n_classes)

    return inner


REFUSED = {
    "no seed": ({"random_state": None}, "pass random_state=0"),
    "lambda": (
        {"module": lambda n_classes: Wide(n_classes)},
        "module=<lambda> cannot be told from another one: '<lambda>' is a lambda",
    ),
    "local function": ({"module": local()}, "'local.<locals>.inner' is a local"),
    "lambda in a schedule": (
        {"callbacks": [Schedule("alpha", lambda epoch, n: 0.1)]},
        "callbacks=.* is a lambda",
    ),
    "lambda in a partial": (
        {"augment": functools.partial(lambda x, by: x * by, by=2)},
        "augment=.* is a lambda",
    ),
    "teacher that is a function": (
        {"teacher": lambda x: np.zeros((len(x), 10)) + np.arange(10.0)},
        r"as_teacher\(model, name='v1'\)",
    ),
    "optimizer": ({"optimizer": OwnOptimizer}, "optimizer=OwnOptimizer: a checkpoint"),
    "optimizer that is a function": (
        {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9)},
        "Use one of these, such as torch.optim.AdamW",
    ),
    "state that no file holds": (
        {"callbacks": [Keeper()]},
        "'Keeper' keeps something that a checkpoint cannot hold: lock_ is a lock",
    ),
    "callback that cannot be told": (
        {"callbacks": [Holder(threading.Lock())]},
        "callbacks=.* cannot be told from another one: cannot pickle",
    ),
    "state of other files": (
        {"callbacks": [LoadInitState(SkorchCheckpoint())]},
        "LoadInitState begins with the state in other files",
    ),
    "another input shape": ({"callbacks": [InputShapeSetter()]}, "InputShapeSetter"),
    "workers that stay": (
        {"iterator_train__num_workers": 1, "iterator_train__persistent_workers": True},
        "persistent_workers=True keeps random streams",
    ),
    "every": ({"checkpoint_every": 0}, "checkpoint_every=0: expected"),
    "every, a float": ({"checkpoint_every": 0.5}, "checkpoint_every=0.5: expected"),
    "no folder": ({"checkpoint": 3}, "checkpoint=3: expected a folder"),
    "max_bytes": (
        {"checkpoint": CheckpointFolder("somewhere", max_bytes=0)},
        "max_bytes=0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_training_with_the_remedy(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    params, message = REFUSED[name]
    net = student(**{"checkpoint": tmp_path / "fits", **params})
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(X, Y)
    assert not hasattr(net, "module_") and not hasattr(net, "classes_inferred_")
    assert [*tmp_path.rglob("*.safetensors")] == []


def test_a_refused_fit_leaves_a_fitted_student_as_it_was(tmp_path):
    net = student(tmp_path).fit(X, Y)
    before = net.predict_proba(X)
    net.set_params(callbacks=[Keeper()])
    with pytest.raises(ValueError, match="Give the callback state_dict"):
        net.fit(X[:90], Y[:90])
    assert (net.predict_proba(X) == before).all()


def test_what_shows_later_is_warned_of_once_and_the_fit_goes_on(tmp_path):
    with pytest.warns(UserWarning, match="not saved any more: The callback") as seen:
        net = student(tmp_path, callbacks=[LateKeeper()]).fit(X, Y)
    assert len(seen) == 1
    assert len(net.history) == MAX_EPOCHS
    assert [*tmp_path.rglob("*.safetensors")] == []


def test_an_augmentation_that_changes_is_not_gone_on_with(tmp_path):
    params = {"augment": Restless(), "teacher_view": "clean"}
    with pytest.warns(UserWarning, match="changes in the training") as seen:
        student(tmp_path, **params).fit(X, Y)
    assert len(seen) == 1
    # Finished it is, and saved so, for an augmentation that has not been used.
    assert n_trained(student(tmp_path, augment=Restless(), teacher_view="clean")) == 0


def test_every_epochs_or_time(tmp_path):
    kill(student(tmp_path / "a", checkpoint_every=2), X, Y, 4)
    assert student(tmp_path / "a").fit(X, Y).resumed_ == 2
    hour = datetime.timedelta(hours=1)
    kill(student(tmp_path / "b", checkpoint_every=hour), X, Y, 4)
    assert student(tmp_path / "b").fit(X, Y).resumed_ == 0
    # By default not more than a twentieth of the time: nothing of a fit so short.
    kill(student(tmp_path / "c", checkpoint_every=None), X, Y, 2)
    assert student(tmp_path / "c").fit(X, Y).resumed_ == 0


class Dozing(Callback):
    """Lets a second pass in every epoch, by a clock that stands still otherwise."""

    observes_only = True
    now = 0.0

    def on_epoch_begin(self, net, **kwargs):
        Dozing.now += 1.0


def test_by_default_long_epochs_are_saved_each(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: Dozing.now)
    net = student(tmp_path, checkpoint_every=None, callbacks=[Dozing()])
    kill(net, X, Y, 3)
    assert student(tmp_path, callbacks=[]).fit(X, Y).resumed_ == 2


def test_another_number_of_threads_begins_a_killed_fit_anew(tmp_path, monkeypatch):
    kill(student(tmp_path), X, Y, 3)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.warns(UserWarning, match=r"'threads': 1.* It begins anew"):
        net = student(tmp_path).fit(X, Y)
    assert net.resumed_ == 0
    monkeypatch.undo()
    assert n_trained(student(tmp_path)) == 0  # a finished one is found


def test_a_teacher_that_gives_others_each_time_begins_anew(tmp_path):
    teacher = Fickle(5)
    kill(student(tmp_path, teacher=teacher, teacher_cv=2), X, Y, 3)
    with pytest.warns(UserWarning, match="with other soft targets"):
        net = student(tmp_path, teacher=teacher, teacher_cv=2).fit(X, Y)
    assert net.resumed_ == 0


class Fickle(RandomForestClassifier):
    def fit(self, X, y, sample_weight=None):
        self.random_state = int.from_bytes(np.random.default_rng().bytes(4))
        return super().fit(X, y, sample_weight)


def test_the_default_callbacks_count_for_nothing(tmp_path):
    student(tmp_path).fit(X, Y)
    assert isinstance(student().get_default_callbacks()[0][1], EpochTimer)
    assert n_trained(student(tmp_path, callbacks=None)) == 0
