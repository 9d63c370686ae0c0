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
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.report import gain

X, y = load_digits(return_X_y=True)

# %%
# The teacher was fitted on other digits than those that train and test here, which
# ``teacher_saw`` vouches for. Of the others every fourth has a label; the rest learn
# from the teacher alone.

X_theirs, X, y_theirs, y = train_test_split(X, y, test_size=0.5, random_state=0)
teacher = SVC(gamma=0.001).fit(X_theirs, y_theirs)
y = np.where(np.arange(len(y)) % 4 == 0, y, -1)

student = DistilledClassifier(
    teacher=teacher, unlabeled=-1, alpha=0.9, lr=0.003, max_epochs=20
)
result = gain(student, X, y, seeds=3, teacher_saw="other rows")
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
