"""Three ways to teach augmented images, side by side: accuracy, time, teacher rows.

Claim: with ``n_views=k`` the teacher runs on n * k rows, however many epochs
there are; with ``n_views=None`` on n * epochs, with ``teacher_view="clean"``
and without augmentation on n. Accuracy is shown, nothing is claimed of it.

How: CIFAR-10, ResNet-56 teaches ResNet-8, the augmentation is a shift by up to four
pixels and a flip. Every fit has a process of its own and pays for its own teacher
pass. The regimes share the seed of a round, so the initial student. The accuracy is
that after the last epoch: no epoch and no setting is selected. Rows are counted in the
teacher's ``forward``. The standard error is that over the seeds, with the same
training and test images in each; it says nothing of other images.

    python benchmarks/bench_augment.py --data FOLDER --seeds 3

FOLDER holds cifar10_jpeg.tar.xz and weights/resnet56-cifar10jpeg-8977.pt.
"""

from functools import partial

import numpy as np
from common import (
    Bounds,
    Run,
    accuracy,
    clocked,
    count_rows,
    describe_machine,
    load_cifar10,
    paired,
    parser,
    set_up,
    table,
)
from torch import nn

from skkd import DistilledClassifier
from skkd.augment import Compose, RandomCrop, RandomHorizontalFlip
from skkd.memory import clear_cache
from skkd.students import CifarResNet, load_cifar_resnet

WEIGHTS = "weights/resnet56-cifar10jpeg-8977.pt"
AUGMENT = Compose([RandomCrop(4), RandomHorizontalFlip()])
REGIMES = {
    "live": {"augment": AUGMENT},
    "n_views=2": {"augment": AUGMENT, "n_views": 2},
    "n_views=8": {"augment": AUGMENT, "n_views": 8},
    'teacher_view="clean"': {"augment": AUGMENT, "teacher_view": "clean"},
    "no augmentation": {},
}

# Rows of each batch that the teacher ran on. Outside of its class, since a
# count in there would make it another teacher every time.
ASKED = []


class CountingTeacher(nn.Sequential):
    """A teacher that counts the rows it runs on."""

    def forward(self, x):
        """Return the logits."""
        ASKED.append(count_rows(x))
        return super().forward(x)


def expected(regime, n, epochs):
    """Return how many rows the teacher runs on."""
    if regime == "live":
        return n * epochs
    views = REGIMES[regime].get("n_views")
    return n * views if isinstance(views, int) else n


def measure(regime, teacher, data, args, number):
    """Time one fit, and test what it made."""
    student = partial(
        DistilledClassifier,
        CifarResNet,
        module__depth=8,
        teacher=teacher,
        temperature=4.0,
        alpha=0.9,
        batch_size=args.batch_size,
        lr=args.lr,
        precision=args.precision,
        random_state=number,
        device="cpu",
        **REGIMES[regime],
    )
    X, y = data.X.numpy(), data.y.numpy()
    if not args.quick:  # what is set up only once
        student(max_epochs=1).fit(X[:256], y[:256])
    clear_cache()
    ASKED.clear()
    student = student(max_epochs=args.epochs)
    duration, _ = clocked(lambda: student.fit(X, y))
    asked = sum(ASKED), student.cache_info_.misses
    return Run(duration, accuracy(student.module_, data), asked)


def mean(values, digits=1):
    """Return mean and standard error of `values`, to be read."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


def show(runs):
    """Print what each regime gives and costs."""
    rows = []
    for regime, part in runs.items():
        gained = [
            100 * (run.accuracy - live.accuracy)
            for run, live in zip(part, runs["live"], strict=True)
        ]
        test = mean([100 * run.accuracy for run in part])
        apart = "" if regime == "live" else mean(gained)
        duration = mean([run.seconds for run in part])
        rows.append([regime, test, apart, duration, f"{part[0].asked[0]:,}"])
    head = ["regime", "test accuracy, %", "minus live, points", "seconds of a fit"]
    print("\n" + table([*head, "teacher rows"], rows))
    print("Mean ± standard error over the seeds; differences by seed.\n")


def main():
    """Run what the command line asks for."""
    options = parser(__doc__)
    seeds = "of the students: how many (default 3); the same as --rounds"
    options.add_argument("--seeds", type=int, dest="rounds", help=seeds)
    options.add_argument("--n-train", type=int, default=2000)
    options.add_argument("--n-test", type=int, default=5000)
    options.add_argument("--batch-size", type=int, default=64)
    options.add_argument("--lr", type=float, default=3e-3)
    options.add_argument("--precision", default="auto", help="of the student")
    args = options.parse_args()
    args.epochs, args.rounds = args.epochs or 10, args.rounds or 3
    if args.quick:
        args.n_train, args.n_test, args.epochs, args.rounds = 50, 50, 1, 1
    set_up(args.threads)
    print(describe_machine())
    data = load_cifar10(args.data, args.n_train, args.n_test)
    teacher = CountingTeacher(load_cifar_resnet(args.data / WEIGHTS))
    teacher.eval().requires_grad_(False)
    n, n_test = len(data.X), len(data.X_test)
    print(
        f"\n{n} rows, {n_test} to test, {args.epochs} epochs, batches of "
        f"{args.batch_size}, Adam {args.lr}, T=4, alpha=0.9, precision "
        f"{args.precision}, {args.rounds} seeds; the teacher is right on "
        f"{accuracy(teacher, data):.1%}\n",
        flush=True,
    )
    sides = {
        regime: partial(measure, regime, teacher, data, args) for regime in REGIMES
    }
    runs = paired(sides, args.rounds, isolate=not args.quick)
    show(runs)
    bounds = Bounds(enforced=not args.quick)
    for regime, part in runs.items():
        rows = expected(regime, n, args.epochs)
        # A live teacher is not counted by `cache_info_`.
        counts = (rows, 0 if regime == "live" else rows)
        claim = f"{regime}: rows the teacher ran on, by itself and cache_info_"
        bounds.equal(claim, {run.asked for run in part}, {counts})
    bounds.finish()


if __name__ == "__main__":
    main()
