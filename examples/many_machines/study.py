"""A study of a student of the digits, by as many machines as you like.

    python -m skkd.search worker study.py --n-trials 40

The README beside this file has the commands. The database is that of the environment
variables PGHOST, PGUSER and PGPASSWORD, as for all programs of PostgreSQL; the folder
of CACHE is one that all machines see.
"""

from __future__ import annotations

import os

from optuna.distributions import CategoricalDistribution, FloatDistribution
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.search import DistillationStudy

X, y = load_digits(return_X_y=True)
# Fitted on other samples than the students are scored on.
teacher = SVC(gamma=0.001).fit(X[::2], y[::2])

study = DistillationStudy(
    DistilledClassifier(
        teacher=teacher,
        memory=os.environ.get("CACHE", "cache"),  # logits are computed once in all
        max_epochs=15,
        random_state=0,
    ),
    {
        "distillation": CategoricalDistribution(["kd", "dkd"]),
        "temperature": FloatDistribution(1, 16, log=True),
        "alpha": FloatDistribution(0, 1),
        "lr": FloatDistribution(3e-4, 3e-2, log=True),
    },
    (X[1::2], y[1::2]),
    name="digits",
    storage=os.environ.get("STUDY", "postgresql:///students"),
    teacher_saw="other rows",
    random_state=0,
)

if __name__ == "__main__":  # any time, on any machine: what is best by now
    study.open()
    print(study)
    print(study.best_params_)
