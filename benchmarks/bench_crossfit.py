"""Teachers that know the labels by heart: fitted on all rows, or out of fold.

A teacher that was fitted on the very rows that it teaches may do no more than repeat
their labels. With ``teacher_cv=5`` the soft targets of a row come from a clone that
did not see it.

Claim: where the targets are soft (T = 4), out of fold is better than prefit for a
random forest. For a fully grown tree and for one neighbour it is worse at any
temperature: what these say of a row that they did not see is still 0 or 1, and not
always right. No cross-fitted student is better than one that has the labels alone.

How: scikit-learn's digits (1,200 rows, 597 to test) and, with --data, MNIST (2,000 rows
of its training set, 4,000 others to test). In each round other rows are drawn, and the
student, the default MLP with all of its defaults but alpha=0.5, has another seed; every
side has the same rows and the same seed, and differences are taken round by round.
Given are means and standard errors over the rounds, in per cent of the test rows.

    python benchmarks/bench_crossfit.py [--data FOLDER]

FOLDER holds mnist.npz.
"""

from pathlib import Path

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
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skkd import DistilledClassifier
from skkd.memory import clear_cache

TEACHERS = {
    "decision tree, fully grown": DecisionTreeClassifier(random_state=0),
    "1 nearest neighbour": KNeighborsClassifier(1),
    "random forest": RandomForestClassifier(random_state=0, n_jobs=1),
}
TEMPERATURES = (1.0, 4.0)
SIZES = {"digits": (0, 1200, 597), "MNIST": (0, 2000, 4000)}


def one_round(X, y, sizes, epochs, seed):
    """Return the accuracies of a round, in per cent, by teacher, T, and side."""
    rows = draw(X, y, sizes, seed)

    def score(**params):
        clear_cache()
        student = DistilledClassifier(
            max_epochs=epochs, random_state=seed, device="cpu", alpha=0.5, **params
        )
        student.fit(rows.X, rows.y)
        return 100 * student.score(rows.X_test, rows.y_test)

    found, alone = {}, score()
    for name, teacher in TEACHERS.items():
        fitted = clone(teacher).fit(rows.X, rows.y)
        itself = 100 * fitted.score(rows.X_test, rows.y_test)
        for T in TEMPERATURES:
            found[name, T] = {
                "teacher": itself,
                "alone": alone,
                "prefit": score(teacher=fitted, temperature=T),
                "out of fold": score(
                    teacher=clone(teacher), teacher_cv=5, temperature=T
                ),
            }
    return found


def show(name, rounds):
    """Print a table; return the differences of sides by teacher and temperature."""
    lines, gains = [], {}
    for teacher, T in rounds[0]:
        sides = {
            side: [found[teacher, T][side] for found in rounds]
            for side in ("teacher", "alone", "prefit", "out of fold")
        }
        gains[teacher, T] = {
            against: Mean.of(
                a - b for a, b in zip(sides["out of fold"], sides[against], strict=True)
            )
            for against in ("prefit", "alone")
        }
        lines.append(
            [
                *(name, teacher, f"{T:g}"),
                *(Mean.of(values).show() for values in sides.values()),
                *(gain.show(sign="+") for gain in gains[teacher, T].values()),
            ]
        )
    head = ["data", "teacher", "T", "teacher itself", "student alone", "prefit"]
    head += ["out of fold", "out of fold - prefit", "out of fold - alone"]
    print(table(head, lines) + "\n", flush=True)
    return gains


def main():
    """Run what the command line asks for."""
    options = parser(__doc__, reads_data=False)
    options.add_argument("--data", type=Path, help="folder of mnist.npz")
    options.add_argument("--only", choices=SIZES, help="one of the two data sets")
    options.set_defaults(threads=1, rounds=5, epochs=30)
    args = options.parse_args()
    if args.quick:
        args.rounds, args.epochs = 2, 1
    set_up(args.threads)
    print(describe_machine())
    print(f"\n{args.rounds} rounds, {args.epochs} epochs; accuracy, %\n")
    bounds, claimed = Bounds(enforced=not args.quick), []
    for name, (X, y) in flat_sets(args.data).items():
        if args.only not in (None, name):
            continue
        sizes = (0, 100, 200) if args.quick else SIZES[name]
        rounds = [
            one_round(X, y, sizes, args.epochs, seed) for seed in range(args.rounds)
        ]
        claimed += [(name, *gain) for gain in show(name, rounds).items()]
    for name, (teacher, T), gain in claimed:
        what = f"{name}, {teacher}, T={T:g}: out of fold"
        if teacher != "random forest":
            bounds.at_most(f"{what} - prefit", gain["prefit"].mean, 0)
        elif T == 4:
            bounds.at_least(f"{what} - prefit", gain["prefit"].mean, 0)
        error = gain["alone"].error
        bounds.at_most(f"{what} - alone - 2 errors", gain["alone"].mean - 2 * error, 0)
    bounds.finish()


if __name__ == "__main__":
    main()
