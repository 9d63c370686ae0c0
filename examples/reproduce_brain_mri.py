"""Brain MRI, tumour or not: several students, and one student that replaces them.

    python examples/reproduce_brain_mri.py --data FOLDER

FOLDER holds yes/ and no/ of Kaggle's "Brain MRI Images for Brain Tumor Detection".

Published: an EfficientNetB0 of 4,052,133 parameters 89.56 %, a student of 295,690
89.99 %. The authors wished for more tuning, and for an ensemble of students.
Kept: the 253 images, and a student of at most 295,690 parameters.
Corrected:
- A picture lies in the folder up to five times: identical files, and other sizes of it.
  A random split tests on pictures that it trained on; here all copies are on one side.
- Five folds, others for each seed; every network is fitted to the training rows of a
  fold, for a fixed number of epochs. The student alone differs by its teacher only.
- What is set here was chosen on inner folds of the training rows of one fold.

All networks are the first layers of a MobileNetV2 of ImageNet; the very first of them
stay as they are. Each says the mean over an image and its mirror image.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import torch
from networks import FirstLayers, learner
from reproduction import (
    collect,
    group_alike,
    grouped_folds,
    load_with_copies,
    parser,
    show_networks,
    weights_of,
)

from skkd import DistilledClassifier, ImageReader
from skkd.augment import ColorJitter, Compose, RandomAffine, RandomHorizontalFlip
from skkd.losses import KD, FitNet, WeightedSum
from skkd.report import Fit

WARP = RandomAffine(degrees=15, scale=(0.85, 1.2), translate=0.08)
AUGMENT = Compose(
    [RandomHorizontalFlip(), WARP, ColorJitter(brightness=0.25, contrast=0.25)]
)
TAUGHT = {"temperature": 2.0, "alpha": 0.9, "lr": 3e-3}
HINT = FitNet("maps", "maps", weight=0.3, cache=True)
LOGITS_AND_MAPS = WeightedSum([("logits", KD()), ("maps", HINT)])
TITLES = {
    "plain": "plain student",
    "distilled": "distilled student",
    "teacher": "teacher",
    "ensemble": "ensemble of distilled students",
    "back": "ensemble distilled back",
}


def options(doc: str) -> argparse.ArgumentParser:
    """Return a parser; the study has the same options."""
    out = parser(doc, seeds=3, weights=True)
    out.add_argument("--identical", action="store_true", help="group no other copies")
    return out


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, classes, and groups of files that show one picture."""
    torch.set_num_threads(1)
    args.epochs, args.views, args.students = (1, 2, 2) if args.quick else (30, 10, 3)
    photos = load_with_copies(args.data)
    few = slice(None, None, 4 if args.quick else 1)
    paths, y = photos.data[few], photos.target[few]
    same = photos.groups[few]
    # Copies correlate by 0.97 and more, any two other pictures by less than 0.9.
    groups = same if args.identical else group_alike(paths, least=0.95, trim=True)
    print(f"{len(y)} images in {len(set(groups))} groups")
    return ImageReader(96, mode="L").fit_transform(paths), y, groups


def network(args: argparse.Namespace, until: int, fixed: int, **params: Any):
    """Build a network of the layers up to `until`, and how it learns."""
    return learner(
        FirstLayers,
        args.epochs,
        module__until=until,
        module__fixed=fixed,
        **weights_of(args),
        augment=AUGMENT,
        batch_size=32,
        optimizer=torch.optim.AdamW,
        optimizer__param_groups=[("head.*", {"lr": 1e-2})],
        **params,
    )


def teacher(args: argparse.Namespace, seed: int) -> DistilledClassifier:
    return network(args, until=16, fixed=14, lr=1e-3, random_state=seed)


def student(args: argparse.Namespace, seed: int, **params: Any) -> DistilledClassifier:
    params = {**TAUGHT, "n_views": args.views, "random_state": seed, **params}
    return network(args, until=9, fixed=7, **params)


def fit_fold(args, X, y, train, test, seed: int, fold: int) -> Iterator[Fit]:
    """Fit all networks to the training rows of a fold; ask them about the others."""
    rows = X[train], y[train]
    master = teacher(args, seed).fit(*rows)
    taught = {"teacher": master, "distillation": LOGITS_AND_MAPS}
    seeds = range(100 * seed, 100 * seed + args.students)
    members = [student(args, seed, **taught).fit(*rows) for seed in seeds]
    alone = student(args, seeds[0], alpha=0).fit(*rows)
    back = student(args, seeds[0], teacher=members).fit(*rows)
    ensemble = sum(member.predict_proba(X[test]) for member in members).argmax(axis=1)
    networks = {
        "plain": (alone.predict(X[test]), [alone]),
        "distilled": (members[0].predict(X[test]), members[:1]),
        "teacher": (master.predict(X[test]), [master]),
        "ensemble": (back.classes_[ensemble], members),
        "back": (back.predict(X[test]), [back]),
    }
    for name, (said, nets) in networks.items():
        seconds = sum(sum(net.history[:, "dur"]) for net in nets)
        n_parameters = sum(p.numel() for net in nets for p in net.module_.parameters())
        yield Fit(name, seed, fold, test, y[test], said, seconds, n_parameters)


def folds(X, y, groups, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows that train and that test, other ones for each seed."""
    return list(grouped_folds(seed).split(X, y, groups))


def main() -> None:
    args = options(__doc__).parse_args()
    X, y, groups = load(args)

    def fit(seed: int, fold: int) -> Iterator[Fit]:
        return fit_fold(args, X, y, *folds(X, y, groups, seed)[fold], seed, fold)

    plan = [*product(range(args.seeds), range(2 if args.quick else 5))]
    about = [args.epochs, args.views, args.students, TAUGHT, repr(LOGITS_AND_MAPS)]
    about += [len(y), args.identical]
    fits = collect(fit, plan, args.resume, about)
    pairs = [("plain", "distilled"), ("plain", "back"), ("distilled", "back")]
    show_networks(fits, TITLES, pairs, groups)


if __name__ == "__main__":
    main()
