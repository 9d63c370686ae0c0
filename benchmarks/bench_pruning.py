"""Pruning by the mean over folds stops earlier than pruning fold by fold.

Claim: with the epochs of a study counted, ``pruned_cross_val_score`` needs at most 0.95
of the epochs of its former way, at a best value that is no worse. Formerly the score of
each epoch of each fold was reported, so that a trial was pruned in the first fold or
hardly ever: its best value so far, that of the first fold, was compared with others'
early epochs of the next one. Now the first fold reports its epochs, and each further
fold the mean over all folds so far, which is compared with that mean alone.

How: students of digits and of 1,200 rows of MNIST (an MLP, a random forest that was
fitted on other rows teaches) with random temperature, alpha and learning rate, 5 folds
each. All are trained once, as one stack of parameters, and their learning curves kept.
Studies of 40 of them in a random order are then replayed, each way, with Optuna's own
pruners and several warm-ups. Epochs are counted, so that the load of the machine does
not matter; given are means over the studies and their standard error. For each setting
of the former way, what is compared with it is the cheapest setting of the new way whose
best value is no worse on average.

    python benchmarks/bench_pruning.py --data FOLDER

FOLDER holds mnist.npz; without it the digits are used alone.
"""

from pathlib import Path

import numpy as np
import optuna
import torch
from common import Bounds, Mean, describe_machine, flat_sets, parser, set_up, table
from optuna.pruners import PercentilePruner
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from torch.nn.functional import cross_entropy, kl_div, log_softmax

from skkd.search._pruned import _report_folds

K, HIDDEN, BATCH = 5, 32, 64
PERCENTILES, WARM_UPS = (50, 25), (0, 1, 2, 3, 5)
BOUND = 0.95


def learning_curves(X, y, n_rows, n_students, epochs):
    """Train students on K folds as one stack; return accuracies (n, K, epochs)."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(X))[: 2 * n_rows]
    forest = RandomForestClassifier(100, random_state=0)
    forest.fit(X[rows[n_rows:]], y[rows[n_rows:]])
    X, y = X[rows[:n_rows]], y[rows[:n_rows]]
    probabilities = forest.predict_proba(X).clip(1e-4, 1)
    logits = torch.from_numpy(np.log(probabilities).astype(np.float32))
    splitter = StratifiedKFold(K, shuffle=True, random_state=0)
    folds = [*splitter.split(X, y)]
    n_train = min(len(train) for train, _ in folds) // BATCH * BATCH
    n_test = min(len(test) for _, test in folds)
    # Of each member of the stack: (n_students * K, n)
    train = torch.tensor(np.stack([a[:n_train] for a, _ in folds] * n_students))
    test = torch.tensor(np.stack([b[:n_test] for _, b in folds] * n_students))
    X, y = torch.from_numpy(X), torch.from_numpy(y)

    def draw(low, high, logarithmic):
        if logarithmic:
            values = np.exp(rng.uniform(np.log(low), np.log(high), n_students))
        else:
            values = rng.uniform(low, high, n_students)
        return torch.tensor(np.float32(values).repeat(K))[:, None, None]

    chosen = draw(1, 16, True), draw(0, 1, False), draw(1e-4, 1e-1, True)
    stack = Stack(X.shape[1], logits.shape[1], n_students * K, *chosen)
    curves = np.empty((n_students * K, epochs))
    generator = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        for batch in torch.randperm(n_train, generator=generator).split(BATCH):
            rows = train[:, batch]
            stack.step(X[rows], y[rows], logits[rows])
        with torch.no_grad():
            right = stack(X[test]).argmax(-1) == y[test]
        curves[:, epoch] = right.float().mean(1)
    return curves.reshape(n_students, K, epochs)


class Stack:
    """MLPs of one shape, each with its own temperature, alpha and learning rate."""

    def __init__(self, n_features, n_classes, n, temperature, alpha, lr):
        generator = torch.Generator().manual_seed(0)
        self.parameters = []
        for fan_in, fan_out in ((n_features, HIDDEN), (HIDDEN, n_classes)):
            weight = torch.rand(1, fan_in, fan_out, generator=generator) * 2 - 1
            weight = (weight / fan_in**0.5).repeat(n, 1, 1)
            bias = torch.zeros(n, 1, fan_out)
            self.parameters += [weight.requires_grad_(), bias.requires_grad_()]
        self.temperature, self.alpha, self.lr = temperature, alpha.flatten(), lr
        self.moments = [
            (torch.zeros_like(p), torch.zeros_like(p)) for p in self.parameters
        ]
        self.n_steps = 0

    def __call__(self, x):
        """Return the logits (n, n_rows, n_classes)."""
        w1, b1, w2, b2 = self.parameters
        return torch.baddbmm(b2, torch.relu(torch.baddbmm(b1, x, w1)), w2)

    def step(self, x, y, teacher):
        """Train on a batch, by Adam."""
        z, T = self(x), self.temperature
        hard = cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none")
        p_s, p_t = log_softmax(z / T, -1), log_softmax(teacher / T, -1)
        soft = (
            kl_div(p_s, p_t, reduction="none", log_target=True).sum(-1) * T[..., 0] ** 2
        )
        hard, soft = hard.view(y.shape).mean(1), soft.mean(1)
        loss = ((1 - self.alpha) * hard + self.alpha * soft).sum()
        gradients = torch.autograd.grad(loss, self.parameters)
        self.n_steps += 1
        first, second = 1 - 0.9**self.n_steps, 1 - 0.999**self.n_steps
        with torch.no_grad():
            for p, g, (m, v) in zip(
                self.parameters, gradients, self.moments, strict=True
            ):
                m.lerp_(g, 0.1)
                v.lerp_(g.square(), 0.001)
                p -= self.lr * (m / first) / ((v / second).sqrt() + 1e-8)


def fold_by_fold(trial, curves, count):
    """Report as formerly: each epoch of each fold, on its own."""
    n_epochs = curves.shape[1]
    for step, value in enumerate(curves.flatten()):
        count(1)
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return curves[:, n_epochs - 1].mean()


def by_folds_so_far(trial, curves, count):
    """Report as `pruned_cross_val_score` does."""
    n_epochs = curves.shape[1]
    for epoch, value in enumerate(curves[0]):
        count(1)
        trial.report(value, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    for fold in range(1, len(curves)):
        count(n_epochs)
        last = [*curves[: fold + 1, -1]]
        _report_folds(trial, n_epochs - 1 + fold, last)
    return curves[:, -1].mean()


def replay(way, curves, order, percentile, warm_up):
    """Return the epochs that a study takes, and what it loses of the best value."""
    pruner = PercentilePruner(percentile, n_startup_trials=5, n_warmup_steps=warm_up)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    epochs = []
    students = iter(order)
    study.optimize(
        lambda trial: way(trial, curves[next(students)], epochs.append), len(order)
    )
    best = curves[order, :, -1].mean(1).max()
    return sum(epochs), 100 * (best - study.best_value)


def compare(name, curves, orders, bounds):
    """Replay studies each way, print them, and claim that the new way is cheaper."""
    found, rows = {}, []
    for way in (fold_by_fold, by_folds_so_far):
        for percentile in PERCENTILES if way is by_folds_so_far else PERCENTILES[:1]:
            for warm_up in WARM_UPS:
                setting = (percentile, warm_up)
                runs = [replay(way, curves, order, *setting) for order in orders]
                epochs, lost = (Mean.of(values) for values in zip(*runs, strict=True))
                found[way, setting] = epochs, lost
                shown = way.__name__.replace("_", " ")
                cells = [name, shown, str(percentile), str(warm_up)]
                rows.append([*cells, epochs.show(0), lost.show(3)])
                print("  ", " ".join(rows[-1]), flush=True)
    head = ["data", "way", "percentile", "warm-up", "epochs", "points lost"]
    print("\n" + table(head, rows) + "\n")
    ratios = []
    for (way, _), (epochs, lost) in found.items():
        if way is fold_by_fold:
            no_worse = [
                new.mean
                for (other, _), (new, loses) in found.items()
                if other is by_folds_so_far and loses.mean <= lost.mean
            ]
            ratios.append(min(no_worse, default=np.inf) / epochs.mean)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"{name}: epochs at no worse best value, by warm-up of the former: {shown}")
    bounds.at_most(f"{name}: median of these", float(np.median(ratios)), BOUND)


def main():
    """Run what the command line asks for."""
    options = parser(__doc__, reads_data=False)
    options.add_argument("--data", type=Path, help="folder of mnist.npz")
    options.add_argument("--n-students", type=int, default=120)
    args = options.parse_args()
    n_students, n_trials = args.n_students, 40
    n_studies, epochs = args.rounds or 50, args.epochs or 12
    if args.quick:
        n_students, n_trials, n_studies, epochs = 8, 8, 2, 2
    set_up(args.threads)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(describe_machine(["optuna"]))
    rng = np.random.default_rng(0)
    orders = [rng.permutation(n_students)[:n_trials] for _ in range(n_studies)]
    bounds = Bounds(enforced=not args.quick)
    for name, (X, y) in flat_sets(args.data).items():
        n_rows = 400 if args.quick else min(len(X) // 2, 1200)
        curves = learning_curves(X, y, n_rows, n_students, epochs)
        final = curves[:, :, -1].mean(1)
        print(
            f"\n{name}: {n_rows} rows, {n_students} students x {K} folds x {epochs} "
            f"epochs, best {100 * final.max():.1f} %, median "
            f"{100 * np.median(final):.1f} %; {n_studies} studies of {n_trials} trials"
        )
        compare(name, curves, orders, bounds)
    bounds.finish()


if __name__ == "__main__":
    main()
