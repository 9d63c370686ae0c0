"""Tables: what boosted trees know, in a small network, from the same data frame.

Claim: on adult, 16,000 rows, the student of ``skkd.recipes.distil_table`` goes at least
60 % of the way in AUC from the same student without a teacher to the teacher, and
predicts 10,000 rows at least 5 times as fast.
With this one setting there is no set on which it is worse than the student alone by
more than two standard errors.

How: teacher and student get the same data frame, with categories and gaps. Of adult the
test rows are its official ones; of the other sets 30 % of the rows, drawn with each
seed. All sides of a seed have the same rows. The student alone has the same network and
preprocessing, and as many epochs as were best on a fifth of its training rows, up to
60; then it is trained on all of them. No setting was chosen on test rows: those of
`distil_table` were on training rows of adult that the student of that trial did not
have.

Time is that of the process, on one thread, of calls of ``predict_proba`` on a data
frame of 10,000 rows of pandas, text as categories: for each side the best of five, and
for the claim teachers and student by turns (``--times`` does that alone). The teacher
encodes categories itself, HistGradientBoosting and LightGBM by dtype, CatBoost after
they were made text, as it takes no gap in a category.

TabTune's distiller and its own network (see ``tabtune_peer``) are beside them where it
is installed: they learn from the teacher that was fitted on the same rows.

    python benchmarks/bench_tables.py --data FOLDER [--results figures.jsonl]

"recipe" is the student of `distil_table` as it is: "out of fold" and "synthetic", which
are "both", and ``teacher_calibration="temperature"``. FOLDER holds tables.tar.xz. With
--results a run that was cut short goes on from there.
"""

import io
import tarfile
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from common import Bounds, Mean, Spread, describe_machine, parser, table
from seeds import repeat
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from skorch.dataset import ValidSplit
from tabtune_peer import TabTuneStudent, is_installed
from threadpoolctl import threadpool_limits

from skkd.recipes import distil_table

# File, column of the class, and how labels are read.
SETS = {
    "adult": ("adult-train.csv", 14, None),
    "german credit": ("german.csv", 20, None),
    "breast cancer": ("breast-cancer.csv", 9, None),
    "horse colic": ("horse-colic.csv", 23, None),
    "mammography": ("mammography.csv", 6, None),
    "phoneme": ("phoneme.csv", 5, None),
    # Of the qualities 3 and 9 there are too few to be in each fold. From 0 on, as the
    # calibration of scikit-learn 1.9.1 takes labels of several classes for columns.
    "white wine": ("winequality-white.csv", 11, lambda y: y.clip(4, 8) - 4),
}
SIZES = (1000, 4000, 16000)
SIDES = ("teacher", "alone", "prefit", "out of fold", "synthetic", "both", "recipe")
PEER = "TabTune"  # if it is installed
MAX_EPOCHS = 60


def read(archive, name):
    """Return a data frame, text as categories, and labels."""
    file, target, change = SETS[name]
    if name == "adult":
        parts = [_csv(archive, f"adult-{part}.csv") for part in ("train", "test")]
        parts[1][target] = parts[1][target].str.rstrip(".")
        frame = pd.concat(parts, keys=["train", "test"])
    else:
        separator = ";" if name == "white wine" else ","
        frame = _csv(archive, file, separator)
    y = frame.pop(target)
    frame.columns = [f"column {i}" for i in frame.columns]
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype("category")
    return frame, (change(y) if change else y)


def _csv(archive, file, separator=","):
    with tarfile.open(archive) as tar:
        found = next(m for m in tar.getmembers() if m.name.endswith(file))
        text = tar.extractfile(found).read().decode()
    options = {"skipinitialspace": True, "na_values": ["?"], "quotechar": '"'}
    first = text.partition("\n")[0]
    if separator not in first:
        separator = ","
    frame = pd.read_csv(io.StringIO(text), header=None, sep=separator, **options)
    return frame.replace({r"^'(.*)'$": r"\1"}, regex=True)


def split(X, y, name, n, seed):
    """Return training and test rows of a seed."""
    if name == "adult":
        X, X_test, y, y_test = X.loc["train"], X.loc["test"], y["train"], y["test"]
    else:
        options = {"test_size": 0.3, "stratify": y, "random_state": seed}
        X, X_test, y, y_test = train_test_split(X, y, **options)
    if n is not None and n < len(X):
        options = {"train_size": n, "stratify": y, "random_state": seed}
        X, _, y, _ = train_test_split(X, y, **options)
    return X, y.to_numpy(), X_test, y_test.to_numpy()


def teachers():
    """Return the unfitted teachers that are installed, by name."""
    found = {
        "HistGradientBoosting": HistGradientBoostingClassifier(
            categorical_features="from_dtype", random_state=0
        )
    }
    try:
        from lightgbm import LGBMClassifier

        found["LightGBM"] = LGBMClassifier(random_state=0, n_jobs=1, verbose=-1)
    except ImportError:
        pass
    try:
        from catboost import CatBoostClassifier
    except ImportError:
        return found
    boosted = CatBoostClassifier(
        random_state=0, verbose=0, thread_count=1, allow_writing_files=False
    )
    # It takes no gap in a category, and is to be told which columns are categories.
    found["CatBoost"] = _OfCategories(boosted)
    return found


class _OfCategories(ClassifierMixin, BaseEstimator):
    """CatBoost on the categories of a data frame."""

    def __init__(self, model):
        self.model = model

    def fit(self, X, y):
        X = self._filled(X)
        names = [*X.select_dtypes(["object", "str"]).columns]
        self.model_ = clone(self.model).fit(X, y, cat_features=names)
        self.classes_ = self.model_.classes_
        return self

    def predict_proba(self, X):
        return self.model_.predict_proba(self._filled(X))

    def _filled(self, X):
        text = X.select_dtypes("category").astype("str").fillna("missing")
        return X.assign(**{name: text[name] for name in text})


def students(teacher, fitted, seed):
    """Return the unfitted students, by side."""
    plain = distil_table(teacher, random_state=seed, device="cpu")

    def student(**params):
        return clone(plain).set_params(**params)

    # Without synthetic rows an epoch is a fifth as long.
    few = {"synthetic": None, "max_epochs": 5 * plain.max_epochs}
    raw = {"teacher_calibration": None}
    prefit = {"teacher": fitted, "teacher_cv": "prefit", **raw}
    return {
        "alone": student(teacher=None, teacher_cv="prefit", synthetic=None),
        "prefit": student(**prefit, **few),
        "out of fold": student(**few, **raw),
        "synthetic": student(**prefit),
        "both": student(**raw),
        "recipe": plain,
    }


def fit_alone(student, X, y):
    """Train for the number of epochs that is best on a fifth of the rows."""
    held_out = ValidSplit(0.2, stratified=True, random_state=0)
    trial = clone(student).set_params(train_split=held_out, max_epochs=MAX_EPOCHS)
    losses = trial.fit(X, y).history[:, "valid_loss"]
    return student.set_params(max_epochs=int(np.argmin(losses)) + 1).fit(X, y)


def measure(model, X, y):
    """Return what a fitted model is worth on test rows, and its time for a row."""
    proba = model.predict_proba(X)
    scores = proba[:, 1] if proba.shape[1] == 2 else proba
    rows = X.iloc[np.arange(10_000) % len(X)]
    seconds = []
    with threadpool_limits(1):
        for _ in range(5):
            start = time.process_time()
            model.predict_proba(rows)
            seconds.append(time.process_time() - start)
    return {
        "AUC": float(roc_auc_score(y, scores, multi_class="ovr")),
        "log loss": float(log_loss(y, proba, labels=model.classes_)),
        "accuracy": float(accuracy_score(y, model.classes_[proba.argmax(axis=1)])),
        "us": min(seconds) * 100,
    }


@lru_cache(maxsize=1)  # several sides in a row learn from it
def fit_teacher(seed, archive, name, teacher, n):
    """Return a teacher that was fitted on the training rows of a seed."""
    X, y, *_ = split(*read(archive, name), name, n, seed)
    return clone(teachers()[teacher]).fit(X, y)


def run(seed, archive, name, teacher, n, side):
    """Fit one side and return its figures."""
    X, y, X_test, y_test = split(*read(archive, name), name, n, seed)
    unfitted = teachers().get(teacher)  # the student alone has none
    is_prefit = side in ("teacher", "prefit", "synthetic", PEER)
    fitted = fit_teacher(seed, archive, name, teacher, n) if is_prefit else None
    if side == "teacher":
        return measure(fitted, X_test, y_test)
    if side == PEER:
        return measure(TabTuneStudent(fitted, seed).fit(X, y), X_test, y_test)
    student = students(unfitted, fitted, seed)[side]
    trained = fit_alone(student, X, y) if side == "alone" else student.fit(X, y)
    return measure(trained, X_test, y_test)


def show(found):
    """Print a table for each figure; return those of AUC and time."""
    for figure, digits in (("AUC", 4), ("log loss", 4), ("accuracy", 4), ("us", 2)):
        shown = [*next(iter(found.values()))]
        rows = [
            [*key, *(Mean.of(r[figure] for r in sides[s]).show(digits) for s in shown)]
            for key, sides in found.items()
        ]
        head = ["data", "rows", "teacher", *shown]
        print(f"\n{figure}\n\n{table(head, rows)}", flush=True)


def claim(found, bounds):
    """Check the claims."""
    for (name, n, teacher), sides in found.items():
        if not {"teacher", "alone", "recipe"} <= {*sides}:
            continue
        auc = {s: np.array([r["AUC"] for r in figures]) for s, figures in sides.items()}
        what = f"{name}, {n} rows, {teacher}"
        gain = Mean.of(auc["recipe"] - auc["alone"])
        bounds.at_least(f"{what}: gain + 2 errors", gain.mean + 2 * gain.error, 0)
        if (name, n, teacher) == ("adult", "16000", "HistGradientBoosting"):
            way = gain.mean / (auc["teacher"] - auc["alone"]).mean()
            bounds.at_least(f"{what}: way to the teacher", way, 0.6)


def compare_times(archive, wanted, bounds):
    """Let the teachers and the student of adult predict 10,000 rows by turns.

    What a network has learnt makes no difference to its time: it is trained briefly.
    """
    X, y, X_test, _ = split(*read(archive, "adult"), "adult", 16_000, 0)
    rows = X_test[:10_000]
    params = {"teacher_cv": "prefit", "synthetic": None, "max_epochs": 1}
    models = {"student": distil_table(None, device="cpu", **params).fit(X, y)}
    models |= {t: clone(teachers()[t]).fit(X, y) for t in wanted}
    seconds = {name: [] for name in models}
    with threadpool_limits(1):
        for turn in range(26):
            for name, model in models.items():
                start = time.process_time()
                model.predict_proba(rows)
                if turn:  # the first one warms up
                    seconds[name].append(time.process_time() - start)
    for name, taken in seconds.items():
        times = np.divide(taken, seconds["student"])
        a_row = Spread.of(np.multiply(taken, 100)).show(2, " us")
        quartiles = np.quantile(times, [0.25, 0.75])
        print(
            f"\n{name}: {a_row} a row, {np.median(times):.2f} times the student's "
            f"(quartiles {quartiles[0]:.2f} to {quartiles[1]:.2f})",
            flush=True,
        )
        if name == "HistGradientBoosting":
            bounds.at_least("adult: times as fast as it", np.median(times), 5)


def main():
    """Run what the command line asks for."""
    options = parser(__doc__)
    options.add_argument("--only", nargs="+", choices=SETS, help="some of the sets")
    options.add_argument("--teachers", nargs="+", help="some of the teachers")
    options.add_argument("--sides", nargs="+", help=", ".join([*SIDES, PEER]))
    options.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    options.add_argument("--seeds", type=int, default=5, help="default 5")
    options.add_argument("--results", type=Path, help="file of figures, to go on")
    options.add_argument("--times", action="store_true", help="compare times alone")
    args = options.parse_args()
    archive = args.data / "tables.tar.xz"
    wanted = args.teachers or [*teachers()]
    names, sizes = args.only or [*SETS], args.sizes
    if args.quick:
        names, sizes, args.seeds = ["breast cancer"], [150], 2
        wanted = wanted[:1]
    print(describe_machine(["scikit-learn", "pandas", "torch"]))
    bounds = Bounds(enforced=not args.quick)
    if args.times:
        compare_times(archive, wanted, bounds)
        return bounds.finish()
    settings, places = {}, {}
    for name in names:
        available = len(split(*read(archive, name), name, None, 0)[0])
        for n in [n for n in sizes if n < available] or [None]:
            for teacher in wanted:
                for side in args.sides or [*SIDES, *[PEER] * is_installed()]:
                    taught_by = None if side == "alone" else teacher
                    key = f"{name}, {n}, {taught_by}, {side}"
                    places[name, str(n or available), teacher, side] = key
                    setting = dict(name=name, n=n, teacher=taught_by, side=side)
                    settings[key] = {"archive": str(archive), **setting}
    figures = repeat(
        run,
        [*settings.items()],
        range(args.seeds),
        jobs=args.jobs,
        results=args.results,
    )
    found = {}
    for (*key, side), label in places.items():
        found.setdefault(tuple(key), {})[side] = figures[label]
    show(found)
    bounds.left_out += sorted({"LightGBM", "CatBoost"} - {*teachers()})
    bounds.left_out += [PEER] * (not is_installed())
    claim(found, bounds)
    if not args.quick and "adult" in names:
        compare_times(archive, wanted, bounds)
    bounds.finish()


if __name__ == "__main__":
    main()
