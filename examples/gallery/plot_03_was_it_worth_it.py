"""
Was the teacher worth it?
=========================

Two students that differ by a few points in one split say little. ``gain`` trains
the same student with and without its teacher, with the same seeds and folds, and
gives the difference with an interval.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.report import gain

X, y = load_digits(return_X_y=True)
X, y = X[:900], y[:900]

# %%
# A student of eight hidden units. ``teacher_cv=None`` fits the teacher on the
# training samples of each fold, so that it has never seen a sample that tests.

student = DistilledClassifier(
    teacher=SVC(gamma=0.001),
    teacher_cv=None,
    module__hidden=8,
    max_epochs=20,
    temperature=2,
    alpha=0.9,
)
result = gain(student, X, y, seeds=3)
print(result)

# %%
# The differences behind the verdict: one for each seed and fold. Folds differ more
# than seeds do, which is why the interval covers both.

differences = 100 * (result.distilled - result.plain)
fig, ax = plt.subplots(layout="constrained")
for seed, row in enumerate(differences):
    ax.plot(np.arange(5) + 0.1 * (seed - 1), row, "o", label=f"seed {seed}")
ax.axhline(0, color="gray", linewidth=1)
low, high = (100 * bound for bound in result.interval)
ax.axhspan(low, high, alpha=0.2, label="95 % interval of the gain")
ax.set(xlabel="fold", ylabel="distilled - plain, points", xticks=range(5))
ax.legend()
