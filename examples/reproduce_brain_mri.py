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

All networks are the first layers of a MobileNetV2 of ImageNet. The very first of them
stay as they are, so that what they make of each view of an image is computed once.
Seconds to fit are those of the layers behind, without what the teacher was asked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from reproduction import (
    collect,
    group_alike,
    load_with_copies,
    parser,
    show_networks,
)
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold
from skorch.callbacks import LRScheduler
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.optim.lr_scheduler import CosineAnnealingLR

from skkd import DistilledClassifier, ImageReader
from skkd.augment import Affine, Augmentation, ColorJitter, Compose, Flip
from skkd.recipes import DistilledEnsemble
from skkd.report import Fit
from skkd.students import torchvision_model

WARP = Affine(degrees=15, scale=(0.85, 1.2), translate=0.08)
AUGMENT = Compose([Flip(), WARP, ColorJitter(brightness=0.25, contrast=0.25)])
FIRST, CHANNELS = 7, 32  # layers that stay as they are, and what the last of them gives
TAUGHT = {"temperature": 2.0, "alpha": 0.9, "lr": 1e-3}
TITLES = {
    "plain": "plain student",
    "distilled": "distilled student",
    "teacher": "teacher",
    "ensemble": "ensemble of distilled students",
    "back": "ensemble distilled back",
}


def content(image: np.ndarray) -> np.ndarray:
    """Return 32x32 pixels of a gray image (H, W), without its even margins."""
    for axis in (1, 0, 1, 0):
        kept = np.flatnonzero(image.std(axis=1 - axis) > 12)
        image = image.take(range(kept[0], kept[-1] + 1), axis)
    pixels = torch.tensor(image)[None, None].float()
    return interpolate(pixels, (32, 32), mode="bilinear", antialias=True).flatten()


def load(args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the first layers make of the images, classes, groups of copies.

    The contents of copies correlate by 0.97 and more, of any two others by less than
    0.9.
    """
    torch.set_num_threads(1)
    args.epochs, args.views, args.students = (1, 2, 2) if args.quick else (10, 10, 3)
    photos = load_with_copies(args.data)
    paths, y = (photos[key][:: 4 if args.quick else 1] for key in ("data", "target"))
    X = ImageReader(96, mode="L").fit_transform(paths)
    groups = group_alike([content(image) for (image,) in X], least=0.95)
    start = time.perf_counter()
    X = first_layers(args, X)
    seconds = time.perf_counter() - start
    print(f"{len(y)} images of {len(set(groups))} different pictures")
    print(f"{args.views + 1} views of each: {seconds:.0f} s in the first layers")
    return X, y, groups


def mobilenet(until: int, n_classes: int = 2, **params: Any) -> Any:
    until = f"features.{until}"
    return torchvision_model("mobilenet_v2", n_classes, until=until, **params)


def weights(args: argparse.Namespace) -> dict[str, Any]:
    return {"weights": args.weights, "mean": args.mean, "std": args.std}


@torch.no_grad()
def first_layers(args: argparse.Namespace, X: np.ndarray) -> np.ndarray:
    """Return what they make of each image and of its views, one behind the other."""
    net = mobilenet(FIRST - 1, **weights(args)).eval()
    front = nn.Sequential(net.standardize, net.backbone.features)
    maps = []
    for view in range(args.views + 1):
        seeds = view * len(X) + torch.arange(len(X))
        x = AUGMENT(torch.from_numpy(X), seeds) if view else torch.from_numpy(X)
        maps.append(torch.cat([front(x.expand(-1, 3, -1, -1)) for x in x.split(32)]))
    return torch.cat(maps, dim=1).numpy()


class OneView(Augmentation):
    """Takes another of the views instead of the image as it is."""

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return the same rows, with one of their views in front."""
        views = x.unflatten(1, (-1, CHANNELS))
        chosen = 1 + (seeds % (views.shape[1] - 1)).astype(np.int64)
        out = x.clone()
        out[:, :CHANNELS] = views[torch.arange(len(x)), chosen]
        return out


class LastLayers(nn.Module):
    """The layers behind; of these, the first `fixed` do not learn.

    With 200 images the statistics of ImageNet are better than those of a batch: batch
    normalisation stays in eval mode.
    """

    def __init__(self, n_classes: int, until: int, fixed: int, **params: Any) -> None:
        super().__init__()
        net = mobilenet(until, n_classes, **params)
        self.body, self.head = net.backbone, nn.Sequential(nn.Dropout(0.2), net.head)
        self.body.features = self.body.features[FIRST:]
        self.body.features[:fixed].requires_grad_(False)

    def train(self, mode: bool = True) -> LastLayers:  # noqa: D102
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.body(x[:, :CHANNELS]))


def network(args: argparse.Namespace, until: int, fixed: int, **params: Any):
    """Build a network of the layers up to `until`, and how it learns."""
    return DistilledClassifier(
        LastLayers,
        module__until=until,
        module__fixed=fixed,
        **{f"module__{name}": value for name, value in weights(args).items()},
        augment=OneView(),
        max_epochs=args.epochs,
        batch_size=32,
        optimizer=torch.optim.AdamW,
        optimizer__param_groups=[("head.*", {"lr": 1e-2})],
        callbacks=[LRScheduler(CosineAnnealingLR, T_max=args.epochs)],
        **params,
    )


def teacher(args: argparse.Namespace, seed: int) -> DistilledClassifier:
    return network(args, until=16, fixed=7, lr=3e-4, random_state=seed)


def student(args: argparse.Namespace, seed: int, **params: Any) -> DistilledClassifier:
    params = {**TAUGHT, "views": args.views, "random_state": seed, **params}
    return network(args, until=9, fixed=0, **params)


def fit_fold(args, X, y, train, test, seed: int, fold: int) -> Iterator[Fit]:
    """Fit all networks to the training rows of a fold; ask them about the others."""
    master = teacher(args, seed).fit(X[train], y[train])
    recipe = DistilledEnsemble(student(args, seed, teacher=master), args.students)
    recipe.fit(X[train], y[train])
    first = recipe.students_[0]
    alone = clone(first).set_params(teacher=None, alpha=0).fit(X[train], y[train])
    ensemble = recipe.ensemble_predict_proba(X[test]).argmax(axis=1)
    networks = {
        "plain": (alone.predict(X[test]), [alone]),
        "distilled": (first.predict(X[test]), [first]),
        "teacher": (master.predict(X[test]), [master]),
        "ensemble": (recipe.classes_[ensemble], recipe.students_),
        "back": (recipe.predict(X[test]), [recipe.student_]),
    }
    front = mobilenet(FIRST - 1, **weights(args)).backbone
    for name, (said, nets) in networks.items():
        seconds = sum(sum(net.history[:, "dur"]) for net in nets)
        parts = [front, *(net.module_ for net in nets)]
        n_parameters = sum(p.numel() for part in parts for p in part.parameters())
        yield Fit(name, seed, fold, test, y[test], said, seconds, n_parameters)


def folds(X, y, groups, seed: int, n: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return other folds for each seed, with all copies of a picture on one side."""
    splitter = StratifiedGroupKFold(n, shuffle=True, random_state=seed)
    return list(splitter.split(X, y, groups))


def main() -> None:
    args = parser(__doc__, seeds=3, weights=True).parse_args()
    X, y, groups = load(args)

    def fit(seed: int, fold: int) -> Iterator[Fit]:
        return fit_fold(args, X, y, *folds(X, y, groups, seed)[fold], seed, fold)

    some = range(2 if args.quick else 5)
    plan = [(seed, fold) for seed in range(args.seeds) for fold in some]
    about = [args.epochs, args.views, args.students, TAUGHT, len(y)]
    fits = collect(fit, plan, args.resume, about)
    pairs = [("plain", "distilled"), ("plain", "back"), ("distilled", "back")]
    show_networks(fits, TITLES, pairs, groups)


if __name__ == "__main__":
    main()
