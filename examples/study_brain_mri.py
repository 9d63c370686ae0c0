"""The Optuna study of reproduce_brain_mri.py: temperature, alpha and learning rate.

    python examples/study_brain_mri.py --data FOLDER --trials 10

It sees the training rows of the first fold of the first seed, and no other image: each
trial is scored by five inner folds of these, each with a teacher of its own.
"""

from __future__ import annotations

import numpy as np
import optuna
from reproduce_brain_mri import (
    LOGITS_AND_MAPS,
    TAUGHT,
    folds,
    load,
    options,
    student,
    teacher,
)

from skkd.search import suggest_distillation


def main() -> None:
    known = options(__doc__)
    known.add_argument("--trials", type=int, default=10, help="the first is as set")
    args = known.parse_args()
    X, y, groups = load(args)
    train = folds(X, y, groups, 0)[0][0]
    X, y = X[train], y[train]
    inner = folds(X, y, groups[train], 0)[: 2 if args.quick else None]
    masters = [teacher(args, 0).fit(X[a], y[a]) for a, _ in inner]

    def objective(trial: optuna.Trial) -> float:
        params = suggest_distillation(trial, temperature=(1, 8))
        params["lr"] = trial.suggest_float("lr", 5e-4, 5e-3, log=True)
        params["distillation"] = LOGITS_AND_MAPS
        scores = []
        for step, (master, (a, b)) in enumerate(zip(masters, inner, strict=True)):
            net = student(args, 0, teacher=master, **params)
            scores.append(net.fit(X[a], y[a]).score(X[b], y[b]))
            trial.report(float(np.mean(scores)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(scores))

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
    )
    study.enqueue_trial(TAUGHT)
    study.optimize(objective, n_trials=args.trials)
    scores = [m.score(X[b], y[b]) for m, (_, b) in zip(masters, inner, strict=True)]
    print(f"{len(y)} rows, teacher {np.mean(scores):.3f}")
    columns = ("number", "value", "params", "state")
    print(study.trials_dataframe(columns).to_string(index=False))


if __name__ == "__main__":
    main()
