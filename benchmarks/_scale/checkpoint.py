"""What saving costs a fit, and what a finished search costs that is run again."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from common import Bounds, Spread, table
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV

from skkd import DistilledClassifier
from skkd.checkpoints import list_folder
from skkd.checkpoints._watch import Watch
from skkd.students import CifarResNet

N_IMAGES, N_EPOCHS = 5000, 3
GRID = {"temperature": [1, 2, 4, 8], "alpha": [0.3, 0.6, 0.9]}
N_FOLDS, SEARCH_EPOCHS = 3, 60


class Taken(NamedTuple):
    """What a call took of the processor, and by the clock."""

    processor: float
    clock: float


def taken(function: Callable[[], Any]) -> tuple[Taken, Any]:
    """Return the times of a call, and its result."""
    clock, processor = time.perf_counter(), time.process_time()
    found = function()
    return Taken(time.process_time() - processor, time.perf_counter() - clock), found


def bench(args: Any, bounds: Bounds) -> None:
    """Measure what saving costs a fit, and loading a search."""
    saved_epochs(args, bounds)
    loaded_search(args, bounds)


def saved_epochs(args: Any, bounds: Bounds) -> None:
    """Train a ResNet-20, and take the times of its saves within the fit."""
    n = 256 if args.quick else N_IMAGES
    rows, shares = [], []
    for number in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            whole, saves = resnet_saved(n, number, folder)
            n_bytes = sum(one.nbytes for one in list_folder(folder))
        # The last epoch is saved with the finished student.
        own = Taken(*(sum(part) / N_EPOCHS for part in zip(*saves[:-1], strict=True)))
        epoch = whole.processor / (N_EPOCHS + 1)
        shares.append(own.processor / (epoch - own.processor))
        times = f"{1000 * own.processor:.0f}", f"{1000 * own.clock:.0f}"
        rows.append([f"{epoch:.2f}", *times, f"{n_bytes / 2**20:.1f}"])
    print(f"\n## Saved epochs: ResNet-20, {n:,} images, batches of 128\n")
    head = ["epoch, s of processor", "save, ms of processor", "save, ms", "MB kept"]
    print(table(head, rows), "\n")
    claim = "a save after each epoch, share of it"
    bounds.at_most(claim, Spread.of(shares).median, 0.05)


def resnet_saved(n: int, seed: int, folder: str) -> tuple[Taken, list[Taken]]:
    """Return the times of a fit, and those of what it does at the ends of epochs."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    logits = rng.normal(size=(n, 10)).astype("float32")
    settings = {"optimizer__momentum": 0.9, "lr": 0.05, "batch_size": 128}
    net = DistilledClassifier(
        CifarResNet,
        optimizer=torch.optim.SGD,
        max_epochs=N_EPOCHS + 1,
        random_state=seed,
        checkpoint=folder,
        checkpoint_every=1,
        **settings,
    )
    saves: list[Taken] = []
    end_epoch = Watch.end_epoch

    def timed(watch: Any, net: Any) -> None:
        saves.append(taken(lambda: end_epoch(watch, net))[0])

    Watch.end_epoch = timed
    try:
        y = np.arange(n) % 10
        return taken(lambda: net.fit(X, y, teacher_logits=logits))[0], saves
    finally:
        Watch.end_epoch = end_epoch


def loaded_search(args: Any, bounds: Bounds) -> None:
    """Run a grid search twice on one folder."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype("float32")
    teacher = RandomForestClassifier(100, random_state=0).fit(X[1200:], y[1200:])
    X, y = X[:1200], y[:1200]
    n_epochs = 2 if args.quick else SEARCH_EPOCHS
    rows, shares = [], []
    for number in range(args.rounds):
        with tempfile.TemporaryDirectory() as folder:
            net = DistilledClassifier(
                teacher=teacher,
                max_epochs=n_epochs,
                random_state=number,
                checkpoint=folder,
            )
            search = GridSearchCV(net, GRID, cv=N_FOLDS)
            first, one = taken(partial(clone(search).fit, X, y))
            again, other = taken(partial(clone(search).fit, X, y))
        scores = [found.cv_results_["mean_test_score"] for found in (one, other)]
        bounds.equal("scores that differ", int((scores[0] != scores[1]).sum()), 0)
        n_resumed = other.best_estimator_.resumed_
        bounds.equal("epochs of the best that were not repeated", n_resumed, n_epochs)
        shares.append(again.processor / first.processor)
        rows.append([f"{t:.2f}" for t in (*first, *again)])
    n = len(GRID["temperature"]) * len(GRID["alpha"]) * N_FOLDS
    print(f"\n## A finished search: {n} fits of 800 digits, and a refit\n")
    head = ["trained, s of processor", "trained, s", "loaded, s of processor"]
    print(table([*head, "loaded, s"], rows), "\n")
    claim = "loading a finished search, share of its time"
    bounds.at_most(claim, Spread.of(shares).median, 0.03)
