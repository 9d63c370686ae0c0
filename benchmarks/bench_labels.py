"""What a teacher is worth where few rows are labelled.

Claim: with 1 % of the rows labelled a distilled student gains at least 10 points on one
that has the labels alone, with 5 % at least 2. With all of them it is no gain: the
student that has the labels alone is the better one, by up to 5 points.

How: a teacher, an SVC with an RBF kernel, learnt from labelled rows of its own, which
the student never sees. The student's rows share none with these, and only a part of
them is labelled. "labels alone" is trained on this part, without a teacher; "distilled"
on all rows, the others marked by ``unlabeled=-1``, with ``alpha=0.9``. Both take the
same number of steps, of up to 64 rows: with few rows, "labels alone" sees them more
often.

scikit-learn's digits (500 rows for the teacher, 900 for the student, 397 to test) and,
with --data, rows of MNIST's training set (6,000, 6,000, 4,000). In each round other
rows are drawn, and the student, the default MLP, has another seed; sides share both.
Given are means and standard errors over the rounds, in per cent of the test rows.

    python benchmarks/bench_labels.py [--data FOLDER]

FOLDER holds mnist.npz.
"""

import math
from pathlib import Path

import numpy as np
from common import (
    Bounds,
    Mean,
    describe_machine,
    draw,
    flat_sets,
    parser,
    set_up,
    table,
)
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier

SHARES = (1, 2, 5, 10, 25, 50, 100)
SIZES = {"digits": (500, 900, 397), "MNIST": (6000, 6000, 4000)}
BATCH = 64


def labelled_rows(y, share, seed):
    """Return which rows are labelled: `share` per cent, every class at least once."""
    n = max(round(len(y) * share / 100), len(np.unique(y)))
    if n == len(y):
        return np.arange(n)
    return train_test_split(
        np.arange(len(y)), train_size=n, stratify=y, random_state=seed
    )[0]


def one_round(X, y, sizes, epochs, shares, seed):
    """Return the teacher's accuracy, and those of both sides by share, in per cent."""
    rows = draw(X, y, sizes, seed)
    teacher = SVC().fit(rows.X_teacher, rows.y_teacher)
    n_steps = epochs * math.ceil(len(rows.X) / BATCH)

    def score(X, y, **params):
        student = DistilledClassifier(
            max_epochs=round(n_steps / math.ceil(len(X) / BATCH)),
            batch_size=BATCH,
            random_state=seed,
            classes=np.arange(10),
            device="cpu",
            **params,
        )
        return 100 * student.fit(X, y).score(rows.X_test, rows.y_test)

    found = {}
    for share in shares:
        known = labelled_rows(rows.y, share, seed)
        few = np.full(len(rows.y), -1)
        few[known] = rows.y[known]
        found[share] = (
            len(known),
            score(rows.X[known], few[known]),
            score(rows.X, few, teacher=teacher, unlabeled=-1, alpha=0.9),
        )
    return 100 * teacher.score(rows.X_test, rows.y_test), found


def show(name, rounds):
    """Print a table; return what the teacher adds, by share."""
    lines, gains = [], {}
    for share in rounds[0][1]:
        n, alone, taught = zip(*(found[share] for _, found in rounds), strict=True)
        gains[share] = Mean.of(np.subtract(taught, alone))
        values = (Mean.of(alone).show(), Mean.of(taught).show())
        lines.append(
            [name, f"{share} %", f"{n[0]:,}", *values, gains[share].show(sign="+")]
        )
    head = ["data", "labelled", "labels", "labels alone", "distilled", "gain"]
    teacher = Mean.of(accuracy for accuracy, _ in rounds)
    print(table(head, lines) + f"\nThe teacher itself: {teacher.show()}\n", flush=True)
    return gains


def main():
    """Run what the command line asks for."""
    options = parser(__doc__, reads_data=False)
    options.add_argument("--data", type=Path, help="folder of mnist.npz")
    options.set_defaults(threads=1, rounds=5)
    args = options.parse_args()
    shares = SHARES
    if args.quick:
        args.rounds, args.epochs, shares = 2, 1, (10, 100)
    set_up(args.threads)
    print(describe_machine())
    print(f"\n{args.rounds} rounds; accuracy, %\n", flush=True)
    bounds = Bounds(enforced=not args.quick)
    for name, (X, y) in flat_sets(args.data).items():
        sizes = (100, 200, 100) if args.quick else SIZES[name]
        epochs = args.epochs or {"digits": 30, "MNIST": 10}[name]
        rounds = [
            one_round(X, y, sizes, epochs, shares, seed) for seed in range(args.rounds)
        ]
        gains = show(name, rounds)
        for share, least in ((1, 10), (5, 2), (100, -5)):
            if share in gains:
                bounds.at_least(f"{name}, {share} %: gain", gains[share].mean, least)
        bounds.at_most(f"{name}, 100 %: gain", gains[100].mean, 0)
    bounds.finish()


if __name__ == "__main__":
    main()
