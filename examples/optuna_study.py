"""An Optuna study of a student: temperature, alpha, learning rate and width.

    python examples/optuna_study.py                  the digits of scikit-learn
    python examples/optuna_study.py FOLDER           your own folder of class folders

The study lives in an SQLite file. Stop it with Ctrl-C whenever you like and start it
again with the same command: it goes on where it was. Unpromising trials are given up
after an epoch or a fold, not after three folds. For a study on several machines see
many_machines/.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import optuna
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedGroupKFold
from skorch.callbacks import LRScheduler
from torch.optim.lr_scheduler import CosineAnnealingLR

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.search import pruned_cross_val_score, suggest_distillation
from skkd.students import SmallCNN

FINISHED = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)


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


def network(epochs: int, **params) -> DistilledClassifier:
    schedule = LRScheduler(CosineAnnealingLR, T_max=epochs)
    return DistilledClassifier(
        SmallCNN, max_epochs=epochs, callbacks=[schedule], random_state=0, **params
    )


def choose(trial: optuna.Trial) -> dict[str, float]:
    """Let the trial choose the parameters of a student."""
    return {
        **suggest_distillation(trial),
        "lr": trial.suggest_float("lr", 1e-3, 3e-2, log=True),
        "module__width": trial.suggest_int("width", 2, 6),
    }


def open_study(path: Path, name: str) -> optuna.Study:
    """Create the study, or take up the one of this name that is in the file."""
    study = optuna.create_study(
        study_name=name,
        storage=f"sqlite:///{path}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
    )
    # Another seed for each start, or a resumed study would repeat its first guesses.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
    return study


def report(study: optuna.Study) -> None:
    best = study.best_trial
    pruned = len(study.get_trials(states=[optuna.trial.TrialState.PRUNED]))
    finished = len(study.get_trials(states=FINISHED))
    print(f"\n{finished} trials, {pruned} of them given up early")
    print(f"best: trial {best.number}, accuracy {best.value:.3f} in cross-validation")
    for name, value in best.params.items():
        print(f"  {name:12} {value:.4g}")
    if len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) > 3:
        print("importance of each parameter")
        for name, share in optuna.importance.get_param_importances(study).items():
            print(f"  {name:12} {share:.2f}")


def run(folder: Path, args: argparse.Namespace) -> None:
    photos = load_image_folder(folder)
    images = ImageReader(size=args.size).fit_transform(photos.data)
    train, test = split(photos)
    X, y = images[train], photos.target[train]

    teacher = network(args.epochs, module__width=32, lr=3e-3).fit(X, y)
    student = network(args.epochs, teacher=teacher)
    name = f"{folder.resolve().name}, {args.size} pixels, {args.epochs} epochs"
    study = open_study(args.study, name)
    done = len(study.get_trials(states=FINISHED))
    print(f"{args.study}: {done} trials done, {max(args.trials - done, 0)} to go")

    def objective(trial: optuna.Trial) -> float:
        student.set_params(**choose(trial))
        return pruned_cross_val_score(student, X, y, trial).mean()

    study.optimize(
        objective, n_trials=max(args.trials - done, 0), show_progress_bar=True
    )
    report(study)

    best = choose(optuna.trial.FixedTrial(study.best_params))
    student.set_params(**best).fit(X, y)
    for name, net in {"teacher": teacher, "best student": student}.items():
        score = net.score(images[test], photos.target[test])
        print(f"{name}: {score:.3f} on {len(test)} images that the study never saw")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="subfolders are classes")
    parser.add_argument("--trials", type=int, default=20, help="finished trials in all")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--size", type=int, help="pixels a side (default 64, digits 8)")
    parser.add_argument("--study", type=Path, default=Path("student.db"))
    args = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or write_digits(Path(scratch) / "digits")
        args.size = args.size or (64 if args.folder else 8)
        run(folder, args)


if __name__ == "__main__":
    main()
