"""Six pictures of a teacher and its students, on the digits of scikit-learn.

    python examples/plot_displays.py FOLDER      writes six PNG files

Each display has `plot(ax=None)` and keeps `ax_` and `figure_`, as those of scikit-learn
do. Needs `pip install ".[plot]"`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier
from skkd.displays import (
    ConfusionDifferenceDisplay,
    ParetoDisplay,
    ReliabilityDisplay,
    SoftLabelsDisplay,
    TemperatureAlphaDisplay,
    TrainingCurvesDisplay,
)
from skkd.students import MLP

GRID = [
    {"alpha": [0.0]},  # without the teacher
    {"temperature": [1, 2, 4, 8], "alpha": [0.3, 0.6, 0.9]},
]


def network(hidden: int, epochs: int, **params: Any) -> DistilledClassifier:
    """Build a network that holds a fifth of the rows out, to watch its loss."""
    return DistilledClassifier(
        MLP,
        module__hidden=hidden,
        lr=0.01,
        max_epochs=epochs,
        train_split=ValidSplit(5, stratified=True),
        random_state=0,
        **params,
    )


def draw_all(epochs: int) -> dict[str, Any]:
    """Train a teacher and two students, and return a display for each name."""
    digits = load_digits()
    X, X_test, y, y_test = train_test_split(
        digits.data, digits.target, test_size=0.5, random_state=0
    )
    teacher = network(256, epochs).fit(X, y)
    plain = network(8, epochs).fit(X, y)
    search = GridSearchCV(network(8, epochs, teacher=teacher), GRID, cv=3).fit(X, y)
    students = {"distilled": search.best_estimator_, "plain": plain}
    models = {"teacher": teacher} | students
    # The digit of which the teacher is least sure.
    unsure = teacher.predict_proba(X_test).max(axis=1).argmin()
    return {
        "pareto": ParetoDisplay.from_estimators(models, X_test, y_test),
        "temperature_alpha": TemperatureAlphaDisplay.from_search(search),
        "training_curves": TrainingCurvesDisplay.from_estimators(models),
        "soft_labels": SoftLabelsDisplay.from_estimator(
            teacher,
            X_test[unsure],
            label=y_test[unsure],
            image=X_test[unsure].reshape(8, 8),
        ),
        "reliability": ReliabilityDisplay.from_estimators(models, X_test, y_test),
        "confusion_difference": ConfusionDifferenceDisplay.from_estimators(
            students, X_test, y_test
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the pictures")
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    plt.switch_backend("Agg")  # files only, no window
    for name, display in draw_all(args.epochs).items():
        path = args.folder / f"{name}.png"
        display.figure_.savefig(path, dpi=150)
        plt.close(display.figure_)
        print(path)


if __name__ == "__main__":
    main()
