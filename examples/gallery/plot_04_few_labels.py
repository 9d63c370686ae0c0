"""
Few labels, many samples
========================

Labels cost, samples often do not. Samples without a label learn from the teacher
alone.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=400, random_state=0)

# %%
# The teacher learnt from other people's labels: 500 digits that no student sees.

X_theirs, X, y_theirs, y = train_test_split(X, y, train_size=500, random_state=0)
teacher = SVC(gamma=0.001).fit(X_theirs, y_theirs)

# %%
# A student alone has the labelled samples only. The distilled one has all of them,
# and labels for the same few. Both take the same number of steps.

shares = [0.02, 0.05, 0.1, 0.25, 1]
scores = {"labels alone": [], "with a teacher": []}
order = np.random.default_rng(0).permutation(len(X))
for share in shares:
    labelled = order[: max(round(share * len(X)), 10)]
    epochs = round(15 * len(X) / len(labelled))
    alone = DistilledClassifier(max_epochs=min(epochs, 200), random_state=0)
    alone.fit(X[labelled], y[labelled])
    scores["labels alone"].append(alone.score(X_test, y_test))

    few = np.full(len(X), -1)
    few[labelled] = y[labelled]
    student = DistilledClassifier(
        teacher=teacher, unlabeled=-1, alpha=0.9, max_epochs=15, random_state=0
    )
    scores["with a teacher"].append(student.fit(X, few).score(X_test, y_test))
    print(f"{share:4.0%}:", *(f"{each[-1]:.3f}" for each in scores.values()))

# %%
# With two per cent of the labels the teacher is worth 25 points; with all of them it is
# worth nothing here, as it is no better than the labels.

fig, ax = plt.subplots(layout="constrained")
for name, each in scores.items():
    ax.semilogx(shares, each, "o-", label=name)
ax.axhline(teacher.score(X_test, y_test), color="gray", ls="--", label="teacher")
ax.set(xlabel="share of the samples that are labelled", ylabel="test accuracy")
ax.set_xticks(shares, [f"{share:.0%}" for share in shares])
ax.minorticks_off()
ax.legend()
