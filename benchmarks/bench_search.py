"""A grid search with a teacher costs what it costs without one.

Claim, on 2 cores: 12 candidates (temperature x alpha) x 3 folds take at most 1.02 times
the same search with ``teacher=None``, the only pass of the teacher included, and the
teacher computes as many rows as the data set has, exactly: candidates and folds share
one pass, whichever rows a fold holds out.

How: 6,000 rows of MNIST, a CNN teaches a CNN (SmallCNN of width 4, the kind of student
that images get by default) or, ``--student mlp``, an MLP 784-128-10; both searches once
in each round, each in a process of its own, ratios taken round by round. Without a
teacher temperature and alpha have no effect, so that both do the same 36 fits. The rows
are counted twice: by the teacher, in its own ``forward``, and by ``cache_info_``.

    python benchmarks/bench_search.py --data FOLDER

FOLDER holds mnist.npz.
"""

from functools import partial

from common import (
    Bounds,
    Run,
    clocked,
    count_rows,
    describe_machine,
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
from torch import nn

from skkd import DistilledClassifier
from skkd.memory import clear_cache
from skkd.students import MLP, SmallCNN, Standardize

GRID = {"temperature": [1, 2, 4, 8], "alpha": [0.25, 0.5, 0.9]}
STUDENTS = {
    "cnn": {"module": SmallCNN, "module__width": 4},
    "mlp": {"module": MLP, "module__hidden": 128},
}
BOUND = 1.02


# Rows of each batch that the teacher ran on. Outside of its class, since a
# count in there would make it another teacher every time.
ASKED = []


class CountingCNN(nn.Sequential):
    """A teacher that counts the rows it runs on."""

    def forward(self, x):
        """Return the logits."""
        ASKED.append(count_rows(x))
        return super().forward(x)


def train_teacher(data, epochs):
    """Return the CNN of bench_fit.py, trained on the same rows."""
    seed_all(0)
    teacher = CountingCNN(
        Standardize((1, 28, 28), mean=0.1307 * 255, std=0.3081 * 255),
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(5), nn.Flatten()),
        *(nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 10)),
    )
    return train_on_labels(teacher, data, epochs)


def search(teacher, data, epochs, batch_size, grid, parts, number):
    """Time one search."""
    computed, X, y = [], data.X.numpy(), data.y.numpy()

    def accuracy(estimator, X, y):
        computed.append(estimator.cache_info_.misses if teacher else 0)
        return estimator.score(X, y)

    student = partial(
        DistilledClassifier,
        **parts,
        teacher=teacher,
        batch_size=batch_size,
        random_state=number,
        device="cpu",
    )
    student(max_epochs=1).fit(X[:512], y[:512])  # what is set up only once
    clear_cache()
    ASKED.clear()
    found = GridSearchCV(
        student(max_epochs=epochs), grid, scoring=accuracy, cv=3, refit=False
    )
    duration, _ = clocked(lambda: found.fit(X, y))
    return Run(duration, found.best_score_, (sum(ASKED), sum(computed)))


def main():
    """Run what the command line asks for."""
    options = parser(__doc__)
    options.add_argument("--n-train", type=int, default=6000)
    options.add_argument("--student", choices=STUDENTS, default="cnn")
    options.add_argument("--batch-size", type=int, default=128)
    args = options.parse_args()
    n, grid = args.n_train, GRID
    args.epochs, args.rounds = args.epochs or 5, args.rounds or 3
    if args.quick:
        n, args.epochs, args.rounds, grid = 600, 1, 1, {"alpha": [0.5, 0.9]}
    set_up(args.threads)
    print(describe_machine())
    data = load_mnist(args.data, n, 1)
    teacher = train_teacher(data, args.epochs)
    settings = (data, args.epochs, args.batch_size, grid, STUDENTS[args.student])
    sides = {
        "with a teacher": partial(search, teacher, *settings),
        "teacher=None": partial(search, None, *settings),
    }
    print(
        f"\n{n} rows, {args.epochs} epochs, {args.rounds} rounds, {args.student}\n",
        flush=True,
    )
    runs = paired(sides, args.rounds, isolate=not args.quick)
    taught, alone = runs.values()

    rows = [
        [side, seconds(timed).show(), f"{timed[0].accuracy:.3f}", str(timed[0].asked)]
        for side, timed in runs.items()
    ]
    head = ["search", "seconds", "best accuracy", "teacher rows, by either count"]
    print("\n" + table(head, rows) + "\nMedian (least to greatest) over the rounds.\n")
    bounds = Bounds(enforced=not args.quick)
    ratio = ratios(taught, alone)
    print(f"with / without: {ratio.show(3)}")
    bounds.at_most("with a teacher / without", ratio.median, BOUND)
    for run in taught:
        bounds.equal("teacher rows computed, by either count", run.asked, (n, n))
    bounds.finish()


if __name__ == "__main__":
    main()
