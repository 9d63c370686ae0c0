"""Brain MRI: an ensemble of pretrained networks, its student, and a learning curve.

    python examples/ensemble_brain_mri.py --data FOLDER

FOLDER, folds and student are those of reproduce_brain_mri.py; copies of a picture are
on one side. Each network of ImageNet stays as it is: a logistic regression learns from
the features that it computes, and the teacher is the mean of these. What it says of a
picture comes from clones that were fitted to other pictures, ``teacher_cv=5``.

The learning curve is that of the teachers, fitted to a part of the pictures of the
training folds. If it still rises where it ends, the pictures are too few.

The settings were fixed before: the size of images that a network was trained with,
standardised features, C=0.01; those of the student are its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from networks import features
from reproduce_brain_mri import folds, load, options, student
from reproduction import collect, load_with_copies, show_networks, spread, weights_of
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skkd.report import Fit
from skkd.students import EfficientNetLite, torchvision_model
from skkd.students.efficientnet_lite import LITE, is_installed

SHARES = (0.125, 0.25, 0.5, 0.75, 1.0)
TITLES = {
    "plain": "plain student",
    "distilled": "student of the ensemble",
    "teacher": "ensemble of pretrained networks",
}


def backbones(args: argparse.Namespace) -> dict[str, tuple[nn.Module, int]]:
    """Return each network that is given or installed, and the size of its images."""
    known = weights_of(args)
    weights = {key.removeprefix("module__"): value for key, value in known.items()}
    networks = {"mobilenet_v2": (torchvision_model("mobilenet_v2", 2, **weights), 224)}
    for name in filter(is_installed, LITE):
        network = EfficientNetLite(2, name=name, weights="installed")
        networks[name] = network, LITE[name].size
    return networks


def heads(columns: dict[str, slice]) -> dict[str, Any]:
    """Return a classifier of the features of each network, and one of all."""
    each = {}
    for name, own in columns.items():
        scaled = make_column_transformer((StandardScaler(), own))
        each[name] = make_pipeline(scaled, LogisticRegression(C=0.01, max_iter=1000))
    return each | {"all together": VotingClassifier([*each.items()], voting="soft")}


def some_groups(groups, y, share: float, seed: int) -> np.ndarray:
    """Tell of each row whether it is in its class's share of the groups."""
    rng, kept = np.random.default_rng(seed), []
    for label in np.unique(y):
        own = rng.permutation(np.unique(groups[y == label]))
        kept.append(own[: max(2, round(share * len(own)))])
    return np.isin(groups, np.concatenate(kept))


def show_curve(models: dict[str, Any], F, y, groups, plan) -> None:
    """Print the accuracy of each model for each share of the training pictures."""
    print("\n| share of the pictures | " + " | ".join(models) + " |")
    print("| --- |" + " ---: |" * len(models))
    for share in SHARES:
        scores: dict[str, list[float]] = {name: [] for name in models}
        for seed, fold in plan:
            train, test = folds(F, y, groups, seed)[fold]
            rows = train[some_groups(groups[train], y[train], share, seed)]
            for name, model in models.items():
                right = model.fit(F[rows], y[rows]).score(F[test], y[test])
                scores[name].append(100 * right)
        cells = " | ".join(spread(np.array(values)) for values in scores.values())
        print(f"| {100 * share:g} % | {cells} |", flush=True)


def fit_fold(args, X, F, y, groups, model, seed: int, fold: int) -> Iterator[Fit]:
    """Fit both students and the ensemble to the training rows of a fold."""
    train, test = folds(X, y, groups, seed)[fold]
    # The teacher knows the images as they are, the student sees other views of them.
    taught = {"teacher": model, "teacher_cv": 5, "teacher_view": "clean"}
    nets = {
        "plain": student(args, 100 * seed, n_views=None, alpha=0),
        "distilled": student(args, 100 * seed, n_views=None, **taught),
    }
    for name, net in nets.items():
        of_teacher = {"teacher_X": F[train], "groups": groups[train]}
        net.fit(X[train], y[train], **(of_teacher if name == "distilled" else {}))
        seconds = sum(net.history[:, "dur"])
        n_parameters = sum(p.numel() for p in net.module_.parameters())
        said = net.predict(X[test])
        yield Fit(name, seed, fold, test, y[test], said, seconds, n_parameters)
    said = model.fit(F[train], y[train]).predict(F[test])
    yield Fit("teacher", seed, fold, test, y[test], said, 0.0, None)


def main() -> None:
    args = options(__doc__).parse_args()
    X, y, groups = load(args)
    paths = load_with_copies(args.data).data[:: 4 if args.quick else 1]
    found = {name: features(*of, paths).numpy() for name, of in backbones(args).items()}
    ends = np.cumsum([values.shape[1] for values in found.values()])
    starts = [0, *ends[:-1]]
    columns = dict(zip(found, map(slice, starts, ends), strict=True))
    F, models = np.hstack([*found.values()]), heads(columns)
    plan = [*product(range(args.seeds), range(2 if args.quick else 5))]
    show_curve(models, F, y, groups, plan)

    def fit(seed: int, fold: int) -> Iterator[Fit]:
        return fit_fold(args, X, F, y, groups, models["all together"], seed, fold)

    about = [args.epochs, args.views, args.identical, len(y), *found]
    fits = collect(fit, plan, args.resume, about)
    show_networks(fits, TITLES, [("plain", "distilled")], groups)


if __name__ == "__main__":
    main()
