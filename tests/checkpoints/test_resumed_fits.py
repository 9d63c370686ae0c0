"""A fit that was killed goes on, and a finished one is loaded, bit for bit."""

import copy
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from checkpoint_cases import (
    IMAGES,
    MAX_EPOCHS,
    Trained,
    X,
    Y,
    assert_same,
    kill,
    random_streams,
    student,
    watched_by,
)
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    Unfreezer,
)
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistilledClassifier, augment
from skkd.callbacks import Anneal, UpdateBatchNorm, WarmUp
from skkd.losses import CRD, KD, FitNet, WeightedSum
from skkd.memory._fingerprint import fingerprint


class Dropped(nn.Sequential):
    def __init__(self, n_classes, n_in=64):
        super().__init__(
            nn.Linear(n_in, 16), nn.ReLU(), nn.Dropout(0.4), nn.Linear(16, n_classes)
        )


class Normed(nn.Module):
    """Keeps what is no parameter: a number, and a buffer that is not saved."""

    def __init__(self, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, 3)
        self.norm = nn.BatchNorm2d(6)
        self.drop = nn.Dropout2d(0.2)
        self.head = nn.Linear(6 * 36, n_classes)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.n_passes = 0

    def forward(self, x):
        self.n_passes += self.training
        self.seen += self.training
        h = self.drop(torch.relu(self.norm(self.conv(x))))
        return self.head(h.flatten(1))


class Lazy(nn.Sequential):
    def __init__(self, n_classes):
        super().__init__(nn.LazyLinear(12), nn.ReLU(), nn.LazyLinear(n_classes))


def noisy(x):
    """An augmentation of the user's own, which draws from two streams."""
    scale = 1 + 0.1 * np.random.normal()
    return x * scale + 0.1 * torch.randn_like(x)


class Averaged(Callback):
    """Keeps a running mean of the weights, in a module and in tensors."""

    def on_train_begin(self, net, **kwargs):
        self.mean_ = torch.optim.swa_utils.AveragedModel(net.module_)
        self.first_ = None

    def on_batch_end(self, net, training, **kwargs):
        if training:
            self.mean_.update_parameters(net.module_)
            first = next(net.module_.parameters()).detach().clone()
            self.first_ = first if self.first_ is None else 0.9 * self.first_ + first

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.mean_.module.state_dict())


class Counting(Callback):
    """Keeps what it likes, and says what of it is its state."""

    def __init__(self):
        self.made = object()

    def on_train_begin(self, net, **kwargs):
        self.n_, self.lock_ = 0, threading.Lock()

    def on_epoch_end(self, net, **kwargs):
        self.n_ += 1
        net.history.record("n", self.n_)

    def state_dict(self):
        return {"n": self.n_}

    def load_state_dict(self, state):
        self.n_ = state["n"]


class Network(nn.Module):
    """A teacher with layers."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(64, 20), nn.Linear(20, 10)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


def network():
    torch.manual_seed(3)
    net = Network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.tensor(X)), torch.tensor(Y)).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


NETWORK = network()
SPLIT = ValidSplit(0.25, stratified=True, random_state=1)
LAYERS = {"student_layer": "1", "teacher_layer": "body"}
UNLABELLED = np.where(np.arange(len(Y)) % 3, Y, -1)
CASES = {
    "plain": {},
    "alone": {"teacher": None},
    "alpha=0": {"alpha": 0.0},
    "dropout": {"module": Dropped, "optimizer": torch.optim.SGD, "lr": 0.05},
    "lazy layers": {"module": Lazy},
    "template": {"module": Dropped(10)},
    "schedules": {
        "callbacks": [Anneal("temperature", 8, 1), WarmUp("alpha", 3)],
    },
    "train_split": {
        "train_split": SPLIT,
        "callbacks": [
            EpochScoring("f1_macro", name="f1", lower_is_better=False),
            EarlyStopping("valid_loss", patience=2, sink=print, load_best=True),
        ],
        "max_epochs": 6,
        "lr": 0.3,
    },
    "out of fold": {"teacher": LogisticRegression(max_iter=2000), "teacher_cv": 3},
    "fitted teacher": {
        "teacher": LogisticRegression(max_iter=2000),
        "teacher_cv": None,
    },
    "unlabelled": {"unlabeled": -1, "class_weight": "balanced"},
    "gradients": {
        "callbacks": [GradientNormClipping(0.1)],
        "iterator_train__drop_last": True,
    },
    "frozen for a while": {
        "module": Dropped,
        "callbacks": [Freezer("0.*"), Unfreezer("0.*", at=3)],
    },
    "averaged weights": {"callbacks": [Averaged()]},
    "a state of its own": {"callbacks": [Counting()]},
    "own generator": {
        "iterator_train__generator": torch.Generator().manual_seed(5),
    },
    "smooth labels": {"criterion__label_smoothing": 0.1, "distillation": "dkd"},
    "adapter": {
        "module": Dropped,
        "teacher": NETWORK,
        "distillation": WeightedSum([("kd", KD()), ("fitnet", FitNet(**LAYERS))]),
    },
    "memory of samples": {
        "module": Dropped,
        "teacher": NETWORK,
        "distillation": CRD(**LAYERS, n_negatives=8),
    },
}
ON_IMAGES = {
    "batch norm": {"module": Normed},
    "batch norm, updated": {"module": Normed, "callbacks": [UpdateBatchNorm()]},
    "augmented": {"augment": augment.RandomCrop(1), "teacher_view": "clean"},
    "own augmentation": {"augment": noisy, "teacher_view": "clean"},
    "mixed": {"augment": augment.Mixup(0.4)},
    "views": {"augment": augment.RandomAffine(10), "n_views": 2},
    "live": {"augment": augment.RandomHorizontalFlip()},
}


def case(name):
    if name in ON_IMAGES:
        teacher = LogisticRegression(max_iter=500)
        flat = FlatTeacher(teacher.fit(X, Y))
        return {"teacher": flat, **ON_IMAGES[name]}, IMAGES, Y
    params = CASES[name]
    return params, X, UNLABELLED if "unlabeled" in params else Y


class FlatTeacher(nn.Module):
    """A linear teacher of images."""

    def __init__(self, fitted):
        super().__init__()
        self.register_buffer("weight", torch.tensor(fitted.coef_, dtype=torch.float32))

    def forward(self, x):
        return x.flatten(1) @ self.weight.T


@pytest.mark.parametrize("name", [*CASES, *ON_IMAGES])
def test_a_killed_fit_goes_on_and_a_finished_one_is_loaded(name, tmp_path):
    params, inputs, labels = case(name)
    whole = student(**copy.deepcopy(params)).fit(inputs, labels)
    kill(student(tmp_path, **copy.deepcopy(params)), inputs, labels, 3)
    again = student(tmp_path, **copy.deepcopy(params)).fit(inputs, labels)
    assert again.resumed_ == 2
    assert_same(whole, again)
    before = random_streams()
    loaded = student(tmp_path, **copy.deepcopy(params)).fit(inputs, labels)
    assert loaded.resumed_ == len(whole.history)
    assert random_streams() == before
    assert_same(whole, loaded)
    assert fingerprint(loaded) == fingerprint(whole)
    assert (loaded.predict_proba(inputs) == whole.predict_proba(inputs)).all()


OPTIMIZERS = [
    name
    for name in dir(torch.optim)
    if isinstance(getattr(torch.optim, name), type)
    and issubclass(getattr(torch.optim, name), torch.optim.Optimizer)
    and name not in ("Optimizer", "SparseAdam", "Muon")  # no biases, no dense gradients
]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_torch_goes_on(name, tmp_path):
    params = {"optimizer": getattr(torch.optim, name), "lr": 0.01, "module": Dropped}
    whole = student(**params).fit(X, Y)
    kill(student(tmp_path, **params), X, Y, 3)
    again = student(tmp_path, **params).fit(X, Y)
    assert again.resumed_ == 2
    assert_same(whole, again)
    assert_same(whole, student(tmp_path, **params).fit(X, Y))


SCHEDULERS = {
    "StepLR": {"step_size": 2},
    "MultiStepLR": {"milestones": [1, 3]},
    "ExponentialLR": {"gamma": 0.5},
    "CosineAnnealingLR": {"T_max": 4},
    "CosineAnnealingWarmRestarts": {"T_0": 2},
    "CyclicLR": {"base_lr": 1e-4, "max_lr": 1e-2, "step_size_up": 3},
    "OneCycleLR": {"max_lr": 0.05, "total_steps": 16},
    "LinearLR": {},
    "PolynomialLR": {},
    "ConstantLR": {"total_iters": 2},
    "ReduceLROnPlateau": {"patience": 0, "threshold": 0.5},
}


BY_BATCH = ("CyclicLR", "OneCycleLR", "ReduceLROnPlateau")


@pytest.mark.parametrize("name", SCHEDULERS)
def test_learning_rate_schedules_go_on(name, tmp_path):
    every = "batch" if name in BY_BATCH else "epoch"
    policy = getattr(torch.optim.lr_scheduler, name)
    schedule = LRScheduler(policy, step_every=every, **SCHEDULERS[name])
    params = {"callbacks": [("lr", schedule)], "optimizer": torch.optim.SGD}
    whole = student(**copy.deepcopy(params)).fit(X, Y)
    kill(student(tmp_path, **copy.deepcopy(params)), X, Y, 3)
    again = student(tmp_path, **copy.deepcopy(params)).fit(X, Y)
    assert again.resumed_ == 2
    assert_same(whole, again)


@pytest.mark.parametrize("epoch", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 2])
def test_killed_at_any_place(epoch, batch, tmp_path):
    whole = student().fit(X, Y)
    kill(student(tmp_path), X, Y, epoch, batch)
    again = student(tmp_path).fit(X, Y)
    assert again.resumed_ == epoch - 1
    assert_same(whole, again)


def test_killed_again_and_again(tmp_path):
    for epoch in range(1, MAX_EPOCHS + 1):
        kill(student(tmp_path), X, Y, epoch)
    again = watched_by(student(tmp_path), Trained())
    Trained.n_epochs = 0
    again.fit(X, Y)
    assert (again.resumed_, Trained.n_epochs) == (MAX_EPOCHS - 1, 1)
    assert_same(student().fit(X, Y), again)


def test_a_table_with_weights_and_groups_and_a_forward_argument(tmp_path):
    table = pd.DataFrame(X[:, 20:24], columns=list("abcd"))
    table["kind"] = np.where(Y < 5, "low", "high")
    params = {"teacher": None, "preprocessor": "auto", "train_split": SPLIT}
    weights = np.linspace(0.5, 2, len(Y))
    whole = student(**params).fit(table, Y, sample_weight=weights)
    kill(student(tmp_path, **params), table, Y, 3, sample_weight=weights)
    again = student(tmp_path, **params).fit(table, Y, sample_weight=weights)
    assert again.resumed_ == 2
    assert_same(whole, again)
    loaded = student(tmp_path, **params).fit(table, Y, sample_weight=weights)
    assert (loaded.predict(table) == whole.predict(table)).all()


def test_partial_fit_is_found_by_what_was_learnt_before(tmp_path):
    def twice(folder, killed=False):
        net = watched_by(student(folder), Interrupt(7 if killed else None)).fit(X, Y)
        if killed:
            with pytest.raises(KeyboardInterrupt):
                net.partial_fit(X[:90], Y[:90])
            return None
        return net.partial_fit(X[:90], Y[:90])

    whole = twice(None)
    twice(tmp_path, killed=True)
    again = twice(tmp_path)
    assert again.resumed_ == 2
    assert_same(whole, again)
    loaded = twice(tmp_path)
    assert loaded.resumed_ == MAX_EPOCHS
    assert_same(whole, loaded)


class Interrupt(Callback):
    observes_only = True

    def __init__(self, epoch=3):
        self.epoch = epoch

    def on_batch_begin(self, net, *args, **kwargs):
        if net.history[-1]["epoch"] == self.epoch:
            raise KeyboardInterrupt


def test_ctrl_c_is_no_end_and_the_fit_goes_on(tmp_path):
    net = watched_by(student(tmp_path), Interrupt())
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y)
    again = student(tmp_path).fit(X, Y)
    assert again.resumed_ == 2
    assert_same(student().fit(X, Y), again)


def test_a_student_that_was_kept_at_ctrl_c_is_not_taken_for_a_finished_one(tmp_path):
    net = watched_by(student(tmp_path, on_interrupt="keep"), Interrupt())
    with pytest.warns(UserWarning, match="interrupted in epoch 3"):
        net.fit(X, Y)
    assert student(tmp_path).fit(X, Y).resumed_ == 2


def test_it_says_so(tmp_path, capsys):
    kill(student(tmp_path), X, Y, 3)
    student(tmp_path, verbose=1).fit(X, Y)
    assert "checkpoint: resumed after epoch 2 of 4." in capsys.readouterr().out
    student(tmp_path, verbose=1).fit(X, Y)
    assert "all 4 epochs were trained before" in capsys.readouterr().out
    student(tmp_path).fit(X, Y)
    assert capsys.readouterr().out == ""


N_FITS = []


class CountedLinear(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        N_FITS.append(len(y))
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("cv", [3, None])
def test_clones_of_a_teacher_are_fitted_when_they_are_asked_for(cv, tmp_path):
    teacher = CountedLinear(max_iter=2000)
    first = student(tmp_path, teacher=teacher, teacher_cv=cv).fit(X, Y)
    N_FITS.clear()
    net = student(tmp_path, teacher=teacher, teacher_cv=cv).fit(X, Y)
    assert N_FITS == []
    again = pickle.loads(pickle.dumps(net))
    assert len(N_FITS) == (cv or 1)
    held = [first.teacher_, again.teacher_, net.teacher_]
    held = [one if cv else [one] for one in held]
    for one, other, third in zip(*held, strict=True):
        assert (one.coef_ == other.coef_).all() and (one.coef_ == third.coef_).all()
    assert not hasattr(student(), "teacher_")


def test_the_teacher_is_not_asked_again(tmp_path):
    first = student(tmp_path).fit(X, Y)
    assert first.cache_info_.misses > 0
    assert student(tmp_path, temperature=3.0).fit(X, Y).cache_info_.misses == 0
    assert student(tmp_path).fit(X, Y).cache_info_.misses == 0


def test_strict_raises_of_what_was_found_before(tmp_path):
    wrong = LogisticRegression(max_iter=2000).fit(X, (Y + 1) % 10)
    with pytest.warns(UserWarning, match="teacher"):
        net = student(tmp_path, teacher=wrong).fit(X, Y)
    with pytest.warns(UserWarning, match="teacher"):
        again = student(tmp_path, teacher=wrong).fit(X, Y)
    assert again.resumed_ == MAX_EPOCHS
    assert [f.code for f in again.teacher_findings_] == [
        f.code for f in net.teacher_findings_
    ]
    strict = student(tmp_path, teacher=wrong, strict=True)
    with pytest.raises(ValueError, match="teacher"):
        strict.fit(X, Y)
    assert not hasattr(strict, "module_")


def test_skorch_checkpoint_goes_on(tmp_path):
    def params(name):
        saver = Checkpoint(dirname=str(tmp_path / name), load_best=True)
        return {"callbacks": [saver], "train_split": SPLIT, "lr": 0.3}

    whole = student(**params("a")).fit(X, Y)
    kill(student(tmp_path / "fits", **params("b")), X, Y, 3)
    again = student(tmp_path / "fits", **params("b")).fit(X, Y)
    assert again.resumed_ == 2
    assert_same(whole, again)


def test_clone_pickle_params_and_html(tmp_path):
    net = student(tmp_path, checkpoint_every=2)
    assert clone(net).checkpoint == tmp_path
    assert net.get_params()["checkpoint_every"] == 2
    fitted = pickle.loads(pickle.dumps(net.fit(X, Y)))
    assert fitted.resumed_ == 0 and fitted.checkpoint == tmp_path
    assert "checkpoint" in repr(net) and "checkpoint" in net._repr_html_()
    assert clone(net).fit(X, Y).resumed_ == MAX_EPOCHS


def test_without_checkpoint_nothing_is_resumed():
    assert student().fit(X, Y).resumed_ == 0
    assert DistilledClassifier().resumed_ == 0
