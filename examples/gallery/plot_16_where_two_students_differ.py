"""
Where two students differ
=========================

Two models of equal accuracy may be right about different samples. ``compare``
measures any number of classifiers on the same samples; a matrix shows the classes.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.displays import ConfusionDifferenceDisplay
from skkd.report import compare

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=600, random_state=0)
X_theirs, X, y_theirs, y = train_test_split(X, y, test_size=0.5, random_state=0)

# %%
# One sample in eight has a label; the teacher learnt from other samples.

teacher = SVC(gamma=0.001).fit(X_theirs, y_theirs)
labelled = np.arange(len(y)) % 8 == 0
plain = DistilledClassifier(max_epochs=160, random_state=0)
plain.fit(X[labelled], y[labelled])
distilled = DistilledClassifier(
    teacher=teacher, unlabeled=-1, alpha=0.9, max_epochs=20, random_state=0
)
distilled.fit(X, np.where(labelled, y, -1))

# %%
# Accuracy, calibration, agreement with the teacher, size and time, and for each pair
# the difference with its interval.

models = {"teacher": teacher, "distilled": distilled, "plain": plain}
result = compare(models, X_test, y_test, teacher_saw="other rows")
print(result)

# %%
# Blue on the diagonal: correct more often with the teacher. Blue elsewhere: that
# mistake is made more often with it.

ConfusionDifferenceDisplay.from_estimators(
    {"distilled": distilled, "plain": plain}, X_test, y_test
)
