"""A search whose students are trained together takes the time of a few fits.

Claims, on one thread: 12 candidates (temperature x alpha) x 3 folds by PackedSearchCV
are at least 10 times as fast as GridSearchCV on the digits (1,797 rows, MLP 64-128-10,
30 epochs), of the same estimator and of skorch with a loss of one's own; 3 times on
6,000 rows of MNIST (MLP 784-128-10); never slower than 1.05 times for SmallCNN, whose
students are trained one by one. DistilledClassifierCV, 13 candidates x 5 folds and the
refit, takes at most 8 single fits' time. `gain`, 5 seeds x 5 folds, is at least 5 times
as fast as with an idle callback, with which students are fitted one by one.

How: all sides once in each round, each in a process of its own that fitted something
before, ratios taken round by round. The teacher is a forest, or a network, that was
fitted on other rows; skkd asks it within the time. Scores of both searches are equal.

    python benchmarks/bench_packed.py --data FOLDER --threads 1

FOLDER holds mnist.npz.
"""

from functools import partial

import numpy as np
import torch
from _peers.skorch_net import DistillationNet
from common import (
    Bounds,
    Run,
    clocked,
    describe_machine,
    flat_sets,
    load_mnist,
    paired,
    parser,
    ratios,
    seconds,
    seed_all,
    set_up,
    table,
    train_on_labels,
)
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback
from torch import nn

from skkd import DistilledClassifier, DistilledClassifierCV
from skkd.memory import clear_cache
from skkd.report import gain
from skkd.search import PackedSearchCV
from skkd.students import MLP, SmallCNN, Standardize

GRID = {"temperature": [1, 2, 4, 8], "alpha": [0.25, 0.5, 0.9]}


def digits():
    """Return rows for the student, and a network that was trained on others."""
    X, y = flat_sets(None)["digits"]
    return X, y.astype(np.int64), _network(X[::2], y[::2], 64, 30)


def mnist(n):
    """Return flat rows of MNIST, and a network that was trained on others."""

    def load(folder):
        X, y = flat_sets(folder)["MNIST"]
        return (
            X[:n],
            y[:n].astype(np.int64),
            _network(X[n : 2 * n], y[n : 2 * n], 784, 5),
        )

    return load


def _network(X, y, n_in, epochs):
    seed_all(0)
    teacher = nn.Sequential(nn.Linear(n_in, 512), nn.ReLU(), nn.Linear(512, 10))
    rows = torch.from_numpy(X), torch.from_numpy(y).long()
    return train_on_labels(teacher, _Rows(*rows), epochs)


class _Rows:
    def __init__(self, X, y):
        self.X, self.y = X, y


def student(teacher, epochs, batch_size, number, **parts):
    """Return the estimator that is searched."""
    return DistilledClassifier(
        **parts,
        teacher=teacher,
        max_epochs=epochs,
        batch_size=batch_size,
        random_state=number,
        device="cpu",
    )


def search(kind, data, epochs, batch_size, parts, grid, number):
    """Time one search."""
    X, y, teacher = data
    estimator = student(teacher, epochs, batch_size, number, **parts)
    estimator.set_params(max_epochs=1).fit(X[:512], y[:512])  # what is set up once
    estimator = student(teacher, epochs, batch_size, number, **parts)
    clear_cache()
    found = kind(estimator, grid, cv=3, refit=False)
    duration, _ = clocked(lambda: found.fit(X, y))
    return Run(duration, max(found.cv_results_["mean_test_score"]))


def search_skorch(data, epochs, batch_size, grid, number):
    """Time the search of a net that a user of skorch would write."""
    X, y, teacher = data
    seed_all(number)
    net = DistillationNet(
        MLP,
        module__n_classes=10,
        module__input_shape=X.shape[1:],
        teacher=teacher,
        temperature=1,
        alpha=0.5,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=epochs,
        batch_size=batch_size,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        device="cpu",
    )
    found = GridSearchCV(net, grid, cv=3, refit=False)
    duration, _ = clocked(lambda: found.fit(X, y))
    return Run(duration, found.best_score_)


def single_fit(data, epochs, number):
    """Time one fit."""
    X, y, teacher = data
    student(teacher, 1, 64, number).fit(X[:512], y[:512])
    net = student(teacher, epochs, 64, number)
    clear_cache()
    return Run(clocked(lambda: net.fit(X, y))[0], 0.0)


def fit_cv(data, epochs, number):
    """Time DistilledClassifierCV."""
    X, y, teacher = data
    student(teacher, 1, 64, number).fit(X[:512], y[:512])
    net = DistilledClassifierCV(
        teacher=teacher, max_epochs=epochs, random_state=number, device="cpu"
    )
    clear_cache()
    duration, _ = clocked(lambda: net.fit(X, y))
    return Run(duration, net.best_score_)


def measure_gain(callbacks, data, epochs, n_seeds, number):
    """Time gain of seeds x 5 folds x 2 students."""
    X, y, teacher = data
    student(teacher, 1, 64, number).fit(X[:512], y[:512])
    net = student(teacher, epochs, 64, number, callbacks=callbacks)
    net.set_params(temperature=4, alpha=0.5)
    clear_cache()
    duration, found = clocked(
        lambda: gain(net, X, y, seeds=n_seeds, teacher_saw="other rows")
    )
    return Run(duration, found.distilled.mean())


def show(name, sides, args):
    """Run all sides of a comparison, and print them."""
    print(f"\n## {name}\n", flush=True)
    runs = paired(sides, args.rounds, isolate=not args.quick)
    first = next(iter(runs.values()))
    rows = [
        [
            side,
            seconds(timed).show(),
            f"{timed[0].accuracy:.3f}",
            ratios(timed, first).show(),
        ]
        for side, timed in runs.items()
    ]
    print(
        "\n" + table(["", "seconds", "best score", "times the first"], rows), flush=True
    )
    return [*runs.values()]


def main():
    """Run what the command line asks for."""
    options = parser(__doc__)
    args = options.parse_args()
    epochs, n, n_images, grid = args.epochs or 30, 6000, 1500, GRID
    args.rounds = args.rounds or 3
    if args.quick:
        epochs, n, n_images, args.rounds, grid = 2, 600, 120, 1, {"alpha": [0.5, 0.9]}
    set_up(args.threads)
    print(describe_machine(["scikit-learn", "skorch"]))
    bounds = Bounds(enforced=not args.quick)

    data = digits()
    settings = (data, epochs, 64, {}, grid)
    sides = {
        "PackedSearchCV": partial(search, PackedSearchCV, *settings),
        "GridSearchCV": partial(search, GridSearchCV, *settings),
        "GridSearchCV of skorch": partial(search_skorch, data, epochs, 64, grid),
    }
    packed, loop, skorch = show("digits, MLP 64-128-10, 12 x 3", sides, args)
    bounds.at_least("digits, GridSearchCV", ratios(loop, packed).median, 10)
    bounds.at_least("digits, skorch", ratios(skorch, packed).median, 10)

    sides = {
        "one fit": partial(single_fit, data, epochs),
        "DistilledClassifierCV": partial(fit_cv, data, epochs),
    }
    one, chosen = show("digits, 13 candidates x 5 folds and the refit", sides, args)
    bounds.at_most("DistilledClassifierCV, in fits", ratios(chosen, one).median, 8)

    n_seeds = 1 if args.quick else 5
    sides = {
        "gain": partial(measure_gain, None, data, epochs, n_seeds),
        "gain, one by one": partial(
            measure_gain, [("idle", Callback())], data, epochs, n_seeds
        ),
    }
    packed, loop = show(f"digits, gain, {n_seeds} seeds x 5 folds", sides, args)
    bounds.at_least("gain, one by one", ratios(loop, packed).median, 5)

    data = mnist(n)(args.data)
    settings = (data, epochs // 3 or 1, 64, {}, grid)
    kinds = {
        k.__name__: partial(search, k, *settings)
        for k in (PackedSearchCV, GridSearchCV)
    }
    packed, loop = show("MNIST, MLP 784-128-10, 12 x 3", kinds, args)
    bounds.at_least("MNIST, GridSearchCV", ratios(loop, packed).median, 3)

    images = load_mnist(args.data, n_images, 1)
    seed_all(0)
    teacher = nn.Sequential(
        Standardize((1, 28, 28), mean=33.3, std=78.6),
        *(nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 10)),
    )
    data = images.X.numpy(), images.y.numpy(), train_on_labels(teacher, images, 1)
    parts = {"module": SmallCNN, "module__width": 4}
    settings = (data, epochs // 6 or 1, 64, parts, grid)
    kinds = {
        k.__name__: partial(search, k, *settings)
        for k in (GridSearchCV, PackedSearchCV)
    }
    loop, packed = show("MNIST, SmallCNN of width 4, 12 x 3", kinds, args)
    bounds.at_most("SmallCNN, packed / GridSearchCV", ratios(packed, loop).median, 1.05)
    print()
    bounds.finish()


if __name__ == "__main__":
    main()
