"""From a folder of images to a small student of a large teacher.

    python examples/quickstart.py            the digits that ship with scikit-learn
    python examples/quickstart.py FOLDER     your own: one subfolder of images a class
    python examples/quickstart.py --html comparison.html     with plots and examples

The way: folder -> load_image_folder -> Pipeline(ImageReader, network) -> a teacher -> a
small student alone -> the same student with the teacher, temperature and alpha
chosen by cross-validation -> a table of the three, on images that none of them saw.

The teacher knows the images on which a choice is validated, which speaks for following
it closely; with teacher_cv=None one would be fitted in each fold, which takes longer.
What the choice is worth, the table at the end tells.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from skorch.callbacks import LRScheduler, ProgressBar
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm import tqdm

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.report import compare
from skkd.students import SmallCNN

GRID = [
    {"distilledclassifier__alpha": [0.0]},  # without the teacher, which may be best
    {
        "distilledclassifier__temperature": [1, 4],
        "distilledclassifier__alpha": [0.5, 0.9],
    },
]


def write_digits(root: Path) -> Path:
    """Write scikit-learn's handwritten digits as a folder of PNG files."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(
        zip(digits.images, digits.target, strict=True)
    ):
        folder = root / f"digit_{label}"
        folder.mkdir(parents=True, exist_ok=True)
        gray = (pixels * (255 / 16)).round().astype(np.uint8)
        Image.fromarray(gray).save(folder / f"{number:04d}.png")
    return root


def split(photos, n_splits: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Hold out a quarter for the test; copies of a file stay on one side."""
    folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=0)
    return next(folds.split(photos.data, photos.target, photos.groups))


def network(args: argparse.Namespace, memory: str, show=(), **params) -> Pipeline:
    """Build reader and network; decoded images are cached between fits."""
    schedule = LRScheduler(CosineAnnealingLR, T_max=args.epochs)
    net = DistilledClassifier(
        SmallCNN,
        max_epochs=args.epochs,
        callbacks=[schedule, *show],
        random_state=0,
        **params,
    )
    return make_pipeline(ImageReader(size=args.size), net, memory=memory)


def search(student: Pipeline, X, y, groups: np.ndarray) -> GridSearchCV:
    """Choose temperature and alpha by cross-validation on the training images."""
    n_fits = 3 * len(ParameterGrid(GRID))
    folds = StratifiedGroupKFold(3)
    with tqdm(total=n_fits, desc="temperature x alpha x 3 folds", unit="fit") as bar:

        def accuracy(estimator, X, y):
            bar.update()
            return estimator.score(X, y)

        found = GridSearchCV(student, GRID, cv=folds, scoring=accuracy)
        found.fit(X, y, groups=groups)
    return found


def run(folder: Path, args: argparse.Namespace, memory: str) -> None:
    photos = load_image_folder(folder)
    train, test = split(photos)
    X, y = photos.data[train], photos.target[train]
    print(f"{len(X)} images to learn from, {len(test)} to test, {len(set(y))} classes")

    large = {"module__width": 32, "lr": 3e-3}
    small = {"module__width": 4, "lr": 1e-2}
    teacher = network(args, memory, show=[ProgressBar()], **large).fit(X, y)
    alone = network(args, memory, **small).fit(X, y)
    student = network(args, memory, teacher=teacher[-1], **small)
    found = search(student, X, y, photos.groups[train])
    best = {name.split("__")[1]: value for name, value in found.best_params_.items()}

    networks = {"teacher": teacher, "distilled": found, "plain": alone}
    print(f"\nChosen by cross-validation: {best}\n")
    X, y, groups = photos.data[test], photos.target[test], photos.groups[test]
    result = compare(networks, X, y, groups=groups)
    print(result)
    if args.html:
        result.to_html(args.html, title=f"{folder.name}: teacher and students")
        print(f"\nWritten: {args.html}{without_plots()}")


def without_plots() -> str:
    known = importlib.util.find_spec("matplotlib")
    return "" if known else ", without plots: pip install matplotlib"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="subfolders are classes")
    parser.add_argument("--size", type=int, help="pixels a side (default 64, digits 8)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--html", type=Path, help="write the comparison as a page")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or write_digits(Path(scratch) / "digits")
        args.size = args.size or (64 if args.folder else 8)
        run(folder, args, memory=str(Path(scratch) / "memory"))


if __name__ == "__main__":
    main()
