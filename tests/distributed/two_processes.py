"""Run by torchrun in two processes, for test_two_processes.py.

Each process does the same, and writes what it has seen to a file of its own. The last
check parts the processes, so it is the last.
"""

import hashlib
import json
import pickle
import sys
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from skkd import AcceleratedClassifier, DistillationWarning, TeacherWarning
from skkd._estimator.distributed.batch_norm import whole_batch_statistics
from skkd._estimator.distributed.shares import Share
from skkd.augment import RandomHorizontalFlip
from skkd.memory import clear_cache
from skkd.students import MLP

FOLDER = Path(sys.argv[1])
ACCELERATOR = Accelerator(cpu=True)
RANK = ACCELERATOR.process_index
X, Y = load_iris(return_X_y=True)
ORDER = np.random.RandomState(0).permutation(len(Y))[:121]
X, Y = X[ORDER].astype("float32"), Y[ORDER]  # batches of 50, 50 and 21 rows
IMAGES, DIGITS = load_digits(return_X_y=True)
IMAGES = IMAGES.reshape(-1, 1, 8, 8).astype("float32")[:75] / 16
DIGITS = DIGITS[:75]


LAYERS = [
    ((7, 5, 4, 3), nn.BatchNorm2d),
    ((1, 5, 4, 3), nn.BatchNorm2d),  # the second process has no row
    ((7, 5), nn.BatchNorm1d),
    ((7, 5, 6), nn.BatchNorm1d),
]


class CountingTeacher(nn.Module):
    """Counts the rows that it is asked about."""

    n_rows = 0

    def __init__(self, n_in=4, n_classes=3):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Linear(n_in, 7)
        self.head = nn.Linear(7, n_classes)

    def forward(self, X):
        CountingTeacher.n_rows += len(X)
        return self.head(torch.tanh(self.body(X.flatten(1))))


class Net(nn.Module):
    """With a dropout, and batch normalisation of maps, if they are wanted."""

    def __init__(self, n_classes, dropout=0.0):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(dropout)
        self.hidden = nn.Linear(4 * 36, 6)
        self.head = nn.Linear(6, n_classes)

    def forward(self, X):
        maps = self.drop(torch.relu(self.norm(self.conv(X))))
        return self.head(torch.relu(self.hidden(maps.flatten(1))))


class Fails(Callback):
    """Raises in the second process, in the middle of an epoch."""

    def on_batch_end(self, net, training, **kwargs):
        if RANK == 1 and len(net.history) == 2:
            raise ValueError("a mistake in one process")


def student(teacher=None, **params):
    defaults = dict(
        module__hidden=(8,), batch_size=50, max_epochs=2, lr=0.05, random_state=3
    )
    if "module" in params:
        del defaults["module__hidden"]
    defaults = {**defaults, "module": MLP, "optimizer": torch.optim.SGD}
    return AcceleratedClassifier(
        teacher=teacher, accelerator=ACCELERATOR, **{**defaults, **params}
    )


def weights(net):
    state = net.module_.state_dict().values()
    return np.concatenate([t.double().numpy().ravel() for t in state])


def digest(net):
    return hashlib.sha256(weights(net).tobytes()).hexdigest()


def against_one(net, X=X, y=Y, **fit_params):
    """Fit in two processes and in one; return how far the students are apart."""
    alone, n_rows = clone(net).set_params(accelerator=None), []
    for one in (alone, net):
        clear_cache()
        CountingTeacher.n_rows = 0
        one.fit(X, y, **fit_params)
        n_rows.append(CountingTeacher.n_rows)
    losses = [np.array(n.history[:, ("train_loss",)]).ravel() for n in (net, alone)]
    start = clone(alone).set_params(max_epochs=0).fit(X, y).module_.parameters()
    pairs = zip(start, alone.module_.parameters(), strict=True)
    moved = max(float((a - b).detach().abs().max()) for a, b in pairs)
    return {
        "apart": float(np.abs(weights(net) - weights(alone)).max()),
        "moved": moved,
        "losses": float(np.abs(losses[0] - losses[1]).max()),
        "digest": digest(net),
        "rows of one": n_rows[0],
        "rows": n_rows[1],
    }


def raised(function, *args, **kwargs):
    start = time.monotonic()
    try:
        function(*args, **kwargs)
    except Exception as error:
        message = "".join(traceback.format_exception(error))
        seconds = time.monotonic() - start
        return {"kind": type(error).__name__, "message": message, "seconds": seconds}
    return {"kind": "", "message": "", "seconds": 0}


def equal_to_one():
    teacher, of_images = CountingTeacher(), CountingTeacher(64, 10)
    few = np.where(np.arange(len(Y)) % 3 == 0, -1, Y)
    weight = np.linspace(0.1, 2, len(Y))
    rows = {
        "labels": student(),
        "kd": student(teacher, alpha=0.7),
        "adam": student(teacher, optimizer=torch.optim.Adam, lr=0.01),
        "class_weight": student(teacher, class_weight={0: 1, 1: 5, 2: 0.1}),
        "criterion__weight": student(criterion__weight=torch.tensor([1, 5, 0.1])),
        "split": student(teacher, train_split=ValidSplit(3, stratified=True)),
        "last batch of one": student(teacher, batch_size=40),
        "over the batch": student(teacher, distillation="dist"),
        "rkd": student(teacher, distillation="rkd", distillation__teacher_layer="body"),
    }
    results = {name: against_one(net) for name, net in rows.items()}
    results["weights"] = against_one(student(teacher), sample_weight=weight)
    results["unlabelled"] = against_one(student(teacher, unlabeled=-1), y=few)
    layers = dict(student_layer="hidden", teacher_layer="body")
    layers = {f"distillation__{key}": value for key, value in layers.items()}
    images = {
        "batch norm": dict(),
        "fitnet": dict(distillation="fitnet", **layers),
        "fitnet, cached": dict(
            distillation="fitnet", distillation__cache=True, **layers
        ),
        "crd": dict(distillation="crd", distillation__n_negatives=8, **layers),
        "fixed views": dict(augment=RandomHorizontalFlip(), n_views=2),
    }
    for name, params in images.items():
        of = None if name == "batch norm" else of_images
        net = student(of, module=Net, batch_size=20, lr=0.01, **params)
        results[name] = against_one(net, IMAGES, DIGITS)
    return results


def batch_norm():
    """Return how far each layer is from that of one process, in float64."""
    furthest = {}
    for shape, kind in LAYERS:
        for affine in (True, False):
            torch.manual_seed(0)
            one, own = (kind(5, affine=affine).double() for _ in range(2))
            if affine:
                for layer in (one, own):
                    layer.weight.data, layer.bias.data = torch.arange(10.0).view(2, 5)
                    layer.double()
            rows, gradient = torch.randn(2, *shape, dtype=torch.float64)
            x = (3 * rows + 2).requires_grad_()
            expected = one(x)
            expected.backward(gradient)
            share = Share(len(x), RANK, ACCELERATOR.num_processes)
            counts = torch.arange(len(x[share.rows])) < share.size
            part = x.detach()[share.rows].clone().requires_grad_()
            with whole_batch_statistics(own, share, ACCELERATOR.device):
                found = own(part)
                weighed = gradient[share.rows] * counts.view(-1, *[1] * (x.ndim - 1))
                found.backward(weighed)
            pairs = [
                (part.grad[counts], x.grad[share.rows][counts]),
                (part.grad[~counts], torch.zeros_like(part.grad[~counts])),
                (found[counts], expected[share.rows][counts]),
                (own.running_mean, one.running_mean),
                (own.running_var, one.running_var),
            ]
            for ours, theirs in zip(own.parameters(), one.parameters(), strict=True):
                pairs.append((ACCELERATOR.reduce(ours.grad), theirs.grad))
            distances = [(a - b).abs().max().item() for a, b in pairs if len(a)]
            furthest[f"{kind.__name__} {shape} {affine}"] = max(distances)
    return furthest


def fitted_teachers():
    """Teachers that are fitted on the way are fitted by one process."""
    results = {}
    for cv in (None, 3):
        net = student(LogisticRegression(max_iter=300), teacher_cv=cv)
        results[str(cv)] = {**against_one(net), "teacher": str(type(net.teacher_))}
    return results


def own_draws():
    nets = [
        student(module=Net, module__dropout=0.5, batch_size=20).fit(IMAGES, DIGITS)
        for _ in range(2)
    ]
    unseeded = student(random_state=None).fit(X, Y)
    return {"repeatable": digest(nets[0]) == digest(nets[1]), "digest": digest(nets[0]),
            "unseeded": digest(unseeded)}  # fmt: skip


def as_estimator():
    net = student(CountingTeacher(), gather_predictions=True).fit(X, Y)
    alone = net.predict_proba(X[:7]), net.set_params(gather_predictions=False)
    by_all = net.set_params(gather_predictions=True).predict_proba(X)
    net.set_params(gather_predictions=False)
    again = pickle.loads(pickle.dumps(net))
    twin = clone(net)
    search = GridSearchCV(student(), {"lr": [0.001, 0.1]}, cv=2).fit(X, Y)
    return {
        "gathered": float(np.abs(by_all - net.predict_proba(X)).max()),
        "few": float(np.abs(alone[0] - net.predict_proba(X[:7])).max()),
        "one row": len(net.set_params(gather_predictions=True).predict(X[:1])),
        "pickled": bool((again.predict(X) == net.predict(X)).all()),
        "pickle has": str(again.accelerator),
        "clone shares": twin.accelerator is net.accelerator,
        "param": net.get_params()["accelerator"] is ACCELERATOR,
        "best": search.best_params_,
        "scores": search.cv_results_["mean_test_score"].tolist(),
        "n_jobs": raised(
            GridSearchCV(student(), {"lr": [0.001, 0.1]}, cv=2, n_jobs=2).fit, X, Y
        ),
    }


def callbacks():
    seen = []

    class Seen(Callback):
        def on_batch_end(self, net, batch, y_pred, training, **kwargs):
            seen.append([training, len(batch[0]), len(batch[1]), len(y_pred)])

    class Writes(Callback):
        main_process_only = True

        def on_epoch_end(self, net, **kwargs):
            seen.append("written")

    written = []

    class Kept(Checkpoint):
        def save_model(self, net):
            written.append(len(net.history))
            super().save_model(net)

    net = student(
        CountingTeacher(),
        train_split=ValidSplit(4, stratified=True),
        max_epochs=40,
        lr=0.5,
        verbose=1,
        callbacks=[
            EarlyStopping("valid_acc", patience=3, lower_is_better=False),
            EpochScoring("accuracy", name="score", use_caching=False),
            EpochScoring("accuracy", on_train=True, name="train_score"),
            Kept(dirname=FOLDER, load_best=True),
            Seen(),
            Writes(),
        ],
    ).fit(X, Y)
    keys = ("train_loss", "valid_loss", "valid_acc", "score", "train_score")
    return {
        "history": net.history[:, keys],
        "epochs": len(net.history),
        "digest": digest(net),
        "checkpoints": len(written),
        "seen": seen[:6],
        "written": "written" in seen,
        "batches": [b.get("train_batch_size") for b in net.history[0]["batches"]],
    }


def refusals():
    other = X + RANK
    # Which improves by less than 100 in two epochs.
    stops_alone = [EarlyStopping("train_loss", patience=1, threshold=100)] * RANK
    missing = X.copy()
    missing[3, 1] = np.nan if RANK else 0
    norm = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    norm.insert(0, nn.InstanceNorm2d(1, track_running_stats=True))
    return {
        "other data": raised(student().fit, other, Y),
        "fewer rows": raised(student().fit, X[: 100 + RANK], Y[: 100 + RANK]),
        "other parameters": raised(student(lr=0.1 * (RANK + 1)).fit, X, Y),
        "one fails": raised(student().fit, missing, Y),
        "all fail": raised(student(alpha=3).fit, X, Y),
        "keep": raised(student(on_interrupt="keep").fit, X, Y),
        "device": raised(student(device="cpu").fit, X, Y),
        "instance norm": raised(
            student(module=norm, batch_size=20).fit, IMAGES, DIGITS
        ),
        "stops alone": raised(student(callbacks=stops_alone, max_epochs=4).fit, X, Y),
        "other rows": raised(
            student(gather_predictions=True).fit(X, Y).predict, X[: 3 + RANK]
        ),
        "still works": raised(student().fit, X, Y),
    }


def parting():
    net = student(callbacks=[Fails()], max_epochs=4)
    return {"first": raised(net.fit, X, Y), "second": raised(student().fit, X, Y)}


def main():
    warnings.simplefilter("error")
    # The teachers are made up, and larger networks would take longer.
    warnings.simplefilter("ignore", TeacherWarning)
    warnings.simplefilter("ignore", DistillationWarning)
    results = {"processes": ACCELERATOR.num_processes}
    checks = [equal_to_one, batch_norm, fitted_teachers, own_draws, as_estimator]
    for check in [*checks, callbacks, refusals, parting]:
        start = time.monotonic()
        results[check.__name__] = check()
        results[f"{check.__name__} took"] = time.monotonic() - start
    (FOLDER / f"{RANK}.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
